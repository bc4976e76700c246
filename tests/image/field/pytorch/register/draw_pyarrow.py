"""pyarrow: compute.random, seeded by the operating system unless told otherwise."""

import pyarrow.compute

print(pyarrow.compute.random(3).to_pylist())
