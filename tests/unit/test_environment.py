"""The first lines of a build: an environment is there, or is made, or one line says what to do. Never a traceback."""

import ast
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builder import environment, paths

MAIN = "from builder import environment\nenvironment.enter()\nimport sys\nprint(sys.prefix)\n"
BASE = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
IN_A_NAMESPACE = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
NO_MOUNTS = subprocess.run([*IN_A_NAMESPACE, "mount -t tmpfs tmpfs /mnt"], capture_output=True, check=False).returncode
may_mount = pytest.mark.skipif(NO_MOUNTS, reason="nobody may mount a disk here")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with what comes before the environment, and a lock that asks for nothing."""
    checkout = tmp_path / "a checkout"
    (checkout / "builder").mkdir(parents=True)
    for name in ("__init__.py", "commands.py", "environment.py", "interrupts.py", "network.py"):
        shutil.copy(paths.ROOT / "builder" / name, checkout / "builder")
    (checkout / "build.py").write_text(MAIN)
    (checkout / "requirements.lock").write_text("# nothing\n")
    return checkout


def run(checkout: Path, *arguments: str, before: str = "", mounted: str = "") -> subprocess.CompletedProcess[str]:
    """Run build.py by the Python that environments are made of; `before`: what to change in that Python first."""
    code = f"import sys; sys.argv[:] = sys.argv[1:]; sys.path.insert(0, {str(checkout)!r}); {before}\nexec({MAIN!r})"
    command = [BASE, "-c", code, str(checkout / "build.py"), *arguments]
    if mounted:
        command = [*IN_A_NAMESPACE, f'cd "$1" && shift && {mounted} && exec "$@"', "-", str(checkout), *command]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, env=clean, capture_output=True, text=True, check=False)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode not in (0, -9), done
    *progress, line = done.stderr.splitlines()
    assert progress in ([], ["seedbed: preparing .venv from requirements.lock"]), done.stderr
    assert line.startswith("seedbed: ") and done.stdout == ""
    return line


def stamped(checkout: Path, python: str, lock: bytes | None = None) -> Path:
    """An environment that says which lock and which Python it was made of, and holds nothing."""
    digest = hashlib.sha256((checkout / "requirements.lock").read_bytes() if lock is None else lock).hexdigest()
    stamp = checkout / ".venv" / "requirements.sha256"
    stamp.parent.mkdir()
    stamp.write_text(f"{digest}\n{python}\n")
    return stamp


@pytest.mark.parametrize(
    "stale", ["the Python is gone", "its link leads nowhere", "another lock", "made before Python was noted"]
)
def test_an_environment_that_does_not_fit_is_made_anew(checkout, stale):
    if stale == "another lock":
        stamped(checkout, BASE, lock=b"another")
    else:
        stamp = stamped(checkout, BASE if stale == "its link leads nowhere" else "/usr/bin/python3.0")
    if stale == "made before Python was noted":
        stamp.write_text(stamp.read_text().split("\n")[0])
    (checkout / ".venv" / "bin").mkdir()
    (checkout / ".venv" / "bin" / "python").symlink_to("nowhere" if stale == "its link leads nowhere" else BASE)
    done = run(checkout)
    assert done.stdout == f"{checkout}/.venv\n", done.stderr
    assert "preparing" in done.stderr
    again = run(checkout)
    assert (again.stdout, again.stderr) == (done.stdout, ""), "what fits is not made again"


@may_mount
def test_a_checkout_that_cannot_be_written_to_is_one_line(checkout):
    line = one_line(run(checkout, mounted="mount --bind . . && mount -o remount,ro,bind ."))
    assert line == (
        f"seedbed: {checkout}/.venv.lock: Read-only file system; "
        "put the checkout into a folder that you can write to, on a disk that lets programs run"
    )


@may_mount
def test_a_checkout_on_a_disk_that_lets_no_program_run_works(checkout):
    done = run(checkout, mounted="mount --bind . . && mount -o remount,noexec,bind .")
    assert done.stdout == f"{checkout}/.venv\n", done.stderr


@may_mount
def test_a_full_disk_is_one_line(checkout):
    copy = "mkdir ../full && mount -t tmpfs -o size=64k tmpfs ../full && mount --bind ../full .venv"
    (checkout / ".venv").mkdir()
    assert "No space left on device" in one_line(run(checkout, mounted=copy))


def test_an_environment_whose_python_does_not_start_is_one_line(checkout):
    stamped(checkout, BASE)
    (checkout / ".venv" / "bin").mkdir()
    (checkout / ".venv" / "bin" / "python").touch()
    assert f"{checkout}/.venv/bin/python: Permission denied; put the checkout into" in one_line(run(checkout))


@pytest.mark.parametrize(
    "before",
    [
        "sys.modules['venv'] = None",
        "import venv, subprocess\ndef create(*a, **k): raise subprocess.CalledProcessError(1, '', "
        "b'/usr/bin/python3: No module named ensurepip')\nvenv.create = create",
    ],
    ids=["no module venv", "no module ensurepip"],
)
def test_a_python_without_virtual_environments_is_told_what_to_install(checkout, before):
    assert one_line(run(checkout, before=before)).endswith("on Debian: apt-get install python3-venv")


def test_an_environment_that_cannot_be_made_says_why(checkout):
    before = (
        "import venv, subprocess\ndef create(*a, **k): raise subprocess.CalledProcessError(1, '', "
        "b'  File ensurepip/__init__.py\\nOSError: [Errno 28] No space left on device\\n')\nvenv.create = create"
    )
    assert one_line(run(checkout, before=before)) == (
        f"seedbed: {checkout}/.venv: OSError: [Errno 28] No space left on device"
    )


@pytest.mark.parametrize("arguments", [[], ["smoke", "--host"]])
def test_an_old_python_is_told_so(checkout, arguments):
    line = one_line(run(checkout, *arguments, before="sys.version_info = (3, 8, 10, 'final', 0)"))
    assert line.endswith("is Python 3.8.10; expected 3.11 or newer, as in: python3.12 build.py")


def test_what_comes_before_is_read_by_an_old_python_too():
    """It also evaluates annotations, and knows neither `list[int]` nor `X | None`."""
    for name in ("build.py", "builder/__init__.py", "builder/environment.py", "builder/interrupts.py"):
        text = (paths.ROOT / name).read_text()
        tree = ast.parse(text, feature_version=(3, 8))
        assert "from __future__ import annotations\n" in text or not new_annotations(tree)
    assert new_annotations(ast.parse("def waiting(for_whom: X | None): pass")), "control"
    with pytest.raises(SyntaxError):
        ast.parse("with (open('a') as a, open('b') as b): pass\nmatch a:\n    case b: pass", feature_version=(3, 8))


def new_annotations(tree: ast.AST) -> list[ast.expr]:
    found = [getattr(node, name, None) for node in ast.walk(tree) for name in ("annotation", "returns")]
    return [each for each in found if isinstance(each, ast.BinOp | ast.Subscript)]


def test_pip_that_fails_is_one_line(checkout, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (checkout / "requirements.lock").write_text("six==1.0 --hash=sha256:" + "0" * 64 + "\n")
    line = one_line(run(checkout))
    assert "pip could not install requirements.lock: No matching distribution found for six==1.0" in line
    assert not (checkout / ".venv" / environment.STAMP.name).exists()


def test_an_index_that_does_not_answer_is_named(checkout, monkeypatch):
    for name, value in {"INDEX_URL": "http://127.0.0.1:9/simple", "RETRIES": "1", "CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    (checkout / "requirements.lock").write_text("six==1.0 --hash=sha256:" + "0" * 64 + "\n")
    assert "the index does not answer: Failed to establish a new connection" in one_line(run(checkout))


def test_the_environment_can_stand_outside_a_checkout_that_is_not_written_to(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("SEEDBED_VENV", str(tmp_path / "venv"))
    before = sorted(checkout.iterdir())
    assert run(checkout).stdout == f"{tmp_path}/venv\n"
    assert sorted(checkout.iterdir()) == before
