"""The checks that run inside the images tell a good image from a bad one. (The frameworks are stand-ins here.)"""

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import pytest

from builder.catalog import models
from builder.lock import requirements
from builder.paths import IMAGES
from builder.reading import title_of

CHECKS = sorted(IMAGES.glob("*/smoke/*.py"))
SKIPPED = 77


@pytest.fixture
def load(monkeypatch):
    """Load a check with frameworks that are not there and see no GPU."""
    torch, tensorflow = MagicMock(), MagicMock()
    torch.cuda.is_available.return_value = False
    torch.cuda.init.side_effect = RuntimeError("found no driver\nget one")
    tensorflow.config.list_physical_devices.return_value = []
    for name, framework in {"torch": torch, "tensorflow": tensorflow}.items():
        monkeypatch.setitem(sys.modules, name, framework)
    for name in ("torchaudio", "torchvision", "keras"):
        monkeypatch.setitem(sys.modules, name, MagicMock())

    def load(check: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location("check", IMAGES / check)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def gpu_files(monkeypatch):
    """The GPUs' device files, as a check finds them on this machine."""
    files: list[Path] = []
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: iter(files))
    return files


def test_every_check_has_a_title_of_its_own():
    for image in {path.parent for path in CHECKS}:
        titles = [title_of(path) for path in image.glob("*.py")]
        assert len(set(titles)) == len(titles)
        assert all(0 < len(title) < 100 for title in titles)


@pytest.mark.parametrize("image", ["pytorch", "tensorflow"])
@pytest.mark.parametrize(("wanted", "reason"), [("auto", "no GPU here"), ("off", "switched off")])
def test_without_a_gpu_its_check_is_skipped_aloud(image, wanted, reason, load, gpu_files, capsys):
    check = load(f"{image}/smoke/gpu.py")
    with pytest.raises(SystemExit) as ended:
        check.need_gpu(wanted)
    assert (ended.value.code, capsys.readouterr().out) == (SKIPPED, f"{reason}\n")


@pytest.mark.parametrize("image", ["pytorch", "tensorflow"])
def test_without_a_gpu_its_check_fails_where_one_is_required(image, load, gpu_files):
    check = load(f"{image}/smoke/gpu.py")
    with pytest.raises(SystemExit, match="sees no GPU"):
        check.need_gpu("require")


@pytest.mark.parametrize("image", ["pytorch", "tensorflow"])
def test_a_gpu_that_the_framework_does_not_see_is_a_failure(image, load, gpu_files):
    gpu_files.append(Path("/dev/nvidia0"))
    check = load(f"{image}/smoke/gpu.py")
    with pytest.raises(SystemExit, match="sees no GPU"):
        check.need_gpu("auto")


@pytest.mark.parametrize("image", ["pytorch", "tensorflow"])
def test_versions_agree_in_what_both_of_them_say(image, load):
    versions = load(f"{image}/smoke/versions.py")
    versions.compare("cuDNN", "9.5.1.17", "9.5.1")
    versions.compare("Python", "3.11", "3.11.2")
    for expected, found in (("12.6", "12.5.1"), ("9.5.1.17", "9.5.2"), ("2.7.1+cu126", "2.7.1+cpu")):
        with pytest.raises(SystemExit, match=f"expected {expected.replace('+', '.')}, found"):
            versions.compare("it", expected, found)


@pytest.mark.parametrize("image", ["pytorch", "tensorflow"])
def test_a_gpu_of_the_image_that_its_framework_does_not_name_is_refused(image, load):
    """One that only the framework names is no fault: another package of the image may lack it."""
    compiled_for = load(f"{image}/smoke/versions.py").compiled_for
    for gpus in (["6.0", "8.9", "9.0"], ["6.0", "9.0+PTX"], ["12.0"], []):
        compiled_for(gpus, "sm_60 sm_89 compute_90 sm_120")
    for gpu in ("9.0+PTX", "12.0", "8.0"):
        with pytest.raises(SystemExit, match=re.escape(f"GPUs as compiled: expected {gpu}, found sm_60 sm_90")):
            compiled_for(["6.0", gpu], "sm_60 sm_90")


def test_cuda_libraries_from_elsewhere_are_refused_and_named(load):
    versions = load("pytorch/smoke/versions.py")
    versions.come_from_wheels({f"{versions.sysconfig.get_path('purelib')}/nvidia/cublas/lib/libcublas.so.12"})
    with pytest.raises(SystemExit, match="/usr/local/cuda"):
        versions.come_from_wheels({"/usr/local/cuda/lib64/libcublas.so.12"})
    with pytest.raises(SystemExit, match="none"):
        versions.come_from_wheels(set())


def test_a_library_that_is_not_of_the_locked_version_is_refused_and_named(load, monkeypatch, tmp_path):
    cuda = load("pytorch/smoke/cuda.py")
    monkeypatch.setattr(cuda, "IMAGE", tmp_path / "image.json")
    monkeypatch.setattr(cuda, "LIBRARIES", {"nvidia-x": ("libc.so.6", lambda library: (12, 6))})
    monkeypatch.setattr(cuda, "path_of", lambda package, soname: soname)

    def check(**locked: str) -> None:
        (tmp_path / "image.json").write_text(json.dumps({"versions": {"nvidia-x": "12.6.77"} | locked}))
        cuda.main()

    check()
    with pytest.raises(SystemExit, match=r"libc.so.6 says it is 12.6; the lock says nvidia-x 12.60.1"):
        check(**{"nvidia-x": "12.60.1"})


@pytest.mark.parametrize("image", ["pytorch", "pytorch-cuda13"])
def test_the_libraries_of_each_line_of_cuda_are_known(image, load):
    """Eleven: those that a program may load, and that can be asked for their version."""
    known = load(f"{image}/smoke/cuda.py").LIBRARIES
    lock = requirements.read(models.load(IMAGES).image(image))
    assert sum(wheel.name in known for wheel in lock.wheels) == 11


def test_an_image_whose_wheels_are_unknown_does_not_pass_unseen(load, monkeypatch, tmp_path):
    cuda = load("pytorch/smoke/cuda.py")
    monkeypatch.setattr(cuda, "IMAGE", tmp_path / "image.json")
    (tmp_path / "image.json").write_text(json.dumps({"versions": {"nvidia-cublas-cu13": "13.0"}}))
    with pytest.raises(SystemExit, match="none of the CUDA wheels"):
        cuda.main()
