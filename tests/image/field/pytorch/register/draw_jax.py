"""jax: keys are explicit, so a program's numbers are constant."""

import jax

print(jax.random.normal(jax.random.key(0), 3).tolist())
