"""annoy: the trees' splits."""

import annoy
import numpy

index = annoy.AnnoyIndex(8, "euclidean")
for number, point in enumerate(numpy.random.RandomState(0).rand(500, 8)):
    index.add_item(number, point)
index.build(1, n_jobs=1)
print([index.get_nns_by_item(number, 5, search_k=1) for number in range(8)])
