"""umap: without random_state its threads race."""

import numpy
import umap

x = numpy.random.RandomState(0).rand(300, 8)
print(umap.UMAP(n_epochs=20).fit_transform(x)[:4].tolist())
