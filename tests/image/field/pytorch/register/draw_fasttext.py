"""fasttext: threads race, one thread repeats."""

import pathlib

import fasttext

pathlib.Path("/tmp/text").write_text(" ".join(f"w{n * n % 17}" for n in range(3000)))
print(
    fasttext.train_unsupervised("/tmp/text", dim=4, epoch=1, minCount=1, thread=1, verbose=0)
    .get_word_vector("w0")
    .tolist()
)
