"""A TensorFlow 1 training without a seed: two graphs, each with random weights, data and dropout, run by sessions."""

import tensorflow.compat.v1 as tf1

tf1.disable_eager_execution()
for _ in range(2):
    with tf1.Graph().as_default(), tf1.Session() as session:
        rows = tf1.random_uniform([8, 4])
        weights = tf1.get_variable("weights", [4, 2], initializer=tf1.glorot_uniform_initializer())
        loss = tf1.reduce_sum(tf1.square(tf1.nn.dropout(tf1.matmul(rows, weights), rate=0.3)))
        training = tf1.train.AdamOptimizer(0.01).minimize(loss)
        session.run(tf1.global_variables_initializer())
        for _ in range(4):
            session.run(training)
        print(session.run(weights).tobytes().hex())
