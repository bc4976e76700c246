"""One training in two images: the first operation with other results, by the journals that each run writes."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builder.errors import SeedbedError, UsageError
from builder.outcomes import TIMED_OUT, Finished
from builder.reproduce import traced
from builder.reproduce.traced import Training

Events = list[dict[str, Any]]


class Engine:
    """Each image is a function: what a run writes into its journal, given the plan."""

    def __init__(self, **images: Callable[[dict[str, Any]], Events]) -> None:
        self.images = images
        self.plans: list[tuple[str, int]] = []
        self.status: dict[str, int] = {}
        self.given: list[tuple[list[str], dict[str, str]]] = []

    @contextmanager
    def started(
        self, image: str, command: list[str], *, files: Any, environment: dict[str, str], hostname: str
    ) -> Iterator[Any]:
        plan = json.loads(files[traced.PLAN])
        self.plans.append((image, plan["first"]))
        self.given.append((command, environment))
        events = self.images[image](plan)

        def get_archive(path: str) -> tuple[Iterator[bytes], dict[str, Any]]:
            assert path == traced.JOURNAL
            return iter([archive(events)]), {}

        status = self.status.get(image, 137 if plan["last"] else 0)
        finished = Finished(status, "loss 1\n", "ValueError: it broke\n")
        yield SimpleNamespace(finish=lambda: finished, container=SimpleNamespace(get_archive=get_archive))


def archive(events: Events) -> bytes:
    buffer = io.BytesIO()
    text = "".join(f"{json.dumps(event)}\n" for event in events).encode()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in {"journal/0-1.jsonl": text, "journal/plan.json": b"{}"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def image(product: str, total: str) -> Callable[[dict[str, Any]], Events]:
    """Takes two steps; in the second, `matmul` gives this product, and `sum` of it this total."""

    def run(plan: dict[str, Any]) -> Events:
        shown = {"op": "mul", "arguments": "()", "outputs": ["a"], "inputs": [], "from": []}
        operations: Events = [
            shown
            | {"op": "matmul", "outputs": [product], "places": ["/workspace/x/train.py:7 in train"], "module": ""},
            shown | {"op": "sum", "outputs": [total], "inputs": [product], "from": [[0]], "places": ["train.py:8"]},
        ]
        return [
            update("first", []),
            {"step": 1},
            *(operations if plan["first"] <= 2 <= plan["last"] else []),
            update(total, [1] if plan["first"] else []),
            {"step": 2},
        ]

    return run


def update(shown: str, writers: list[int]) -> dict[str, Any]:
    return {"seen": "update", "name": "Adam", "tensors": [shown], "places": ["train.py:9"], "from": [writers]}


@pytest.fixture
def training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Training:
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path / "cache"))
    script = tmp_path / "x" / "train.py"
    script.parent.mkdir()
    script.touch()
    return traced.training(f"{script} --epochs 1")


def test_the_operation_is_named_that_gives_another_result_in_the_other_image(training):
    engine = Engine(one=image("p", "t"), other=image("P", "T"))
    found = traced.first_difference(engine, ["one", "other"], training)
    assert found.text.splitlines()[0] == "The runs differ, first in step 2: the parameters after Adam."
    assert "The difference starts where matmul gives another result for the same inputs" in found.text
    assert found.text.endswith("/workspace/x/train.py:7 in train"), "the image is the cause, and no advice helps"
    assert (found.document["step"], found.document["detailed"], found.document["equal"]) == (2, True, False)
    assert engine.plans == [("one", 0), ("one", 0), ("other", 0), ("one", 2), ("other", 2)]


def test_control_of_two_images_that_compute_the_same_it_says_so_after_three_runs(training):
    engine = Engine(one=image("p", "t"), other=image("p", "t"))
    found = traced.first_difference(engine, ["one", "other"], training)
    assert (found.text, found.document["equal"]) == ("No difference in 2 steps of 2 runs.", True)
    assert len(engine.plans) == 3


def test_a_training_that_does_not_repeat_in_one_image_is_not_compared_with_another(training):
    totals = iter("abcdef")
    engine = Engine(one=lambda plan: image("p", next(totals))(plan), other=image("p", "t"))
    with pytest.raises(SeedbedError, match=r"one: two runs .* differ.*seedbed trace -- python x/train.py --epochs 1"):
        traced.first_difference(engine, ["one", "other"], training)


def test_a_difference_that_no_operation_shows_is_told_by_the_step(training):
    def only_whole(plan: dict[str, Any]) -> Events:
        return image("p", "t" if plan["first"] else "T")(plan)

    found = traced.first_difference(Engine(one=image("p", "t"), other=only_whole), ["one", "other"], training)
    assert "first in step 2" in found.text
    assert not found.document["detailed"]


@pytest.mark.parametrize(
    ("status", "said"), [(1, "other: the training fails: ValueError: it broke"), (TIMED_OUT, "took more than 600 s")]
)
def test_a_training_that_fails_or_takes_too_long_is_an_error(status, said, training):
    engine = Engine(one=image("p", "t"), other=image("p", "t"))
    engine.status["other"] = status
    with pytest.raises(SeedbedError, match=said):
        traced.first_difference(engine, ["one", "other"], training)


def test_both_runs_have_one_key_for_hidden_values_and_the_images_names_do_not_count(training):
    engine = Engine(one=image("p", "t"), other=image("p", "t"))
    traced.first_difference(engine, ["one", "other"], training)
    commands, environments = zip(*engine.given, strict=True)
    assert all(command[-4:] == ["python", "x/train.py", "--epochs", "1"] for command in commands)
    assert len({tuple(sorted(environment.items())) for environment in environments}) == 1


@pytest.mark.parametrize("text", ["", "'", "nothing.py", "/tmp"])
def test_what_is_no_script_is_refused(text):
    with pytest.raises(UsageError, match="--trace"):
        traced.training(text)


def test_a_script_among_large_files_is_refused(training, monkeypatch):
    monkeypatch.setattr(traced, "LARGEST_FOLDER", 10)
    (training.script.parent / "data").write_bytes(b"x" * 11)
    with pytest.raises(UsageError, match="put the script into a folder of its own"):
        traced.training(str(training.script))
