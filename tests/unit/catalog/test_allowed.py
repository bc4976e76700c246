"""The allowlist of known vulnerabilities: each entry says what, why and until when."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from builder import paths
from builder.catalog import allowed
from builder.errors import UsageError

TODAY = datetime.now(UTC).date()
ENTRY = {
    "id": "CVE-2025-1",
    "package": "Torch_Vision",
    "reason": "No image reads files of strangers.",
    "expires": TODAY,
}


@pytest.fixture
def write(tmp_path: Path):
    def write(**changes: object) -> Path:
        entry = {name: value for name, value in (ENTRY | changes).items() if value is not None}
        lines = [f"    {name}: {value}" for name, value in entry.items()]
        (tmp_path / "audit.yaml").write_text("allowed:\n  -\n" + "\n".join(lines) + "\n")
        return tmp_path

    return write


def test_an_entry_is_read_with_its_place_and_holds_to_the_end_of_its_day(write):
    [found] = allowed.load(write())
    assert (found.entry.id, found.entry.package, found.entry.expires) == ("CVE-2025-1", "torch-vision", TODAY)
    assert found.where.endswith("audit.yaml:3: allowed.0")


@pytest.mark.parametrize("key", ["id", "package", "reason", "expires"])
def test_an_entry_that_lacks_something_is_an_error_with_line_and_key(write, key):
    with pytest.raises(UsageError, match=rf"audit\.yaml:3: allowed\.0\.{key}: missing; it is required"):
        allowed.load(write(**{key: None}))


def test_an_empty_reason_is_none(write):
    with pytest.raises(UsageError, match=r"audit\.yaml:5: allowed\.0\.reason: expected text, found white space alone"):
        allowed.load(write(reason="' '"))


def test_an_entry_past_its_date_is_an_error(write):
    with pytest.raises(UsageError, match=r"audit\.yaml:6: allowed\.0\.expires: CVE-2025-1 was accepted until 20"):
        allowed.load(write(expires=TODAY - timedelta(days=1)))


def test_an_unknown_key_is_an_error(write):
    with pytest.raises(UsageError, match=r"audit\.yaml:7: allowed\.0\.until: unknown key"):
        allowed.load(write(until=TODAY))


def test_without_a_file_nothing_is_allowed(tmp_path):
    assert allowed.load(tmp_path) == []


def test_what_is_committed_can_be_read():
    """It fails on the day after an entry's date, and is meant to."""
    allowed.load(paths.IMAGES)
