import numpy
import umap

x = numpy.random.RandomState(0).rand(300, 8)
print(umap.UMAP(n_epochs=20, n_jobs=1).fit_transform(x)[:4].tolist())
