"""Generators in C and C++ that seed themselves are noticed, with their library and the line; clean programs are not."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from seedbed.native import events, preload

COMPILER = shutil.which("cc")
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has LD_PRELOAD"),
    pytest.mark.skipif(COMPILER is None, reason="no C compiler (cc) here to build libraries with"),
]
HEADERS = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
"""
GETRANDOM = "int draw(void) { unsigned n = 0; return getrandom(&n, sizeof n, 0) < 0; }"
DRAWS = {  # how it draws: the library's code, and what is said of it
    "getrandom": (GETRANDOM, "draws from the operating system's entropy (getrandom)"),
    "getentropy": (
        "int draw(void) { unsigned n; return getentropy(&n, sizeof n); }",
        "draws from the operating system's entropy (getentropy)",
    ),
    "system call": (
        "int draw(void) { unsigned n; return syscall(SYS_getrandom, &n, sizeof n, 0) < 0; }",
        "draws from the operating system's entropy (getrandom)",
    ),
    "file opened": (
        'int draw(void) { int f = open("/dev/urandom", O_RDONLY), n; return read(f, &n, 4) + close(f) != 4; }',
        "draws from the operating system's entropy (open)",
    ),
    "stream opened": (
        'int draw(void) { FILE *f = fopen("/dev/urandom", "r"); return getc(f) < 0 || fclose(f); }',
        "draws from the operating system's entropy (open)",
    ),
    "clock": (
        "int draw(void) { srand(time(NULL)); return 0; }",
        "calls srand() with the time: another result in every run",
    ),
    "long clock": (
        "int draw(void) { srand48(time(NULL)); return 0; }",
        "calls srand48() with the time: another result in every run",
    ),
    "keys of hash maps": (
        "int draw(void) { char keys[16]; return getrandom(keys, 16, 4) < 0; }",
        "draws keys for hash maps: an order that follows from them differs in every run",
    ),
    "thread of its own": (
        "static void *work(void *n) { return getrandom(n, 4, 0) == 4 ? 0 : n; }"
        "int draw(void) { pthread_t t; int n; return pthread_create(&t, 0, work, &n) || pthread_join(t, 0); }",
        "draws from the operating system's entropy (getrandom)",
    ),
}
CLEAN = {
    "constant seed": "int draw(void) { srand(42); srand48(7); return 0; }",
    "another file": 'int draw(void) { return close(open("/dev/null", O_RDONLY)); }',
    "only asks": "int draw(void) { return getrandom(0, 0, 0) < 0; }",
}
SCRIPT = """
import ctypes, sys
draw = ctypes.CDLL(sys.argv[1]).draw

assert draw() == 0
"""
LINE = 5  # of the call in SCRIPT

Build = Callable[..., Path]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Compile a library whose function `draw` returns 0."""

    def build(code: str, name: str = "libsimulator.so", language: str = "c") -> Path:
        (tmp_path / f"code.{language}").write_text(HEADERS + code if language == "c" else code)
        compiler = COMPILER if language == "c" else shutil.which("c++")
        source = tmp_path / f"code.{language}"
        subprocess.run([compiler, "-shared", "-fPIC", "-pthread", "-o", tmp_path / name, source], check=True)
        return tmp_path / name

    return build


@pytest.fixture
def audit(seedbed, tmp_path: Path):
    """Run a script with the path of a library under `seedbed run --audit`."""

    def audit(library: Path | str, code: str = SCRIPT, **variables: str) -> subprocess.CompletedProcess:
        (tmp_path / "script.py").write_text(code)
        return seedbed("run", "--audit", "--", "python", tmp_path / "script.py", library, **variables)

    return audit


def rows(done: subprocess.CompletedProcess) -> list[str]:
    """The places that the report names."""
    return done.stderr.partition("audit: places to look at: ")[2].splitlines()[1:]


@pytest.mark.parametrize("how", DRAWS)
def test_each_way_is_named_with_the_library_and_the_line(audit, build, tmp_path, how: str) -> None:
    code, said = DRAWS[how]
    done = audit(build(code))
    assert done.returncode == 0
    (row,) = rows(done)
    assert row.startswith(f"  {tmp_path}/script.py:{LINE}  libsimulator {said}")


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler (c++) here")
def test_the_generator_of_cxx_is_named_although_it_asks_the_processor(audit, build, tmp_path) -> None:
    code = '#include <random>\nextern "C" int draw() { std::random_device device; return device() == device(); }'
    done = audit(build(code, language="cc"))
    assert done.returncode == 0
    (row,) = rows(done)
    assert row.startswith(
        f"  {tmp_path}/script.py:{LINE}  2 times  libsimulator draws from the operating system's entropy"
    )


@pytest.mark.parametrize("code", CLEAN.values(), ids=CLEAN)
def test_a_clean_library_is_not_named(audit, build, code: str) -> None:
    done = audit(build(code))
    assert done.returncode == 0
    assert "audit: places to look at: none" in done.stderr
    assert "not watched" not in done.stderr


def test_without_the_watch_it_is_not_seen_and_the_report_says_so(run, build) -> None:
    code = SCRIPT.replace("sys.argv[1]", repr(str(build(GETRANDOM))))
    report = run(code, SEEDBED_AUDIT="1").stderr.splitlines()
    assert report == [
        "seedbed: audit: places to look at: none",
        "  native generators are not watched: use seedbed run --audit",
    ]


def test_pythons_own_names_are_not_mentioned(audit) -> None:
    done = audit("", "import tempfile, ssl\ntempfile.mkdtemp()\nssl.RAND_bytes(8)\n")
    assert "audit: places to look at: none" in done.stderr


def test_a_library_that_asks_through_python_is_named_for_what_it_is(audit, build, tmp_path) -> None:
    """As numba does: compiled code calls os.urandom."""
    code = """
    typedef struct object Object; Object *PyImport_ImportModule(const char *); int PyGILState_Ensure(void);
    Object *PyObject_CallMethod(Object *, const char *, const char *, ...);
    int draw(void) { return !PyObject_CallMethod(PyImport_ImportModule("os"), "urandom", "i", 4); }
    """
    done = audit(build(code), SCRIPT.replace("CDLL", "PyDLL"))
    assert rows(done) == [
        f"  {tmp_path}/script.py:{LINE}  libsimulator draws from the operating system's entropy: no seed reaches it"
    ]


def test_a_function_that_seeds_the_generator_is_not_named_although_it_draws(audit, build, install) -> None:
    """As polars does: a thread's generator exists, with a random seed, before the seed is set."""
    install(
        {
            "site-packages/sampler.py": "import ctypes, sys\n"
            "def set_seed(number): return ctypes.CDLL(sys.argv[1]).draw()\n"
            "def sample(): return ctypes.CDLL(sys.argv[1]).draw()\n"
        }
    )
    code = "import sys; sys.path.append('site-packages')\nimport sampler\nsampler.set_seed(1)\n"
    library = build(GETRANDOM)
    assert "audit: places to look at: none" in audit(library, code).stderr
    (row,) = rows(audit(library, code + "sampler.sample()"))
    assert "script.py:4  sampler (libsimulator) draws" in row


def test_it_compiles_without_a_warning(runtime, tmp_path) -> None:
    warnings = ["-Wall", "-Wextra", "-Werror"]
    source = runtime / "seedbed" / "native" / "entropy.c"
    subprocess.run([COMPILER, *preload.FLAGS, *warnings, "-o", tmp_path / "entropy.so", source], check=True)


def test_a_thousand_threads_and_fifty_children_are_counted_and_none_is_disturbed(audit, build, tmp_path) -> None:
    many = """
    static void *work(void *n) { int got; return getrandom(&got, 4, 0) == 4 ? 0 : n; }
    int draw(void) {
        pthread_t threads[1000]; int bad = 0; void *result;
        for (int i = 0; i < 1000; i++) bad |= pthread_create(&threads[i], 0, work, &bad);
        for (int i = 0; i < 1000; i++) bad |= pthread_join(threads[i], &result) || result;
        return bad;
    }
    """
    assert audit(build(many)).returncode == 0
    children = """
import ctypes, os, sys
draw = ctypes.CDLL(sys.argv[1]).draw
for _ in range(50):
    if os.fork() == 0:
        os._exit(draw())
sys.exit(max(os.wait()[1] for _ in range(50)))
"""
    done = audit(build(GETRANDOM, "libsmall.so"), children)
    assert done.returncode == 0
    (row,) = rows(done)
    assert "  50 times  libsmall draws" in row
    assert row.endswith(" (in 50 processes)")


def test_a_killed_program_is_reported_too(audit, build) -> None:
    done = audit(build(GETRANDOM), SCRIPT + "import os; os.kill(os.getpid(), 9)")
    assert done.returncode == 128 + signal.SIGKILL
    assert f"script.py:{LINE}  libsimulator draws" in done.stderr


def test_programs_without_python_are_watched(seedbed) -> None:
    done = seedbed("run", "--audit", "--", "sh", "-c", "shuf -i 1-9; exit 7")
    assert done.returncode == 7
    assert "  shuf draws from the operating system's entropy (getrandom): no seed reaches it" in done.stderr


def test_the_command_is_told_to_end_as_if_it_were_started_directly(python, environ, tmp_path) -> None:
    (tmp_path / "script.py").write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit('saved'))\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    command = [python, "-m", "seedbed", "run", "--audit", "--", python, tmp_path / "script.py"]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert "saved" in process.communicate(timeout=60)[1]
    assert process.returncode == 1


def test_a_preload_of_the_users_own_is_kept(audit, build) -> None:
    own = build(GETRANDOM, "libown.so")
    done = audit("", "import os; print(os.environ['LD_PRELOAD'].split()[-1])", LD_PRELOAD=str(own))
    assert done.stdout == f"{own}\n"


def test_a_temporary_folder_that_cannot_be_named_is_no_obstacle(audit, build, tmp_path) -> None:
    (tmp_path / "my files").mkdir()
    done = audit(build(GETRANDOM), TMPDIR=str(tmp_path / "my files"))
    assert done.returncode == 0
    assert f"script.py:{LINE}  libsimulator draws" in done.stderr


COMPILERS = {
    "none": (None, "no C compiler here (cc)"),
    "one that fails": ("#!/bin/sh\necho 'cc: out of memory' >&2; exit 1\n", "cc: out of memory"),
    "one that builds rubbish": (
        '#!/bin/sh\nfor word; do [ "$before" = -o ] && : >"$word"; before=$word; done\n',
        "the dynamic loader does not preload Seedbed's library",
    ),
}


@pytest.mark.parametrize("script, reason", COMPILERS.values(), ids=COMPILERS)
def test_where_it_cannot_be_watched_one_line_says_why(audit, python, tmp_path, script, reason: str) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("cat", "sh"):
        (programs / name).symlink_to(shutil.which(name))
    if script:
        (programs / "cc").write_text(script)
        (programs / "cc").chmod(0o755)
    done = audit("", "print(1)", PATH=f"{python.parent}:{programs}")
    (line,) = rows(done)
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert line.startswith("  native generators are not watched: ")
    assert reason in line


def test_watching_changes_no_bit_and_no_recorded_fact(seedbed, build, tmp_path) -> None:
    (tmp_path / "script.py").write_text(
        "import ctypes, random, sys\nctypes.CDLL(sys.argv[1]).draw(); print(random.random(), random.Random().random())"
    )
    command = ["--", "python", tmp_path / "script.py", build(GETRANDOM)]
    watched, plain = seedbed("run", "--audit", *command), seedbed("run", *command)
    assert watched.stdout == plain.stdout
    assert "libsimulator draws" in watched.stderr
    verified = json.loads(seedbed("verify", "-n", "2", "--no-other-seed", "--json", *command).stdout)
    assert verified["verdict"]["outcome"] == "equal"
    assert verified["native"] == []
    assert not {"LD_PRELOAD", "SEEDBED_NATIVE", "SEEDBED_NATIVE_LIBRARY"} & verified["facts"]["environment"].keys()


DIVERGES = """
import ctypes, sys
number = ctypes.c_uint()
draw = ctypes.CDLL(sys.argv[1]).draw

draw(ctypes.byref(number)); print(number.value)
"""
DRAW_INTO = "int draw(unsigned *n) { return getrandom(n, sizeof *n, 0) < 0; }"


@pytest.mark.parametrize("verb", ["verify", "trace"])
def test_where_runs_differ_the_generator_is_named(seedbed, build, tmp_path, verb: str) -> None:
    (tmp_path / "script.py").write_text(DIVERGES)
    done = seedbed(verb, "-n", "2", "--", "python", tmp_path / "script.py", build(DRAW_INTO))
    assert done.returncode == 1
    said = done.stdout.partition("Native generators that no seed reaches:")[2]
    assert "script.py:6  libsimulator draws from the operating system's entropy (getrandom)" in said


def test_a_normal_run_is_not_touched(seedbed) -> None:
    done = seedbed("run", "--", "sh", "-c", "echo $LD_PRELOAD $SEEDBED_NATIVE; cat /proc/self/maps")
    assert done.stdout.startswith("\n")
    assert "entropy" not in done.stdout


def test_awk_which_seeds_itself_at_every_start_is_no_place_to_look_at() -> None:
    drawn = [events.Event(1, f"/usr/bin/{name}", "srandom", "seeded from the clock", 1, ()) for name in ("mawk", "x")]
    assert [events.is_harmless(event) for event in drawn] == [True, False]
