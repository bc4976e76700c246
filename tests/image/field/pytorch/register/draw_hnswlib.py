"""hnswlib: the levels of the graph."""

import hashlib
from pathlib import Path

import hnswlib
import numpy

index = hnswlib.Index("l2", 8)
index.init_index(2000)
index.add_items(numpy.random.RandomState(0).rand(2000, 8), num_threads=1)
index.save_index("/tmp/index")
print(hashlib.sha256(Path("/tmp/index").read_bytes()).hexdigest())
