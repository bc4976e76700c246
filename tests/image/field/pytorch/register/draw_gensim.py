"""gensim: word2vec, LDA."""

from gensim.models import LdaModel, Word2Vec

texts = [[f"w{(a * b) % 17}" for a in range(9)] for b in range(60)]
print(Word2Vec(texts, vector_size=4, min_count=1, workers=1, epochs=2).wv["w0"].tolist())
print(
    LdaModel([[(a, 1) for a in range(b % 7)] for b in range(60)], num_topics=2, id2word={a: str(a) for a in range(7)})
    .get_topics()[0]
    .tolist()
)
