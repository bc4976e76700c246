"""A build by an ordinary user on a host that is no Debian: in a container, to the digest that Debian as root makes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builder import paths
from builder.debian import bootstrap
from builder.engine import client, throwaway
from builder.engine.client import Engine
from builder.image import build
from builder.image.build import Options
from builder.image.recipe import resolve_all
from builder.publish import sbom
from tests.conftest import TINY
from tests.debian import SUITE, small_debian

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bootstrap.trouble() is not None, reason=f"nothing to compare with: {bootstrap.trouble()}"),
]

DEBIAN = "seedbed-test-debian:bookworm"
USER = 12345

# What a host of another distribution lacks: Debian's programs, sources and packages, and its name. The socket is given
# to a group of the user's, as Docker's is to the group docker.
ANOTHER_HOST = """\
set -e
for folder in /etc/apt /var/lib/dpkg; do mount --bind "$EMPTY" $folder; done
for program in /usr/bin/apt* /usr/bin/dpkg*; do mount --bind /dev/null "$program"; done
mount --bind "$RELEASE" "$(readlink -f /etc/os-release)"
mount --bind "${DOCKER_HOST#unix://}" "$SOCKET"
export DOCKER_HOST=unix://$SOCKET
exec setpriv --reuid="$USER" --regid="$USER" --groups=0 "$@"
"""
Command = Callable[..., "subprocess.Popen[str]"]
RELEASE = 'ID=ubuntu\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\n'


@pytest.fixture(scope="module")
def engine(docker: Engine) -> Engine:
    return docker


@pytest.fixture(scope="module")
def debian(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image of the Debian that `registry` names, as nearly as this host's archive has it."""
    imported = engine.docker("import", str(small_debian(tmp_path_factory.mktemp(SUITE))), DEBIAN)
    assert imported.returncode == 0, imported.stderr
    yield DEBIAN
    engine.remove(DEBIAN)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """The user's folder, with a copy of the checkout; pytest's own folders are closed to others."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    places = ("build.py", "builder", "runtime", "templates", "examples", "images", "tests/images", "requirements.lock")
    for place in places:
        source, target = paths.ROOT / place, folder / "checkout" / place
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def start(engine: Engine, debian: str, home: Path) -> Iterator[Command]:
    """Start `./build.py` as the user, on a host that is no Debian."""
    for name, content in {"release": RELEASE, "socket": ""}.items():
        (home / name).write_text(content)
    for name in ("empty", "bin"):
        (home / name).mkdir()
    shutil.copy(Path(engine.client_path()).resolve(), home / "bin" / "docker")
    for path in (home, *home.rglob("*")):
        os.chown(path, USER, USER, follow_symlinks=False)
    environment = {
        "PATH": f"{home}/bin:{os.environ['PATH']}",
        "HOME": str(home),
        "DOCKER_HOST": engine.environment.get("DOCKER_HOST", "unix:///var/run/docker.sock"),
        "EMPTY": str(home / "empty"),
        "RELEASE": str(home / "release"),
        "SOCKET": str(home / "socket"),
        "USER": str(USER),
        "SEEDBED_DEBIAN_IMAGE": debian,
    } | {name: value for name, value in os.environ.items() if name in ("SSL_CERT_FILE", "PIP_CERT", "PIP_INDEX_URL")}

    def start(*arguments: str, **options: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", ANOTHER_HOST, "sh", python(), "build.py", *arguments],
            cwd=home / "checkout",
            env=environment | options,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    yield start
    ended(start("clean", "--all"))


def python() -> str:
    """A Python that the user may run: the one of these tests may stand in a folder of root's."""
    return next(path for path in ("/usr/bin/python3", sys.executable) if Path(path).exists())


def ended(command: "subprocess.Popen[str]") -> tuple[str, str]:
    """What a command that must succeed has written to stdout and stderr."""
    out, err = command.communicate()
    assert command.returncode == 0, err
    return out, err


def built(start: Command) -> str:
    """The digest of what the user builds."""
    _, progress = ended(start("--catalog", "tests/images", "build", "tiny"))
    assert f"this runs in a container of {DEBIAN}\n" in progress
    listed, _ = ended(start("--catalog", "tests/images", "list", "--json"))
    return str(json.loads(listed)["images"]["tiny"]["digest"])


@pytest.fixture(scope="module")
def elsewhere(start: Command) -> str:
    return built(start)


@pytest.fixture(scope="module")
def here() -> str:
    """The digest of what a Debian host builds as root."""
    [recipe] = resolve_all(TINY, ["tiny"])
    return build.build(recipe, Options(locked=True), client.connect).digest


def test_the_digest_is_that_of_a_build_on_debian_as_root(here, elsewhere):
    assert elsewhere == here


def test_control_another_checkout_has_another_digest(here, elsewhere, start, home, engine):
    """The control, and the proof that it is the user's checkout that is built, and loaded from the container."""
    file = home / "checkout" / "runtime" / "seedbed" / "__init__.py"
    before = file.read_text()
    file.write_text(f"{before}# another\n")
    try:
        other = built(start)
    finally:
        file.write_text(before)
    assert other != here
    assert engine.has(other)
    engine.remove(other)


def test_nothing_of_roots_is_left_and_no_container(elsewhere, home, engine):
    assert [path for path in home.rglob("*") if path.lstat().st_uid != USER] == []
    assert containers(engine) == []


def test_the_second_build_finds_everything_and_starts_no_container(elsewhere, start):
    _, progress = ended(start("--catalog", "tests/images", "build", "tiny"))
    assert progress == f"tiny: nothing changed; it is {elsewhere}\n"


def test_verify_proves_it_there(elsewhere, start):
    proven, _ = ended(start("--catalog", "tests/images", "verify", "tiny", "--json"))
    assert json.loads(proven)["equal"]


def test_a_rebuild_kit_comes_out_of_a_container_and_goes_into_one(elsewhere, start, home, engine, monkeypatch):
    """There it replaces the archive, which cannot be reached; without it the command fails (control)."""
    command = ("--catalog", "tests/images", "kit", "tiny", "--output")
    ended(start(*command, str(home / "kit.tar")))
    monkeypatch.setenv("SEEDBED_CACHE", str(home / ".cache"))
    throwaway.clean(engine, ["packages"])
    shutil.rmtree(home / ".cache/seedbed/packages")
    offline = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:1")
    failing = start(*command, str(home / "again.tar"), **offline)
    _, said = failing.communicate()
    assert failing.returncode == 1 and "could not be fetched" in said.splitlines()[-1]
    _, said = ended(start(*command, str(home / "again.tar"), **offline, SEEDBED_KIT=str(home / "kit.tar")))
    assert "Debian packages from the kit /run/seedbed/kit.tar: mmdebstrap=" in said
    assert (home / "again.tar").read_bytes() == (home / "kit.tar").read_bytes()


def test_its_sbom_is_that_of_a_build_on_debian_as_root(here, elsewhere, start):
    printed, _ = ended(start("--catalog", "tests/images", "sbom", "tiny"))
    assert printed == sbom.of_recipe(resolve_all(TINY, ["tiny"])[0], "cyclonedx").decode()


def test_a_build_that_is_killed_takes_its_container_along(elsewhere, start, engine):
    building = start("--catalog", "tests/images", "build", "tiny", "--no-cache")
    assert within(60, lambda: containers(engine))
    building.send_signal(signal.SIGKILL)
    building.communicate()
    assert within(30, lambda: not containers(engine)), "it ends with us, whatever ends us"


def containers(engine: Engine) -> list[str]:
    """The containers of builds that run."""
    running = engine.client.containers.list()
    return [str(container.id) for container in running if throwaway.PREPARED in container.attrs["Config"]["Image"]]


def within(seconds: float, condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
