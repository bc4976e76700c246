"""compose.yaml starts what exists, as the owner of the folder, and GPUs only on request. (A real run: tests/image.)"""

import subprocess

import pytest
import yaml

from builder.catalog import models
from builder.paths import IMAGES, ROOT

JOBS = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
GPU_JOBS = {name: job for name, job in JOBS.items() if name.endswith("-gpu")}
WITHOUT_A_NAME = {"pytorch", "tensorflow"}


def image_of(job: dict) -> str:
    """The job's image where no variable names another: `${NAME:-image}`."""
    return job["image"].partition(":-")[2].rstrip("}")


def test_every_example_has_a_job_on_the_cpu_and_one_on_gpus():
    """Images with one example share its jobs: SEEDBED_PYTORCH and the like name the image."""
    images = models.load(IMAGES).images
    assert JOBS.keys() == {f"{name}{suffix}" for name in images if name in JOBS for suffix in ("", "-gpu")}
    assert {image.example for image in images.values()} == {images[name].example for name in images if name in JOBS}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_uses_the_exact_tag_of_the_catalog(name):
    image = models.load(IMAGES).image(name.removesuffix("-gpu"))
    assert image_of(JOBS[name]) == f"seedbed/{image.name}:{image.full_tag}"


@pytest.mark.parametrize("name", JOBS)
def test_a_job_trains_its_images_example_into_a_folder_of_its_own(name):
    *_, script, _, output = JOBS[name]["command"]
    assert script == f"examples/{models.load(IMAGES).image(name.removesuffix('-gpu')).example}"
    assert (ROOT / script).is_file()
    assert output == f"outputs/{name}"


@pytest.mark.parametrize("name", JOBS)
def test_a_gpu_is_asked_for_by_the_gpu_jobs_alone_and_up_starts_two_jobs(name):
    devices = [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
    reserved = JOBS[name].get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices")
    assert (JOBS[name].get("profiles"), reserved) == (
        (["gpu"], devices) if name in GPU_JOBS else (None if name in WITHOUT_A_NAME else ["more"], None)
    )


@pytest.mark.parametrize("name", JOBS)
def test_seed_and_mode_are_passed_on_without_a_default(name):
    assert JOBS[name]["environment"] == ["SEEDBED_SEED", "SEEDBED_MODE"]


@pytest.mark.parametrize("name", JOBS)
def test_a_job_runs_as_the_owner_of_the_folder(name, tmp_path):
    setpriv = tmp_path / "setpriv"
    setpriv.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    setpriv.chmod(0o755)
    command = [part.replace("$$", "$") for part in JOBS[name]["command"]]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    owner = tmp_path.stat()
    told = ["--reuid", str(owner.st_uid), "--regid", str(owner.st_gid), "--clear-groups"]
    assert done.stdout.splitlines() == [*told, *command[command.index("python") :]]
