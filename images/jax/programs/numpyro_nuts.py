"""NumPyro: a logistic regression sampled by NUTS, two chains from one key."""

import random

import digits
import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import record
from numpyro.infer import MCMC, NUTS


def model(inputs: jax.Array, labels: jax.Array) -> None:
    weights = numpyro.sample("weights", dist.Normal(0, 1).expand([inputs.shape[1]]).to_event(1))
    numpyro.sample("labels", dist.Bernoulli(logits=inputs @ weights), obs=labels)


if __name__ == "__main__":
    images, labels = digits.load()[0]
    pixels = images.reshape(len(images), -1)[:300, 16:48]
    chains = MCMC(
        NUTS(model), num_warmup=30, num_samples=30, num_chains=2, chain_method="sequential", progress_bar=False
    )
    chains.run(jax.random.PRNGKey(random.randrange(2**31)), pixels, labels[:300] == 0)
    print("parameters sha256:", record.sha256([np.asarray(chains.get_samples()["weights"])]))
