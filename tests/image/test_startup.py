"""Every way into an image's Python: seeded, with signals and exit statuses passed through, whoever the user is."""

import json
from collections.abc import Callable

import pytest

from builder.outcomes import Finished
from tests.image.conftest import IMAGES

DRAW = "import random; print(random.random(), random.Random().random(), {'a', 'b', 'c', 'd'})"
PYTHON = ["python", "-c", DRAW]
UNSEEDED = {"SEEDBED_MODE": "off"}
STRANGER = {"user": "12345:54321"}
READ_ONLY = {"read_only": True, "tmpfs": {"/tmp": "exec"}}

every_image = pytest.mark.parametrize("name", IMAGES)


@pytest.fixture
def run(record_of, docker) -> Callable[..., Finished]:
    return lambda name, command, **options: docker.run(record_of(name).digest, command, **options)


@pytest.fixture
def drawn(run) -> Callable[[str], str]:
    """What a seeded Python draws, behind the entrypoint."""
    return lambda name: run(name, PYTHON).stdout


WAYS = {
    "entrypoint replaced by python": {"command": PYTHON[1:], "entrypoint": ["python"]},
    "entrypoint taken away": {"command": PYTHON, "entrypoint": [""]},
    "a shell": {"command": ["bash", "-c", 'python -c "$0"', DRAW]},
    "a script that starts Python": {
        "command": ["python", "-c", "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])", DRAW]
    },
    "a virtual environment of one's own": {
        "command": ["bash", "-c", 'python -m venv --without-pip /tmp/venv && /tmp/venv/bin/python -c "$0"', DRAW]
    },
    "an environment with the image's packages, beside another package called seedbed": {
        "command": [
            "bash",
            "-c",
            "mkdir /tmp/theirs && echo 'print(1)' | tee /tmp/theirs/seedbed.py >/tmp/theirs/sitecustomize.py && "
            "python -m venv --without-pip --system-site-packages /tmp/venv && "
            'PYTHONPATH=/tmp/theirs /tmp/venv/bin/python -c "$0" | tail -n 1',
            DRAW,
        ]
    },
    "the system's Python, outside of the environment": {"command": ["/usr/bin/python3", "-c", DRAW]},
    "another user": {"command": PYTHON, **STRANGER},
    "a read-only file system": {"command": PYTHON, **READ_ONLY},
}


@every_image
@pytest.mark.parametrize("way", WAYS)
def test_python_is_seeded_however_it_is_started(run, drawn, name: str, way: str) -> None:
    assert run(name, **WAYS[way]).stdout == drawn(name)


@every_image
@pytest.mark.parametrize("way", WAYS)
def test_it_is_the_layer_that_seeds_it(run, drawn, name: str, way: str) -> None:
    assert run(name, **WAYS[way], environment=UNSEEDED).stdout != drawn(name)


@every_image
def test_docker_exec_is_seeded(record_of, docker, drawn, name: str) -> None:
    with docker.started(record_of(name).digest, ["sleep", "infinity"]) as container:
        assert container.run(PYTHON).stdout == drawn(name)
        assert container.run(PYTHON, environment=UNSEEDED).stdout != drawn(name)


@pytest.mark.parametrize("flag", ["-I", "-E"])
def test_python_that_ignores_the_hash_seed_says_so_and_has_the_rest(run, flag: str) -> None:
    code = "import random, numpy; print(random.random(), numpy.random.rand())"
    isolated = run("pytorch", ["python", flag, "-c", code])
    assert isolated.stdout == run("pytorch", ["python", "-c", code]).stdout
    assert "Python started without PYTHONHASHSEED" in isolated.stderr


def test_a_seed_on_the_command_line_beats_one_of_docker_run_which_beats_the_baked_one(run) -> None:
    baked = run("pytorch", PYTHON).stdout
    seven = run("pytorch", PYTHON, environment={"SEEDBED_SEED": "7"}).stdout
    eight = run("pytorch", ["seedbed", "run", "--seed", "8", "--", *PYTHON], environment={"SEEDBED_SEED": "7"}).stdout
    assert len({baked, seven, eight}) == 3
    assert eight == run("pytorch", PYTHON, environment={"SEEDBED_SEED": "8"}).stdout


BROKEN = {"SEEDBED_SEED": "none"}  # the entrypoint would refuse it
COMPLAINT = "SEEDBED_SEED=none: expected a whole number from 0 to 4294967295"


def test_a_layer_that_cannot_do_its_work_stops_python_in_strict(run) -> None:
    stopped = run("pytorch", PYTHON, entrypoint=[""], environment=BROKEN)
    assert (stopped.status, stopped.stdout) == (78, "")
    assert stopped.stderr == f"seedbed: cannot configure random: {COMPLAINT}\n"


def test_in_warn_it_says_so_and_python_goes_on(run) -> None:
    went_on = run("pytorch", PYTHON, entrypoint=[""], environment=BROKEN | {"SEEDBED_MODE": "warn"})
    assert went_on.status == 0 and went_on.stdout
    assert f"seedbed: cannot configure random: {COMPLAINT}\n" in went_on.stderr


@pytest.mark.parametrize(
    "command, status",
    [
        (["python", "-c", "raise SystemExit(3)"], 3),
        (["python", "-c", "1 / 0"], 1),
        (["python", "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"], 137),
        (["sh", "-c", "exit 7"], 7),
        (["nonesuch"], 127),
    ],
)
def test_exit_statuses_pass_through(run, command: list[str], status: int) -> None:
    assert run("pytorch", command).status == status


WAIT = "import time; print('ready', flush=True); time.sleep(600)"
CATCH = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit('saved a checkpoint'))\n"


@pytest.mark.parametrize("code, status, said", [(WAIT, 143, ""), (CATCH + WAIT, 1, "saved a checkpoint")])
def test_docker_stop_reaches_python(record_of, docker, code: str, status: int, said: str) -> None:
    with docker.started(record_of("pytorch").digest, ["python", "-c", code]) as container:
        next(container.container.logs(stream=True, follow=True, stderr=False))
        container.container.stop(timeout=30)
        stopped = container.finish()
    assert stopped.status == status
    assert said in stopped.stderr


def test_docker_stop_reaches_what_a_shell_started(record_of, docker) -> None:
    """The entrypoint hands signals on, so a script does not have to."""
    with docker.started(record_of("pytorch").digest, ["bash", "-c", 'python -c "$0"; echo ended', CATCH + WAIT]) as box:
        next(box.container.logs(stream=True, follow=True, stderr=False))
        box.container.stop(timeout=30)
        assert "saved a checkpoint" in box.finish().stderr


COMPILE = "import torch; print(torch.compile(lambda x: x.sin() + 1)(torch.zeros(8)).sum().item())"


@pytest.mark.parametrize("options", [{}, STRANGER, {**STRANGER, **READ_ONLY}], ids=["image's", "another", "read-only"])
def test_torch_compile_works_for_every_user(run, options: dict) -> None:
    compiled = run("pytorch", ["python", "-c", COMPILE], **options)
    assert compiled.stdout == "8.0\n", compiled.stderr


@every_image
def test_seedbed_info_tells_programs_what_is_in_force(run, recipe_of, name: str) -> None:
    asked = run(name, ["seedbed", "info", "--json"])
    said = json.loads(asked.stdout)
    assert (asked.status, said["holds"], said["mode"], said["seed"]) == (0, True, "strict", 42)
    assert said["image"]["name"] == recipe_of(name).name


@every_image
def test_seedbed_info_names_what_breaks_the_promise(run, name: str) -> None:
    asked = run(name, ["seedbed", "info", "--json"], environment={"CUBLAS_WORKSPACE_CONFIG": "garbage"})
    said = json.loads(asked.stdout)
    assert (asked.status, said["holds"]) == (1, False)
    assert [row["name"] for row in said["settings"] if not row["holds"]] == ["CUBLAS_WORKSPACE_CONFIG"]
