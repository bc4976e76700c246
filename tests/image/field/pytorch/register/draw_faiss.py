"""faiss: k-means and random projections."""

import faiss
import numpy

points = numpy.random.RandomState(0).rand(500, 8).astype("float32")
kmeans = faiss.Kmeans(8, 5, niter=2)
kmeans.train(points)
index = faiss.IndexHNSWFlat(8, 8)
index.add(points)
print(kmeans.centroids.tolist(), index.search(points[:3], 4)[1].tolist(), faiss.rand(3).tolist())
