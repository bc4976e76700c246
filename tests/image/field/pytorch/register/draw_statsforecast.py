"""statsforecast: bootstrapped intervals."""

import numpy
from statsforecast.models import AutoARIMA, SimpleExponentialSmoothing

y = numpy.random.RandomState(0).rand(40)
print(
    AutoARIMA(season_length=1).forecast(y, 2)["mean"].tolist(),
    SimpleExponentialSmoothing(0.3).forecast(y, 2)["mean"].tolist(),
)
