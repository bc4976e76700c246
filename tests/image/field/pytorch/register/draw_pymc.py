"""pymc: NUTS."""

import logging

import pymc

logging.disable()
with pymc.Model():
    pymc.Normal("x")
    draws = pymc.sample(20, tune=20, chains=2, cores=1, progressbar=False, compute_convergence_checks=False)
print(draws.posterior["x"].values[:, :3].tolist())
