"""What commands print: nothing moves a terminal's cursor, no stream that is closed, full or of ASCII is a traceback."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from seedbed import terminal
from seedbed.recording import launch

EVIL = "\x1b]0;title\x07\x1b[2J\r\u202e\x9b"


def is_safe(text: str) -> bool:
    return all(letter.isprintable() or letter in "\n\t" for letter in text)


@pytest.fixture
def records(tmp_path: Path) -> list[str]:
    """Two records with control characters wherever a record has text."""
    environ = {"PATH": os.environ["PATH"]}
    for name in "ab":
        command = ["printf", f"{EVIL}{name}\n\nEQUAL. All bits agree.{EVIL}"]
        launch.run(command, tmp_path / name, environ)
        file = tmp_path / name / "output.jsonl"
        run, *others = file.read_text().splitlines()
        facts = json.loads(run)["run"] | {"commit": EVIL + name, "driver": f"\nEQUAL{name}", EVIL: name}
        facts["sources"] = {EVIL: "0" * 64}
        file.write_text("".join(f"{line}\n" for line in (json.dumps({"run": facts}), *others)))
    return ["a", "b"]


def test_no_code_for_the_terminal_passes_from_a_record(seedbed, records: list[str]) -> None:
    for command in (["compare", *records], ["replay", "a", "--image", "x"]):
        done = seedbed(*command)
        assert "Traceback" not in done.stderr
        assert is_safe(done.stdout + done.stderr) and "\\x1b" in done.stdout + done.stderr


def test_no_fact_can_pretend_to_be_a_line_of_the_page(seedbed, records: list[str]) -> None:
    assert not [line for line in seedbed("compare", *records).stdout.splitlines() if line.startswith("EQUAL")]


@pytest.mark.parametrize(
    "command", [["verify", "-n", "2"], ["golden", "g.json"], ["trace", "-n", "2"], ["sweep"], ["resume"]]
)
def test_no_code_for_the_terminal_passes_from_a_program(seedbed, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "fail.py").write_text(f"import os, sys; print({EVIL!r}, os.getpid()); sys.exit({EVIL!r})")
    done = seedbed(*command, "--", "python", "fail.py")
    assert "Traceback" not in done.stderr
    assert is_safe(done.stdout + done.stderr) and "\\x9b" in done.stderr


def test_a_message_of_the_hook_is_one_line_without_codes(capfd) -> None:
    terminal.log(f"a\nb{EVIL}")
    assert capfd.readouterr().err == "seedbed: a\\nb\\x1b]0;title\\x07\\x1b[2J\\r\\u202e\\x9b\n"


def test_what_is_printable_stays() -> None:
    assert terminal.printable("µ ± é\n", keep="\n") == "µ ± é\n"
    assert terminal.printable("\udcff\n") == "\\udcff\\n"


@pytest.fixture
def shell(python: Path, environ: dict[str, str], tmp_path: Path):
    """A line of a shell, in which `seedbed` is the command."""

    def shell(line: str, **variables: str) -> subprocess.CompletedProcess:
        environ["PATH"] = f"{python.parent}{os.pathsep}{environ['PATH']}"
        line = f'seedbed() {{ "{python}" -m seedbed "$@"; }}; {line}'
        return subprocess.run(
            ["bash", "-c", line], env=environ | variables, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )

    return shell


COMMANDS = ["info", "verify -n 2 -- echo 1", "sweep --metric loss -- echo loss 1", "run --help", "trace -n 2 -- echo 1"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_below_standard_output_is_one_line(shell, command: str) -> None:
    done = shell(f"seedbed {command} >/dev/full")
    assert done.returncode == 74
    assert done.stderr.splitlines()[-1] == "seedbed: standard output: No space left on device"
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


def test_the_results_of_a_sweep_are_there_though_nobody_can_read_the_table(shell, tmp_path: Path) -> None:
    shell("seedbed sweep -- echo loss 1 >/dev/full")
    assert {"results.csv", "results.json", "plots.html", "loss.svg"} <= {
        path.name for path in (tmp_path / "sweep").iterdir()
    }


@pytest.mark.parametrize("command", COMMANDS[:3])
def test_a_closed_standard_output_is_said(shell, command: str) -> None:
    done = shell(f"seedbed {command} >&-")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (74, "seedbed: standard output is closed")


@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full"])
def test_without_standard_error_nothing_of_ours_is_on_standard_output(shell, tmp_path: Path, stream: str) -> None:
    with_it = shell("seedbed verify -n 2 -- echo 1")
    without = shell(f"seedbed verify -n 2 -- echo 1 {stream}")
    assert (without.returncode, without.stdout) == (with_it.returncode, with_it.stdout)
    assert shell(f"seedbed run -- echo data {stream}").stdout == "data\n"
    assert shell(f"seedbed run --audit -- python -c 'import random; random.Random()' {stream}").stdout == ""
    wrong = shell(f"seedbed run --seed x -- echo data {stream}")
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_a_program_whose_standard_error_is_full_trains(shell, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import random\ntry: import numpy\nexcept ImportError: pass\nprint('trained')")
    done = shell("env -u PYTHONHASHSEED python train.py 2>/dev/full")  # the hook warns of the hash seed
    assert (done.returncode, done.stdout) == (0, "trained\n")


@pytest.mark.parametrize("streams", ["<&-", "2>&-", "<&- 2>&-"])
def test_a_file_opened_later_does_not_take_the_place_of_a_closed_stream(shell, streams: str) -> None:
    code = "from seedbed import terminal; terminal.prepare(); import os; print(os.open('file', os.O_CREAT) > 2)"
    assert shell(f'python -c "{code}" {streams}').stdout == "True\n"


@pytest.mark.parametrize(
    "variables", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0", "LC_ALL": "C"}]
)
def test_output_that_cannot_be_encoded_is_escaped(shell, variables: dict[str, str]) -> None:
    done = shell("seedbed sweep --metric accuracy -- echo accuracy 1", **variables)
    assert done.returncode == 0 and done.stderr.count("Traceback") == 0
    assert "accuracy 1" in done.stdout


def test_a_recorded_command_goes_on_though_its_output_cannot_be_passed_on(shell, tmp_path: Path) -> None:
    done = shell("seedbed run --record r -- sh -c 'echo one; echo two; echo end >done; exit 3' >/dev/full")
    assert (done.returncode, (tmp_path / "done").exists()) == (3, True)
    assert [line for line in done.stderr.splitlines() if "only in the record" in line] == [
        "seedbed: the output of the command is now only in the record: No space left on device"
    ]
    assert '"text": "two"' in (tmp_path / "r" / "output.jsonl").read_text()


@pytest.mark.parametrize("command", ["verify -n 2 -- echo 1", "golden g.json -- echo 1", "trace -n 2 -- echo 1"])
def test_a_disk_that_takes_nothing_is_no_traceback(shell, command: str) -> None:
    done = shell(f"ulimit -f 0; seedbed {command}")
    assert done.returncode != 0 and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "sweep --output /proc/x -- touch ran",
        "golden --record /proc/g.json -- touch ran",
        "trace --keep /proc/k -- touch ran",
    ],
)
def test_where_nothing_can_be_written_nothing_is_run(shell, tmp_path: Path, line: str) -> None:
    done = shell(f"seedbed {line}")
    assert done.returncode in (2, 74) and "/proc/" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("number", ["²", "٣", "9" * 5000, "1e400", "-1"])
@pytest.mark.parametrize(
    "option", ["verify -n", "sweep --seeds", "sweep --parallel", "run --seed", "verify --parallel"]
)
def test_a_number_that_is_none_is_wrong_use(shell, option: str, number: str) -> None:
    done = shell(f"seedbed {option} {number} -- true")
    assert done.returncode == 2 and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "name", ["OMP_NUM_THREADS", "RANK", "LOCAL_WORLD_SIZE", "WORLD_SIZE", "NODE_RANK", "SEEDBED_NAMERS"]
)
@pytest.mark.parametrize("value", ["²", "9" * 5000, "", "-1", "x\n"])
def test_no_number_in_the_environment_stops_a_program(shell, tmp_path: Path, name: str, value: str) -> None:
    done = shell("python -c 'import random; print(1)' && seedbed run --record r -- echo 2", **{name: value})
    assert (done.returncode, done.stdout) == (0, "1\n2\n")


@pytest.mark.parametrize("config", ['{"task": {"type": "worker", "index": 1e400}}', "[" * 100_000, '{"task": 1}'])
def test_a_configuration_of_tensorflow_that_is_none_is_no_rank(shell, config: str) -> None:
    assert shell("python -c 'import random; print(1)'", TF_CONFIG=config).stdout == "1\n"


def test_a_record_that_a_full_disk_cut_short_does_not_change_the_exit_status(shell) -> None:
    done = shell("ulimit -f 0; seedbed run --record r -- sh -c 'exit 3'")
    assert done.returncode == 3
    assert "lines are missing in the record" in done.stderr and "Traceback" not in done.stderr
