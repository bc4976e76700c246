"""Every way found in which the startup hook might not act: the table in docs/determinism.md, row by row."""

from collections.abc import Callable
from pathlib import Path

import pytest

from builder.outcomes import Finished

CASES = Path(__file__).parent / "field" / "image"
DRAW = "import random; print(random.random())"
HIDE = "mkdir /tmp/theirs && touch /tmp/theirs/sitecustomize.py && export PYTHONPATH=/tmp/theirs"
OWN = "mkdir -p /tmp/own/lib && cp -r /usr/lib/python3.11 /tmp/own/lib && cp /usr/bin/python3.11 /tmp/own/python"
EMBED = "cc -o /tmp/embedding -I/usr/include/python3.11 /cases/embedding.c -lpython3.11"
PACKAGES = "/opt/venv/lib/python3.11/site-packages"
CARRIERS = (
    f"{PACKAGES}/00_seedbed.pth",
    "/usr/lib/python3/dist-packages/00_seedbed.pth",
    "/usr/lib/python3.11/sitecustomize.py",
)
PAST = "import importlib.machinery, sys; sys.meta_path.insert(0, importlib.machinery.PathFinder)"


@pytest.fixture
def run(record_of, docker) -> Callable[..., Finished]:
    """Run a shell script as root in a fresh container, behind the entrypoint; `$DRAW` is code that draws."""

    def run(script: str, **options) -> Finished:
        environment = {"DRAW": DRAW, "SEEDBED_QUIET": "1"} | options.pop("environment", {})
        options |= {"user": "0:0", "files": {"/cases": CASES}, "environment": environment}
        return docker.run(record_of("pytorch").digest, ["bash", "-c", script], **options)

    return run


SEEDED = {
    "an empty environment": 'env -i /opt/venv/bin/python -c "$DRAW"',
    "an empty environment, from Python": "python -c "
    "\"import os; os.execve('/opt/venv/bin/python', ['-', '-c', '$DRAW'], {})\"",
    "a job of cron's": 'env -i PATH=/usr/bin:/bin sh -c "python3 -c \'$DRAW\'"',
    "su": 'su seedbed -c "python -c \'$DRAW\'"',
    "a login shell": 'su - seedbed -c "python -c \'$DRAW\'"',
    "an interpreter copied": 'cp /usr/bin/python3.11 /tmp/python && /tmp/python -c "$DRAW"',
    "PYTHONHOME": f'{OWN} && PYTHONHOME=/tmp/own python -c "$DRAW"',
    "a virtual environment of copies": 'python -m venv --copies --without-pip /tmp/v && /tmp/v/bin/python -c "$DRAW"',
    "a virtual environment with a sitecustomize.py": "python -m venv --without-pip /tmp/v && "
    'touch /tmp/v/lib/python3.11/site-packages/sitecustomize.py && /tmp/v/bin/python -c "$DRAW"',
    "a sitecustomize.py on PYTHONPATH": f'{HIDE} && python -c "$DRAW"',
    "another .pth that fails": f'echo import none >{PACKAGES}/00_a.pth && python -c "$DRAW"',
    "-I": 'python -I -c "$DRAW"',
    "-E": 'python -E -c "$DRAW"',
    "-X frozen_modules=off": 'python -X frozen_modules=off -c "$DRAW"',
    "a program that embeds Python": f"{EMBED} && /tmp/embedding",
    "a subinterpreter": "python -c \"import _xxsubinterpreters as all; all.run_string(all.create(), '$DRAW')\"",
    "a zipped application": 'mkdir /tmp/z && echo "$DRAW" >/tmp/z/__main__.py && '
    "python -m zipapp /tmp/z && python /tmp/z.pyz",
    "a library in a zip file": "cd /usr/lib/python3.11 && python -m zipfile -c /tmp/random.zip random.py && "
    'PYTHONPATH=/tmp/random.zip python -c "$DRAW"',
    "a library imported again": "python -c \"import random, sys; del sys.modules['random']; $DRAW\"",
    "a library reloaded": 'python -c "import importlib, random; importlib.reload(random); $DRAW"',
    "a library loaded late": "python -c \"from importlib.util import *; import sys; spec = find_spec('random'); "
    "spec.loader = LazyLoader(spec.loader); sys.modules['random'] = m = module_from_spec(spec); "
    'spec.loader.exec_module(m); $DRAW"',
    "its modules taken out of sys.modules": "python -c \"import sys; "
    "[sys.modules.pop(name) for name in [*sys.modules] if name.startswith('seedbed')]; $DRAW\"",
}  # fmt: skip


@pytest.mark.parametrize("way", SEEDED)
def test_the_hook_acts(run, way: str) -> None:
    assert run(SEEDED[way]).stdout == run('python -c "$DRAW"').stdout


@pytest.mark.parametrize("way", SEEDED)
def test_it_is_the_hook_that_does_it(run, way: str) -> None:
    """The negative control: with its carriers taken away the same draws something else."""
    assert run(f"rm {' '.join(CARRIERS)} && {SEEDED[way]}").stdout != run('python -c "$DRAW"').stdout


REFUSED = {
    "the package deleted": f'rm -r {PACKAGES}/seedbed && python -c "$DRAW"',
    "and a sitecustomize.py on PYTHONPATH": f'rm -r {PACKAGES}/seedbed && {HIDE} && python -c "$DRAW"',
    "a module of it deleted": f'rm {PACKAGES}/seedbed/boot.py && {HIDE} && python -c "$DRAW"',
    "an error in it": f'echo 1 + >{PACKAGES}/seedbed/boot.py && {HIDE} && python -c "$DRAW"',
    "its libraries deleted": f'rm -r {PACKAGES}/seedbed/libraries && python -c "$DRAW"',
    "it may not be read": f'chmod 700 {PACKAGES}/seedbed && {HIDE} && chmod 755 /tmp/theirs && '
    'setpriv --reuid=1000 --regid=1000 --clear-groups python -c "$DRAW"',
    "another finder first": f'python -c "{PAST}; $DRAW"',
    "no descriptors left": f'{HIDE} && ulimit -n 4 && exec /opt/venv/bin/python -c "$DRAW"',
    "no recursion left": "python -c 'def deep(n): return deep(n - 1) if n else __import__(\"random\")\n"
    "for n in range(990, 900, -1):\n try: deep(n)\n except RecursionError: pass'",
}  # fmt: skip


@pytest.mark.parametrize("way", REFUSED)
def test_a_hook_that_cannot_act_ends_python(run, way: str) -> None:
    refused = run(REFUSED[way])
    assert refused.status == 78, refused.stdout
    assert refused.stderr.splitlines()[-1].startswith("seedbed: cannot ")


BEHIND_THE_ENTRYPOINT = {
    "-S": "exec /opt/seedbed/entrypoint.sh python -S -c 'print(1)'",
    "another Python": f"{OWN} && rm /tmp/own/lib/python3.11/sitecustomize.py && "
    "PYTHONHOME=/tmp/own exec /opt/seedbed/entrypoint.sh /tmp/own/python -c 'print(1)'",
    "a plain virtual environment beside a sitecustomize.py on PYTHONPATH": "python -m venv --without-pip /tmp/v && "
    f"{HIDE} && exec /opt/seedbed/entrypoint.sh /tmp/v/bin/python -c 'print(1)'",
}


@pytest.mark.parametrize("way", BEHIND_THE_ENTRYPOINT)
def test_the_entrypoint_refuses_a_python_without_the_hook(run, way: str) -> None:
    refused = run(BEHIND_THE_ENTRYPOINT[way])
    assert (refused.status, refused.stdout) == (2, "")
    assert "loads no startup hook" in refused.stderr


SILENT = {  # the limits that the page names: if one of these is seeded one day, the page is to say so
    "-S below a shell": 'python -S -c "$DRAW"',
    "another Python below a shell": f"{OWN} && rm /tmp/own/lib/python3.11/sitecustomize.py && "
    'PYTHONHOME=/tmp/own /tmp/own/python -c "$DRAW"',
    "a plain virtual environment beside a sitecustomize.py on PYTHONPATH": "python -m venv --without-pip /tmp/v && "
    f'{HIDE} && /tmp/v/bin/python -c "$DRAW"',
    "a program that embeds Python without site": f"{EMBED} -DNO_SITE && /tmp/embedding",
    "a copy of random": "cp /usr/lib/python3.11/random.py /tmp/copied.py && cd /tmp && "
    'python -c "import copied; print(copied.random())"',
    "the class below random": 'python -c "import _random; print(_random.Random().random())"',
    "a process that ends itself after another finder was first": f'python -c "{PAST}; import os; {DRAW}; '
    'import sys; sys.stdout.flush(); os._exit(0)"',
}  # fmt: skip


@pytest.mark.parametrize("way", SILENT)
def test_what_the_page_names_as_unseeded_is_unseeded(run, way: str) -> None:
    first, second = run(SILENT[way]), run(SILENT[way])
    assert (first.status, second.status) == (0, 0), first.stderr
    assert first.stdout != second.stdout


def test_seedbed_info_sees_another_python_on_path(run) -> None:
    own = f"{OWN} && rm /tmp/own/lib/python3.11/sitecustomize.py && printf '#!/bin/sh\\nPYTHONHOME=/tmp/own exec "
    own += (
        '/tmp/own/python "$@"\\n\' >/tmp/own/python3 && chmod +x /tmp/own/python3 && PATH=/tmp/own:$PATH seedbed info'
    )
    seen = run(own)
    assert seen.status == 1
    assert "python3 is /tmp/own/python3, expected with the startup hook" in seen.stdout


def test_a_signal_in_the_hook_leaves_nothing_unseeded(run) -> None:
    """A Python that gets SIGINT while it starts ends, or draws what it would have drawn."""
    done = run("python /cases/interrupted.py")
    assert done.status == 0, done.stdout
