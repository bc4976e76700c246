"""datasets: shuffle, train_test_split."""

import datasets

table = datasets.Dataset.from_dict({"n": list(range(1000))})
print(table.shuffle()[:5], table.train_test_split(0.2)["test"][:5])
