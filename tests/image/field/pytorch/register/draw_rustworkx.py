"""rustworkx: random graphs and layouts."""

import rustworkx

print(list(rustworkx.undirected_gnp_random_graph(20, 0.2).edge_list())[:8])
print(
    rustworkx.random_layout(rustworkx.generators.path_graph(3)),
    rustworkx.spring_layout(rustworkx.generators.path_graph(3)),
)
