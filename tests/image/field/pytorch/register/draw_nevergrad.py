"""nevergrad: its optimizers."""

import nevergrad

print(nevergrad.optimizers.OnePlusOne(2, 9).minimize(lambda x: float((x**2).sum())).value.tolist())
