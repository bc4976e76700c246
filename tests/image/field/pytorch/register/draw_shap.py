"""shap: permutations and samples."""

import numpy
import shap
from sklearn.linear_model import LinearRegression

x = numpy.random.RandomState(0).rand(60, 14)
model = LinearRegression().fit(x, x[:, 0])
print(shap.KernelExplainer(model.predict, x[:5]).shap_values(x[:1], nsamples=50, silent=True)[0, :3].tolist())
print(shap.PermutationExplainer(model.predict, x[:5])(x[:1], silent=True).values[0, :3].tolist())
