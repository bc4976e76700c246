"""`smoke --host`: the checks of smoke tests against the Python at hand, with nothing but the standard library."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from builder import paths
from builder.catalog import models
from builder.errors import UsageError
from builder.outcomes import Finished, Result
from builder.smoke import checks, host, smoke, venv
from builder.smoke.checks import Failed, Skipped

TINY = paths.ROOT / "tests" / "images"
DRAW = "import random; print(random.random())"


@pytest.fixture(scope="module")
def here():
    """The Python of these tests, with the startup hook."""
    with host.installed(Path(sys.executable)) as installed:
        yield installed


def cli(*arguments: str, python: str = sys.executable, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [python, *flags, str(paths.ROOT / "build.py"), "--catalog", str(TINY), "smoke", "--host", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_layer_seeds_the_python_at_hand_and_leaves_that_one_alone(here):
    first, again = (here.run("python", "-c", DRAW).stdout for _ in range(2))
    other = here.run("python", "-c", DRAW, environment={"SEEDBED_SEED": "7"}).stdout
    plain = [subprocess.check_output([sys.executable, "-c", DRAW], text=True) for _ in range(2)]
    assert first == again != other
    assert len({first, *plain}) == 3


def test_the_packages_of_that_python_are_there(here):
    assert here.missing(["numpy", "json", "no_such_package"]) == ["no_such_package"]


def test_the_variables_of_an_earlier_seedbed_do_not_count(here, monkeypatch):
    for name, value in {"SEEDBED_MODE": "off", "SEEDBED_SEED": "3", "PYTHONHASHSEED": "42"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")  # not ours: the user's own
    environ = here.environ()
    assert not {"SEEDBED_MODE", "SEEDBED_SEED", "PYTHONHASHSEED"} & environ.keys()
    assert environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_a_command_that_takes_too_long_ends_with_124_and_what_it_said(here):
    script = "import time; print('so far', flush=True); time.sleep(600)"
    for timeout in (1, 4, 16, 64):  # until it is long enough to begin
        finished = here.finish(["python", "-c", script], timeout=timeout)
        assert finished.status == 124
        if finished.stdout:
            break
    assert finished.stdout == "so far\n"


@pytest.mark.parametrize("name", ["pytorch", "tensorflow"])
def test_every_check_of_an_image_is_made_or_skipped_with_a_reason(name):
    """In an image none is skipped because it could be made in images alone."""
    image = models.load(paths.IMAGES).image(name)
    here, there = checks.checks_of(image.folder), smoke.checks_of(image)
    assert list(here) == list(there) and all(map(callable, there.values()))
    assert {name for name, check in here.items() if isinstance(check, str)} == smoke.IN_IMAGES.keys() & here.keys()
    assert all(here.values()) and sum(map(callable, here.values())) > len(here) / 2


def test_the_example_of_an_image_is_the_catalog_s():
    loaded = models.load(paths.IMAGES)
    assert {image.name: host.example_of(image.folder) for image in loaded.images.values()} == {
        image.name: image.example for image in loaded.images.values()
    }
    assert [path.name for path in host.images(paths.IMAGES, [])] == sorted(loaded.images)


def test_a_script_needs_what_it_and_its_neighbours_import(tmp_path):
    (tmp_path / "neighbour.py").write_text("import digits\n\ndef train():\n    from einops import rearrange\n")
    script = tmp_path / "script.py"
    script.write_text("import os.path, neighbour\nfrom torch import nn\n")
    assert {*venv.imports_of(script)} >= {"os", "torch", "einops", "numpy"}
    assert not {*venv.imports_of(script)} & {"neighbour", "digits"}


def test_scripts_that_import_each_other_end_and_one_that_is_no_python_is_a_failure(tmp_path):
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text("import other, torch\n")
    other.write_text("import one, jax\n")
    assert venv.imports_of(one) == ["jax", "torch"]
    other.write_text("import\n")
    with pytest.raises(Failed, match=r"^other\.py: "):
        venv.imports_of(one)


def test_a_program_is_run_as_in_an_image(here, tmp_path):
    """Control: one that draws from what no seed reaches does not repeat."""
    script = tmp_path / "program.py"
    script.write_text("import random\nprint(f'parameters sha256: {random.getrandbits(256):064x}')\n")
    assert len(checks.repeats(script)(here)) == 64
    script.write_text("import os\nprint(f'parameters sha256: {os.urandom(32).hex()}')\n")
    with pytest.raises(Failed, match="runs with one seed end differently"):
        checks.repeats(script)(here)


def test_a_script_that_needs_what_is_not_installed_is_skipped_and_that_is_named(here, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import numpy, no_such_package\n")
    for run in (here.script, lambda script: here.program(script, {})):
        with pytest.raises(Skipped, match=r"^not installed here: no_such_package$"):
            run(script)
    script.write_text("import numpy\n")
    assert here.script(script).status == 0


@pytest.mark.parametrize("name", ["versions", "cuda"])
def test_a_script_that_reads_the_image_s_lock_is_skipped(here, name):
    result = checks.make(here, "", checks.passes(paths.IMAGES / "pytorch" / "smoke" / f"{name}.py"))
    assert result.outcome == "skipped" and result.detail.startswith("compares with the image's lock")


def test_the_checks_pass_where_nothing_is_installed_but_what_they_use():
    asked = cli("--json")
    assert asked.returncode == 0, asked.stderr
    results = json.loads(asked.stdout)["images"]["tiny"]["smoke"]
    assert Counter(result["outcome"] for result in results) == {"passed": 7, "skipped": 8}
    assert all(result["detail"] for result in results if result["outcome"] == "skipped")


def test_they_need_no_package_of_seedbed_s():
    bare = {"python": getattr(sys, "_base_executable", sys.executable), "flags": ("-S",)}  # without site-packages
    asked = cli("--gpu", "off", "tiny", **bare)
    assert asked.returncode == 0, asked.stderr
    importing = [bare["python"], "-S", "-c", "import builder.smoke.smoke"]
    assert subprocess.run(importing, cwd=paths.ROOT, capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["tinny"], "seedbed: tinny: no such image; there are: tiny"),
        (
            ["--python", "no/such/python"],
            "seedbed: no/such/python: No such file or directory; name a Python by --python",
        ),
        (["--python", "/bin/false"], "cannot make a virtual environment of it"),
        (["--python", "/bin/true"], "/bin/true: not a Python; name one by --python"),
        (["--python", "/bin/echo"], "/bin/echo: not a Python; name one by --python"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(arguments, complaint):
    asked = cli(*arguments)
    assert (asked.returncode, asked.stdout) == (2, "")
    assert len(asked.stderr.splitlines()) == 1 and complaint in asked.stderr


def test_the_default_is_the_first_python_that_is_not_seedbed_s_own(monkeypatch, tmp_path):
    for folder in (own := paths.ROOT / ".venv" / "bin", tmp_path):
        if folder == tmp_path:
            (folder / "python3").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{own}{os.pathsep}{tmp_path}")
    assert host.default_python() == tmp_path / "python3"
    monkeypatch.setenv("PATH", str(own))
    with pytest.raises(UsageError, match="no python3 on PATH"):
        host.default_python()


def result(outcome: str, check: str = "a") -> Result:
    return Result(check, outcome, "", 1.0)


@pytest.mark.parametrize(
    ("outcomes", "required", "complaint"),
    [
        (["passed", "skipped"], None, None),
        (["passed", "failed"], None, "smoke tests failed"),
        (["skipped", "skipped"], None, "nothing could be checked"),
        (["passed", "skipped"], {"the GPU computes"}, "--gpu require"),
    ],
)
def test_results_are_a_success_only_where_something_passed_and_nothing_failed(outcomes, required, complaint):
    found = host.complaint_about({"tiny": [result(outcome) for outcome in outcomes]}, required)
    assert (complaint in found) if complaint else found is None


def test_one_framework_that_computes_on_the_gpu_is_enough_where_one_is_required():
    results = {"pytorch": [result("passed", "the GPU computes")], "tensorflow": [result("skipped", "the GPU computes")]}
    assert host.complaint_about(results, {"the GPU computes"}) is None


class Subject:
    """Answers as told."""

    cuda = True

    def __init__(self, *, trained: str = "", finished: Finished | None = None) -> None:
        self.trained, self.finished = iter(trained), finished or Finished(0, "", "")

    def train(self, **environment):
        return next(self.trained) * 64

    def finish(self, command, **options):
        return self.finished

    def script(self, script):
        return self.finished

    def program(self, script, environment):
        return self.train()


def test_trainings_that_agree_where_they_should_pass():
    checks.trains_to_the_same_bits(Subject(trained="aab"))
    checks.differs_with_seedbed_disabled(Subject(trained="ab"))
    checks.repeats(Path("x.py"))(Subject(trained="aaabcd"))


@pytest.mark.parametrize(
    ("check", "trained", "complaint"),
    [
        (checks.trains_to_the_same_bits, "abc", "different parameters"),
        (checks.trains_to_the_same_bits, "aaa", "changed nothing"),
        (checks.differs_with_seedbed_disabled, "aa", "proves nothing"),
        (checks.repeats(Path("x.py")), "aabcde", "end differently"),
        (checks.repeats(Path("x.py")), "aaaabc", "changes nothing"),
        (checks.repeats(Path("x.py")), "aaabcc", "with Seedbed disabled too"),
    ],
)
def test_trainings_that_agree_where_they_should_not_fail(check, trained, complaint):
    with pytest.raises(Failed, match=complaint):
        check(Subject(trained=trained))


def test_a_seed_that_is_accepted_although_it_is_none_fails():
    checks.refuses_a_bad_seed(Subject(finished=Finished(2, "", "seedbed: SEEDBED_SEED=4294967296: expected")))
    for finished in (Finished(0, "", "SEEDBED_SEED"), Finished(1, "", "out of memory")):
        with pytest.raises(Failed, match="was accepted"):
            checks.refuses_a_bad_seed(Subject(finished=finished))


def test_a_script_passes_skips_or_fails_by_its_status():
    check = checks.passes(Path("gpu.py"))
    check(Subject())
    with pytest.raises(Skipped, match="no GPU here"):
        check(Subject(finished=Finished(77, "no GPU here\n", "")))
    with pytest.raises(Failed, match="it is wrong"):
        check(Subject(finished=Finished(1, "", "it is wrong\n")))


def test_a_training_without_its_last_line_fails():
    assert checks.parameters(Path("x.py"), Finished(0, f"parameters sha256: {'a' * 64}\n", "")) == "a" * 64
    for finished in (Finished(0, "done\n", ""), Finished(1, f"parameters sha256: {'a' * 64}\n", "ValueError: no\n")):
        with pytest.raises(Failed):
            checks.parameters(Path("x.py"), finished)


# The folder for temporary files


IN_A_NAMESPACE = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
NO_MOUNTS = subprocess.run([*IN_A_NAMESPACE, "mount -t tmpfs tmpfs /mnt"], capture_output=True, check=False).returncode


def test_its_path_may_have_a_space(monkeypatch, tmp_path):
    for name in ("a b", 'a "b" $c', "a'b"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / name))
        with host.installed(Path(sys.executable)) as spaced:
            assert spaced.run("python", "-c", DRAW).stdout == spaced.run("python", "-c", DRAW).stdout
            assert "runs that repeat" in spaced.run("seedbed", "--help", entrypoint=checks.BYPASSED).stdout


@pytest.mark.skipif(NO_MOUNTS, reason="nobody may mount a disk here")
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("noexec", "nothing can be run from its disk (noexec)"),
        ("size=100k", "No space left on device"),
        ("size=4k", "no space left on its disk"),
    ],
    ids=["noexec", "full", "full at once"],
)
def test_one_that_will_not_do_is_one_line(tmp_path, options, complaint):
    mounted = f'mount -t tmpfs -o {options} tmpfs "$TMPDIR" && exec "$@"'
    command = [sys.executable, str(paths.ROOT / "build.py"), "--catalog", str(TINY), "smoke", "--host"]
    done = subprocess.run(
        [*IN_A_NAMESPACE, mounted, "-", *command],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    [line] = done.stderr.splitlines()
    assert done.returncode == 1 and complaint in line and "in TMPDIR" in line, line


def test_a_command_that_is_not_there_ends_as_in_a_shell(here):
    assert here.finish(["no-such-program"], entrypoint=checks.BYPASSED).status == 127
    assert here.finish([str(paths.ROOT / "README.md")], entrypoint=checks.BYPASSED).status == 126
