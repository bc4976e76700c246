"""Records are found again, and what is no record is as if there were none."""

import os
from pathlib import Path

import pytest

from builder.image import record
from builder.image.record import LayerRecord, Record

DIGEST = "sha256:" + "d" * 64
LAYER = LayerRecord(digest=DIGEST, size=1, what="a layer")


@pytest.fixture
def saved(tmp_path, monkeypatch) -> Record:
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    made = Record(
        image="tiny", inputs="i", lock="l", digest=DIGEST, config=DIGEST, layers=(LAYER,), unpacked=0, seconds=1
    )
    made.save()
    return made


def test_a_record_is_found_again(saved):
    assert record.find("i") == saved
    assert record.of_image("tiny") == [saved] and record.of_image("other") == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (DIGEST, "sha256:../../x"),
        (DIGEST, f"{DIGEST}\\n"),
        ('"size": 1', '"size": -1'),
        ('"size": 1', '"size": "large"'),
        ('"size": 1', '"size": 1e400'),
        ('"unpacked": 0', '"unpacked": null'),
        ('"image": "tiny"', '"image": []'),
        ("{", "["),
        ("{", ""),
        ("tiny", "\udcff"),
        ('"substituted": []', '"moved": []'),
        ('"substituted": []', f'"substituted": {"[" * 100_000}'),
        ('"smoke": []', '"smoke": [{"check": "a", "outcome": "dunno", "seconds": 1}]'),
    ],
)
def test_what_has_another_form_is_none(saved, before, after):
    path = record.path_of("i")
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after), errors="surrogateescape")
    assert record.find("i") is None and record.of_image("tiny") == []


def test_a_record_without_layers_is_none(saved):
    record.path_of("i").write_text(saved.model_copy(update={"layers": ()}).model_dump_json())
    assert record.find("i") is None


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_regular_file_is_none(saved, make):
    path = record.path_of("i")
    path.unlink()
    make(path)
    assert record.find("i") is None and record.of_image("tiny") == []
