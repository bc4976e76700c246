"""scikit-learn: its estimators' rand_r is seeded from random_state, which is numpy's global generator."""

import numpy
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import SGDRegressor

x = numpy.random.RandomState(0).rand(300, 8)
print(RandomForestRegressor(5).fit(x, x[:, 0]).predict(x[:5]).tolist())
print(
    KMeans(4, n_init=1, max_iter=2).fit(x).inertia_, SGDRegressor(max_iter=3, tol=None).fit(x, x[:, 0]).coef_.tolist()
)
