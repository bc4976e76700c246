"""compose.yaml starts what exists, as the owner of the results, and GPUs only on request. (Real runs: tests/image.)"""

import re
import subprocess

import pytest
import yaml

from builder.catalog import models
from builder.paths import IMAGES, ROOT

TEXT = (ROOT / "compose.yaml").read_text()
SERVICES = yaml.safe_load(TEXT)["services"]
GPU_SERVICES = {name for name in SERVICES if name.endswith("-gpu")}
CATALOG = models.load(IMAGES)
TRAININGS = [name for name in SERVICES if name.removesuffix("-gpu") in CATALOG.images]
WITHOUT_A_NAME = {"pytorch", "tensorflow"}
SERVERS = ("jupyter", "jupyter-gpu", "tensorboard")
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def defaults(value: object) -> str:
    """The text with each `${NAME:-default}` replaced by the default."""
    return VARIABLE.sub(r"\2", str(value))


def test_every_example_has_a_training_on_the_cpu_and_one_on_gpus():
    """Images with one example share its services: SEEDBED_PYTORCH and the like name the image."""
    images = CATALOG.images
    assert {*TRAININGS} == {f"{name}{suffix}" for name in images if name in SERVICES for suffix in ("", "-gpu")}
    assert {image.example for image in images.values()} == {images[name].example for name in images if name in SERVICES}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_uses_the_exact_tag_of_the_catalog(name):
    service = SERVICES[name]
    reference = defaults(service.get("image") or service["build"]["args"]["IMAGE"])
    assert reference in {f"seedbed/{image.name}:{image.full_tag}" for image in CATALOG.images.values()}
    if name in TRAININGS:
        assert reference.startswith(f"seedbed/{name.removesuffix('-gpu')}:")


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_is_its_images_example_into_a_folder_of_its_own(name):
    example = CATALOG.image(name.removesuffix("-gpu")).example
    assert SERVICES[name]["command"] == f"python examples/{example} --output outputs/{name}"


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in SERVERS])
def test_what_a_job_runs_exists_and_jobs_share_no_folder(name):
    command = SERVICES[name]["command"]
    (script,) = re.findall(r"examples/\w+\.py", command)
    assert (ROOT / script).is_file()
    first = name.removesuffix("-2")  # the worker that writes
    assert {*re.findall(r"outputs/([\w-]+)", command)} == {first}


@pytest.mark.parametrize("name", SERVICES)
def test_a_gpu_is_asked_for_by_gpu_services_alone_and_up_starts_two_trainings(name):
    devices = [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
    reserved = SERVICES[name].get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices")
    assert (SERVICES[name].get("profiles"), reserved) == (
        (["gpu"], devices) if name in GPU_SERVICES else (None if name in WITHOUT_A_NAME else ["more"], None)
    )


@pytest.mark.parametrize("name", SERVICES)
def test_seed_mode_and_token_are_passed_on_without_a_default(name):
    environment = SERVICES[name]["environment"]
    passed = {key for key, value in environment.items() if value is None}
    assert passed >= {"SEEDBED_SEED", "SEEDBED_MODE"} and environment.keys() - passed <= {"TF_CONFIG"}
    assert ("JUPYTER_TOKEN" in passed) == name.startswith("jupyter")


@pytest.mark.parametrize("name", SERVERS)
def test_ports_are_open_on_this_machine_only(name):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])
    assert all("ports" not in SERVICES[other] for other in SERVICES.keys() - SERVERS)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_as_the_owner_of_the_results(name, tmp_path):
    setpriv = tmp_path / "setpriv"
    setpriv.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    setpriv.chmod(0o755)
    stat = tmp_path / "stat"
    stat.write_text('#!/bin/sh\n[ "$3" = outputs ] && case $2 in %u) echo 12 ;; %g) echo 34 ;; esac\n')
    stat.chmod(0o755)
    tini, options, command = "/usr/bin/tini", ["-s", "--"], ["python", "train.py", "a b"]
    entrypoint = [part.replace("$$", "$") for part in SERVICES[name]["entrypoint"]]
    assert entrypoint[:3] == [tini, *options] and SERVICES[name]["user"] == "root"
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run([*entrypoint[3:], *command], env=path, capture_output=True, text=True, check=True)
    told = ["--reuid", "12", "--regid", "34", "--clear-groups", "/opt/seedbed/entrypoint.sh"]
    assert done.stdout.splitlines() == [*told, *command]


def test_the_example_of_settings_lists_every_variable_with_its_default():
    listed = re.findall(r"^#(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len({*listed}) == len(listed)
    assert {*listed} == {
        *VARIABLE.findall(TEXT),
        ("SEEDBED_SEED", "42"),
        ("SEEDBED_MODE", "strict"),
        ("JUPYTER_TOKEN", ""),
    }


def test_a_copy_of_the_example_changes_nothing_and_git_keeps_no_settings():
    text = (ROOT / ".env.example").read_text()
    assert all(line.startswith("#") for line in text.splitlines() if line)
    assert "/.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_page_lists_every_service():
    page = (ROOT / "docs" / "compose.md").read_text()
    assert all(f"`{name.removesuffix('-gpu')}`" in page for name in SERVICES if name != "distributed-tensorflow-2")
