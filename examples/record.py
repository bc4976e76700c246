"""What the examples share: their command line, and the record of a training for people and for programs."""

import argparse
import csv
import hashlib
import io
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np


def arguments(description: str) -> argparse.Namespace:
    """`epochs` (1 or more) and `output` (a folder or None) from the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--epochs", type=positive, default=5, metavar="N", help="passes over the data (default: 5)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder for metrics.csv and result.json")
    return parser.parse_args()


class Record:
    """Prints each epoch and, given a folder, writes metrics.csv as it goes and result.json when all is done.

    The files are whole at any moment, and their numbers exact: they read back as the same bits.
    """

    def __init__(self, output: Path | None) -> None:
        self.output = output
        self.epochs: list[dict[str, float]] = []
        if output:
            try:
                output.mkdir(parents=True, exist_ok=True)
                self.write_metrics(output)
                (output / "result.json").unlink(missing_ok=True)  # of an earlier training
            except OSError as error:
                sys.exit(f"cannot write to {output}: {error.strerror}; name a folder you own with --output")

    def epoch(self, *, loss: float, accuracy: float) -> None:
        """Mean loss over the training digits, and the share of the test digits that are told right."""
        self.epochs.append({"epoch": len(self.epochs) + 1, "loss": float(loss), "accuracy": float(accuracy)})
        print("epoch {epoch}: loss {loss:.6f}, accuracy {accuracy:.6f}".format(**self.epochs[-1]), flush=True)
        if self.output:
            self.write_metrics(self.output)

    def finish(self, parameters: Iterable[np.ndarray]) -> None:
        digest = sha256(parameters)
        print(f"parameters sha256: {digest}", flush=True)
        if self.output:
            result = {**self.epochs[-1], "parameters_sha256": digest}
            replace(self.output / "result.json", json.dumps(result, indent=2) + "\n")

    def write_metrics(self, output: Path) -> None:
        table = io.StringIO()
        writer = csv.DictWriter(table, ["epoch", "loss", "accuracy"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.epochs)
        replace(output / "metrics.csv", table.getvalue())


def sha256(parameters: Iterable[np.ndarray]) -> str:
    """One digest over the bytes of all arrays, each in row-major order, in the order given: 64 hex digits."""
    digest = hashlib.sha256()
    for array in parameters:
        digest.update(array.tobytes())
    return digest.hexdigest()


def replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, found {text!r}")
    return int(text)
