"""A throwaway container of Debian, in which build.py runs where this host is not Debian, or we are not root.

It has no privilege of any kind, and nothing of this host: the checkout and how packages are reached are copied into it.
Seedbed's cache is a volume. It lives as long as our end of its standard input does: whatever ends us ends it.
"""

import hashlib
import logging
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from docker.errors import APIError, NotFound

from builder import paths
from builder.console import step
from builder.debian import archive, bootstrap
from builder.engine import client, reach, saved
from builder.engine.client import Engine
from builder.engine.containers import Files, Running, packed, streamed
from builder.engine.reach import GIVEN, VARIABLES
from builder.errors import SeedbedError
from builder.oci.store import hash_of

log = logging.getLogger(__name__)

PLATFORM = "linux/amd64"
PACKAGES = ("ca-certificates", "perl", "python3", "python3-venv")
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP", "SETGID", "SETUID", "SYS_CHROOT")
"""What installing packages takes, of those that Docker gives any container. None of them is about more than files."""

KILLED = 128 + signal.SIGKILL
CHECKOUT = "/seedbed"
PORT = 5000
CACHE = "/cache"
STORE = f"{CACHE}/seedbed"
VENV = f"{CACHE}/venv"
SETTINGS = {
    "SEEDBED_BUILD_IN": "host",
    "SEEDBED_ENGINE": "none",
    "SEEDBED_CACHE": CACHE,
    "SEEDBED_VENV": VENV,
    paths.THROWAWAY: "1",
}
PREPARED = "seedbed/builder"
"""The repository of local images of Debian with PACKAGES; the tag is a hash of what one is made of."""

IN_OUR_NETWORK = f'. {VARIABLES} && exec "$@"'
INSTALL = f"""\
set -e
apt-get update --quiet
DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends {" ".join(PACKAGES)}
apt-get clean
rm -r /var/lib/apt/lists
"""


@dataclass(frozen=True)
class Debian:
    """Which Debian the container is of: an image, by digest, and the release in it."""

    image: str
    suite: str


def chosen() -> Engine | None:
    """The engine in a container of which Debian is to be handled; None: it is on this host.

    `SEEDBED_BUILD_IN` says which, `host` or `container`; otherwise it is the host, if it can, or if no engine answers.
    """
    if wanted() == "container":
        return client.connect()
    return client.running() if wanted() == "" and bootstrap.trouble() else None


def wanted() -> str:
    """What `SEEDBED_BUILD_IN` says; raises UsageError if that is no place."""
    return client.setting("SEEDBED_BUILD_IN", "host", "container")


def volume() -> str:
    """The name of the volume that stands for the cache folder: each has its own."""
    return f"seedbed-{hashlib.sha256(bytes(paths.cache())).hexdigest()[:12]}"


def clean(engine: Engine, made: Sequence[str] | None = None) -> None:
    """Delete these folders of the cache in the volume; if none are named the volume, and what containers start from.

    Raises SeedbedError if a container still runs.
    """
    engine.sweep()
    images = [str(image["Id"]) for image in engine.summaries(PREPARED)]
    try:
        cache = engine.client.volumes.get(volume())
        if made is None:
            cache.remove()
        elif images:
            folders = [f"{STORE}/{name}" for name in made]
            engine.run(images[0], ["rm", "-rf", *folders], volumes={volume(): {"bind": CACHE, "mode": "rw"}})
    except NotFound:
        pass
    except APIError as error:
        raise SeedbedError(f"the volume {volume()}: {error.explanation}; wait until that build has ended") from None
    for image in images if made is None else ():
        with suppress(APIError):  # another cache's container runs from it
            engine.remove(image)


@dataclass(frozen=True)
class Throwaway:
    """A container that has started, with the checkout in it."""

    engine: Engine
    running: Running

    def build_py(self, *arguments: str) -> int:
        """Run `./build.py` with these arguments, with its streams as ours; returns its exit status.

        Raises SeedbedError if the container is gone before that.
        """
        api = self.engine.client.api
        made = self.exec(["python3", "build.py", *arguments])
        for out, err in api.exec_start(made, stream=True, demux=True):
            for data, stream in ((out, sys.stdout), (err, sys.stderr)):
                if data:
                    stream.flush()
                    stream.buffer.write(data)
                    stream.buffer.flush()
        with suppress(NotFound):
            status = api.exec_inspect(made)["ExitCode"]
            if status not in (None, KILLED) and self.alive():
                return int(status)
        raise SeedbedError("the container of the build was ended by somebody else, or the memory is full; try again")

    def exec(self, command: Sequence[str]) -> str:
        """Prepare a command, in this host's network settings, and return the name by which the engine starts it."""
        wrapped, settings = ["sh", "-c", IN_OUR_NETWORK, "sh", *command], terminal() | SETTINGS
        container = str(self.running.container.id)
        made = self.engine.client.api.exec_create(container, wrapped, workdir=CHECKOUT, environment=settings)
        return str(made["Id"])

    def alive(self) -> bool:
        self.running.container.reload()
        return bool(self.running.container.status == "running")

    def serve(self) -> str:
        """Serve the store as a registry; returns its address, for the engine."""
        server = self.exec([f"{VENV}/bin/python", "-m", "builder.oci.serve", STORE, str(PORT)])
        next(iter(self.engine.client.api.exec_start(server, stream=True)), b"")  # it says that it listens
        self.running.container.reload()
        [published] = self.running.container.ports[f"{PORT}/tcp"]
        return f"127.0.0.1:{published['HostPort']}"

    def put(self, files: Files) -> None:
        self.running.container.put_archive("/", packed(files))

    def put_archive(self, folder: str, chunks: Iterator[bytes]) -> None:
        """Unpack a tar into a folder that does not exist yet."""
        self.running.container.exec_run(["mkdir", "--parents", folder])
        self.running.container.put_archive(folder, chunks)

    @contextmanager
    def opened(self, path: str) -> Iterator[IO[bytes]]:
        """A file of the container."""
        try:
            chunks, _ = self.running.container.get_archive(path)
        except NotFound:
            raise SeedbedError(f"{path}: not in the container of the build: report this as a bug") from None
        with saved.archive(chunks) as tar:
            if (member := tar.next()) and (file := tar.extractfile(member)):
                yield file

    def read(self, path: str) -> bytes:
        with self.opened(path) as file:
            return file.read()


@contextmanager
def throwaway(engine: Engine, debian: Debian, catalog: Path) -> Iterator[Throwaway]:
    """A container of that Debian that is gone when the block ends, with the checkout and the catalog in it.

    Raises SeedbedError if there is no such image, or it cannot be prepared.
    """
    debian = replace(debian, image=os.environ.get("SEEDBED_DEBIAN_IMAGE") or debian.image)
    log.info(f"this runs in a container of {debian.image}")
    engine.sweep()
    given = reach.files(debian.suite)
    ready = prepared(engine, debian.image, given)
    files = {**given, **reach.sources(debian.suite), **checkout(catalog)}
    mounts = {volume(): {"bind": CACHE, "mode": "rw"}}
    ports = {f"{PORT}/tcp": ("127.0.0.1", None)}
    with started(engine, ready, files, volumes=mounts, ports=ports) as container:
        if kit := reach.kit():
            container.put_archive(GIVEN, streamed(Path(reach.KIT).name, kit))
        yield container


@contextmanager
def started(engine: Engine, image: str, files: Files, **options: object) -> Iterator[Throwaway]:
    confined = {"cap_drop": ["ALL"], "cap_add": list(CAPABILITIES), "security_opt": ["no-new-privileges"]}
    # `cat` ends when nobody holds the other end of its input any more.
    ours = {"init": True, "stdin_open": True, "use_config_proxy": False, "platform": PLATFORM}
    with engine.started(image, ["cat"], files=files, **confined, **ours, **options) as running:
        line = running.container.attach_socket(params={"stdin": 1, "stream": 1})
        try:
            yield Throwaway(engine, running)
        finally:
            line.close()


def prepared(engine: Engine, debian: str, given: Files) -> str:
    """A local image of that Debian with PACKAGES in it, made the first time."""
    if not engine.has(debian) and (complaint := engine.try_pull(debian, platform=PLATFORM)):
        raise SeedbedError(
            f"{debian}: cannot be pulled ({complaint}), and builds here run in a container of it; "
            "load it by docker load, or name an image of the same Debian in SEEDBED_DEBIAN_IMAGE"
        )
    tag = hash_of([engine.client.images.get(debian).id, PACKAGES])[:12]
    if engine.has(f"{PREPARED}:{tag}"):
        return f"{PREPARED}:{tag}"
    with step(f"{debian}: adding {', '.join(PACKAGES)}, once"), started(engine, debian, given) as bare:
        done = bare.running.container.exec_run(["sh", "-c", IN_OUR_NETWORK, "sh", "sh", "-c", INSTALL])
        if done.exit_code:
            said = done.output.decode(errors="replace")
            raise SeedbedError(f"{debian}: apt-get failed in it: {archive.first_error(said)}")
        if bare.running.container.exec_run(["rm", "-r", GIVEN]).exit_code:
            raise SeedbedError(f"{debian}: {GIVEN} cannot be removed: report this as a bug")
        bare.running.container.commit(PREPARED, tag)
    return f"{PREPARED}:{tag}"


# ---- what is put into the container --------------------------------------------------------------------------------


def checkout(catalog: Path) -> Files:
    """What a build reads of the checkout, and the catalog."""
    code = {f"{CHECKOUT}/{place.relative_to(paths.ROOT)}": place for place in paths.CODE}
    return {**code, catalog_in(catalog): catalog}


def catalog_in(catalog: Path) -> str:
    """Where the catalog's folder is in the container."""
    place = catalog.absolute()
    return f"{CHECKOUT}/{place.relative_to(paths.ROOT)}" if place.is_relative_to(paths.ROOT) else "/catalog"


def terminal() -> dict[str, str]:
    """What makes a program draw on our terminal although its streams are pipes; nothing where one of ours is none."""
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        return {}
    columns, lines = shutil.get_terminal_size()
    return {"TTY_COMPATIBLE": "1", "COLUMNS": str(columns), "LINES": str(lines), "TERM": os.environ.get("TERM", "dumb")}
