"""`docker buildx build`, and which image comes out of it."""

import json
import logging
import os
import signal
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from builder import files, interrupts, paths
from builder.errors import SeedbedError

log = logging.getLogger(__name__)

METADATA = "metadata.json"
LAST_WORDS = 50  # lines that are shown of a build that fails


@dataclass(frozen=True)
class Digests:
    """What names an image: its manifest; and its config, which knows nothing of how layers are compressed."""

    manifest: str
    config: str


def build(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Digests:
    """Run a command of buildx in `folder`; raises SeedbedError, after the last it said, if it fails."""
    with started([*command, "--progress=plain", "--metadata-file", METADATA], environment, folder) as building:
        said = deque(cast(IO[str], building.stderr), maxlen=LAST_WORDS)
        status = building.wait()
    if status:
        for line in said:
            log.info(line.rstrip())
        files.check_space("".join(said), paths.cache())
        raise SeedbedError(f"the build failed with status {status}; BuildKit's own message is above")
    return digests_in(json.loads((folder / METADATA).read_text(encoding="utf-8")))


@contextmanager
def started(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in a group of its own: whoever interrupts us hears of that from us, and the group is killed."""
    with ExitStack() as stack:
        with interrupts.later():  # nobody would end what a signal finds half started
            process = stack.enter_context(
                subprocess.Popen(
                    command,
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    encoding="utf-8",
                    errors="replace",
                    process_group=0,
                )
            )
            stack.push(partial(kill_if_unfinished, process))
        yield process


def kill_if_unfinished(process: subprocess.Popen[str], error: type[BaseException] | None, *_: object) -> None:
    if error and process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def digests_in(metadata: Mapping[str, Any]) -> Digests:
    """The digests in what buildx writes of a build. An index has no config, and another digest in every build: what an
    attestation tells of it changes."""
    digest = metadata["containerimage.digest"]
    if "containerimage.config.digest" not in metadata:
        raise SeedbedError(f"expected one image, without attestations, found {digest}, an index: report this as a bug")
    return Digests(digest, metadata["containerimage.config.digest"])
