"""A wrong clock is named as what it is, in whatever words a program complains of it."""

import re

import pytest

from builder import network
from builder.debian import archive
from builder.layers import wheels
from builder.lock.index import Pin

UNTRUSTED = "Certificate verification failed: The certificate is NOT trusted. The certificate chain uses"
PIP = "'[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {} (_ssl.c:1006)'"
BEHIND = {
    "apt": "E: Release file for http://a.example/debian/dists/bookworm/InRelease is not valid yet (invalid for another "
    "1d 3h 9min 16s). Updates for this repository will not be applied.",
    "apt, by https": f"E: Failed to fetch https://a.example/InRelease  {UNTRUSTED} not yet valid certificate.",
    "sqv": "E: Sub-process /usr/bin/sqv returned an error code (1), error message is: Verifying signature: Not live "
    "until 2026-11-26T21:00:00Z",
    "pip": "WARNING: Retrying (Retry(total=0)) after connection broken by "
    f"{PIP.format('certificate is not yet valid')}: /simple/six/\nERROR: No matching distribution found for six==1.17",
    "uv": "error: Failed to fetch: https://index.example/simple/six/\n  cause: invalid peer certificate: certificate "
    "not valid yet: verification time 1732662099 (UNIX), but certificate is not valid before 1795734096",
}
AHEAD = {
    "apt": "E: Release file for http://a.example/debian/dists/bookworm-updates/InRelease is expired (invalid since "
    "724d 20h 50min 30s). Updates for this repository will not be applied.",
    "apt, by https": f"E: Failed to fetch https://a.example/InRelease  {UNTRUSTED} expired certificate.",
    "pip": PIP.format("certificate has expired"),
    "uv": "invalid peer certificate: certificate expired: verification time 1858806102 (UNIX), but certificate is not",
}
OTHER = {
    "pip": "DEPRECATION: this will be removed in the future; the session is expired",
    "apt": "E: The repository 'http://a.example/debian bookworm Release' does not have a Release file.",
    "gpgv": "E: The following signatures were invalid: EXPKEYSIG 648ACFD622F3D138 Debian Archive Automatic Signing Key",
    "authority": PIP.format("unable to get local issuer certificate"),
}


@pytest.mark.parametrize("program", BEHIND)
def test_a_clock_that_is_behind(program):
    assert network.with_remedy("failed", BEHIND[program]) == "failed; this machine's clock is behind: set it"


@pytest.mark.parametrize("program", AHEAD)
def test_a_clock_that_is_ahead(program):
    assert "clock is ahead" in network.with_remedy("failed", AHEAD[program])


@pytest.mark.parametrize("program", OTHER)
def test_other_troubles_are_not_the_clocks(program):
    assert network.with_remedy("failed", OTHER[program]) == "failed"


@pytest.mark.parametrize("complaint", [BEHIND["apt"], BEHIND["apt, by https"], BEHIND["sqv"]])
def test_apt_is_not_told_to_look_elsewhere(complaint):
    assert archive.complaint(complaint).endswith("; this machine's clock is behind: set it")


def test_a_key_that_has_expired_is_the_keyrings_affair():
    assert "debian-archive-keyring" in archive.complaint(OTHER["gpgv"])


def test_pips_error_is_not_taken_for_the_cause():
    pin = Pin("six", "1.17.0", "0" * 64)
    assert re.fullmatch(
        r"not fetched: the index does not answer: .*is not yet valid.*; this machine's clock is behind: set it",
        wheels.reason(pin, BEHIND["pip"]),
    )


def test_an_index_that_does_not_answer_is_not_one_that_lacks_the_package():
    stderr = (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<pip._vendor.urllib3."
        "connection.HTTPSConnection object at 0x7f4e2b638790>: Failed to establish a new connection: [Errno -2] "
        "Name or service not known')': /simple/six/\nERROR: No matching distribution found for six==1.0\n"
    )
    assert network.pip_reason(stderr) == (
        "the index does not answer: Failed to establish a new connection: [Errno -2] Name or service not known"
    )
    assert network.pip_reason("ERROR: a\n\nERROR: b\n hint\n") == "b"
    assert network.pip_reason("Traceback\nKeyError: 1\n") == "KeyError: 1"
    assert network.pip_reason("") == "it gave no reason"


def test_pips_own_traceback_gives_its_last_line_as_the_reason():
    said = 'ERROR: Exception:\nTraceback (most recent call last):\n  File "x.py", line 1\nTimeoutError: timed out\n'
    assert network.pip_reason(said) == "TimeoutError: timed out"


def test_pip_is_not_asked_for_certificates_that_a_variable_names(tmp_path, monkeypatch):
    def asked(_: str) -> None:
        raise AssertionError("pip was asked")

    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    monkeypatch.setattr(network, "pip_setting", asked)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert network.ca_bundle() == bundle


def test_certificates_that_pip_names_come_before_debians(tmp_path, monkeypatch):
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(network, "pip_setting", {"cert": str(bundle)}.get)
    assert network.ca_bundle() == bundle
