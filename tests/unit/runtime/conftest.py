import os
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import pythons

RUNTIME = Path(__file__).parents[3] / "runtime"
OURS = ("SEEDBED_", "PYTHON", "OMP_", "MKL_", "CUBLAS_", "TF_", "TORCH", "NCCL_", "XLA_")

Run = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="session")
def runtime() -> Path:
    return RUNTIME


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the runtime installed as in an image: the package, and the `.pth` file that loads it."""
    home = tmp_path_factory.mktemp("python")
    packages = pythons.with_runtime(home)
    (packages / "zz_the_tests_own.pth").write_text(sysconfig.get_path("purelib"))  # for numpy
    return home / "bin" / "python"


@pytest.fixture(scope="session")
def environ() -> dict[str, str]:
    """This environment without anything that the runtime sets or looks at; Python's hash seed is fixed."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)} | {"PYTHONHASHSEED": "42"}


@pytest.fixture
def run(python: Path, environ: dict[str, str], tmp_path: Path) -> Run:
    """Run code, or a script's arguments, in a fresh Python with variables of its own; returns what it did."""

    def run(code: str, *flags: str, **variables: str | None) -> subprocess.CompletedProcess:
        script = tmp_path / "script.py"
        script.write_text(code)
        env = {name: value for name, value in (environ | variables).items() if value is not None}
        command = [python, *flags, script]
        return subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    return run


@pytest.fixture
def output(run: Run) -> Callable[..., str]:
    """What the code prints; it has to succeed."""

    def output(code: str, *flags: str, **variables: str | None) -> str:
        done = run(code, *flags, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return output


@pytest.fixture
def install(tmp_path: Path):
    """Put packages beside the script, where they come before installed ones."""

    def install(files: dict[str, str]) -> None:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)

    return install


@pytest.fixture
def seedbed(python: Path, environ: dict[str, str], tmp_path: Path) -> Run:
    """The command `seedbed` with arguments and variables of its own; `python` is the one with the runtime."""
    environ = environ | {"PATH": f"{python.parent}{os.pathsep}{environ['PATH']}"}

    def seedbed(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess:
        command = [python, "-m", "seedbed", *arguments]
        return subprocess.run(
            command, env=environ | variables, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )

    return seedbed
