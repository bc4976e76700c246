"""The embedded engine without starting it: who may change what it runs as root, and which logins it knows, how long."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder import paths
from builder.engine import embedded
from builder.engine.embedded import EmbeddedEngine
from builder.errors import SeedbedError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make folders that are root's")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch) -> EmbeddedEngine:
    """One with programs that are none, and its state in a folder of the test's."""
    engine = EmbeddedEngine(tmp_path / "cache" / "seedbed" / "engine")
    (engine._programs / "commands").mkdir(parents=True)
    monkeypatch.setattr(engine, "_state", tmp_path / "run")
    return engine


# Programs that run as root


@as_root
@pytest.mark.parametrize("ancestor", range(5))
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda folder: folder.chmod(0o777), "others may write to"),
        (lambda folder: os.chown(folder, 1000, 0), "user 1000 owns"),
        (lambda folder: (os.chown(folder, 0, 1000), folder.chmod(0o775)), "others may write to"),
    ],
    ids=["others write", "another owner", "another group writes"],
)
def test_programs_that_others_could_replace_do_not_run(engine, ancestor, change, told):
    engine.environment()
    folder = [engine._programs, *engine._programs.parents][ancestor]
    change(folder)
    for use in (engine.environment, engine.session, engine.down, engine.destroy):
        with pytest.raises(
            SeedbedError, match=rf"programs run as root: {told} {folder}: set SEEDBED_CACHE to"
        ) as caught:
            use()
        assert "\n" not in str(caught.value)
    assert engine._programs.exists()


@as_root
def test_the_sticky_bit_protects_what_is_in_a_folder_of_everybodys(engine):
    engine.directory.parent.parent.chmod(0o1777)
    engine.environment()
    engine._programs.chmod(0o1777)
    with pytest.raises(SeedbedError, match="others may write"):
        engine.environment()


@as_root
def test_nothing_is_fetched_into_a_folder_of_somebody_elses(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "host_supported", lambda: None)
    monkeypatch.setattr(embedded, "unsuited", lambda folder: None)
    monkeypatch.setattr(EmbeddedEngine, "_install", lambda self: pytest.fail("fetched"))
    os.chown(tmp_path, 1000, 1000)
    with pytest.raises(SeedbedError, match=rf"cannot run here: user 1000 owns {tmp_path}: set SEEDBED_CACHE"):
        EmbeddedEngine(tmp_path / "engine").up()


def test_a_path_with_a_comma_is_refused_because_containers_could_not_be_mounted(tmp_path):
    assert "for the comma: set SEEDBED_CACHE to" in (embedded.unsuited(tmp_path / "a,b") or "")
    assert "for the comma" not in (embedded.unsuited(tmp_path) or "")


# Hosts that will not do


@as_root
def test_a_root_that_may_make_no_bridge_is_told_what_it_lacks():
    program = "from builder.engine import networking; networking.add_bridge('seedbed-test')"
    command = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", sys.executable, "-c", program]
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=False)
    assert "SeedbedError: the embedded engine gets no network bridge: Operation not permitted; give" in done.stderr


def test_a_cache_that_is_no_folder_is_one_line(tmp_path):
    (tmp_path / "cache").touch()
    with pytest.raises(SeedbedError, match=r"cache: (File exists|Not a directory); check its permissions"):
        EmbeddedEngine(tmp_path / "cache" / "engine").down()


# Logins


@pytest.fixture
def login(tmp_path: Path, monkeypatch):
    """`docker login` and `docker logout` with the user's own client, or in a shell with the engine's."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))

    def login(folder: Path, **logins: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        auths = {registry: {"auth": secret} for registry, secret in logins.items()}
        before = embedded._read_json(folder / "config.json")
        (folder / "config.json").write_text(json.dumps(before | {"auths": auths, "HttpHeaders": {"X-Key": "c2VjcmV0"}}))

    return login


def known(environment: dict[str, str]) -> dict[str, str]:
    configuration = json.loads(Path(environment["DOCKER_CONFIG"], "config.json").read_text())
    assert "cliPluginsExtraDirs" in configuration
    return {registry: login["auth"] for registry, login in configuration["auths"].items()}


def start(engine: EmbeddedEngine) -> None:
    """What a start of the engine writes for its client."""
    embedded._write_json(engine._client / "config.json", engine._client_configuration(), mode=0o600)


def test_the_users_logins_are_those_of_now_and_no_copy_of_them_stays(engine, login, tmp_path):
    login(tmp_path / "docker", a="user's")
    start(engine)
    assert known(engine.environment()) == {}
    assert "c2VjcmV0" not in (engine._client / "config.json").read_text()
    assert known(engine.session()) == {"a": "user's"}
    login(tmp_path / "docker", b="user's")
    assert known(engine.session()) == {"b": "user's"}, "a was logged out"


def test_a_login_made_with_the_engines_own_client_outlives_a_start(engine, login, tmp_path):
    start(engine)
    login(engine._client, a="engine's")
    login(tmp_path / "docker", a="user's", b="user's")
    start(engine)
    assert known(engine.environment()) == {"a": "engine's"}
    assert known(engine.session()) == {"a": "engine's", "b": "user's"}


SESSION = """
import sys
from pathlib import Path
from builder.engine.embedded import EmbeddedEngine
engine = EmbeddedEngine(Path(sys.argv[1]))
engine._state = Path(sys.argv[2])
file = Path(engine.session()["DOCKER_CONFIG"], "config.json")
print(oct(file.stat().st_mode), oct(file.parent.stat().st_mode), "user's" in file.read_text())
if len(sys.argv) > 3:
    import os, signal
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_copy_for_a_process_goes_with_it_and_a_killed_ones_with_the_next(engine, login, tmp_path):
    login(tmp_path / "docker", a="user's")
    start(engine)
    command = [sys.executable, "-c", SESSION, str(engine.directory), str(engine._state)]
    for killed in (["killed"], []):
        done = subprocess.run([*command, *killed], cwd=paths.ROOT, capture_output=True, text=True, check=False)
        assert done.stdout == "0o100600 0o40700 True\n", done.stderr
        assert len([*engine._state.rglob("config.json")]) == len(killed)


def test_a_configuration_that_is_no_json_counts_as_none(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for content in (b"", b"[1, 2]", b"\xff"):
        (tmp_path / "config.json").write_bytes(content)
        start(engine)
        assert known(engine.session()) == {}
