"""torch_geometric: samples of neighbours, dropped edges."""

from torch_geometric.utils import dropout_edge, erdos_renyi_graph, negative_sampling

edges = erdos_renyi_graph(20, 0.3)
print(edges.tolist(), dropout_edge(edges)[0].tolist(), negative_sampling(edges, 20, 5).tolist())
