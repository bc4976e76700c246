"""scipy: sparse, stats, optimize and quasi-random points."""

import numpy
from scipy import optimize, sparse, stats

print(stats.norm.rvs(size=3).tolist(), stats.qmc.Sobol(2).random(2).tolist(), sparse.random(3, 3, 0.5).data.tolist())
print(optimize.differential_evolution(lambda x: numpy.sin(x[0]) * x[0], [(-9, 9)], maxiter=2, polish=False).x.tolist())
