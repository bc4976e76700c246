"""pools.py KIND...: each kind of pool draws in tasks that take a while, so that runs differ in who runs which.

Prints a line for each: how many numbers came twice, and a hash of all.
"""

import os
import random
import sys
import time

import numpy


def draw(_=None):
    time.sleep(os.urandom(1)[0] / 20000)
    return random.random(), numpy.random.rand(), random.Random().random(), numpy.random.default_rng().random()


def joblib(backend):
    from joblib import Parallel, delayed

    return Parallel(n_jobs=2, backend=backend)(delayed(draw)(n) for n in range(30))


def of(module, method):
    with module.get_context(method).Pool(2) as pool:
        return pool.map(draw, range(8), chunksize=1) + list(pool.imap(draw, range(4))) + [pool.apply(draw)]


def multiprocessing(method="fork"):
    import multiprocessing

    return of(multiprocessing, method)


def multiprocess(method="fork"):
    import multiprocess

    return of(multiprocess, method)


def billiard(method="fork"):
    import billiard

    return of(billiard, method)


def torch(method="fork"):
    import torch.multiprocessing

    return of(torch.multiprocessing, method)


def pathos():
    from pathos.multiprocessing import ProcessPool

    return ProcessPool(2).map(draw, range(8))


def loky():
    from loky import get_reusable_executor

    return list(get_reusable_executor(2).map(draw, range(8)))


def restarted(method="fork"):
    """A worker is replaced after each task; then a second pool."""
    import multiprocessing

    found = []
    for _ in range(2):
        with multiprocessing.get_context(method).Pool(2, maxtasksperchild=1) as pool:
            found += pool.map(draw, range(5), chunksize=1)
    return found


def executor(method="fork"):
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        return list(pool.map(draw, range(8)))


def threads():
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(draw, range(30)))


def dummy():
    from multiprocessing.dummy import Pool

    with Pool(4) as pool:
        return pool.map(draw, range(30), chunksize=1)


def dask():
    from dask import compute, delayed

    calls = (delayed(draw)(n, dask_key_name=f"draw-{n:02}") for n in range(30))  # dask names calls by uuid4 otherwise
    return compute(*calls, scheduler="threads", num_workers=4)


def scipy():
    """Distributions hold numpy's generator from their import on."""
    from concurrent.futures import ThreadPoolExecutor

    from scipy.stats import norm

    with ThreadPoolExecutor(4) as pool:
        return [(number,) for number in pool.map(lambda _: (draw(), norm.rvs())[1], range(30))]


if __name__ == "__main__":
    for kind in sys.argv[1:]:
        name, _, option = kind.partition("-")
        rows = globals()[name](*[option] if option else [])
        numbers = [number for row in rows for number in row]
        print(kind, len(numbers) - len(set(numbers)), hash(tuple(numbers)), flush=True)
