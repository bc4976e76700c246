"""resumed.py PART: a pool draws in each part; the second restores what the first saved of each generator's state."""

import multiprocessing
import pickle
import random
import sys
from pathlib import Path

import numpy
import torch

SAVED = Path("/tmp/seedbed-resumed.pickle")


def draw(_):
    return random.random(), numpy.random.rand(), torch.rand(1).item()


def pool():
    with multiprocessing.Pool(2) as workers:
        return [number for row in workers.map(draw, range(3), chunksize=1) for number in row]


if __name__ == "__main__":
    if sys.argv[1] == "first":
        print(*pool())
        random.random(), numpy.random.rand(), torch.rand(1)
        SAVED.write_bytes(pickle.dumps((random.getstate(), numpy.random.get_state(), torch.get_rng_state())))
    else:
        python, arrays, tensors = pickle.loads(SAVED.read_bytes())
        random.setstate(python)
        numpy.random.set_state(arrays)
        torch.set_rng_state(tensors)
        print(*pool())
