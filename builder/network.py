"""How this host reaches packages: its certificate authorities and its Python index, from its own configuration."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

DEBIAN_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def ca_bundle() -> Path | None:
    """The certificate authorities the host trusts, as one PEM file; None where it names none."""
    named = (os.environ.get(name) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"))
    candidates = [Path(name) for name in (*named, pip_setting("cert")) if name]
    return next((path for path in [*candidates, DEBIAN_CA_BUNDLE] if path.is_file()), None)


def index_url() -> str | None:
    """The Python index pip is told to use in place of the public one; None for the public one."""
    return os.environ.get("PIP_INDEX_URL") or pip_setting("index-url")


@cache
def pip_setting(name: str) -> str | None:
    """One value of pip's `[global]` configuration, None where it is not set."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", f"global.{name}"],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return asked.stdout.strip() or None
