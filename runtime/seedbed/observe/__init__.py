"""What watches a training. `recording`, `trace` and `resume` subscribe here, `sweep` and the commands start runs here.

`launch` starts a command, `lines` are the files that its processes write, and `fingerprint` is a short text that is
equal for equal bits. `torch`, `tensorflow` and `keras` hook the libraries, once for all subscribers; `keras_torch` adds
Keras's optimizers to what `torch` tells.
"""
