"""How this host reaches packages, as files for a container: mirrors, proxies and certificate authorities."""

import os
import re
import shlex
import shutil
from pathlib import Path

from builder import commands, network
from builder.debian.sources import sources_text
from builder.engine.containers import Files
from builder.errors import SeedbedError, UsageError

GIVEN = "/run/seedbed"
VARIABLES = f"{GIVEN}/variables"
"""A script for a shell that sets them. As variables of the container anybody could read them later."""

BUNDLE = f"{GIVEN}/ca.pem"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
PASSED_ON = (
    *PROXIES,
    *map(str.upper, PROXIES),
    "PIP_DEFAULT_TIMEOUT",
    "PIP_RETRIES",
    "SEEDBED_SNAPSHOT",
    "SEEDBED_REPOSITORY",
)
KIT = f"{GIVEN}/kit.tar"
OF_PROXIES = re.compile(r"Acquire::https?::Proxy\b")


def files(suite: str) -> Files:
    """How this host reaches packages, in files: a container's variables can be read later, and end up in an image."""
    variables = {name: value for name in PASSED_ON if (value := os.environ.get(name))}
    variables["APT_CONFIG"] = f"{GIVEN}/apt.conf"
    if kit():
        variables["SEEDBED_KIT"] = KIT
    apt = [line for line in apt_configuration() if OF_PROXIES.match(line)]
    given: dict[str, Path | bytes] = {}
    if index := network.index_url():
        variables["PIP_INDEX_URL"] = index
    if bundle := network.ca_bundle():
        given[BUNDLE] = bundle
        variables |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"), BUNDLE)
        apt.append(f'Acquire::https::CAInfo "{BUNDLE}";')
    if ours := sources(suite):
        given |= {f"{GIVEN}{path}": text for path, text in ours.items()}
        apt.append(f'Dir::Etc::sourcelist "{GIVEN}/etc/apt/sources.list";')
        apt.append(f'Dir::Etc::sourceparts "{GIVEN}/etc/apt/sources.list.d";')
    given[f"{GIVEN}/apt.conf"] = "".join(f"{line}\n" for line in apt).encode()
    exports = (f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    return {**given, VARIABLES: "".join(exports).encode()}


def kit() -> Path | None:
    """The rebuild kit that `SEEDBED_KIT` names, which containers have at KIT; raises UsageError if it is a folder."""
    named = Path(os.environ["SEEDBED_KIT"]) if os.environ.get("SEEDBED_KIT") else None
    if named and named.is_dir():
        raise UsageError(f"SEEDBED_KIT={named}: expected a file, for builds run in a container here, found a folder")
    return named


def sources(suite: str) -> Files:
    """This host's own sources of Debian for that release; none where it is no Debian."""
    try:
        text = sources_text(suite)
    except (SeedbedError, OSError):
        return {}
    return {"/etc/apt/sources.list": b"", "/etc/apt/sources.list.d/debian.sources": text.encode()}


def apt_configuration() -> list[str]:
    if shutil.which("apt-config") is None:
        return []
    return commands.run(["apt-config", "dump"]).stdout.splitlines()
