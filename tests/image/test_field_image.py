"""Living in the image: what public reports say of containers like these, on the real images (docs/image.md)."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.outcomes import Finished
from tests.image.conftest import IMAGES

STRANGER = "12345:54321"
READ_ONLY = {"read_only": True, "tmpfs": {"/tmp": "exec"}}
CASES = "/cases"

every_image = pytest.mark.parametrize("name", IMAGES)


@pytest.fixture
def run(record_of, docker) -> Callable[..., Finished]:
    """Run a command in a fresh container of an image, behind its entrypoint, with the cases at /cases."""

    def run(name: str, *command: str, environment: dict[str, str] | None = None, **options) -> Finished:
        options.setdefault("files", {CASES: Path(__file__).parent / "field" / "image"})
        quiet = {"SEEDBED_QUIET": "1"} | (environment or {})
        return docker.run(record_of(name).digest, command, environment=quiet, **options)

    return run


@pytest.mark.parametrize("options", [{}, {"init": True}, {"pid_mode": "host"}], ids=["", "--init", "--pid=host"])
def test_no_init_warns_of_another(record_of, docker, options: dict) -> None:
    said = docker.run(record_of("pytorch").digest, ["true"], **options).stderr.splitlines()
    assert len(said) == 1 and said[0].startswith("seedbed: seed 42")


STARTS = {
    "python": ["python", f"{CASES}/checkpoint.py"],
    "torchrun": ["torchrun", "--nproc-per-node", "1", f"{CASES}/checkpoint.py"],  # signals the training's whole group
    "timeout": ["timeout", "1h", "python", f"{CASES}/checkpoint.py"],  # so does this
    "sh -c": ["sh", "-c", f"python {CASES}/checkpoint.py && echo not this"],
    "tee": ["bash", "-c", f"python {CASES}/checkpoint.py 2>&1 | tee /tmp/log"],
    "sh in bash": ["bash", "-c", f"sh -c 'python {CASES}/checkpoint.py; true'; echo not this"],
}


@pytest.mark.parametrize("how", STARTS)
def test_docker_stop_lets_a_training_with_workers_save(record_of, docker, how: str) -> None:
    files = {CASES: Path(__file__).parent / "field" / "image"}
    with docker.started(record_of("pytorch").digest, STARTS[how], files=files) as box:
        next(box.container.logs(stream=True, follow=True, stderr=False))
        box.container.stop(timeout=60)
        stopped = box.finish()
    assert stopped.stdout.splitlines()[-1] == "checkpoint saved", stopped.stderr
    assert stopped.status == {"python": 0, "timeout": 0, "torchrun": 1}.get(how, 143)


def test_in_off_a_signal_to_the_whole_group_ends_the_workers_first(record_of, docker) -> None:
    """The negative control: workers are in their training's group, as torch has it, and the checkpoint is lost."""
    files = {CASES: Path(__file__).parent / "field" / "image"}
    group = ["/usr/bin/tini", "-g", "--", "/opt/seedbed/entrypoint.sh"]
    off = {"environment": {"SEEDBED_MODE": "off"}}
    with docker.started(record_of("pytorch").digest, STARTS["python"], files=files, entrypoint=group, **off) as box:
        next(box.container.logs(stream=True, follow=True, stderr=False))
        box.container.stop(timeout=60)
        stopped = box.finish()
    assert "checkpoint saved" not in stopped.stdout
    assert "killed by signal: Terminated" in stopped.stderr


def test_too_little_shared_memory_is_named_before_a_worker_needs_it(run) -> None:
    said = run("pytorch", "python", f"{CASES}/workers.py")
    assert said.stdout == "trained\n", said.stderr
    assert said.stderr.count("--shm-size 1g") == 1


def test_enough_shared_memory_is_not_mentioned(run) -> None:
    assert "shm" not in run("pytorch", "python", f"{CASES}/workers.py", shm_size="256m").stderr


@every_image
def test_seedbed_info_shows_shared_memory(run, name: str) -> None:
    assert re.search(r"^/dev/shm +64 MB or less.*--shm-size 1g$", run(name, "seedbed", "info").stdout, re.MULTILINE)


EDIT = "import torch.nn.modules.upsampling as file; print(hasattr(file, 'PATCHED'))"
FILE = "/opt/venv/lib/python3.11/site-packages/torch/nn/modules/upsampling.py"


def test_an_edit_in_site_packages_runs(run) -> None:
    """Also one that leaves size and date as they were."""
    edit = f"set -- $(stat -c '%s %Y' {FILE}); sed -i '1s/^.\\{{10\\}}/PATCHED=1#/' {FILE}; touch -d @$2 {FILE}"
    see = f'test "$*" = "$(stat -c \'%s %Y\' {FILE})"; echo $?; python -c "{EDIT}"'
    edited = run("pytorch", "sh", "-c", f"{edit}; {see}", user="0:0")
    assert edited.stdout.split() == ["0", "True"], edited.stderr
    assert run("pytorch", "python", "-c", EDIT).stdout == "False\n"  # the negative control


@every_image
def test_a_companys_authority_reaches_everything(run, name: str) -> None:
    """Added as Debian has it; requests, which trusts certifi's list by default, is in the TensorFlow image."""
    said = run(name, "sh", f"{CASES}/authority.sh", user="0:0")
    assert said.status == 0, said.stderr
    others = ["requests too", "certifi too"] if name == "tensorflow" else []
    assert said.stdout.splitlines() == ["ssl trusts it", *others]


CACHES = {
    "pytorch": "import torch; torch.save({}, '/tmp/a.pth'); torch.hub.load_state_dict_from_url('file:///tmp/a.pth')",
    "tensorflow": "import keras, pathlib; pathlib.Path('/tmp/x').write_text('x'); "
    "assert keras.utils.get_file('x', 'file:///tmp/x').startswith(str(pathlib.Path.home()))",
}


@every_image
@pytest.mark.parametrize("user", ["", "0:0", STRANGER])
def test_caches_have_a_place_in_a_read_only_container(run, name: str, user: str) -> None:
    said = run(name, "python", "-c", CACHES[name], user=user, files={}, **READ_ONLY)
    assert said.status == 0, said.stderr


def test_two_users_of_one_container_do_not_share_a_home(record_of, docker) -> None:
    with docker.started(record_of("pytorch").digest, ["sleep", "infinity"]) as box:
        enter = ["/opt/seedbed/entrypoint.sh", "sh", "-c", 'touch "$HOME/mine" && stat -c "%u %n" "$HOME"']
        homes = {user: box.run(enter, user=user).stdout.split() for user in ("0:0", "1000:1000", STRANGER, "777:0")}
        bypassed = box.run(["python", "-c", "import pathlib; print(pathlib.Path.home())"], user="777:0").stdout.strip()
    assert [owner for owner, _ in homes.values()] == ["0", "1000", "12345", "777"]
    assert len({home for _, home in homes.values()}) == 4
    assert homes["0:0"][1] == "/root" and homes["1000:1000"][1] == "/home/seedbed"
    assert bypassed == homes["777:0"][1]


def test_root_takes_no_home_that_somebody_else_has_made(record_of, docker) -> None:
    with docker.started(record_of("pytorch").digest, ["sleep", "infinity"], **READ_ONLY) as box:
        planted = box.run(["mkdir", "/tmp/home-0"], user="1000:1000")
        home = box.run(["/opt/seedbed/entrypoint.sh", "sh", "-c", 'stat -c "%u %n" "$HOME"'], user="0:0").stdout.split()
    assert planted.status == 0
    assert home[0] == "0" and home[1] != "/tmp/home-0"


@pytest.mark.parametrize("user", ["33:33", "65534:65534"])
def test_a_user_whom_debian_knows_without_a_home_gets_one(run, user: str) -> None:
    said = run("pytorch", "sh", "-c", 'stat -c "%u %a %n" "$HOME"', user=user)
    number = user.partition(":")[0]
    assert said.stdout.split() == [number, "700", f"/tmp/home-{number}"], said.stderr


def test_su_and_setpriv_leave_nothing_of_roots(run) -> None:
    ask = "python -c 'import getpass, os; print(getpass.getuser(), os.access(os.environ[\"HOME\"], os.W_OK))'"
    script = f'su - seedbed -c "$1"; su seedbed -c "$1"; setpriv --reuid=1000 --regid=1000 --clear-groups {ask}'
    said = run("pytorch", "sh", "-c", script, "sh", ask, user="0:0")
    assert said.stdout.split() == ["seedbed", "True"] * 3, said.stderr


@pytest.mark.parametrize("user, name", [("0:0", "root"), ("", "seedbed"), (STRANGER, "uid-12345")])
def test_every_user_has_a_name(run, user: str, name: str) -> None:
    said = run("pytorch", "sh", "-c", "whoami; id -un; python -c 'import getpass; print(getpass.getuser())'", user=user)
    assert said.stdout.split() == [name] * 3


@pytest.mark.parametrize("user, home", [("0:0", "/root"), ("", "/home/seedbed"), (STRANGER, "/tmp/home-12345")])
def test_a_login_shell_has_the_images_python(run, user: str, home: str) -> None:
    """Debian's /etc/profile sets PATH anew (VS Code, GitLab, enroot, Slurm start `bash -l`)."""
    said = run("pytorch", "bash", "-lc", "which python; echo $PATH", user=user)
    python, path = said.stdout.split()
    assert python == "/opt/venv/bin/python"
    assert path.startswith("/opt/venv/bin:") and path.endswith(f":{home}/.local/bin")


def test_the_tools_that_users_reach_for_are_there(run) -> None:
    said = run("pytorch", "sh", "-c", "git --version && curl --version && less --version && nano --version")
    assert said.status == 0, said.stderr


@pytest.mark.parametrize("wanted", ["numpy<2", "torch==2.6.0"])
def test_another_version_of_what_the_image_is_for_is_refused_by_name(run, wanted: str) -> None:
    said = run("pytorch", "pip", "install", "--no-index", wanted)
    assert said.status != 0
    assert "/etc/seedbed/constraints.txt" in said.stderr + said.stdout or "conflicting dependencies" in said.stderr


@every_image
def test_only_what_results_depend_on_is_constrained(run, name: str) -> None:
    """Constraints on pillow and packaging made pip take releases of 2023, silently."""
    kept = {line.partition("==")[0] for line in run(name, "cat", "/etc/seedbed/constraints.txt").stdout.split()}
    kept = {package for package in kept if not package.startswith("nvidia-")}
    expected = {"pytorch": {"numpy", "torch", "torchaudio", "torchvision", "triton"}}
    assert kept == expected.get(name, {"numpy", "keras", "tensorflow"})
