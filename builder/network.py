"""How this host reaches packages: its certificate authorities and its Python index, from its own configuration."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from builder import commands

DEBIAN_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def ca_bundle() -> Path | None:
    """The certificate authorities the host trusts, as one PEM file; None where it names none."""
    return next((Path(name) for name in named_bundles() if name and Path(name).is_file()), None)


def named_bundles() -> Iterator[str | Path | None]:
    yield from map(os.environ.get, ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"))
    yield pip_setting("cert")  # pip takes a second to answer, and is not asked if a variable names one
    yield DEBIAN_CA_BUNDLE


def index_url() -> str | None:
    """The Python index pip is told to use in place of the public one; None for the public one."""
    return os.environ.get("PIP_INDEX_URL") or pip_setting("index-url")


@cache
def pip_setting(name: str) -> str | None:
    """One value of pip's `[global]` configuration, None where it is not set."""
    return commands.run([sys.executable, "-m", "pip", "config", "get", f"global.{name}"]).stdout.strip() or None


def pip_reason(stderr: str) -> str:
    """Why pip failed, in one line: to pip, an index that does not answer is one that lacks the package."""
    lines = [" ".join(line.split()) for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    told = [error for error in errors if error != "Exception:"]  # above a traceback, whose last line is the reason
    reason = (told or lines or ["it gave no reason"])[-1]
    if broken := re.findall(r"after connection broken by '(.+)': /", stderr):
        reason = f"the index does not answer: {re.sub(r'^.*object at 0x[0-9a-f]+>: ', '', broken[-1])}".rstrip("')")
    return with_remedy(reason, stderr)


CLOCK = (
    (
        r"[Nn]ot (yet valid|valid yet|live until)|seconds in the future|time warp",
        "this machine's clock is behind: set it",
    ),
    (
        r"certificate (has )?expired|expired certificate|is expired \(invalid since",
        "it has expired, or this machine's clock is ahead: check the clock first",
    ),
)
"""What programs complain of if the clock is wrong (apt and GnuTLS, gpgv and sqv, OpenSSL, rustls), and what to do."""


def with_remedy(complaint: str, said: str, remedies: Sequence[tuple[str, str]] = CLOCK) -> str:
    """The complaint, and the first of the remedies whose sign is in what the program `said`: for a wrong clock."""
    return "; ".join([complaint, *[remedy for sign, remedy in remedies if re.search(sign, said)][:1]])
