"""usearch: the levels of the graph."""

import numpy
from usearch.index import Index

index = Index(ndim=8, expansion_search=1)
index.add(numpy.arange(2000), numpy.random.RandomState(0).rand(2000, 8).astype("float32"), threads=1)
print(__import__("hashlib").sha256(bytes(index.save())).hexdigest())
