"""hnswlib: the levels of the graph."""

import hnswlib
import numpy

index = hnswlib.Index("l2", 8)
index.init_index(2000)
index.add_items(numpy.random.RandomState(0).rand(2000, 8), num_threads=1)
index.set_ef(1)
index.save_index("/tmp/index")
print(__import__("hashlib").sha256(open("/tmp/index", "rb").read()).hexdigest())
