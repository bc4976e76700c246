"""The check that an image names the GPUs its wheels have code for, on libraries made here, byte by byte."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from builder.image import contents
from builder.outcomes import Finished
from builder.smoke import smoke
from builder.smoke.checks import Failed
from builder.smoke.probes import kernels
from tests.unit.smoke.test_smoke import DIGEST, Engine

PTX, MACHINE_CODE = 1, 2


def entry(kind: int, architecture: int, code: bytes = b"x" * 24, *, header: int = 64) -> bytes:
    """An entry of a fat binary; its code is no code, as that of a compressed one looks like none."""
    fields = struct.pack("<HHIQIIHHI", kind, 0x101, header, len(code), len(code), 0, 7, 1, architecture)
    return fields.ljust(header, b"\0") + code


def fat_binary(*entries: bytes) -> bytes:
    content = b"".join(entries)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(content)) + content


def machine_code(*architectures: int) -> bytes:
    return fat_binary(*(entry(MACHINE_CODE, number) for number in architectures))


@pytest.fixture
def library(tmp_path: Path):
    """A shared library with these bytes as its section for device code."""

    def library(device_code: bytes, *, section: bytes = b".nv_fatbin", name: str = "lib.so") -> Path:
        names = b"\0.shstrtab\0" + section + b"\0"
        start = 64 + len(names)
        headers = [
            bytes(64),
            struct.pack("<IIQQQQIIQQ", 1, 3, 0, 0, 64, len(names), 0, 0, 1, 0),
            struct.pack("<IIQQQQIIQQ", 11, 1, 0, 0, start, len(device_code), 0, 0, 8, 0),
        ]
        table = start + len(device_code)
        elf = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
        elf += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, table, 0, 64, 0, 0, 64, 3, 1)
        path = tmp_path / name
        path.write_bytes(elf + names + device_code + b"".join(headers))
        return path

    return library


def gpus(path: Path) -> list[str] | None:
    found = kernels.library(path)
    return found and kernels.written(found.code)


def test_architectures_are_read_from_the_headers_in_the_order_of_numbers(library):
    assert gpus(library(machine_code(100, 50, 86, 90))) == ["5.0", "8.6", "9.0", "10.0"]


def test_ptx_is_marked_and_its_larger_headers_are_passed_over(library):
    ptx = entry(PTX, 90, header=80)
    assert gpus(library(fat_binary(entry(MACHINE_CODE, 80), ptx, entry(MACHINE_CODE, 90)))) == ["8.0", "9.0+PTX"]


def test_a_gpu_counts_if_each_fat_binary_has_code_for_it(library):
    """Control: a few kernels for one GPU more do not make the library run there."""
    assert gpus(library(machine_code(80, 90) + machine_code(80, 89, 90))) == ["8.0", "9.0"]
    both = fat_binary(entry(MACHINE_CODE, 90), entry(PTX, 90))
    assert gpus(library(both + machine_code(90))) == ["9.0"], "newer GPUs lack the kernels that have no PTX"


def test_padding_between_fat_binaries_is_passed_over(library):
    assert gpus(library(machine_code(80) + bytes(40) + machine_code(80) + bytes(8))) == ["8.0"]


@pytest.mark.parametrize("spoiled", [b"\1" * 16, machine_code(80) + b"\2" * 8, fat_binary(bytes(64))])
def test_a_section_of_another_form_is_refused(library, spoiled):
    with pytest.raises(SystemExit, match=r"^expected "):
        gpus(library(spoiled))


@pytest.mark.parametrize("content", [b"", b"#!", b"\x7fELF\x01\x01 for 32 bits", b"INPUT(libc.so.6) " * 9])
def test_what_is_no_library_has_no_device_code(tmp_path, content):
    (tmp_path / "lib.so").write_bytes(content)
    assert gpus(tmp_path / "lib.so") is None


def test_a_library_without_device_code_has_none(library):
    assert gpus(library(machine_code(80), section=b".data")) is None


@pytest.fixture
def installed(library, tmp_path, monkeypatch, capsys):
    """What the probe prints if these packages, each with its libraries, are all that is installed."""
    monkeypatch.setattr(kernels.sys, "path", [str(tmp_path)])

    def installed(**packages: dict[str, bytes]) -> list[str]:
        for name, libraries in packages.items():
            paths = [library(code, name=file) for file, code in libraries.items()]
            information = tmp_path / f"{name}-1.dist-info"
            information.mkdir()
            (information / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1\n"
            )
            (information / "RECORD").write_text("".join(f"{path.name},,\n" for path in paths))
        kernels.main()
        return json.loads(capsys.readouterr().out)

    return installed


def test_of_a_package_the_library_with_most_device_code_counts(installed):
    assert installed(one={"a.so": machine_code(80, 90), "libb.so.2": machine_code(80)}) == ["8.0", "9.0"]


def test_of_several_packages_the_gpus_that_all_have_but_nvidias_are_left_out(installed):
    found = installed(
        one={"a.so": machine_code(80, 90)}, two={"b.so": machine_code(90, 100)}, nvidia_cufft={"c.so": machine_code(75)}
    )
    assert found == ["9.0"]


def test_without_device_code_there_are_none(installed):
    assert installed(one={"a.so": b""}) == []


# The check


@pytest.fixture
def check(resolve, edit):
    """Check an image that says `gpus` and of which the probe finds these."""

    def check(gpus: str, found: list[str]) -> None:
        edit("tiny/image.yaml", "tag:", f"gpus: {gpus}\ntag:")
        recipe = resolve()
        subject = smoke.Subject(Engine(Finished(0, "", "")), DIGEST, recipe.image, recipe.wheels, "auto")
        smoke.has_kernels_for_its_gpus(replace(subject, engine=Engine(Finished(0, json.dumps(found), ""))))

    return check


def test_an_image_that_names_the_gpus_found_passes(check):
    check('["8.0", "9.0+PTX"]', ["8.0", "9.0+PTX"])


@pytest.mark.parametrize(
    "gpus", ["[]", '["8.0"]', '["8.0", "9.0"]', '["9.0+PTX", "8.0"]', '["8.0", "9.0+PTX", "10.0"]']
)
def test_one_that_names_others_fails_with_the_line_to_change(check, gpus):
    expected = r'tiny/image\.yaml:\d+: gpus: expected \["8\.0", "9\.0\+PTX"\], for which the wheels have code, found '
    with pytest.raises(Failed, match=expected):
        check(gpus, ["8.0", "9.0+PTX"])


def test_every_image_is_checked(resolve):
    assert smoke.has_kernels_for_its_gpus in smoke.checks_of(resolve().image).values()


def test_label_and_description_name_them(resolve, edit):
    assert "io.seedbed.gpus" not in contents.labels(resolve())
    edit("tiny/image.yaml", "tag:", 'gpus: ["8.0", "9.0+PTX"]\ntag:')
    recipe = resolve()
    assert contents.labels(recipe)["io.seedbed.gpus"] == "8.0 9.0+PTX"
    assert json.loads(contents.description(recipe))["gpus"] == ["8.0", "9.0+PTX"]
