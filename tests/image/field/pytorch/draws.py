import random

import numpy

print(
    "drawn",
    random.random(),
    random.Random().random(),
    numpy.random.rand(),
    numpy.random.default_rng().random(),
    flush=True,
)
