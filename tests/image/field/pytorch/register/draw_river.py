"""river: a forest that learns from a stream."""

from river import datasets, forest

model = forest.ARFClassifier(n_models=3)
for x, y in datasets.Phishing().take(200):
    model.learn_one(x, y)
print(model.predict_proba_one(x))
