"""A scratch virtual environment with the startup hook, made of a Python at hand, which itself stays as it is.

It sees that Python's packages. Standard library only, for `smoke --host`.
"""

import ast
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder import commands, paths, reading
from builder.errors import SeedbedError, UsageError
from builder.outcomes import LONGEST_RUN, TIMED_OUT, Finished
from builder.smoke import checks
from builder.text import last_line

sys.path.append(str(paths.RUNTIME))
from seedbed import environment
from seedbed.settings import GPU

OLDEST = (3, 11)
ANOTHER_TMPDIR = "name another folder in TMPDIR"
NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}
OF_LOCKS = ("versions", "cuda")
"""Scripts in images' `smoke` folders, by their names, that compare what is there with the image's lock."""

PROGRAMS = {"PYTHONPATH": str(paths.EXAMPLES)} | checks.PROGRAMS_ENVIRONMENT | NO_GPU

PROBE = """
import json, site, sys
sites = site.getsitepackages() + ([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])
print(json.dumps([sys.version_info[:3], getattr(sys, "_base_executable", sys.executable), sites]))
"""

COMMAND = """\
#!/bin/sh
'''exec' "${0%/*}/python" "$0" "$@"
' '''
from seedbed.cli import main

raise SystemExit(main())
"""
"""The command `seedbed`, as pip writes commands whose path has a space, which `#!` does not take: to a shell it is one
line, to Python a string and what follows."""


@dataclass(frozen=True)
class Host(checks.Subject):
    """A scratch virtual environment with the startup hook, made of the Python at `origin`; version as three numbers."""

    origin: Path
    version: tuple[int, ...]
    folder: Path
    gpu: str = "auto"
    example: str = ""

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def cuda(self) -> bool:
        return len(self.missing(GPU)) < len(GPU)

    def environ(self) -> dict[str, str]:
        """The user's environment without what Seedbed sets or is told by; the scratch folder comes first on PATH."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SEEDBED_")}
        environment.adjust(kept, "off")
        own = {"PATH": f"{self.python.parent}:{os.environ.get('PATH', os.defpath)}", "VIRTUAL_ENV": str(self.folder)}
        own |= {"TMPDIR": str(self.folder / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}  # compilers keep caches in TMPDIR
        return kept | own | (NO_GPU if self.gpu == "off" else {})

    def finish(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        entrypoint: list[str] | None = None,
        folder: Path | None = None,
        timeout: float = LONGEST_RUN,
    ) -> Finished:
        """Run a command to its end, under `seedbed run` unless it is `BYPASSED`; status 124: it took too long.

        It runs in `folder`, or in one that is gone with the host.
        """
        wrapped = [*command] if entrypoint == checks.BYPASSED else ["seedbed", "run", "--", *command]
        environ = self.environ() | dict(environment or {})
        program = shutil.which(wrapped[0], path=environ["PATH"]) or wrapped[0]
        try:
            done = commands.run(
                [program, *wrapped[1:]],
                env=environ,
                cwd=folder or self.folder / "tmp",
                stdin=subprocess.DEVNULL,
                timeout=timeout,
            )
        except OSError as error:  # 127 and 126 are what a shell says
            return Finished(127 if error.errno == errno.ENOENT else 126, "", f"{program}: {error.strerror}")
        except subprocess.TimeoutExpired as expired:
            said = (expired.stdout or b"").decode(errors="replace")
            return Finished(TIMED_OUT, said, f"not done after {timeout:.0f} s")
        return Finished(done.returncode, done.stdout, done.stderr)

    def need(self, *modules: str) -> None:
        if missing := self.missing(modules):
            raise checks.Skipped(f"not installed here: {', '.join(missing)}")

    def train(self, **environment: str) -> str:
        script = paths.EXAMPLES / self.example
        self.need(*imports_of(script))
        finished = self.finish(["python", str(script), "--epochs", "2"], environment=environment)
        return checks.parameters(script, finished)

    def script(self, script: Path) -> Finished:
        if script.stem in OF_LOCKS:
            raise checks.Skipped(f"compares with the image's lock; {checks.OWN_PACKAGES}")
        self.need(*imports_of(script))
        return self.finish(["python", str(script)], environment={"SEEDBED_SMOKE_GPU": self.gpu})

    def program(self, script: Path, environment: Mapping[str, str]) -> str:
        self.need(*imports_of(script))
        finished = self.finish(["python", str(script)], environment={**PROGRAMS, **environment})
        return checks.parameters(script, finished)

    def missing(self, modules: Sequence[str]) -> list[str]:
        """Which of these top-level modules this Python cannot find."""
        find = "import importlib.util as u, sys; print(*(n for n in sys.argv[1:] if not u.find_spec(n)))"
        return self.run("python", "-c", find, *modules, entrypoint=checks.BYPASSED).stdout.split()


def imports_of(script: Path) -> list[str]:
    """The top-level modules that a script imports anywhere, by way of its neighbours and of the examples too."""
    found, scripts = set[str](), [script]
    for file in scripts:
        names = modules_in(file)
        neighbours = {
            name: place
            for name in names
            for folder in (paths.EXAMPLES, file.parent)
            if (place := folder / f"{name}.py").is_file() and place != file
        }
        scripts += [place for place in neighbours.values() if place not in scripts]
        found |= names - neighbours.keys()
    return sorted(found)


def modules_in(script: Path) -> set[str]:
    try:
        nodes = [*ast.walk(ast.parse(reading.text(script)))]
    except (SyntaxError, ValueError) as error:
        raise checks.Failed(f"{script.name}: {error}") from None
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.partition(".")[0] for name in imported}


@contextmanager
def installed(python: Path, gpu: str = "auto") -> Iterator[Host]:
    """A host with the startup hook, gone at the end. `UsageError`: this Python will not do."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="seedbed-"))
            made = install(python, Path(folder), gpu)
        except OSError as error:
            why = error.args[0][0][-1] if isinstance(error, shutil.Error) else error.strerror
            raise SeedbedError(f"{error.filename or tempfile.tempdir}: {why}; {ANOTHER_TMPDIR}") from None
        yield made


def install(python: Path, folder: Path, gpu: str) -> Host:
    """Make a virtual environment of this Python's interpreter, and give it its packages and the startup hook."""
    try:
        version, base, sites = json.loads(last_line(ask([str(python), "-c", PROBE], python)))
    except (ValueError, TypeError):
        raise UsageError(f"{python}: not a Python; name one by --python") from None
    if tuple(version) < OLDEST:
        raise UsageError(
            f"{python}: Python {'.'.join(map(str, version))}; expected 3.11 or newer: name one by --python"
        )
    ask([base, "-m", "venv", "--without-pip", str(folder)], python)  # of the base: `python` may be in an environment
    packages = folder / "lib" / f"python{version[0]}.{version[1]}" / "site-packages"
    shutil.copytree(paths.RUNTIME / "seedbed", packages / "seedbed", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(paths.RUNTIME / "00_seedbed.pth", packages)
    (packages / "host.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in sites))
    command = folder / "bin" / "seedbed"
    command.write_text(COMMAND)
    command.chmod(0o755)
    if not os.access(command, os.X_OK):
        raise SeedbedError(f"{folder}: nothing can be run from its disk (noexec); {ANOTHER_TMPDIR}")
    (folder / "tmp").mkdir()
    return Host(python, tuple(version), folder, gpu)


def ask(command: list[str], python: Path) -> str:
    """What a command that prepares things prints; `UsageError` where it fails."""
    try:
        done = commands.run(command)
    except OSError as error:
        raise UsageError(f"{python}: {error.strerror}; name a Python by --python") from None
    if done.returncode:
        said = last_line(done.stderr) or last_line(done.stdout)
        if "No space left" in said:
            raise SeedbedError(f"{tempfile.tempdir}: no space left on its disk; {ANOTHER_TMPDIR}")
        raise UsageError(f"{python}: cannot make a virtual environment of it: {said}; name another by --python")
    return done.stdout
