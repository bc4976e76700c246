"""Workflows: they may do no more than they have to, run commands that exist, and know an image by its digest.

On a runner that outlives its jobs, no login outlives the step that needs it.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from builder import paths
from builder.cli.main import seedbed

FOLDER = paths.ROOT / ".github" / "workflows"
WORKFLOWS = {file.stem: yaml.safe_load(file.read_text()) for file in sorted(FOLDER.glob("*.yml"))}
JOBS = {(name, job): of for name, workflow in WORKFLOWS.items() for job, of in workflow["jobs"].items()}
STEPS = [(job, step) for job, of in JOBS.items() for step in of["steps"]]
STUBS = {
    "docker": '#!/bin/sh\nconfig=${DOCKER_CONFIG:-$HOME/.docker}; mkdir -p "$config"; cat > "$config/config.json"\n',
    "build.py": '#!/bin/sh\necho "$@" >&2; cat "${DOCKER_CONFIG:-$HOME/.docker}/config.json"; exit "${STATUS:-0}"\n',
}
LOGINS = [step for _, step in STEPS if "login" in step.get("run", "") + step.get("uses", "")]


# ---- permissions and pins ------------------------------------------------------------------------------------------

READ = {"contents": "read"}
PERMISSIONS = {
    ("check", "check"): READ,
    ("check", "elsewhere"): READ,
    ("images", "build-and-smoke"): READ,
    ("images", "smoke-gpu"): READ,
    ("images", "publish"): READ | {"packages": "write"},
    ("images", "provenance"): {"id-token": "write", "attestations": "write"},
    ("images", "verify"): READ | {"attestations": "read"},
    ("lock", "lock"): READ,
    ("lock", "propose"): {"contents": "write", "pull-requests": "write"},
    ("rebuild", "rebuild"): READ,
}


def test_every_job_may_do_what_it_has_to_and_no_more():
    found = {key: job.get("permissions", WORKFLOWS[key[0]]["permissions"]) for key, job in JOBS.items()}
    assert found == PERMISSIONS


def test_actions_are_named_by_commit_and_the_comment_says_the_version():
    lines = [line for file in FOLDER.glob("*.yml") for line in file.read_text().splitlines() if "uses:" in line]
    assert lines
    assert [line for line in lines if not re.search(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)] == []


def test_only_the_job_that_pushes_a_branch_keeps_the_token():
    kept = {
        job: step["with"]["persist-credentials"] for job, step in STEPS if "actions/checkout@" in step.get("uses", "")
    }
    assert {job for job, keeps in kept.items() if keeps} == {("lock", "propose")}
    assert len(kept) == len(JOBS) - 1, "all but provenance, which needs no file"


def test_every_job_ends_by_itself():
    assert [key for key, job in JOBS.items() if "timeout-minutes" not in job] == []


def test_a_secret_is_for_the_step_that_needs_it():
    for file in FOLDER.glob("*.yml"):
        for job in yaml.safe_load(file.read_text())["jobs"].values():
            outside = {key: value for key, value in job.items() if key != "steps"}
            assert "secrets." not in str(outside) and "github.token" not in str(outside)
            assert all("secrets." not in step.get("run", "") for step in job["steps"])


def zizmor(folder: Path) -> subprocess.CompletedProcess[str]:
    """As in `make lint`."""
    command = [Path(sys.prefix, "bin", "zizmor"), "--offline", "--quiet", "--persona=pedantic", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_zizmor_has_nothing_to_say():
    done = zizmor(FOLDER)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        ("rebuild.yml", "        with:\n          persist-credentials: false\n", "", "artipacked"),
        ("rebuild.yml", "permissions: {}\n", "permissions: write-all\n", "excessive-permissions"),
        ("images.yml", '.ci/digest "$IMAGE" "$DIGEST"', ".ci/digest ${{ matrix.image }}", "template-injection"),
    ],
)
def test_control_zizmor_sees_what_is_wrong(file, before, after, said, tmp_path):
    text = (FOLDER / file).read_text()
    assert before in text
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / file).write_text(text.replace(before, after))
    done = zizmor(folder)
    assert done.returncode != 0 and said in done.stdout


# ---- commands that exist -------------------------------------------------------------------------------------------

COMMAND = re.compile(r"\./build\.py [^|>\n#;`]+")


def commands() -> list[Any]:
    """Every line of a step that runs build.py; what the shell would put in is a word here."""
    found = []
    for (workflow, job), step in STEPS:
        for line in COMMAND.findall(step.get("run", "").replace("\\\n", " ")):
            words = shlex.split(line)
            found.append(pytest.param(words, id=f"{workflow}-{job}-{line.strip()}"))
    return found


def parse(words: list[str]) -> None:
    """Raise click's error if a command or an option is not one of build.py's."""
    given = [word for word in words[1:] if not word.startswith("${PAST_END_OF_LIFE:+")]
    name, *rest = given[2:] if given[0] == "--catalog" else given
    if name not in seedbed.commands:
        raise click.UsageError(f"no command {name}")
    seedbed.commands[name].make_context(name, rest, obj=paths.IMAGES)


@pytest.mark.parametrize("words", commands())
def test_a_command_and_its_options_are_build_pys(words):
    parse(words)


@pytest.mark.parametrize("line", ["./build.py biuld", "./build.py build --lockd", "./build.py verify --against"])
def test_control_any_other_is_refused(line):
    with pytest.raises(click.UsageError):
        parse(shlex.split(line))


def test_what_a_step_runs_of_ours_is_there_and_can_be_run():
    found = {word for _, step in STEPS for word in re.findall(r"\.ci/\w+", step.get("run", ""))}
    assert found == {".ci/digest", ".ci/room"}
    assert all(os.access(paths.ROOT / script, os.X_OK) for script in found)


# ---- one digest ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("job", ["smoke-gpu", "publish"])
def test_what_is_tested_and_pushed_has_the_digest_of_the_first_build(job):
    runs = [step.get("run", "") for step in JOBS["images", job]["steps"]]
    compared = runs.index('.ci/digest "$IMAGE" "$DIGEST"')
    used = next(at for at, run in enumerate(runs) if "build.py smoke" in run or "build.py push" in run)
    assert compared < used
    assert JOBS["images", job]["env"]["DIGEST"] == "${{ matrix.digest }}"


def test_each_job_waits_for_the_one_before_and_has_its_images():
    order = ["smoke-gpu", "publish", "provenance", "verify"]
    for before, job in zip(["build-and-smoke", *order], order, strict=False):
        assert before in JOBS["images", job]["needs"]
        built = "${{ fromJSON(needs.build-and-smoke.outputs.built) }}"
        assert JOBS["images", job]["strategy"]["matrix"] == {"include": built}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder in which `build.py list` knows one image."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "digest").symlink_to(paths.ROOT / ".ci" / "digest")
    listed = '{"images": {"tiny": {"digest": "sha256:one"}}}'
    (tmp_path / "build.py").write_text(f"#!/bin/sh\necho '{listed}'\n")
    (tmp_path / "build.py").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(("expected", "status"), [("sha256:one", 0), ("", 0), ("sha256:two", 1), ("sha256:on", 1)])
def test_another_digest_than_expected_is_an_error(checkout, expected, status):
    done = subprocess.run([".ci/digest", "tiny", expected], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert (done.stdout == "sha256:one\n") == (status == 0)


def test_the_first_build_hands_on_every_image_and_its_digest(checkout, tmp_path):
    [step] = [step for job, step in STEPS if job == ("images", "build-and-smoke") and step.get("id") == "built"]
    environ = os.environ | {"GITHUB_OUTPUT": str(tmp_path / "output")}
    subprocess.run(["bash", "-e", "-c", step["run"]], cwd=checkout, env=environ, check=True)
    assert (tmp_path / "output").read_text() == 'built=[{"image": "tiny", "digest": "sha256:one"}]\n'


def test_images_are_built_on_the_runner_as_it_comes():
    """Builds find Debian by themselves: no job brings it, and none needs a privilege for it."""
    jobs = WORKFLOWS["images"]["jobs"].values()
    assert not [job for job in jobs if "container" in job]
    assert "make images SMOKE=--full" in [step.get("run") for job in jobs for step in job["steps"]]


# ---- logins --------------------------------------------------------------------------------------------------------


def test_logins_are_found():
    assert len(LOGINS) == 1 and all("run" in step for step in LOGINS), "an action's login would stay"


def left_by(script: str, folder: Path, status: int) -> list[Path]:
    """Run a step with a `docker` and a `build.py` that are none; returns what stays in the runner's folders."""
    places = [folder / "home", folder / "temp"]
    for place in places:
        place.mkdir()
    for name, text in STUBS.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    runner = {"HOME": str(places[0]), "RUNNER_TEMP": str(places[1]), "PATH": f"{folder}:{os.environ['PATH']}"}
    given = {"SEEDBED_REPOSITORY": "registry.example.org/team", "REGISTRY_USER": "me", "REGISTRY_TOKEN": "secret"}
    given |= {"SIGNING_KEY": "my key", "IMAGE": "tiny", "PAST_END_OF_LIFE": ""}
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env=runner | given | {"STATUS": str(status)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, set(done.stdout.split())) == (status, {"secret"}), done.stderr
    assert "my key" not in done.stderr
    assert done.stderr.startswith("push tiny\n")
    return [path for place in places for path in place.rglob("*") if path.is_file()]


@pytest.mark.parametrize("status", [0, 1])
def test_login_and_key_are_there_for_the_push_and_gone_after_the_step(status, tmp_path):
    [step] = LOGINS
    assert left_by(step["run"], tmp_path, status) == []


def test_control_without_a_folder_of_its_own_the_login_stays(tmp_path):
    [step] = LOGINS
    own = ("DOCKER_CONFIG=$(mktemp", "export DOCKER_CONFIG", "trap ")
    script = "\n".join(line for line in step["run"].splitlines() if not line.startswith(own))
    left = left_by("DOCKER_CONFIG=$HOME/.docker\n" + script, tmp_path, 0)
    assert sorted(path.name for path in left) == ["config.json", "key.pem"]


def test_without_a_repository_it_says_which_variable_to_set(tmp_path):
    [step] = LOGINS
    done = subprocess.run(
        ["bash", "-c", step["run"]], env={}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode and "set the variable SEEDBED_REPOSITORY of this repository" in done.stderr


# ---- the weekly pull request ---------------------------------------------------------------------------------------


@pytest.fixture
def clones(tmp_path: Path) -> list[Path]:
    """Two clones of a repository with a lock, as both jobs of `lock` have one; `build.py` prints a changelog."""
    origin, *clones = (tmp_path / name for name in ("origin", "one", "other"))
    author = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    git(tmp_path, "init", "--initial-branch", "main", "origin")
    for file, text in {"images/tiny/requirements.lock": "a==1\n", "README.md": "1\n", "Makefile": "1\n"}.items():
        (origin / file).parent.mkdir(parents=True, exist_ok=True)
        (origin / file).write_text(text)
    (origin / "build.py").write_text("#!/bin/sh\necho '### tiny at HEAD → tiny'\n")
    (origin / "build.py").chmod(0o755)
    git(origin, "add", ".")
    git(origin, *author, "commit", "--message", "before")
    for clone in clones:
        git(tmp_path, "clone", str(origin), str(clone))
    return clones


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def run_step(job: str, folder: Path, temporary: Path, **environment: str) -> None:
    """The last step of this job of `lock` that is a script."""
    script = [step["run"] for step in JOBS["lock", job]["steps"] if "run" in step][-1]
    environ = os.environ | {"RUNNER_TEMP": str(temporary), "GITHUB_OUTPUT": str(temporary / "output")} | environment
    subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=environ, check=True, capture_output=True)


@pytest.mark.parametrize(("known", "asked"), [("", "pr create --head locks-of-the-week"), ("7", "pr edit 7")])
def test_changed_locks_become_a_branch_and_a_pull_request_with_the_changelog(clones, tmp_path, known, asked):
    for file in ("images/tiny/requirements.lock", "README.md", "Makefile"):
        (clones[0] / file).write_text("2\n")
    run_step("lock", clones[0], tmp_path)
    assert (tmp_path / "output").read_text() == "changed=true\n"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gh").write_text(
        f'#!/bin/sh\n[ "$2" = list ] && echo "{known}" || echo "$@" >> {tmp_path}/asked\n'
    )
    (tmp_path / "bin" / "gh").chmod(0o755)
    run_step("propose", clones[1], tmp_path, PATH=f"{tmp_path}/bin:{os.environ['PATH']}", TITLE="Locks of the week")
    assert (tmp_path / "asked").read_text().startswith(asked)
    assert (tmp_path / "text.md").read_text().startswith("### tiny at HEAD → tiny\nBefore this is merged: record")
    changed = git(tmp_path / "origin", "diff", "--name-only", "main", "locks-of-the-week").split()
    assert changed == ["README.md", "images/tiny/requirements.lock"], "the Makefile is none of its business"


def test_unchanged_locks_become_nothing(clones, tmp_path):
    run_step("lock", clones[0], tmp_path)
    assert (tmp_path / "output").read_text() == ""
    assert JOBS["lock", "propose"]["if"] == "needs.lock.outputs.changed == 'true'"
