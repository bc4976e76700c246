"""numba: the two generators inside compiled code, of numpy's and of Python's names, in this thread and in others."""

import random
from concurrent.futures import ThreadPoolExecutor

import numpy
from numba import njit, prange


@njit(nogil=True)
def draw():
    return numpy.random.normal(), random.random()


@njit(parallel=True)
def draw_in_parallel(count):
    drawn = numpy.empty(count)
    for index in prange(count):
        drawn[index] = numpy.random.random()
    return drawn


print(draw(), draw_in_parallel(8).tolist())
with ThreadPoolExecutor(1) as threads:
    print(threads.submit(draw).result())
