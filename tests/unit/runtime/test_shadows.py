"""A file beside the script with the name of a module: what plain Python runs, Seedbed runs, and says what it leaves."""

from pathlib import Path

import pytest

PLAIN = ("types", "enum", "dataclasses", "re", "json", "threading", "subprocess", "copy")


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("package", [False, True])
def test_a_users_own_module_of_pythons_name_is_the_users_and_random_is_seeded(
    output, install, name: str, package: bool
) -> None:
    code = f"import random; print(random.random()); import {name}; print({name}.MINE)"
    seeded = output("import random; print(random.random())").strip()
    install({f"{name}/__init__.py" if package else f"{name}.py": "MINE = 7"})
    assert output(code).split() == [seeded, "7"]


def test_a_users_own_random_is_not_configured_which_is_said_and_does_not_stop_the_program(
    run, install, tmp_path
) -> None:
    install({"random.py": "def draw(): return 4"})
    done = run("import random; print(random.draw())")
    assert (done.returncode, done.stdout) == (0, "4\n")
    assert done.stderr == (
        f"seedbed: random is not seeded: {tmp_path}/random.py is another module of that name; "
        "rename it if you want the library\n"
    )


@pytest.mark.parametrize("name", ["torch", "tensorflow", "subprocess"])
def test_a_single_file_with_the_name_of_a_library_is_not_the_library(run, install, tmp_path: Path, name: str) -> None:
    install({f"{name}.py": "MINE = 4"})
    done = run(f"import {name}; print({name}.MINE)")
    assert (done.returncode, done.stdout) == (0, "4\n")
    assert f"{tmp_path}/{name}.py is another module of that name" in done.stderr


@pytest.mark.parametrize("file", ["torch/__init__.py", "site-packages/torch.py"])
def test_what_may_be_the_library_and_cannot_be_configured_ends_the_process(run, install, tmp_path, file: str) -> None:
    install({file: "MINE = 4"})
    done = run("import torch; print('unseeded')", PYTHONPATH=str(tmp_path / "site-packages"))
    assert (done.returncode, done.stdout) == (78, "")
    assert "seedbed: cannot configure torch" in done.stderr


def test_a_users_own_module_does_not_take_the_place_of_a_patched_library(output, install, tmp_path: Path) -> None:
    """A copy of Python's own is seeded, wherever it stands."""
    import random

    install({"random.py": Path(random.__file__).read_text()})
    code = "import random; print(random.__file__, random.random())"
    assert output(code) == output(code)
    assert output(code).split()[0] == str(tmp_path / "random.py")
