"""A script that takes the seed back, and then draws."""

import tensorflow as tf

tf.random.set_seed(None)
print(float(tf.random.normal([])))
