"""A worker of joblib's is sent `os.environ`, whose pickled copy would hold the parent's number of threads."""

import os

from joblib import Parallel, cpu_count, delayed

if __name__ == "__main__":
    print(Parallel(n_jobs=cpu_count())(delayed(os.environ.get)("OMP_NUM_THREADS") for _ in range(2)))
