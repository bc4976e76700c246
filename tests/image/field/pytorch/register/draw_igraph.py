"""igraph: random graphs, layouts, communities."""

import igraph

graph = igraph.Graph.Erdos_Renyi(30, 0.2)
print(graph.get_edgelist()[:8], graph.layout("fr", niter=3)[0], graph.community_label_propagation().membership)
