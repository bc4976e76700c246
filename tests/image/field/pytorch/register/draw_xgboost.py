"""xgboost: rows and columns left out."""

import numpy
import xgboost

x = numpy.random.RandomState(0).rand(300, 8)
model = xgboost.XGBRegressor(n_estimators=4, subsample=0.5, colsample_bytree=0.5)
print(model.fit(x, x[:, 0] * x[:, 1]).predict(x[:5]).tolist())
