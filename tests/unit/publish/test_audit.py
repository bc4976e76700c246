"""What an audit makes of pip-audit's answer: findings, the allowlist, and when there is no verdict."""

import json
from datetime import date
from subprocess import CompletedProcess

import pytest

from builder import commands
from builder.catalog.allowed import Allowed, Entry
from builder.errors import SeedbedError
from builder.publish import audit

VULNERABILITY = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-7"], "fix_versions": ["2.4.7"], "description": ""}


def answer(recipe, **others: object) -> str:
    """pip-audit's, for the wheels of the lock: no vulnerabilities, but for `others` by name."""
    clean = {wheel.name: {"version": wheel.version, "vulns": []} for wheel in recipe.wheels.wheels}
    entries = [{"name": name, **entry} for name, entry in (clean | others).items() if entry]
    return json.dumps({"dependencies": entries, "fixes": []})


@pytest.fixture
def audited(resolve, monkeypatch):
    """The verdict on the tiny image if pip-audit prints that, by default with a vulnerability of numpy."""

    def audited(*allowlist: Allowed, **others: object):
        recipe = resolve()
        found = others or {"numpy": {"version": "2.4.6", "vulns": [VULNERABILITY]}}
        monkeypatch.setattr(audit, "scan", lambda recipe: answer(recipe, **found))
        return audit.audit([recipe], allowlist)

    return audited


def allowing(name: str, package: str = "numpy") -> Allowed:
    entry = Entry(id=name, package=package, reason="Nobody reads strangers' files.", expires=date(2999, 1, 1))
    return Allowed(entry, f"audit.yaml:2: {name}")


def test_a_vulnerability_is_refused_unless_it_is_accepted(audited):
    [finding] = audited().refused
    assert (finding.image, finding.package, finding.version, finding.fixed) == ("tiny", "numpy", "2.4.6", ("2.4.7",))
    for name in ("PYSEC-2026-1", "CVE-2026-7"):
        verdict = audited(allowing(name))
        assert (verdict.refused, len(verdict.findings), verdict.useless) == ([], 1, ())


def test_an_entry_for_something_else_accepts_nothing_and_is_named(audited):
    other = allowing("CVE-2026-8")
    verdict = audited(other, allowing("CVE-2026-7", package="torch"))  # no such package in this image
    assert len(verdict.refused) == 1
    assert verdict.useless == (other,)


def test_a_verdict_can_be_read_by_programs(audited):
    [row] = json.loads(json.dumps(audited(allowing("CVE-2026-7")).to_json()))["vulnerabilities"]
    assert (row["id"], row["aliases"], row["accepted"]["id"]) == ("PYSEC-2026-1", ["CVE-2026-7"], "CVE-2026-7")


def test_a_wheel_that_was_not_looked_at_is_no_success(audited):
    with pytest.raises(SeedbedError, match=r"^tiny: not audited: numpy 2\.4\.6: not in the database; set SEEDBED_OSV"):
        audited(numpy={"skip_reason": "not in the database"})
    with pytest.raises(SeedbedError, match=r"^tiny: not audited: numpy 2\.4\.6: it was not looked at"):
        audited(numpy=None)


def test_a_database_that_does_not_answer_is_no_success(resolve, monkeypatch):
    said = "INFO:x\nERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed\n"
    monkeypatch.setattr(commands, "run", lambda *_, **__: CompletedProcess((), 1, "", said))
    with pytest.raises(SeedbedError, match=r"^tiny: not audited: Could not connect to PyPI's vulnerability feed; set"):
        audit.audit([resolve()], [])
