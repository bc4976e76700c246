"""Containers go with whoever started them."""

import signal
import subprocess
import sys

import pytest

from builder import paths
from builder.engine.containers import LEASE

HOLD = """
import sys
from builder import interrupts
from builder.engine import client as engine
interrupts.handle()
with engine.connect().started(sys.argv[1], ["sleep", "infinity"]):
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
