"""dask: random arrays, and samples of bags."""

import dask.array
import dask.bag

print(dask.array.random.random(4, chunks=2).compute().tolist())
print(dask.bag.from_sequence(range(100), npartitions=2).random_sample(0.1).compute(scheduler="sync"))
