"""A build that is killed, and two at once: nothing half-written is ever believed, and the image stays the same."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builder import paths, scratch
from builder.engine.containers import LEASE
from builder.image.record import Record
from builder.reproduce.verify import Trial


@pytest.fixture
def cache(trial, bring_base):
    with trial.empty_cache() as cache:
        bring_base(cache)
        yield cache


def started(trial: Trial, cache: Path) -> subprocess.Popen[bytes]:
    """A build in processes of its own, with that cache."""
    command = [sys.executable, "-m", "builder.reproduce.rebuild", str(trial.catalog.root), trial.image.name, "cold"]
    settings = {"SEEDBED_ENGINE": "host", "SEEDBED_CACHE": str(cache.parent)}
    environment = {**trial.engine.environment, **settings}
    return subprocess.Popen(command, cwd=paths.ROOT, env=environment, stdout=subprocess.PIPE, start_new_session=True)


def half_written(cache: Path) -> list[Path]:
    return [path for path in cache.glob("blobs/sha256/.writing-*") if path.stat().st_size]


def test_a_build_that_was_killed_half_way_is_done_again_and_nothing_of_it_stays(trial, cache):
    build = started(trial, cache)
    while build.poll() is None and not half_written(cache):
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


HOLD = """
import sys
from builder import interrupts
from builder.engine import client as engine
interrupts.handle()
with engine.connect(print).started(sys.argv[1], ["sleep", "infinity"]):
    print("started", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_leaves_no_container(docker, tiny, number):
    """Of a process that is killed the next run removes it; before that it is there (control)."""

    def containers() -> int:
        return len(docker.client.containers.list(all=True, filters={"label": LEASE, "ancestor": tiny.digest}))

    command = [sys.executable, "-c", HOLD, tiny.digest]
    owner = subprocess.Popen(command, cwd=paths.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while owner.stdout and owner.stdout.readline() != "started\n":
        assert owner.poll() is None
    before = containers()
    docker.sweep()
    assert containers() == before
    owner.send_signal(number)
    owner.wait(60)
    assert containers() == before - (number != signal.SIGKILL)
    docker.sweep()
    assert containers() == before - 1


def test_a_check_that_hangs_is_ended(docker, tiny):
    with docker.started(tiny.digest, ["sleep", "infinity"]) as container:
        assert container.finish(limit=1).status == 124
