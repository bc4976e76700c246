"""OpenCV: theRNG, from which randu, randn, randShuffle, kmeans and RANSAC draw."""

import cv2
import numpy

print(cv2.randu(numpy.zeros(3), 0, 1).ravel().tolist(), cv2.randShuffle(numpy.arange(8.0)).ravel().tolist())
points = numpy.random.RandomState(0).rand(60, 2).astype("float32")
print(cv2.kmeans(points, 4, None, (cv2.TERM_CRITERIA_MAX_ITER, 2, 0), 1, cv2.KMEANS_RANDOM_CENTERS)[0])
