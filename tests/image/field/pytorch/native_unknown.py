"""Draws from a library of the user's own, whose path is the argument."""

import ctypes
import sys

simulate = ctypes.CDLL(sys.argv[1]).simulate
simulate.restype = ctypes.c_double
print(simulate())
