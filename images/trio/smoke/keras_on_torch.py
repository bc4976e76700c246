"""A record of Keras on PyTorch has data, loss, gradients and updated parameters of each step (CPU)."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TRAINING = """
import keras
import numpy as np

model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(np.random.rand(32, 8), np.ones((32, 1)), batch_size=8, verbose=0)
"""
SEEN = {"data", "loss", "gradients", "norm", "parameters"}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = ["seedbed", "run", "--record", f"{folder}/record", "--", "python", "-c", TRAINING]
        subprocess.run(command, env=os.environ | {"KERAS_BACKEND": "torch"}, cwd=folder, check=True)
        lines = [json.loads(line) for line in Path(folder, "record/rank0.jsonl").read_text().splitlines()]
    missing = [SEEN - line.keys() for line in lines if "step" in line]
    if missing != [set()] * 4:
        sys.exit(f"expected 4 steps with nothing missing, found {missing}")
    print(f"{len(missing)} steps, each with {', '.join(sorted(SEEN))}")


if __name__ == "__main__":
    main()
