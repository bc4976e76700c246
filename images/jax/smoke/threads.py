"""On a CPU, XLA's threads follow OMP_NUM_THREADS; with Seedbed disabled they do not."""

import os
import subprocess
import sys

COUNT = """
import os
import jax.numpy
jax.numpy.ones(2).sum().block_until_ready()
print(len(os.listdir("/proc/self/task")))
"""


def main() -> None:
    more = 2 + len(os.sched_getaffinity(0))
    few, many = threads(OMP_NUM_THREADS="1"), threads(OMP_NUM_THREADS=str(more))
    if many < few + more - 1:
        sys.exit(f"expected {more - 1} threads more with OMP_NUM_THREADS={more} than with 1, found {few} and {many}")
    one, other = (threads(OMP_NUM_THREADS=number, SEEDBED_MODE="off") for number in ("1", str(more)))
    if one != other:
        sys.exit(f"expected as many threads in mode off, whatever OMP_NUM_THREADS, found {one} and {other}")
    print(f"{few} threads with OMP_NUM_THREADS=1, {many} with {more}; in mode off {one}")


def threads(**variables: str) -> int:
    """All those of a fresh process that computes with XLA, without OpenBLAS's, which follow OMP_NUM_THREADS anyway.

    NPROC is what Seedbed has set for this process.
    """
    environment = {name: value for name, value in os.environ.items() if name != "NPROC"}
    environment |= {"OPENBLAS_NUM_THREADS": "1"} | variables
    command = [sys.executable, "-c", COUNT]
    return int(subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
