"""`seedbed trace` names what made runs differ, in programs that need nothing but Python and numpy."""

import json
from pathlib import Path

import pytest

CLOCK = """
import random, time
random.seed(time.time_ns())
print(random.random())
"""
ENTROPY = """
import os
import numpy as np
print(np.random.default_rng(int.from_bytes(os.urandom(8), "big")).random())
"""
THREADS = """
import threading, time
arrived = []
def work(number): time.sleep(time.time_ns() // 1000 % 20 / 1000); arrived.append(number)
threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(arrived)
"""
OBJECTS = """
class Sample:
    def __init__(self, number): self.number = number
print([sample.number for sample in list({Sample(number) for number in range(9000)})])
"""
STRINGS = "print(list({chr(letter) for letter in range(97, 123)}))"
FILE = """
from pathlib import Path
file = Path("data.txt"); number = int(file.read_text()) if file.exists() else 0
print(number); file.write_text(str(number + 1))
"""
LISTING = """
import os
open("data.log", "w").close()
print(os.listdir("data"))
"""
ENVIRONMENT = "import os; print(os.environ['NOISE'])"
FORKS = """
import os, random
for child in range(2):
    if os.fork() == 0:
        random.seed(child)
        os._exit(0)
    os.wait()
print(os.urandom(4))
"""
CLEAN = "import random, time; print(random.random(), 'after', time.perf_counter(), 's')"


@pytest.fixture
def trace(seedbed, tmp_path: Path):
    """`seedbed trace` of a script, with options of its own."""

    def trace(code: str, *options: str, command: tuple[str, ...] = ("python", "script.py"), **variables: str):
        (tmp_path / "script.py").write_text(code)
        return seedbed("trace", *options, "--", *command, **variables)

    return trace


@pytest.mark.parametrize(
    "code, command, culprit",
    [
        (CLOCK, "python script.py", "random.seed at script.py:3 in <module> is given "),
        (ENTROPY, "python script.py", "numpy.random.default_rng at script.py:4 in <module> is given "),
        (FILE, "python script.py", "the file data.txt differs (1 bytes, sha1 "),
        (LISTING, "mkdir -p data; touch data/$$; exec python script.py", "the listing data differs (1 names, sha1 "),
        (ENVIRONMENT, "sh -c 'NOISE=$$ exec python script.py'", "the environment variable NOISE is "),
    ],
)
def test_what_reached_the_runs_from_outside_is_named(trace, tmp_path, code: str, command: str, culprit: str) -> None:
    (tmp_path / "data.txt").write_text("0")
    done = trace(code, command=("sh", "-c", command))
    assert done.returncode == 1, done.stderr
    assert f"Cause:\n    {culprit}" in done.stdout


def test_what_varies_by_nature_is_no_cause(trace) -> None:
    """The numbers of processes, which psutil lists."""
    done = trace("import os; os.listdir('/proc'); print(os.urandom(4))")
    assert (done.returncode, "/proc" in done.stdout) == (1, False), done.stdout


@pytest.mark.parametrize("code, line", [(OBJECTS, 4), (THREADS, 4), (THREADS, 5)])
def test_otherwise_the_places_that_no_seed_fixes_are_listed(trace, code: str, line: int) -> None:
    assert (
        f"    script.py:{line}  "
        in trace(code).stdout.partition("Places in the sources that no seed makes repeatable:")[2]
    )


@pytest.mark.parametrize(
    "code, options, blamed",
    [
        (CLOCK, {}, "the time of day, at script.py:3"),
        (ENTROPY, {}, "a generator that takes its seed from the operating system, at script.py:4"),
        (STRINGS, {"PYTHONHASHSEED": "random", "SEEDBED_MODE": "off"}, "the order of sets of strings"),
    ],
)
def test_a_hunt_blames_the_one_change_that_helps(trace, code: str, options: dict, blamed: str) -> None:
    done = trace(code, "--hunt", **options)
    assert [line for line in done.stdout.splitlines() if line.startswith("Cause: ")] == [f"Cause: {blamed}"]


def test_a_hunt_in_which_nothing_helps_says_so(trace) -> None:
    assert trace(OBJECTS, "--hunt").stdout.endswith("None of these changes helps.\n")


def test_threads_one_after_the_other_arrive_in_order(trace) -> None:
    # The clock would help as well: so how long each sleeps comes from where an object lies in memory.
    by_address = THREADS.replace("time.time_ns() // 1000 % 20", "hash((id(arrived), number)) % 20")
    report = json.loads(trace(by_address, "--hunt", "--json").stdout)
    (helped,) = [trial for trial in report["hunt"] if trial["helps"]]
    assert (helped["name"], [place.rpartition("/")[2] for place in helped["places"]]) == ("workers", ["script.py:6"])


def test_equal_runs_have_nothing_to_trace(trace, tmp_path: Path) -> None:
    done = trace(CLEAN, "--keep", "kept")
    assert (done.returncode, done.stdout) == (0, "No difference in what 4 runs printed.\n")
    assert len(list((tmp_path / "kept").iterdir())) == 4


def test_journals_are_kept_where_asked_whatever_folder_the_command_goes_to(trace, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    done = trace(CLEAN, "-n", "2", "--keep", "kept", command=("sh", "-c", "cd below && python ../script.py"))
    assert (done.returncode, done.stdout) == (0, "No difference in what 2 runs printed.\n"), done.stderr
    assert len(list((tmp_path / "kept").glob("run-*/*.jsonl"))) == 2


def test_a_module_that_only_the_first_run_compiles_is_no_cause(trace, tmp_path: Path) -> None:
    (tmp_path / "library.py").write_text("")
    assert "library.py" not in trace("import library" + OBJECTS, PYTHONDONTWRITEBYTECODE="").stdout
    assert (tmp_path / "__pycache__").exists()


def test_a_forked_child_writes_only_into_its_own_journal_and_only_the_users_seeds(trace, tmp_path: Path) -> None:
    trace(FORKS, "--keep", "kept")
    journals = {path.stem: path.read_text().splitlines() for path in (tmp_path / "kept/run-1").glob("*.jsonl")}
    seeds = {name: [json.loads(line) for line in lines if '"seed":' in line] for name, lines in journals.items()}
    given = {name: [event["value"] for event in events] for name, events in seeds.items()}
    assert given == {"0-1": [], "0-1-f1": [0], "0-1-f2": [1]}


def test_no_more_runs_than_needed(trace, tmp_path: Path) -> None:
    trace(CLOCK, "--keep", "kept")
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_programs_can_read_it(trace) -> None:
    report = json.loads(trace(CLOCK, "--json").stdout)
    assert (report["equal"], report["step"], report["seen"]) == (False, 0, "line")
    assert "random.seed at " in report["cause"]["certain"][0]
    assert json.loads(trace(CLEAN, "--json", "-n", "2").stdout) == {"equal": True, "runs": 2, "steps": 0}


def test_a_run_that_fails_is_told_once_and_again_at_the_end(trace) -> None:
    code = "import pathlib\nwas = pathlib.Path('x')\nif not was.exists(): was.touch(); raise SystemExit('no such data')"
    done = trace(code)
    assert done.stderr.count("a run fails, which is not a difference of numbers: no such data\n") == 1
    assert done.stdout == "No difference in what 4 runs printed, but 1 of them failed: no such data\n"


def test_a_command_that_fails_is_one_line(trace) -> None:
    done = trace("raise SystemExit('no such data')")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("seedbed: trace: the command fails: no such data\n")


@pytest.mark.parametrize("options", [["-n", "1"], ["--seed", "x"], ["--mode", "x"]])
def test_wrong_use_ends_with_2(trace, options: list[str]) -> None:
    done = trace("print(1)", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
