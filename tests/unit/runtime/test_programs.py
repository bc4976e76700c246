"""Programs that a program starts: equal ones that run at the same time differ, and so do ranks and workers."""

import pytest

START = """
import os, random, subprocess, sys
CODE = "import random; print(random.random())"
COMMAND = [sys.executable, "-c", CODE]

def start(**options):
    return subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True, **options)

def drawn(program):
    return program.communicate()[0].strip()

def alone(**options):
    return drawn(start(**options))

def at_once(count, **options):
    return [drawn(program) for program in [start(**options) for _ in range(count)]]
"""


@pytest.fixture
def numbers(output):
    def numbers(code: str, **variables: str) -> list[str]:
        return output(START + code, **variables).split()

    return numbers


def test_equal_programs_at_the_same_time_differ_and_repeat(numbers) -> None:
    code = "print(*at_once(4))"
    assert len(set(numbers(code))) == 4
    assert numbers(code) == numbers(code)
    assert numbers(code) != numbers(code, SEEDBED_SEED="7")
    assert numbers(code, SEEDBED_MODE="off") != numbers(code, SEEDBED_MODE="off")


def test_the_first_of_them_has_the_seed_asked_for(numbers) -> None:
    first, alone = numbers("print(at_once(2)[0], random.random())")
    assert first == alone


def test_one_after_the_other_they_are_the_same_program_run_again(numbers) -> None:
    code = """
print(alone(), alone())
print(subprocess.run(COMMAND, capture_output=True, text=True).stdout)
program = start()
while program.poll() is None: pass
print(drawn(program), alone())
"""
    assert len(set(numbers(code))) == 1


def test_that_one_has_ended_does_not_matter_until_it_has_been_waited_for(numbers) -> None:
    code = """
import select
first = start()
select.select([first.stdout], [], [])
os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)
print(alone(), drawn(first))
"""
    second, first = numbers(code)
    assert second != first


def test_what_nobody_holds_any_more_counts_as_running(numbers) -> None:
    code = """
def forget():
    subprocess.Popen(COMMAND)
    os.wait()
sys.stdout.flush()
forget(); forget()
"""
    first, second = numbers(code)
    assert first != second


def test_a_queue_that_keeps_two_running_tells_all_apart(numbers) -> None:
    code = """
running, found = [start(), start()], []
while len(found) < 4:
    found.append(drawn(running.pop(0)))
    running.append(start())
print(*found, *map(drawn, running))
"""
    assert len(set(numbers(code))) == 6
    assert numbers(code) == numbers(code)


def test_programs_that_are_told_apart_already_keep_the_seed(numbers) -> None:
    code = """
ranks = [start(env={**os.environ, "RANK": str(rank)}) for rank in range(3)]
print(*map(drawn, ranks))
"""
    assert len(set(numbers(code))) == 1
    assert len(set(numbers(code, SEEDBED_RANK_OFFSET="1"))) == 3


def test_the_callers_environment_stays_as_it_is(numbers) -> None:
    code = """
mine = dict(os.environ)
programs = [subprocess.Popen(["env"], env=mine, stdout=subprocess.PIPE, text=True) for _ in range(2)]
print(*("SEEDBED_LINEAGE" in drawn(program) for program in programs))
print(mine == dict(os.environ), "SEEDBED_LINEAGE" in os.environ)
"""
    assert numbers(code) == ["False", "True", "True", "False"]


def test_nothing_is_handed_on_by_a_python_that_was_told(numbers) -> None:
    code = """
CODE = "import os; print('SEEDBED_LINEAGE' in os.environ)"
COMMAND[-1] = CODE
print(*at_once(2))
"""
    assert numbers(code) == ["False", "False"]


def test_workers_of_a_pool_start_programs_that_differ(numbers) -> None:
    code = """
import multiprocessing
def task(number):
    return alone(), alone()
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(*(number for pair in pool.map(task, range(4), chunksize=1) for number in pair))
"""
    drawn = numbers(code)
    assert drawn[::2] == drawn[1::2]
    assert len(set(drawn)) == 4
    assert drawn == numbers(code)


def test_threads_of_a_pool_start_programs_that_differ(numbers) -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(2) as pool:
    print(*pool.map(lambda _: alone(), range(4)))
"""
    assert len(set(numbers(code))) == 4
    assert numbers(code) == numbers(code)


def test_asyncios_programs_are_told_apart_too(numbers) -> None:
    code = """
import asyncio
async def main():
    pipe = asyncio.subprocess.PIPE
    programs = [await asyncio.create_subprocess_exec(*COMMAND, stdout=pipe) for _ in range(2)]
    for program in programs:
        print((await program.communicate())[0].decode())
asyncio.run(main())
"""
    assert len(set(numbers(code))) == 2


def test_runs_of_seedbeds_own_side_by_side_are_not_told_apart(seedbed, tmp_path) -> None:
    (tmp_path / "train.py").write_text("import random; print(random.random())")
    done = seedbed("verify", "--parallel", "2", "-n", "2", "--", "python", "train.py")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_job_can_ask_for_the_seed_asked_for(numbers) -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(2) as pool:
    print(*pool.map(lambda _: alone(env={**os.environ, "SEEDBED_LINEAGE": ""}), range(3)), random.random())
"""
    assert len(set(numbers(code))) == 1


def test_each_of_them_is_audited(run) -> None:
    done = run(START + "COMMAND[-1] = 'import random; random.Random()'\nat_once(3)", SEEDBED_AUDIT="1")
    assert done.stderr.count("audit: places to look at") == 4


def test_wrong_arguments_are_the_same_errors(output) -> None:
    code = """
import subprocess
for wrong in ({"args": ["/nowhere"]}, {"args": 3}, {"args": ["true"], "cwd": "/nowhere"}, {"args": ["true"], "env": 3}):
    try: subprocess.Popen(**wrong)
    except Exception as error: print(type(error), error)"""
    assert output(code) == output(code, SEEDBED_MODE="off")
