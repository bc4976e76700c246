"""How many threads torch and OpenMP have in each worker of joblib's; one worker a CPU."""

import os

from joblib import Parallel, cpu_count, delayed


def threads(_):
    import torch

    return os.environ["OMP_NUM_THREADS"], torch.get_num_threads()


if __name__ == "__main__":
    print(Parallel(n_jobs=cpu_count())(delayed(threads)(n) for n in range(2)))
