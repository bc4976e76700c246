"""Campaign 3: a small training in containers under hostile settings, combined at random.

It ends with the bits of a plain container, or with a status other than 0 and a line that says why. It never goes on
unseeded: what it draws is compared library by library, in two runs and with a plain run.
"""

import functools
import json
import os
import random
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from builder import paths
from builder.catalog import models
from builder.engine import client
from builder.engine.client import Engine
from builder.image import tags
from builder.image.contents import ENTRYPOINT
from tests.torture.harness import Campaign, Failure

NAME = "containers"
LIMIT = 300  # seconds for one container
KILLED = tuple(128 + number for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGXCPU, signal.SIGXFSZ))  # silently
IN_SHELL = 'exec "$@"'

TRAINING = """
import hashlib, importlib, json, random

def optional(name):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise

def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]

bits = {"random": digest(repr((random.random(), random.Random().random(), random.sample(range(99), 9))).encode())}
if numpy := optional("numpy"):
    x, weights = numpy.random.rand(64, 8), numpy.random.default_rng().normal(size=(8, 1))
    for _ in range(20):
        rows = numpy.random.permutation(64)[:16]
        weights -= 0.1 * x[rows].T @ (x[rows] @ weights - x[rows].sum(axis=1, keepdims=True)) / 16
    bits["numpy"] = digest(weights.tobytes())
if torch := optional("torch"):
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Dropout(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.randn(16, 8)).square().mean().backward()
        optimizer.step()
    bits["torch"] = digest(b"".join(part.detach().numpy().tobytes() for part in model.parameters()))
if tensorflow := optional("tensorflow"):
    weights = tensorflow.Variable(tensorflow.random.normal((8, 1)))
    for _ in range(5):
        weights.assign_sub(0.1 * tensorflow.nn.dropout(tensorflow.random.normal((8, 1)), 0.5))
    bits["tensorflow"] = digest(weights.numpy().tobytes())
with open("/result/bits", "w", encoding="ascii") as file:
    file.write(json.dumps(bits))
print(bits, flush=True)
"""

PLANTED = {  # folders for PYTHONPATH and PYTHONUSERBASE, with modules that are called what the hook or Python imports
    "seedbed/seedbed.py": "",
    "packages/seedbed/__init__.py": "",
    "packages/seedbed/boot.py": "",
    "customize/sitecustomize.py": "",
    "customize/usercustomize.py": "",
    "ending/sitecustomize.py": "raise ValueError('planted')",
    "random/random.py": "def random(): return 4",
    "numpy/numpy.py": "",
    "user/lib/python3.11/site-packages/usercustomize.py": "import sys; sys.path.insert(0, '/nonexistent')",
    "user/lib/python3.11/site-packages/a.pth": "import nonexistent\n",
    "startup.py": "raise SystemExit(0)",
}


@dataclass(frozen=True)
class Setting:
    """One thing done to a container: `docker run`'s options, shell code before the command, or Python's options."""

    docker: tuple[str, ...] = ()
    before: str = ""
    streams: str = ""
    python: tuple[str, ...] = ()
    same_bits: bool = True  # as in a plain container


def options(*docker: str, same_bits: bool = True) -> Setting:
    return Setting(docker=docker, same_bits=same_bits)


def variable(text: str, same_bits: bool = True) -> Setting:
    return options(f"--env={text}", same_bits=same_bits)


def flag(*python: str) -> Setting:
    return Setting(python=python)


PROGRAMS = ("python", "/opt/venv/bin/python", "/usr/bin/python3", "/result/venv/bin/python")
WAYS = {  # what stands before Python
    "entrypoint": ENTRYPOINT,
    "no init": ENTRYPOINT[-1:],
    "bypassed": (),
    "shell": (*ENTRYPOINT, "sh", "-c", '"$0" "$@"; exit $?'),
    "empty environment": ("/usr/bin/env", "-i", "PATH=/opt/venv/bin:/usr/bin:/bin"),
    "docker exec": (),
}
PYTHON_VARIABLES = (
    "USERBASE=/try/user",
    "STARTUP=/try/startup.py",
    "HOME=/nonexistent",
    "HOME=/usr",
    "PLATLIBDIR=lib64",
    "PYCACHEPREFIX=/no",
    "HASHSEED=random",
    "HASHSEED=",
    "HASHSEED=7",
    "BREAKPOINT=os.abort",
    "INTMAXSTRDIGITS=640",
    "MALLOC=debug",
    "MALLOC=garbage",
    "OPTIMIZE=2",
    "TRACEMALLOC=5",
    "WARNINGS=error",
    *(f"{switch}=1" for switch in ("NOUSERSITE", "SAFEPATH", "DEVMODE", "INSPECT", "VERBOSE", "CASEOK")),
    *(f"{switch}=1" for switch in ("PROFILEIMPORTTIME", "NODEBUGRANGES", "WARNDEFAULTENCODING")),
)
SEEDBED_VARIABLES = (
    *(f"MODE={mode}" for mode in ("warn", "", "STRICT")),
    *(f"SEED={seed}" for seed in ("", "x", "-1", "4294967296")),
    *("QUIET=1", "AUDIT=1", "NAMERS=,,", "SAMPLERS=,,", "RECORD=/no", "TRACE=/no"),
)
OTHER_BITS = ("SEEDBED_SEED=7", "SEEDBED_LINEAGE=/x9", *(f"OMP_NUM_THREADS={number}" for number in ("0", "a", "-1")))
DIMENSIONS = {
    "user": [options(f"--user={user}") for user in ("65534", "12345:6789", "0", "0:12345")],
    "files": [
        options("--read-only"),
        options("--read-only", "--tmpfs=/tmp:size=4k"),
        *(options(f"--tmpfs={folder}:size=4k") for folder in ("/tmp", "/workspace", "/home/seedbed", "/root")),
        Setting(before="ulimit -f 0"),
    ],
    "privileges": [
        options("--cap-drop=ALL"),
        options("--security-opt=no-new-privileges"),
        options("--cap-drop=ALL", "--security-opt=no-new-privileges"),
    ],
    "network": [options("--network=none")],
    "shared memory": [options("--shm-size=64k")],
    "limits": [
        *(options(f"--ulimit=nofile={number}") for number in (16, 32, 64)),
        *(options(f"--pids-limit={number}") for number in (4, 10)),
        *(options(f"--memory={size}") for size in ("16m", "64m", "200m")),
        *(Setting(before=f"ulimit -v {size}") for size in (20_000, 100_000, 1_000_000)),
        *(Setting(before=f"ulimit -s {size}") for size in (64, 256)),
        Setting(before="ulimit -t 1"),
    ],
    "locale": [
        *map(variable, ("LC_ALL=tr_TR.UTF-8", "LC_ALL=xx_YY", "LC_ALL=C", "LANG=", "PYTHONIOENCODING=utf-16")),
        options("--env=LC_ALL=POSIX", "--env=PYTHONUTF8=0", "--env=PYTHONCOERCECLOCALE=0"),
    ],
    "zone": [*map(variable, ("TZ=Mars/Olympus", "TZ=:/dev/zero", "TZ=:/etc/passwd"))],
    "streams": [
        Setting(streams=streams)
        for streams in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", ">/dev/full 2>/dev/full")
    ],
    "home": [
        *map(variable, ("HOME=", "HOME=/nonexistent", "HOME=/etc/passwd", "HOME=relative", "HOME=/proc", "TMPDIR=/no")),
        Setting(before="unset HOME"),
    ],
    "path": [variable("PATH="), variable("PATH=/nonexistent"), Setting(before="unset PATH")],
    "python": [
        *(
            variable(f"PYTHONPATH=/try/{folder}")
            for folder in ("seedbed", "packages", "customize", "ending", "random", "numpy")
        ),
        *(variable(f"PYTHON{text}") for text in PYTHON_VARIABLES),
        options("--env=PYTHONWARNINGS=error", "--env=PYTHONWARNDEFAULTENCODING=1"),
    ],
    "flags": [
        *map(flag, ("-S", "-IS", "-I", "-E", "-s", "-B", "-O", "-OO", "-P", "-bb", "-q", "-u", "-x", "-v")),
        *(flag("-X", x) for x in ("frozen_modules=off", "utf8=0", "dev", "importtime", "no_debug_ranges")),
        flag("-W", "error"),
    ],
    "preload": [variable("LD_PRELOAD=/nonexistent.so"), variable("LD_PRELOAD=libm.so.6"), variable("LD_BIND_NOW=1")],
    "seedbed": [
        *(variable(f"SEEDBED_{text}") for text in SEEDBED_VARIABLES),
        *(variable(text, same_bits=False) for text in OTHER_BITS),
        options("--env=SEEDBED_RANK_OFFSET=1", "--env=RANK=x"),
    ],
}  # fmt: skip


def no_hook(program: str, settings: tuple[Setting, ...]) -> bool:
    """Whether this Python loads no startup hook, as docs/determinism.md says: only the entrypoint can refuse it."""
    given = {option for setting in settings for option in (*setting.docker, *setting.python)}
    hidden = given & {"--env=PYTHONPATH=/try/customize", "--env=PYTHONPATH=/try/ending"}
    return bool(given & {"-S", "-IS"} or (hidden and "/result/" in program))


@dataclass(frozen=True)
class Ended:
    """How a container ended; `bits` of the training by library, none if it did not finish."""

    status: int | None  # None: it had to be ended
    stderr: str
    bits: dict[str, str] | None


@dataclass(frozen=True)
class Try:
    """One combination of settings, in one image."""

    number: int
    image: str
    way: str
    program: str
    settings: tuple[Setting, ...]
    runtime: Path | None = None

    def describe(self) -> str:
        return " ".join(f"'{part}'" if " " in part else part for part in self.command("/tmp/try", "NAME"))

    def run(self) -> str | None:
        """None: it held; otherwise what did not."""
        plain = Try(0, self.image, "entrypoint", "python", (), self.runtime)
        runs = [self.end() for _ in range(2)]
        return next(filter(None, (*map(self.fault, runs), self.difference(runs, plain_bits(plain)))), None)

    def fault(self, ended: Ended) -> str | None:
        if ended.status is None:
            return f"it runs for more than {LIMIT} seconds"
        if ended.status == 0 and ended.bits is None:
            return "it ends with status 0 without a result"
        silenced = ended.status in KILLED or any("2>" in setting.streams for setting in self.settings)
        if ended.status and not (silenced or ended.stderr.strip()):
            return f"it ends with status {ended.status} and does not say why"
        return None

    def difference(self, runs: list[Ended], plain: dict[str, str]) -> str | None:
        finished = [ended.bits for ended in runs if ended.status == 0 and ended.bits is not None]
        if all(setting.same_bits for setting in self.settings):
            finished.append(plain)
        for first, second in pairwise(finished):
            unequal = [library for library in first.keys() & second.keys() if first[library] != second[library]]
            if unequal:
                return f"it goes on with other numbers, status 0: {', '.join(sorted(unequal))}"
        return None

    def end(self) -> Ended:
        with tempfile.TemporaryDirectory(prefix="torture-") as folder:
            plant(Path(folder))
            name = Path(folder).name
            try:
                done = docker(*self.command(folder, name), timeout=LIMIT)
                if self.way == "docker exec" and done.returncode == 0:
                    done = docker("exec", name, *self.shell(), timeout=LIMIT)
            except subprocess.TimeoutExpired:
                return Ended(None, "", None)
            finally:
                docker("rm", "--force", "--volumes", name)
            return Ended(done.returncode, done.stderr, result(Path(folder)))

    def command(self, folder: str, name: str) -> list[str]:
        """The arguments of `docker`."""
        volumes = {f"{folder}/result": "/result", folder: "/try:ro", **mounted(self.runtime)}
        given = [f"--volume={here}:{there}" for here, there in volumes.items()]
        given += [option for setting in self.settings for option in setting.docker]
        if self.way == "docker exec":
            return ["run", "--detach", f"--name={name}", *given, "--entrypoint=/bin/sleep", self.image, str(LIMIT)]
        return ["run", f"--name={name}", *given, "--entrypoint=/bin/sh", self.image, *self.shell()[1:]]

    def shell(self) -> list[str]:
        """What runs in the container: a shell that does what `docker run` has no option for, and becomes Python."""
        before = [setting.before for setting in self.settings if setting.before]
        if "/result/" in self.program:
            before.insert(0, "/usr/bin/python3 -m venv --without-pip /result/venv")
        streams = " ".join(setting.streams for setting in self.settings)
        script = "; ".join([*before, f"{IN_SHELL} {streams}"])
        flags = [option for setting in self.settings for option in setting.python]
        return ["/bin/sh", "-c", script, "sh", *WAYS[self.way], self.program, *flags, "/try/script/train.py"]


def made(seed: int, number: int, image: str, runtime: Path | None = None) -> Try:
    """One combination: about a third of the dimensions have a setting that is not Docker's default."""
    chance = random.Random(f"{NAME} {seed} {number}")
    settings = tuple(chance.choice(choices) for choices in DIMENSIONS.values() if chance.random() < 0.3)
    program = chance.choices(PROGRAMS, (6, 2, 1, 1))[0]
    way = "entrypoint" if no_hook(program, settings) else chance.choice(list(WAYS))
    return Try(number, image, way, program, settings, runtime)


def attempt(seed: int, number: int, *, short: bool = False, show: bool = False) -> Failure | None:
    images = present()
    tried = made(seed, number, images[number % len(images)])
    complaint = tried.run()
    if show:
        print(tried.describe())
    return Failure(NAME, seed, number, tried.describe(), (complaint,)) if complaint else None


def obstacle() -> str | None:
    return None if present() else "no image is built and tested: run make images"


@functools.cache
def connected() -> Engine:
    return client.connect()


os.register_at_fork(after_in_child=connected.cache_clear)  # two processes at one connection take each other's answers


def docker(*arguments: str, timeout: int | None = None) -> subprocess.CompletedProcess[str]:
    command = [connected().client_path(), *arguments]
    environment = dict(connected().environment)
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
        timeout=timeout, check=False,
    )  # fmt: skip


def present() -> list[str]:
    """The images of both catalogs that the engine has."""
    roots = (paths.ROOT / "tests" / "images", paths.IMAGES)
    images = [image for root in roots for image in models.load(root).images.values()]
    names = [f"{tags.repository()}/{image.name}:{image.full_tag}" for image in images]
    return [name for name in names if connected().has(name)]


@functools.cache
def plain_bits(plain: Try) -> dict[str, str]:
    """Those of a training in a container that nothing is done to."""
    ended = plain.end()
    assert ended.status == 0 and ended.bits, f"a plain container fails: {ended.stderr}"
    return ended.bits


def plant(folder: Path) -> None:
    for name, text in {**PLANTED, "script/train.py": TRAINING}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "result").mkdir()
    (folder / "result").chmod(0o777)
    folder.chmod(0o755)


def result(folder: Path) -> dict[str, str] | None:
    path = folder / "result" / "bits"
    return json.loads(path.read_text()) if path.exists() and path.stat().st_size else None


def mounted(runtime: Path | None) -> dict[str, str]:
    if runtime is None:
        return {}
    packages = "/opt/venv/lib/python3.11/site-packages"
    return {
        str(runtime / "seedbed"): f"{packages}/seedbed:ro",
        str(runtime / "00_seedbed.pth"): f"{packages}/00_seedbed.pth:ro",
        str(runtime / "sitecustomize.py"): "/etc/python3.11/sitecustomize.py:ro",
        str(runtime / "entrypoint.sh"): f"{ENTRYPOINT[-1]}:ro",
    }


CAMPAIGN = Campaign(NAME, 100, 0, attempt, obstacle=obstacle)  # its short form is tests/image/test_hostile.py
