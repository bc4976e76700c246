"""lightgbm: rows and columns left out."""

import lightgbm
import numpy

x = numpy.random.RandomState(0).rand(300, 8)
model = lightgbm.LGBMRegressor(
    n_estimators=4, subsample=0.5, subsample_freq=1, colsample_bytree=0.5, extra_trees=True, verbose=-1
)
print(model.fit(x, x[:, 0] * x[:, 1]).predict(x[:5]).tolist())
