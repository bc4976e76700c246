"""Workflows: on a runner that outlives its jobs, no login outlives the step that needs it."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from builder import paths

WORKFLOWS = sorted((paths.ROOT / ".github" / "workflows").glob("*.yml"))
STUBS = {
    "docker": '#!/bin/sh\nconfig=${DOCKER_CONFIG:-$HOME/.docker}; mkdir -p "$config"; cat > "$config/config.json"\n',
    "build.py": '#!/bin/sh\ncat "${DOCKER_CONFIG:-$HOME/.docker}/config.json"; exit "${STATUS:-0}"\n',
}


def steps() -> list[dict[str, Any]]:
    jobs = [job for file in WORKFLOWS for job in yaml.safe_load(file.read_text())["jobs"].values()]
    return [step for job in jobs for step in job["steps"]]


LOGINS = [step for step in steps() if "login" in step.get("run", "") + step.get("uses", "")]


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
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env=runner | given | {"STATUS": str(status)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (status, "secret\n"), done.stderr
    return [path for place in places for path in place.rglob("*") if path.is_file()]


@pytest.mark.parametrize("status", [0, 1])
def test_a_login_is_there_for_the_push_and_gone_after_the_step(status, tmp_path):
    [step] = LOGINS
    assert left_by(step["run"], tmp_path, status) == []


def test_control_without_a_folder_of_its_own_the_login_stays(tmp_path):
    [step] = LOGINS
    script = "\n".join(line for line in step["run"].splitlines() if "DOCKER_CONFIG" not in line)
    assert left_by(script, tmp_path, 0) == [tmp_path / "home" / ".docker" / "config.json"]


def test_images_are_built_on_the_runner_as_it_comes():
    """Builds find Debian by themselves: no job brings it, and none needs a privilege for it."""
    jobs = yaml.safe_load((paths.ROOT / ".github" / "workflows" / "images.yml").read_text())["jobs"].values()
    assert not [job for job in jobs if "container" in job]
    assert "make images SMOKE=--full" in [step.get("run") for job in jobs for step in job["steps"]]
