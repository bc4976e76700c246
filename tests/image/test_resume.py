"""`seedbed resume` on trainings of the field: each verdict is right, and with the recipe each is equal."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builder.outcomes import Finished
from builder.smoke import programs

HERE = Path(__file__).parent / "resume"
FOLDER = "/tmp/training"  # a container's own
SCRIPT = 'mkdir -p "$1" && cd "$1" && printf %s "$2" >"$3" && shift 3 && exec "$@"'
ORDER, PYTHON = "the order of the data", "Python's generator (random)"
LAYERS = "the generators of Keras layers"
TORCH, NUMPY = "torch's CPU generator", "numpy's global generator"


@dataclass(frozen=True)
class Training:
    """A script with a fault, what has to be named for it, and the variables with which it resumes exactly."""

    script: str
    image: str = "pytorch"
    fault: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()  # empty: it is equal as it is
    recipe: dict[str, str] = field(default_factory=dict)
    packages: bool = False  # whether it needs those of the image's programs


TRAININGS = {
    "a plain loop that saves all": Training("plain.py"),
    "a plain loop with workers": Training("plain.py", recipe={"WORKERS": "2"}),
    "without the generators": Training("plain.py", fault={"LEAVE": "generators"}, names=(ORDER, PYTHON, NUMPY, TORCH)),
    "without the optimizer": Training("plain.py", fault={"LEAVE": "optimizer"}, names=("the optimizer's state",)),
    "without BatchNorm's statistics": Training("plain.py", fault={"LEAVE": "statistics"}, names=("the statistics",)),
    "without the gradient scaler": Training(
        "plain.py", fault={"LEAVE": "scaler", "SCALED": "1"}, names=("the gradient scaler",), recipe={"SCALED": "1"}
    ),
    "DataLoader started over": Training("plain.py", fault={"LEAVE": "position"}, names=(ORDER,)),
    "transformers": Training("trainer.py", fault={"NOISE": "1"}, names=(ORDER, PYTHON), packages=True),
    "transformers by index": Training("trainer.py", recipe={"BY_INDEX": "1"}, packages=True),
    "transformers with workers": Training(
        "trainer.py",
        fault={"NOISE": "1", "WORKERS": "2"},
        names=(ORDER,),
        recipe={"BY_INDEX": "1", "WORKERS": "2"},
        packages=True,
    ),
    "accelerate": Training("accelerate_loop.py", names=(ORDER,), recipe={"RECIPE": "1"}, packages=True),
    "Lightning": Training("lightning_fit.py", names=(ORDER, TORCH), recipe={"RECIPE": "1"}, packages=True),
    "Keras": Training("keras_fit.py", "tensorflow", names=(LAYERS,), recipe={"RECIPE": "1"}),
    "TensorFlow": Training("tensorflow_loop.py", "tensorflow", names=(NUMPY,), recipe={"RECIPE": "1"}),
}
Resume = Callable[[Training, dict[str, str]], Finished]


@pytest.fixture
def resume(request, record_of, docker) -> Resume:
    """`seedbed resume`, cut off after steps 13 and 25, in a new folder of a container."""

    def resume(training: Training, variables: dict[str, str]) -> Finished:
        source = (HERE / training.script).read_text()
        command = ["seedbed", "resume", "--json", "--at", "13", "--at", "25", "--", "python", training.script]
        folder = f"{FOLDER}-{'-'.join(variables.values())}-{training.script}"
        words = ["sh", "-c", SCRIPT, "sh", folder, source, training.script, *command]
        if training.packages:
            container = request.getfixturevalue("with_packages")
            return container.run([programs.ENTRYPOINT[-1], *words], environment=variables)
        return docker.run(record_of(training.image).digest, words, environment=variables)

    return resume


def named(done: Finished) -> list[str]:
    """What was not restored at any place."""
    assert done.stdout, done.stderr
    return [text for place in json.loads(done.stdout)["places"] for text in place["not_restored"]]


@pytest.mark.parametrize("name", [name for name, training in TRAININGS.items() if training.names])
def test_what_is_not_restored_is_named(resume: Resume, name: str) -> None:
    done = resume(TRAININGS[name], TRAININGS[name].fault)
    assert done.status == 1, done.stdout + done.stderr
    missed = [wanted for wanted in TRAININGS[name].names if not any(text.startswith(wanted) for text in named(done))]
    assert not missed, done.stdout


@pytest.mark.parametrize("name", {(each.script, *each.recipe): name for name, each in TRAININGS.items()}.values())
def test_with_the_recipe_it_is_equal(resume: Resume, name: str) -> None:
    done = resume(TRAININGS[name], TRAININGS[name].recipe)
    assert done.status == 0, done.stdout + done.stderr
    assert [place["after"] for place in json.loads(done.stdout)["places"]] != [0, 0]
