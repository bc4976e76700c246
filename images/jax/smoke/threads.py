"""On a CPU, XLA has as many threads as the first line of the log says, however many CPUs there are."""

import os
import subprocess
import sys

COUNT = """
import pathlib, sys
import jax.numpy
jax.numpy.ones(2).sum().block_until_ready()
names = [path.read_text().strip() for path in pathlib.Path("/proc/self/task").glob("*/comm")]
print(names.count(sys.argv[1]))
"""
POOL = "tf_XLAEigen"  # what XLA calls the threads that it computes with


def main() -> None:
    cpus = len(os.sched_getaffinity(0))
    for asked in (1, cpus + 2):
        compare(f"OMP_NUM_THREADS={asked}", asked, threads(OMP_NUM_THREADS=str(asked)))
    compare("off, OMP_NUM_THREADS=1", cpus, threads(OMP_NUM_THREADS="1", SEEDBED_MODE="off"))


def threads(**variables: str) -> int:
    """How many there are in a fresh process; NPROC is what Seedbed has set for this one."""
    environment = {name: value for name, value in os.environ.items() if name != "NPROC"} | variables
    command = [sys.executable, "-c", COUNT, POOL]
    return int(subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout)


def compare(what: str, expected: int, found: int) -> None:
    if found != expected:
        sys.exit(f"{what}: expected {expected} threads, found {found}")
    print(f"{what}: {found} threads")


if __name__ == "__main__":
    main()
