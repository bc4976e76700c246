"""implicit: matrix factorization, BPR with threads."""

import implicit
import numpy
from scipy import sparse

matrix = sparse.csr_matrix(numpy.random.RandomState(0).rand(40, 30) > 0.7, dtype="float32")
als = implicit.als.AlternatingLeastSquares(factors=4, iterations=2, num_threads=1, use_gpu=False)
als.fit(matrix, show_progress=False)
bpr = implicit.bpr.BayesianPersonalizedRanking(factors=4, iterations=2, num_threads=1, use_gpu=False)
bpr.fit(matrix, show_progress=False)
print(als.user_factors[0].tolist(), bpr.user_factors[0].tolist())
