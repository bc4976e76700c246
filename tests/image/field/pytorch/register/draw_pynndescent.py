"""pynndescent: random projection trees and candidates."""

import numpy
import pynndescent

x = numpy.random.RandomState(0).rand(2000, 16)
index = pynndescent.NNDescent(x, n_neighbors=5, n_iters=2, n_trees=2)
print(__import__("hashlib").sha256(index.neighbor_graph[0].tobytes()).hexdigest())
