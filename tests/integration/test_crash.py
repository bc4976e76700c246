"""A build that is killed, and two at once: nothing half-written is ever believed, and the image stays the same."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from builder import paths, scratch
from builder.image.record import Record
from builder.reproduce.verify import Trial

pytestmark = pytest.mark.long


@pytest.fixture
def cache(trial):
    with trial.empty_cache() as cache:
        yield cache


def started(trial: Trial, cache: Path) -> subprocess.Popen[bytes]:
    """A build in processes of its own, with that cache."""
    command = [sys.executable, "-m", "builder.reproduce.rebuild", str(trial.root), trial.recipe.name, "cold"]
    environment = {**os.environ, "SEEDBED_ENGINE": "none", "SEEDBED_CACHE": str(cache.parent)}
    return subprocess.Popen(command, cwd=paths.ROOT, env=environment, stdout=subprocess.PIPE, start_new_session=True)


def half_written(cache: Path) -> list[Path]:
    found = []
    for path in cache.glob("blobs/sha256/.writing-*"):
        with suppress(FileNotFoundError):  # it is written meanwhile, and has its name
            found += [path] * (path.stat().st_size > 0)
    return found


def stop(build: subprocess.Popen[bytes]) -> None:
    """Nothing of it goes on when this returns."""
    os.killpg(build.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, build.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)


def test_a_build_that_was_killed_half_way_is_done_again_and_nothing_of_it_stays(trial, cache):
    build = started(trial, cache)
    while build.poll() is None:
        if half_written(cache):
            stop(build)
            if half_written(cache):  # still: it did not end between look and signal
                break
            os.killpg(build.pid, signal.SIGCONT)
        time.sleep(0.001)
    os.killpg(build.pid, signal.SIGKILL)
    assert build.wait() == -signal.SIGKILL
    assert half_written(cache)
    assert trial.compared(cache).equal
    assert not [*half_written(cache), *cache.glob(f"{scratch.NAME}/*")]


def test_two_builds_at_once_make_one_image(trial, cache):
    builds = [started(trial, cache) for _ in range(2)]
    records = [Record.model_validate_json(build.communicate()[0]) for build in builds]
    assert [record.digest for record in records] == [trial.reference.digest] * 2
    assert not [*half_written(cache), *cache.glob(f"{scratch.NAME}/*")]
