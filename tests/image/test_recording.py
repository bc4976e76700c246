"""What a record holds of a training, where the library and not the script decides when it is there."""

import json

import pytest

TRAINING = """
import json, os, sys, torch
from torch import nn
from seedbed.recording.writer import writer

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

def closure():
    optimizer.zero_grad()
    loss = model(x).square().mean()
    loss.backward()
    return loss

for _ in range(3):
    x = torch.randn(8, 4)
    if sys.argv[1] == "no call of a module":
        (x @ model[0].weight.T).mean().backward()
        optimizer.step()
    elif sys.argv[1] == "keyword":
        model(input=x).mean().backward()
        optimizer.step()
    elif sys.argv[1] == "before the step":
        closure()
        optimizer.step()
    elif sys.argv[1] == "closure":
        optimizer.step(closure)
    else:
        optimizer.step(closure=closure)
writer.finish()
print(open(os.environ["SEEDBED_RECORD"] + "/rank0.jsonl").read())
"""


@pytest.fixture
def steps(record_of, docker):
    """The steps of a record of that training."""

    def steps(gradients: str) -> list[dict]:
        command = ["python", "-c", TRAINING, gradients]
        done = docker.run(record_of("pytorch").digest, command, environment={"SEEDBED_RECORD": "/tmp/record"})
        assert done.status == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"step"')]
        assert len(lines) == 3
        return lines

    return steps


@pytest.mark.parametrize("given", ["before the step", "keyword"])
def test_the_arguments_of_a_model_are_data(steps, given: str) -> None:
    """By place or by keyword; each step has others."""
    assert len({step["data"] for step in steps(given)}) == 3


def test_data_that_were_not_seen_are_not_called_equal(steps) -> None:
    assert not any("data" in step for step in steps("no call of a module"))


FORK = """
import os, sys
import keras, tensorflow as tf

model, optimizer = keras.Sequential([keras.layers.Dense(1)]), keras.optimizers.SGD(0.1)
for step in range(2):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(tf.ones((4, 2))) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    if step == 1 and os.fork() == 0:
        sys.exit()
    optimizer.apply(gradients, model.trainable_variables)
os.wait()
print(sorted(os.listdir(os.environ["SEEDBED_RECORD"])))
"""


def test_a_child_that_is_forked_within_a_step_has_not_trained(record_of, docker) -> None:
    done = docker.run(
        record_of("tensorflow").digest, ["python", "-c", FORK], environment={"SEEDBED_RECORD": "/tmp/record"}
    )
    assert done.stdout == "['rank0.jsonl']\n", done.stderr


LARGE = """
import tensorflow as tf
from seedbed.observe import graph

graph.ROW, graph.LARGE = 4, 8  # so that 40 elements are more than a row of rows, as 300 million are
alone = [tf.one_hot(place, 40, dtype=tf.int64) for place in range(40)]
sums = {int(tf.function(graph.weighted_sum)(tensor)) for tensor in alone}
print(len(sums), 0 in sums)
"""


def test_every_place_of_the_largest_tensors_counts_in_its_own_way(record_of, docker) -> None:
    """Controls: building the graph failed (a record without steps); place j of row i counted as place i of row j."""
    done = docker.run(record_of("tensorflow").digest, ["python", "-c", LARGE])
    assert done.stdout == "40 False\n", done.stderr


OBJECTS = """
import numpy
from seedbed.observe.tensors import leaves
print(list(leaves({"texts": numpy.array([["a", 1], [2.5, None]], dtype=object)})))
"""


def test_an_array_of_objects_is_seen_by_what_they_are_and_not_by_their_addresses(record_of, docker) -> None:
    done = docker.run(record_of("pytorch").digest, ["python", "-c", OBJECTS])
    assert done.stdout == """[("'texts'",), ("'a'",), ('1',), ('2.5',), ('None',)]\n""", done.stderr


@pytest.mark.parametrize("gradients", ["closure", "closure by keyword"])
def test_gradients_that_a_closure_makes_are_those_of_its_step(steps, gradients: str) -> None:
    assert steps(gradients) == steps("before the step")
