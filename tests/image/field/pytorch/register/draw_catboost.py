"""catboost: permutations and bootstraps."""

import catboost
import numpy

x = numpy.random.RandomState(0).rand(300, 8)
model = catboost.CatBoostRegressor(iterations=4, verbose=False, allow_writing_files=False)
print(model.fit(x, x[:, 0] * x[:, 1]).predict(x[:5]).tolist())
