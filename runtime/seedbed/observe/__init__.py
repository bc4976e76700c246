"""What watches a training, for all who want to know of it: `recording`, `trace`, `sweep` and `resume` read from here.

`launch` starts a command, `lines` are the files in which its processes write down what they do, and `fingerprint` says
in a few digits which bits there were. `torch` and `keras` hook the libraries, once, and tell their subscribers.
"""
