"""albumentations: generators of its own, made without a seed."""

import albumentations
import numpy

image = numpy.arange(64 * 64 * 3, dtype="uint8").reshape(64, 64, 3)
transform = albumentations.Compose([albumentations.RandomCrop(8, 8), albumentations.GaussNoise(p=1)])
print(transform(image=image)["image"][0, :4].tolist())
