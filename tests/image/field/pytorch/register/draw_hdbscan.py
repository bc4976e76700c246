"""hdbscan: draws nothing itself."""

import hdbscan
import numpy

x = numpy.random.RandomState(0).rand(500, 3)
print(hdbscan.HDBSCAN(min_cluster_size=5, core_dist_n_jobs=1).fit(x).labels_.tolist())
