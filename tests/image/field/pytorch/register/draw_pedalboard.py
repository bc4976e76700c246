"""pedalboard: effects."""

import hashlib

import numpy
from pedalboard import Chorus, Pedalboard, Reverb

board = Pedalboard([Chorus(), Reverb()])
print(hashlib.sha256(board(numpy.sin(numpy.arange(8000) / 9).astype("float32"), 8000).tobytes()).hexdigest())
