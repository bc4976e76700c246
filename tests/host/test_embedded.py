"""The embedded engine on a real host: it needs root, the Debian family and a reachable Debian archive."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from builder.debian import archive as debian
from builder.debian import sources
from builder.engine import daemon, embedded, networking
from builder.engine.embedded import EmbeddedEngine
from builder.errors import SeedbedError

pytestmark = pytest.mark.skipif(
    embedded.host_supported() is not None, reason=f"no embedded engine here: {embedded.host_supported()}"
)

DOCKERFILE = """\
FROM scratch
ADD busybox.tar /
RUN ["/bin/busybox", "--install", "/bin"]
RUN wget -qO /release {mirror}/dists/{suite}/InRelease
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngine]:
    engine = EmbeddedEngine(tmp_path_factory.mktemp("embedded") / "engine")
    yield engine
    engine.destroy()


@pytest.fixture
def engine(installed: EmbeddedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedEngine]:
    """It outlives the temporary folder of whoever started it."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    with monkeypatch.context() as patched:
        patched.setenv("TMPDIR", str(theirs))
        installed.up()
    shutil.rmtree(theirs)
    yield installed
    installed.down()


@pytest.fixture(scope="module")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build context with busybox, statically linked, from the Debian archive."""
    scratch = tmp_path_factory.mktemp("busybox")
    archive = debian.Archive(scratch / "archive", suite=sources.host_codename())
    archive.update()
    (deb,) = archive.fetch(archive.resolve(["busybox-static"], dependencies=False), scratch)
    debian.unpack(deb, scratch / "unpacked")
    (program,) = (path for path in scratch.glob("unpacked/**/bin/busybox") if path.is_file())
    context = scratch / "context"
    context.mkdir()
    with tarfile.open(context / "busybox.tar", "w") as tar:
        tar.add(program, "bin/busybox")
        for name in ("tmp", "proc", "sys", "dev", "etc"):
            folder = tarfile.TarInfo(name)
            folder.type = tarfile.DIRTYPE
            tar.addfile(folder, io.BytesIO())
    mirror = sources.host_sources()[0].uri
    (context / "Dockerfile").write_text(DOCKERFILE.format(mirror=mirror, suite=sources.host_codename()))
    return context


@pytest.fixture
def image(engine: EmbeddedEngine, busybox: Path) -> str:
    """The ID of an image whose build has fetched a file over the network."""
    described = busybox.parent / "metadata.json"
    docker(
        engine,
        "buildx",
        "build",
        "--provenance=false",
        f"--metadata-file={described}",
        "--load",
        str(busybox),
    )
    return json.loads(described.read_text())["containerimage.digest"]


def docker(engine: EmbeddedEngine, *arguments: str) -> str:
    environment = os.environ | engine.environment()
    done = subprocess.run(["docker", *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def processes(engine: EmbeddedEngine) -> list[int]:
    """The engine's processes: by the lock that all of them hold, and its containers' by their control group."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile, or the kernel's
            opened = [str(descriptor.readlink()) for descriptor in process.glob("fd/*")]
            if str(engine._daemon.alive) in opened or f"/{engine.name}/" in (process / "cgroup").read_text():
                found.append(int(process.name))
    return found


def traces(engine: EmbeddedEngine) -> dict[str, list[str]]:
    """Everything outside its folder by which one can see that this engine runs, or has run."""
    rules = "".join(engine._iptables("--table", table, "--list-rules").stdout for table in ("filter", "nat"))
    mounts = Path("/proc/mounts").read_text().splitlines()
    bridges = {engine.name, *networking.bridges_in(engine._networks)}
    return {
        "processes": list(map(str, processes(engine))),
        "mounts": [mount for mount in mounts if str(engine.directory) in mount or engine.name in mount],
        "bridges": [path.name for path in Path("/sys/class/net").iterdir() if path.name in bridges],
        "rules": re.findall(rf"^-A.*{engine.name}.*", rules, re.MULTILINE),
        # Unlike Path.glob, os.walk goes on where another engine's container ends meanwhile.
        "cgroups": [folder for folder, *_ in os.walk("/sys/fs/cgroup") if Path(folder).name == engine.name],
        "state": [str(path) for path in Path("/run").glob(f"{engine.name}*")],
    }


def kill_everything(engine: EmbeddedEngine) -> None:
    for process in processes(engine):
        with suppress(ProcessLookupError):  # the kernel ends all when it loses the first
            os.kill(process, signal.SIGKILL)
    assert daemon.within(10, lambda: not processes(engine))


def test_the_engine_starts_once_and_has_the_containerd_image_store(engine: EmbeddedEngine) -> None:
    assert engine.running()
    assert engine.up() is False
    assert "io.containerd.snapshotter.v1" in docker(engine, "info", "--format", "{{.DriverStatus}}")
    assert docker(engine, "buildx", "version")
    assert docker(engine, "compose", "version")


def test_two_calls_at_once_start_one_engine(installed: EmbeddedEngine) -> None:
    installed.down()
    started: list[bool] = []
    calls = [threading.Thread(target=lambda: started.append(installed.up())) for _ in range(2)]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert sorted(started) == [False, True]


def test_builds_and_containers_reach_the_network_by_name(engine: EmbeddedEngine, image: str) -> None:
    source = sources.host_sources()[0]
    address = f"{source.uri}/dists/{source.suite}/InRelease"
    assert "SIGNED MESSAGE" in docker(engine, "run", "--rm", image, "head", "-1", "/release")
    assert "SIGNED MESSAGE" in docker(engine, "run", "--rm", image, "wget", "-qO-", address)


def test_networks_of_an_engine_with_other_addresses_are_forgotten(
    installed: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(installed, "_pools", ["198.19.240.0/20"])
        installed.up()
        installed.down()
    installed.up()
    try:
        [configured] = json.loads(docker(installed, "network", "inspect", "bridge"))[0]["IPAM"]["Config"]
    finally:
        installed.down()
    pools = [IPv4Network(pool) for pool in installed._pools]
    assert any(IPv4Network(configured["Subnet"]).subnet_of(pool) for pool in pools)


def test_without_our_rules_containers_do_not_reach_the_network(engine: EmbeddedEngine, image: str) -> None:
    host = urlsplit(sources.host_sources()[0].uri).hostname or ""
    assert docker(engine, "run", "--rm", image, "nslookup", host)
    engine._firewall().close()
    others = re.findall(r"^-A FORWARD -s (\S+)", engine._iptables("--list-rules").stdout, re.MULTILINE)
    if any(IPv4Network(engine._pools[0]).overlaps(IPv4Network(other)) for other in others):
        engine._firewall().open()
        pytest.skip("another engine of this host lets the same addresses out")
    try:
        with pytest.raises(AssertionError, match=r"timed out|Terminated"):
            docker(engine, "run", "--rm", image, "timeout", "5", "nslookup", host)
    finally:
        engine._firewall().open()


def answered(address: str) -> bytes:
    """What a web server says; nothing before it listens."""
    with suppress(OSError), urllib.request.urlopen(f"http://{address}/", timeout=10) as answer:
        return answer.read()
    return b""


def test_a_published_port_answers_on_the_loopback_address(engine: EmbeddedEngine, image: str) -> None:
    serve = "echo served > /tmp/index.html; exec httpd -f -h /tmp"
    docker(engine, "run", "--detach", "--publish=127.0.0.1::80", "--name=web", image, "sh", "-c", serve)
    try:
        address = docker(engine, "port", "web", "80")
        assert daemon.within(10, lambda: answered(address) == b"served\n")
    finally:
        docker(engine, "rm", "--force", "web")


def test_containers_of_one_network_find_each_other_by_name(engine: EmbeddedEngine, image: str) -> None:
    docker(engine, "network", "create", "jobs")
    docker(engine, "run", "--detach", "--network=jobs", "--name=first", image, "sleep", "60")
    try:
        assert "1 packets received" in docker(
            engine, "run", "--rm", "--network=jobs", image, "ping", "-c", "1", "first"
        )
    finally:
        docker(engine, "rm", "--force", "first")
        docker(engine, "network", "rm", "jobs")


def test_it_comes_up_again_with_its_images_after_every_process_was_killed(engine: EmbeddedEngine, image: str) -> None:
    docker(engine, "network", "create", "jobs")
    docker(engine, "run", "--detach", "--network=jobs", "--name=busy", image, "sleep", "600")
    kill_everything(engine)
    assert not engine.running()
    assert engine.up() is True
    assert docker(engine, "inspect", "--format", "{{.State.Status}}", "busy") == "exited"
    docker(engine, "start", "busy")
    assert docker(engine, "exec", "busy", "echo", "here") == "here"
    docker(engine, "rm", "--force", "busy")
    docker(engine, "network", "rm", "jobs")


def test_after_a_reboot_the_pid_of_another_process_is_left_alone(engine: EmbeddedEngine) -> None:
    kill_everything(engine)
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as bystander:
        engine._daemon.alive.write_text(str(bystander.pid))
        assert engine.up() is True
        assert bystander.poll() is None
        bystander.kill()


def test_down_leaves_no_trace(installed: EmbeddedEngine, busybox: Path) -> None:
    installed.down()
    before = traces(installed)
    installed.up()
    described = busybox.parent / "metadata.json"
    docker(installed, "buildx", "build", f"--metadata-file={described}", "--load", "--quiet", str(busybox))
    docker(installed, "network", "create", "jobs")
    image = json.loads(described.read_text())["containerimage.digest"]
    docker(installed, "run", "--detach", "--network=jobs", "--stop-timeout=1", image, "sleep", "600")
    during = traces(installed)
    unchanged = [kind for kind in during if during[kind] == before[kind]]
    assert unchanged == ["mounts"], "which are in a namespace of the engine's own"
    assert installed.down() is True
    assert traces(installed) == before
    assert installed.down() is False


def test_down_after_a_kill_leaves_no_trace_either(engine: EmbeddedEngine, image: str) -> None:
    docker(engine, "run", "--detach", "--name=left", image, "sleep", "600")
    kill_everything(engine)
    sockets = engine._shim_sockets()
    assert [socket.exists() for socket in sockets] == [True]
    assert traces(engine)["rules"]
    engine.down()
    assert {kind: found for kind, found in traces(engine).items() if found} == {}
    assert not sockets[0].exists()


@pytest.mark.parametrize("spared", [True, False], ids=["as it is", "control: with Docker's own chains"])
def test_the_chains_of_the_hosts_own_docker_are_left_alone(installed: EmbeddedEngine, spared: bool) -> None:
    installed.down()
    # In a network namespace of its own, the test can play with the firewall without harming this host's.
    program = ["unshare", "--net", sys.executable, "-c", BESIDE_ANOTHER_DOCKER]
    done = subprocess.run(
        [*program, str(installed.directory), json.dumps({} if spared else {"iptables": True})],
        env=os.environ | {"PYTHONPATH": str(Path(embedded.__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert ("-A DOCKER -d 192.0.2.99/32 -j ACCEPT" in done.stdout) is spared


BESIDE_ANOTHER_DOCKER = """
import json, sys
from pathlib import Path
from builder.engine.embedded import EmbeddedEngine

engine = EmbeddedEngine(Path(sys.argv[1]))
configuration = engine._daemon_configuration() | json.loads(sys.argv[2])
engine._daemon_configuration = lambda: configuration
engine._iptables("--new-chain", "DOCKER")
engine._iptables("--append", "DOCKER", "--destination", "192.0.2.99", "--jump", "ACCEPT")
engine.up()
print(engine._iptables("--list-rules", "DOCKER").stdout)
engine.down()
"""


def test_a_folder_that_cannot_hold_containers_is_refused(tmp_path: Path) -> None:
    layers = {name: tmp_path / name for name in ("lowerdir", "upperdir", "workdir", "mounted")}
    for folder in layers.values():
        folder.mkdir()
    options = ",".join(f"{name}={layers[name]}" for name in ("lowerdir", "upperdir", "workdir"))
    mount = f"mount -t overlay overlay -o {options} {layers['mounted']}"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "-", sys.executable, "-c", START],
        cwd=layers["mounted"].parent,
        env=os.environ | {"PYTHONPATH": str(Path(embedded.__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert "overlay file system" in done.stderr.splitlines()[-1]


START = """
from pathlib import Path
from builder.engine.embedded import EmbeddedEngine

EmbeddedEngine(Path("mounted/engine").absolute()).up()
"""


def test_a_daemon_that_dies_says_why_in_one_line(installed: EmbeddedEngine, tmp_path: Path) -> None:
    broken = EmbeddedEngine(tmp_path / "engine")
    broken.directory.mkdir()
    broken._programs.symlink_to(installed._programs)
    broken._data.write_text("a file where the data folder belongs")
    with pytest.raises(SeedbedError, match=r"did not start: .*engine/data.*dockerd\.log") as caught:
        broken.up()
    assert "\n" not in str(caught.value)
    assert {kind: found for kind, found in traces(broken).items() if found} == {}
