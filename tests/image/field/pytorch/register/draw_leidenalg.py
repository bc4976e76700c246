"""leidenalg: the order in which nodes are moved."""

import random

import igraph
import leidenalg

draws = random.Random(0)
edges = [(a, b) for a in range(200) for b in range(a) if draws.random() < 0.1]
print(leidenalg.find_partition(igraph.Graph(edges), leidenalg.ModularityVertexPartition).membership)
