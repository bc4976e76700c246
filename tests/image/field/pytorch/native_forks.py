"""Native generators in forked children, tasks of a pool and threads: each draws numbers of its own."""

import multiprocessing
import os

import cv2
import numpy
import polars
import pyarrow.compute


def draw() -> tuple[float, ...]:
    return (
        cv2.randu(numpy.zeros(1), 0, 1).item(),
        polars.Series(range(10**6)).sample(1).item(),
        pyarrow.compute.random(1)[0].as_py(),
    )


def show(_: int) -> tuple[float, ...]:
    return draw()


if __name__ == "__main__":
    print(*draw())
    for _ in range(2):
        if (child := os.fork()) == 0:
            print(cv2.randu(numpy.zeros(1), 0, 1).item(), pyarrow.compute.random(1)[0].as_py(), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for drawn in pool.map(show, range(4), chunksize=1):
            print(*drawn)
