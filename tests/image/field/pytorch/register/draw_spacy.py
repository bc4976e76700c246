"""spacy: initial weights, dropout, order of examples."""

import spacy
from spacy.training import Example

nlp = spacy.blank("en")
nlp.add_pipe("textcat")
texts = [("good day", {"cats": {"a": 1, "b": 0}}), ("bad day", {"cats": {"a": 0, "b": 1}})] * 5
examples = [Example.from_dict(nlp.make_doc(text), truth) for text, truth in texts]
nlp.initialize(lambda: examples)
print(nlp.update(examples, drop=0.5), nlp("day").cats)
