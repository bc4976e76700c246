"""statsmodels: simulations."""

import numpy
import statsmodels.api as statsmodels

print(statsmodels.tsa.arma_generate_sample([1, -0.5], [1], 3).tolist())
print(statsmodels.tsa.SARIMAX(numpy.arange(20.0)).simulate([0.5, 1.0], 3).tolist())
