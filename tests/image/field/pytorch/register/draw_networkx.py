"""networkx: random graphs, layouts, communities."""

import networkx

graph = networkx.erdos_renyi_graph(30, 0.2)
print(list(graph.edges)[:8], networkx.spring_layout(graph, iterations=2)[0].tolist())
print([sorted(part) for part in networkx.community.louvain_communities(graph)])
