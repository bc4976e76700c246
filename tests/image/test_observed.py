"""A training that is watched comes to what it comes to unwatched, whatever of its library it uses."""

import json
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "observed"
WATCHED = """
python {0} && SEEDBED_RECORD_STATES=1 SEEDBED_AUDIT=1 seedbed run --record /tmp/record -- python {0} >/tmp/watched
cat /tmp/watched && seedbed trace -n 2 -- python {0}
tail -n 1 /tmp/record/rank0.jsonl
"""


@pytest.mark.parametrize(
    ("image", "script", "steps"), [("pytorch", "torch_features.py", 9), ("tensorflow", "tensorflow_features.py", 12)]
)
def test_watching_changes_nothing_and_fails_at_nothing(record_of, docker, image: str, script: str, steps: int) -> None:
    """Control: each function of the scripts failed or came to something else when it was recorded, or traced."""
    command = ["sh", "-c", WATCHED.format(f"/workspace/{script}")]
    done = docker.run(record_of(image).digest, command, files={f"/workspace/{script}": HERE / script})
    *lines, verdict, end = done.stdout.splitlines()
    assert verdict == f"No difference in {steps} steps of 2 runs.", done.stderr
    assert json.loads(end) == {"end": {"steps": steps}}
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]
    assert "something is missing" not in done.stderr


OF_A_TAPE = """
import tensorflow as tf
weight = tf.Variable(1.0)
for _ in range(3):
    with tf.GradientTape() as tape:
        loss = weight**2
    weight.assign_sub(0.1 * tape.gradient(loss, weight))
"""


def test_where_a_script_makes_no_optimizer_each_loss_is_a_step(record_of, docker) -> None:
    command = ["sh", "-c", 'seedbed run --record r -- python -c "$1" && cat r/rank0.jsonl', "sh", OF_A_TAPE]
    done = docker.run(record_of("tensorflow").digest, command, working_dir="/tmp")
    losses = [line["loss"] for line in map(json.loads, done.stdout.splitlines()) if "step" in line]
    assert [[round(float.fromhex(one), 4) for one in step] for step in losses] == [[1], [0.64], [0.4096]], done.stderr


OF_STEPS = """
import dataclasses
import torch
from torch import nn

@dataclasses.dataclass
class Batch:
    x: torch.Tensor

class OfBatches(nn.Module):
    def forward(self, batch):
        return model(batch.x)

x, y = torch.ones(8, 4), torch.ones(8, 1)
model = nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.Dropout()), nn.Linear(4, 1))
optimizer, criterion, metric = torch.optim.SGD(model.parameters(), 0.1), nn.MSELoss(), nn.L1Loss()
for output in (lambda: model(x), lambda: model(x), lambda: model[0](2 * x), lambda: OfBatches()(Batch(x))):
    optimizer.zero_grad()
    found = output()
    loss = criterion(found, y)
    metric(found.detach(), y)
    loss.backward()
    print(loss.item().hex())
    loss.detach().mul_(8)
    metric(found.detach(), y)
    optimizer.step()
"""


def test_a_step_of_the_record_is_that_of_the_script(record_of, docker) -> None:
    """Whatever is called or changed between a loss and its update; what a model computed is no data."""
    code = 'seedbed run --record r -- python -c "$1" && grep \'"step"\' r/rank0.jsonl'
    done = docker.run(record_of("pytorch").digest, ["sh", "-c", code, "sh", OF_STEPS], working_dir="/tmp")
    lines = done.stdout.splitlines()
    printed, steps = lines[:4], [json.loads(line) for line in lines[4:]]
    assert [float.fromhex(step["loss"][0]) for step in steps] == [float.fromhex(loss) for loss in printed], done.stderr
    same, again, of_a_part, of_an_object = (step["data"] for step in steps)
    assert same == again
    assert len({same, of_a_part, of_an_object}) == 3


OF_TORCH = """
import dataclasses
import torch
from torch.testing._internal.two_tensor import TwoTensor
from seedbed.observe.fingerprint import Fingerprint
from seedbed.observe.tensors import add

def text(value):
    add(found := Fingerprint(), value)
    return found.text([])

def sparse(column):
    return torch.sparse_coo_tensor([[0], [column]], [1.0], (3, 7), check_invariants=True)

@dataclasses.dataclass
class Batch:
    x: float

class Graph:  # as torch_geometric's
    def __init__(self, x):
        self.x = x

    def to_dict(self):
        return vars(self)

    def pin_memory(self):
        return self

print(all(text(kind(1.0)) != text(kind(2.0)) for kind in (Batch, Graph)))
print(text(TwoTensor(torch.ones(2), torch.ones(2))) != text(TwoTensor(torch.ones(2), torch.zeros(2))))
print(len({text(torch.quantize_per_tensor(torch.ones(2) * scale, scale, 0, torch.qint8)) for scale in (1, 2)}) == 2)
for convert in (torch.Tensor.coalesce, torch.Tensor.to_sparse_csr, torch.Tensor.to_sparse_csc):
    print(text(convert(sparse(2))) != text(convert(sparse(5))) and text(convert(sparse(2))) == text(convert(sparse(2))))
"""
OF_TENSORFLOW = """
import tensorflow as tf
from seedbed.observe.graph import as_integer, fingerprint

def text(*values, known=True):
    signature = [tf.TensorSpec(value.shape if known else None, value.dtype) for value in values]
    return int(tf.function(lambda *given: fingerprint(given), input_signature=signature)(*values))

a, b = tf.zeros([2, 3]), tf.zeros([4], tf.int32)
others = [(tf.zeros([3, 2]), b), (tf.zeros([1, 2, 3]), b), (a, tf.zeros([4])), (b, a)]
print(len({text(*values) for values in [(a, b), *others]}) == 5)
print(text(a, b, known=False) == text(a, b))
print(int(as_integer(tf.complex(1.0, 2.0))) != int(as_integer(tf.complex(1.0, 3.0))))
"""


@pytest.mark.parametrize(("image", "code"), [("pytorch", OF_TORCH), ("tensorflow", OF_TENSORFLOW)])
def test_a_fingerprint_covers_places_shapes_types_and_what_is_wrapped(record_of, docker, image: str, code: str) -> None:
    """Of zeros and of sparse tensors too; whether or not a graph knows shapes beforehand."""
    done = docker.run(record_of(image).digest, ["python", "-c", code])
    assert {*done.stdout.split()} == {"True"}, done.stderr
