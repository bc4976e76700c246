"""Four workers started as programs at the same time, then one alone; prints how many of the numbers differ, and all."""

import subprocess
import sys

WORKER = "import numpy, random, torch; print(numpy.random.rand(), random.random(), torch.rand(1).item())"


def start() -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE, text=True)


drawn = [worker.communicate()[0].split() for worker in [start() for _ in range(4)]]
numbers = [number for row in drawn for number in row]
print(len(set(numbers)), *numbers)
