"""sentencepiece: sampled segmentations."""

import io
import random

import sentencepiece

words = ["".join(random.Random(n).choices("abcde", k=6)) for n in range(300)]
model = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(words), model_writer=model, vocab_size=40, minloglevel=2
)
processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
print([processor.encode(word, out_type=str, enable_sampling=True, alpha=0.1, nbest_size=-1) for word in words[:8]])
