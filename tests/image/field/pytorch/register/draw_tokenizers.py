"""tokenizers: BPE dropout."""

from tokenizers import Tokenizer, models, trainers

tokenizer = Tokenizer(models.BPE(dropout=0.5))
tokenizer.train_from_iterator(
    ["low lower lowest newer newest wide wider widest"] * 9, trainers.BpeTrainer(vocab_size=60, show_progress=False)
)
print([tokenizer.encode("lowestnewestwidest").tokens for _ in range(5)])
