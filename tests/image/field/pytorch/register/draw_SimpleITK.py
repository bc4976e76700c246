"""SimpleITK: noise, seeded from the clock."""

import SimpleITK

image = SimpleITK.AdditiveGaussianNoise(SimpleITK.Image(4, 4, SimpleITK.sitkFloat32))
print(SimpleITK.GetArrayFromImage(image).tolist())
