"""`seedbed verify` catches what differs between runs, in programs that need nothing but Python and numpy."""

import json
from pathlib import Path

import pytest

PLANTED = {
    "unseeded generator": "import random; print(random.SystemRandom().random())",
    "entropy as seed": """
import os
import numpy as np
print(np.random.default_rng(int.from_bytes(os.urandom(8), "big")).random())
""",
    "clock as seed": "import random, time; random.seed(time.time_ns()); print(random.random())",
    "forked children seeded by their pid": """
import os, random
for _ in range(2):
    if os.fork() == 0:
        random.seed(os.getpid()); print(random.random(), flush=True); os._exit(0)
    os.wait()
""",
    "sums in the order of threads": """
import functools, operator, threading, time
arrived = []
def work(number): time.sleep(time.time_ns() // 1000 % 20 / 1000); arrived.append(number)
threads = [threading.Thread(target=work, args=(1 / (i + 1),)) for i in range(64)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print([functools.reduce(operator.add, [number / scale for number in arrived]).hex() for scale in range(1, 33)])
""",
    "results in the order of their arrival": """
import multiprocessing, time
def work(task): time.sleep(time.time_ns() // 1000 % 20 / 1000); return task
if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool: print(list(pool.imap_unordered(work, range(60))))
""",
    "order of a set of objects": """
class Sample:
    def __init__(self, number): self.number = number
print([sample.number for sample in {Sample(number) for number in range(9000)}])
""",
    "data that change": """
from pathlib import Path
file = Path("data.txt"); number = int(file.read_text()) if file.exists() else 0
print(number); file.write_text(str(number + 1))
""",
    "environment that changes": "import os; print(os.environ['NOISE'])",
    "numbers only a file shows": """
import os
print("loss 0.50"); open("model.bin", "wb").write(os.urandom(8))
""",
}

CLEAN = {
    "generators without a seed": """
import random
import numpy as np
print(random.random(), random.Random().random(), np.random.default_rng().random(), np.random.random())
""",
    "forked children": """
import os, random
for _ in range(2):
    if os.fork() == 0: print(random.random(), flush=True); os._exit(0)
    os.wait()
""",
    "spawned children": """
import multiprocessing, random
def work(results): results.put(random.random())
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    for _ in range(2):
        child = context.Process(target=work, args=(results,))
        child.start(); print(results.get()); child.join()
""",
    "threads that are waited for in order": """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool: print(sum(pool.map(lambda number: 0.1 ** number, range(16))).hex())
""",
    "sets of strings": "print({'a', 'b', 'c', 'd', 'e'})",
    "sets of objects, sorted": """
class Sample:
    def __init__(self, number): self.number = number
print(sorted(sample.number for sample in {Sample(number) for number in range(200)}))
""",
    "times, rates and addresses": """
import datetime, time, os
start = time.time()
print("epoch 1 took", time.time() - start, "s,", 100 / (time.time() - start + 1e-9), "it/s;", time.time_ns(), "ns")
print(datetime.datetime.now(), datetime.datetime.now().time(), object(), "5 / 5 [00:01<00:00, 12.3it/s]")
""",
    "names of temporary files that are not printed": "import tempfile; tempfile.mkdtemp(); print(1)",
    "random identifiers that are not printed": "import uuid, secrets; uuid.uuid4(); secrets.token_hex(); print(2)",
    "one and the same output": "print('loss 0.5')",
}

LAUNCHED = {"environment that changes": ["sh", "-c", "NOISE=$$ exec python script.py"]}
OPTIONS = {"numbers only a file shows": ["--output", "model.bin"]}


@pytest.fixture
def verify(seedbed, tmp_path: Path):
    """`seedbed verify` of a script, twice, with options of its own."""

    def verify(code: str, *options: str, command: list[str] | None = None, **variables: str):
        (tmp_path / "script.py").write_text(code)
        return seedbed("verify", "-n", "2", *options, "--", *(command or ["python", "script.py"]), **variables)

    return verify


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_divergence_is_caught(verify, name: str) -> None:
    done = verify(PLANTED[name], "--no-other-seed", *OPTIONS.get(name, ()), command=LAUNCHED.get(name))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "DIVERGED. First difference: " in done.stdout


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_program_raises_no_alarm(verify, name: str) -> None:
    done = verify(CLEAN[name], "--no-other-seed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "EQUAL: 2 runs" in done.stdout


@pytest.mark.parametrize("name", ["generators without a seed", "forked children", "spawned children"])
def test_what_only_the_layer_makes_repeatable_diverges_without_it(verify, name: str) -> None:
    assert verify(CLEAN[name], SEEDBED_MODE="off").returncode == 1


def test_a_seed_that_changes_nothing_is_told(verify) -> None:
    code = "import random; random.seed(3); print(random.random())"
    assert "warning: seed 43 changes nothing" in verify(code).stdout
    assert "changes nothing" not in verify(CLEAN["generators without a seed"]).stdout


TRAINING = """
import os, random
from seedbed.recording.writer import writer
def step(**kinds):
    line = {kind: [float(value).hex()] if kind == "loss" else str(value) for kind, value in kinds.items()}
    writer.step(lambda: line)
noise = random.SystemRandom().random
print(noise())
"""  # steps as torch or Keras would take them


@pytest.mark.parametrize(
    "steps, first",
    [
        (
            "step(initial=noise(), data=1, loss=noise(), gradients=noise(), parameters=noise())",
            "initial parameters, step 1",
        ),
        ("step(initial=1, data=1, loss=1); step(data=noise(), loss=noise())", "data, step 2"),
        ("step(loss=1); step(data=1, loss=1); step(data=1, loss=noise(), gradients=noise())", "loss (forward), step 3"),
        ("step(loss=1, gradients=noise(), parameters=noise())", "gradients (backward), step 1"),
        ("step(loss=1, gradients=1, parameters=noise())", "parameters (update), step 1"),
        ("step(loss=1); os.path.exists('x') and step(loss=1); open('x', 'w')", "number of steps"),
    ],
)
def test_the_kind_that_differs_first_is_named(verify, steps: str, first: str) -> None:
    done = verify(TRAINING + steps, "--no-other-seed")
    assert done.returncode == 1
    assert f"DIVERGED. First difference: {first}" in done.stdout
    assert "seedbed trace -- python script.py" in done.stdout


def test_equal_steps_are_equal_bits_whatever_is_printed(verify) -> None:
    done = verify(TRAINING + "step(initial=1, data=1, loss=0.1, parameters=2)", "--no-other-seed")
    assert done.returncode == 0
    assert "EQUAL: 2 runs, 1 step, all bits of initial parameters, data, losses and updates." in done.stdout
    assert "warning: what is printed differs in line 1, which is not compared" in done.stdout


def test_printed_lines_count_where_they_are_asked_for(verify) -> None:
    code = TRAINING + "step(loss=1); print('accuracy', noise())"
    assert "First difference: printed line 1." in verify(code, "--lines", r"accuracy (\S+)").stdout
    assert verify(code, "--lines", "acc").returncode == 0


def test_the_trace_that_it_names_has_the_same_seed_and_mode(verify) -> None:
    code = TRAINING + "step(loss=noise())"
    assert "differs: seedbed trace -- python script.py" in verify(code, SEEDBED_SEED="7").stdout
    named = verify(code, "--seed", "7", "--mode", "warn").stdout
    assert "differs: seedbed trace --seed 7 --mode warn -- python script.py" in named


def test_runs_that_differ_are_not_warned_of_what_they_print(verify) -> None:
    assert "which is not compared" not in verify(TRAINING + "step(loss=noise())").stdout


def test_data_that_ignore_the_seed_are_told(verify) -> None:
    code = TRAINING + "step(initial=random.random(), data=7, loss=random.random())"
    assert "warning: seed 43 changes the initial parameters, but not the data" in verify(code).stdout
    shuffled = TRAINING + "step(initial=random.random(), data=random.random(), loss=random.random())"
    assert "but not the data" not in verify(shuffled).stdout


@pytest.mark.parametrize("tolerance, status", [("0", 1), ("1e-9", 1), ("1e-3", 0)])
def test_a_tolerance_is_for_losses_and_relative(verify, tolerance: str, status: int) -> None:
    """Its runs are far enough apart for 1e-9, and near enough for 1e-3, whatever is drawn."""
    code = TRAINING + "apart = os.path.exists('x'); open('x', 'w')\n"
    code += "step(initial=1, loss=1000 + 1e-3 * (apart + noise() / 2), parameters=noise())"
    done = verify(code, "--tolerance", tolerance, "--no-other-seed")
    assert done.returncode == status
    assert ("WITHIN TOLERANCE: losses differ by" in done.stdout) == (status == 0)


@pytest.mark.parametrize("tolerance, status", [("1e-9", 1), ("0.9", 0)])
def test_a_tolerance_is_for_printed_numbers_where_there_are_no_steps(verify, tolerance: str, status: int) -> None:
    code = "import random; print('loss', 5 + random.SystemRandom().random(), 'x')"
    assert verify(code, "--tolerance", tolerance).returncode == status


SECOND_FAILS = """
from pathlib import Path
x = Path('x'); was = x.exists(); x.touch()
print(1)
"""


def test_a_run_that_fails_is_a_crash_and_no_divergence(verify) -> None:
    done = verify(SECOND_FAILS + "if was: raise SystemExit('no memory left')", "--no-other-seed")
    assert (done.returncode, "DIVERGED" in done.stdout) == (1, False)
    said = "CRASHED: run 2 ended with status 1 and said:\n  no memory left\nUp to there the runs agree.\n"
    assert done.stdout.endswith(said)


def test_a_run_that_is_killed_names_the_signal(verify) -> None:
    done = verify(SECOND_FAILS + "import os\nif was: os.kill(os.getpid(), 9)", "--no-other-seed")
    assert "CRASHED: run 2 was killed by SIGKILL (out of memory?) and said:\n  1\n" in done.stdout


def test_a_crash_of_native_code_says_where_it_was(verify) -> None:
    done = verify(SECOND_FAILS + "import os\nif was: os.kill(os.getpid(), 11)", "--no-other-seed")
    assert "CRASHED: run 2 was killed by SIGSEGV and said:\n  Fatal Python error: Segmentation fault" in done.stdout


@pytest.mark.parametrize("folder", ["out", "."])  # that the first run makes, and that was there before
def test_a_folder_that_is_there_already_has_its_remedy(verify, folder: str) -> None:
    done = verify(f"import os; os.mkdir('{folder}'); print(1)", "--no-other-seed")
    assert done.returncode == 1
    assert "nother run left it there" in done.stdout + done.stderr


def test_a_run_that_fails_after_it_diverged_says_so(verify) -> None:
    code = TRAINING + "step(loss=noise())" + SECOND_FAILS + "raise SystemExit(was)"
    done = verify(code, "--no-other-seed")
    assert (done.returncode, "CRASHED: run 2 ended with status 1" in done.stdout) == (1, True)
    assert "Before that the runs differ: loss (forward), step 1." in done.stdout


def test_a_thread_that_an_exception_ended_is_named(verify) -> None:
    code = "import threading\ndef work(): raise KeyError('x')\nthreading.Thread(target=work).start(); print(1)"
    done = verify(code, "--no-other-seed")
    assert (done.returncode, "EQUAL" in done.stdout) == (0, True)
    assert "warning: in run 1 an exception ended thread Thread-1 (work): KeyError: 'x'\n" in done.stdout


def test_a_crash_is_data_for_programs(verify) -> None:
    done = verify(SECOND_FAILS + "if was: raise SystemExit('no memory left')", "--no-other-seed", "--json")
    document = json.loads(done.stdout)
    assert (document["verdict"]["outcome"], document["verdict"]["run"]) == ("crashed", 1)
    assert [run["last_words"] for run in document["runs"]] == [None, "no memory left"]


SAME_PORT = """
import random, socket, time
with socket.socket() as server:
    server.bind(("127.0.0.1", random.randrange(20000, 30000)))
    server.listen()
    time.sleep(3)
print(1)
"""


def test_runs_side_by_side_that_draw_the_same_port_get_advice(verify) -> None:
    side_by_side = verify(SAME_PORT, "--parallel", "2", "--no-other-seed")
    assert (side_by_side.returncode, "DIVERGED" in side_by_side.stdout) == (1, False), side_by_side.stdout
    assert "Address already in use" in side_by_side.stdout
    assert "same random port or name: use --parallel 1." in side_by_side.stdout
    assert "EQUAL: 2 runs" in verify(SAME_PORT, "--no-other-seed").stdout


def test_parallel_runs_write_outputs_of_their_own(verify) -> None:
    code = "import sys, random; open(sys.argv[1], 'w').write(str(random.random()))"
    command = ["python", "script.py", "model-{run}.bin"]
    refused = verify(code, "--parallel", "2", "--output", "model.bin", command=["python", "script.py", "model.bin"])
    assert refused.returncode == 2
    assert "--parallel with --output: expected {run} in the command and in each output" in refused.stderr
    assert verify(code, "--parallel", "2", "--output", "model-{run}.bin", command=command).returncode == 0


def test_programs_can_read_the_verdict(verify) -> None:
    document = json.loads(verify(TRAINING + "step(initial=1, loss=noise())", "--json").stdout)
    assert document["verdict"]["outcome"] == "diverged"
    assert (document["verdict"]["difference"]["kind"], document["verdict"]["difference"]["step"]) == ("loss", 1)
    assert [run["seed"] for run in (*document["runs"], document["other_seed"])] == [42, 42, 43]


def test_records_are_kept_on_request(verify, tmp_path: Path) -> None:
    verify("print(1)", "--keep", "kept")
    assert sorted(folder.name for folder in (tmp_path / "kept").iterdir()) == ["1", "2", "other-seed"]


@pytest.mark.parametrize(
    "code, status, message",
    [
        ("raise SystemExit('no such data')", 1, "verify: the command ended with status 1 and said: no such data"),
        ("pass", 1, "verify: nothing to compare: the command took no training step with torch or Keras and printed "),
    ],
)
def test_what_cannot_be_verified_is_one_line(verify, code: str, status: int, message: str) -> None:
    done = verify(code)
    assert (done.returncode, done.stdout) == (status, "")
    assert f"seedbed: {message}" in done.stderr


@pytest.mark.parametrize(
    "options", [["-n", "1"], ["--tolerance", "2"], ["--lines", "("], ["--seed", "-1"], ["--mode", "x"]]
)
def test_wrong_use_ends_with_2(verify, options: list[str]) -> None:
    done = verify("print(1)", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
