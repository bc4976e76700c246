"""nutpie: NUTS in Rust, seeded by a keyword."""

import nutpie
import pymc

with pymc.Model() as model:
    pymc.Normal("x")
draws = nutpie.sample(nutpie.compile_pymc_model(model), draws=10, tune=20, chains=2, cores=1, progress_bar=False)
print(draws.posterior["x"].values[:, :3].tolist())
