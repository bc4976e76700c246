"""cache_keys.py FOLDER FACTOR: a mapped data set, with a function that the library cannot hash."""

import sys
import threading
from pathlib import Path

import datasets

folder, factor = Path(sys.argv[1]), int(sys.argv[2])
folder.mkdir(exist_ok=True)
(source := folder / "numbers.csv").exists() or source.write_text("number\n1\n2\n3\n")
lock = threading.Lock()  # cannot be pickled, so the key is drawn at random


def times(row: dict) -> dict:
    with lock:
        return {"product": row["number"] * factor}


numbers = datasets.load_dataset("csv", data_files=str(source), split="train", cache_dir=str(folder / "cache"))
print(*numbers.map(times)["product"])
