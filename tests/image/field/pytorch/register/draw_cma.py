"""cma: seeds numpy from the clock."""

import cma

print(cma.fmin(lambda x: sum(x**2), [1, 1], 1, {"maxiter": 2, "verbose": -9})[0].tolist())
