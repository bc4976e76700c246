import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SEEDBED = "from seedbed.cli import main; raise SystemExit(main())"


@pytest.fixture
def info(python: Path, environ: dict[str, str]):
    """`seedbed info` with variables of its own, and Python's flags."""

    def info(*arguments: str, flags: tuple[str, ...] = (), **variables: str) -> subprocess.CompletedProcess:
        command = [python, *flags, "-c", SEEDBED, "info", *arguments]
        env = {name: value for name, value in (environ | variables).items() if value is not None}
        return subprocess.run(command, env=env, capture_output=True, text=True)

    return info


def test_a_whole_layer_holds(info) -> None:
    done = info()
    assert (done.returncode, done.stderr) == (0, "")
    assert "Everything that mode strict sets is in force." in done.stdout
    assert "BROKEN" not in done.stdout


def test_its_columns_line_up(info) -> None:
    rows = [line for line in info().stdout.splitlines() if line.startswith("ok")]
    names = [line.split()[1] for line in rows]
    assert len({line.index(line.split()[2], 4 + len(name)) for line, name in zip(rows, names, strict=True)}) == 1


def test_programs_get_the_same_as_json(info) -> None:
    told = json.loads(info("--json", SEEDBED_SEED="7", OMP_NUM_THREADS="3").stdout)
    assert (told["mode"], told["seed"], told["threads"], told["holds"]) == ("strict", 7, "3", True)
    (row,) = (row for row in told["settings"] if row["name"] == "random.seed")
    assert (row["wanted"], row["found"], row["holds"]) == ("7", "7", True)


@pytest.mark.parametrize(
    "variables, message",
    [
        ({"OMP_DYNAMIC": "TRUE"}, "OMP_DYNAMIC is TRUE, expected FALSE: "),
        ({"PYTHONHASHSEED": "random"}, "PYTHONHASHSEED is random, expected 42: "),
        ({"PYTHONHASHSEED": None}, "PYTHONHASHSEED is random, expected 42: "),
        ({"OMP_NUM_THREADS": "many"}, "OMP_NUM_THREADS is many, expected "),
        ({"TF_DISABLE_SCATTER_OP_DETERMINISM": "1"}, "TF_DISABLE_SCATTER_OP_DETERMINISM is 1, expected not set: "),
    ],
    ids=str,
)
def test_a_broken_promise_is_told_with_exit_status_1(info, variables, message: str) -> None:
    done = info(**variables)
    assert done.returncode == 1
    assert message in done.stdout
    assert json.loads(info("--json", **variables).stdout)["holds"] is False


def test_a_broken_cublas_workspace_is_told(info, install, tmp_path: Path) -> None:
    install({"jax/__init__.py": ""})
    told = json.loads(info("--json", CUBLAS_WORKSPACE_CONFIG="garbage", PYTHONPATH=str(tmp_path)).stdout)
    assert [row["name"] for row in told["settings"] if not row["holds"]] == ["CUBLAS_WORKSPACE_CONFIG"]


def test_values_of_the_users_own_that_keep_the_promise_are_fine(info, install, tmp_path: Path) -> None:
    install({"jax/__init__.py": ""})
    theirs = {
        "CUBLAS_WORKSPACE_CONFIG": ":16:8",
        "NCCL_ALGO": "CollnetDirect",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "5",
        "TF_DISABLE_SCATTER_OP_DETERMINISM": "0",
        "XLA_FLAGS": "--mine --xla_gpu_deterministic_ops=true",
    }
    assert info(PYTHONPATH=str(tmp_path), **theirs).returncode == 0


TORCH = """
class Flags: pass
random, backends, utils = Flags(), Flags(), Flags()
backends.cudnn, backends.mkldnn, utils.deterministic = Flags(), Flags(), Flags()
manual_seed = set_deterministic_debug_mode = lambda _: None
def initial_seed(): return 42
def get_deterministic_debug_mode(): return 2
def seed(): pass
"""


@pytest.mark.parametrize(
    "version, known, broken",
    [("2.7.1", False, True), ("2.9.1+cu126", False, True), ("2.10.0", True, False), ("2.14.1+cu130", True, False)],
)
def test_a_setting_is_told_to_whom_knows_it(info, install, tmp_path: Path, version, known, broken) -> None:
    """torch.compile has a deterministic mode since 2.10: before that, nothing forbids it to time kernels."""
    metadata = f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n"
    install({"torch/__init__.py": TORCH, f"torch-{version}.dist-info/METADATA": metadata})
    told = json.loads(info("--json", TORCHINDUCTOR_MAX_AUTOTUNE="1", PYTHONPATH=str(tmp_path)).stdout)
    rows = {row["name"]: row for row in told["settings"]}
    assert ("TORCHINDUCTOR_DETERMINISTIC" in rows) == known
    assert ("TORCHINDUCTOR_MAX_AUTOTUNE" in rows) == (not told["holds"]) == broken
    assert rows["TORCHINDUCTOR_SHAPE_PADDING"]["holds"]


def test_a_python_that_ignores_its_environment_is_told(info) -> None:
    done = info(flags=("-E",))
    assert done.returncode == 1
    assert "PYTHONHASHSEED is random, expected 42" in done.stdout


def test_a_python_that_does_not_load_the_layer_at_start_is_told(runtime: Path, environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "seedbed", "info"]
    done = subprocess.run(command, env=environ | {"PYTHONPATH": ""}, cwd=runtime, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "random.seed is not set, expected 42" in done.stdout


def test_off_promises_nothing_and_holds(info) -> None:
    done = info(SEEDBED_MODE="off")
    assert done.returncode == 0
    assert "nothing is promised" in done.stdout


DESCRIBE = """
import json, sys, pathlib
from seedbed import image, info
image.DESCRIPTION = pathlib.Path(sys.argv[1])
print(json.dumps([image.description(), info.as_text([]), json.loads(info.as_json([]))]))
"""


def test_the_image_describes_itself(python: Path, environ: dict[str, str], tmp_path: Path) -> None:
    """In a process of its own, whose environment has nothing of ours."""

    def describe() -> list:
        command = [python, "-c", DESCRIBE, tmp_path / "image.json"]
        return json.loads(subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout)

    assert describe()[0] == {}
    described = {"name": "tiny", "tag": "1.0", "versions": {"numpy": "2.0"}}
    (tmp_path / "image.json").write_text(json.dumps(described))
    image, text, data = describe()
    assert image == data["image"] == described
    assert text.startswith("image     tiny 1.0\n")


FIND = """
import pathlib, sys
from seedbed import image, info
image.DESCRIPTION = pathlib.Path(sys.argv[1])
print(*(f"{row.name} {row.found} {row.holds}" for row in info.pythons_without_hook()))
"""


def test_in_an_image_another_python_on_path_is_named(python: Path, environ: dict[str, str], tmp_path: Path) -> None:
    def found(image: str, *folders: Path | str) -> str:
        path = {"PATH": os.pathsep.join(map(str, folders))}
        command = [python, "-c", FIND, image]
        done = subprocess.run(command, env=environ | path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    (tmp_path / "python3").symlink_to(sys._base_executable)
    assert found("/dev/null", tmp_path, python.parent) == f"python3 {tmp_path}/python3 False"
    assert found("/dev/null", python.parent, tmp_path) == ""
    assert found("/nonexistent", tmp_path, python.parent) == ""


def test_a_reader_that_leaves_early_causes_no_traceback(python: Path, environ: dict[str, str]) -> None:
    command = f"{python} -c '{SEEDBED}' info | head -1"
    done = subprocess.run(["sh", "-c", command], env=environ, capture_output=True, text=True)
    assert (done.stdout.startswith("seedbed"), done.stderr) == (True, "")
