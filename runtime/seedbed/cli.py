"""The command `seedbed` inside an image (and after `pip install ./runtime`)."""

import argparse
import importlib.util
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

from seedbed import environment, terminal
from seedbed.settings import GPU, PORTABLE

MOST = 100_000  # runs
LONGEST_LINE = 1000
UNKNOWN = 77  # what test harnesses take for "skipped"


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 the promise does not hold, 2 wrong use, 74 a file or stream fails, 130 or 143
    interrupted; `run` ends with its command's."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `seedbed info | head` ends quietly
    terminal.prepare()
    try:
        options = parser().parse_args(arguments)
        return options.verb(options)
    except KeyboardInterrupt as interrupt:
        return wrong("interrupted", 128 + next(iter(interrupt.args), signal.SIGINT))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return wrong(f"{place}{error.strerror}", terminal.EX_IOERR)
    finally:
        terminal.flush()


class Parser(argparse.ArgumentParser):
    """Shows what a user has typed as a terminal may have it."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        raise SystemExit(terminal.say(one_line(message), 2, prefix=f"{self.prog}: error: "))


def parser() -> argparse.ArgumentParser:
    top = Parser(prog="seedbed", description="Runs that repeat, bit for bit.")
    verbs = top.add_subparsers(required=True, metavar="VERB")

    info = verbs.add_parser(
        "info", help="what is in force, and what breaks the promise (exit status 1)", epilog="seedbed info --json"
    )
    info.add_argument("--json", action="store_true", help="for programs")
    info.set_defaults(verb=show_info)

    run = verbs.add_parser("run", help="run a command", epilog="seedbed run --seed 7 -- python train.py --epochs 3")
    add_seed_and_mode(run)
    run.add_argument("--portable", action="store_true", help="one thread, AVX2, no TF32: fewer bits follow the machine")
    run.add_argument("--audit", action="store_true", help="say at exit what stays unrepeatable, and where")
    run.add_argument("--record", type=Path, metavar="FOLDER", help="write down what the training does, step by step")
    run.set_defaults(verb=run_command)
    add_command(run)

    verify = verbs.add_parser(
        "verify",
        help="run a command several times and compare the trainings bit by bit",
        epilog="seedbed verify -n 3 -- python train.py --epochs 2",
    )
    add_verify_options(verify)
    verify.set_defaults(verb=verify_command)
    add_command(verify)

    compare = verbs.add_parser(
        "compare", help="compare two recorded runs", epilog="seedbed compare records/a records/b"
    )
    compare.add_argument("records", nargs=2, type=Path, metavar="RECORD", help="what seedbed run --record wrote")
    add_what_counts(compare)
    compare.add_argument("--json", action="store_true", help="for programs")
    compare.set_defaults(verb=compare_records)

    replay = verbs.add_parser(
        "replay", help="the docker run that repeats a recorded run", epilog="seedbed replay records/a"
    )
    replay.add_argument("record", type=Path, metavar="RECORD", help="what seedbed run --record wrote")
    replay.add_argument("--image", help="another name of the image (default: as in the record)")
    replay.add_argument("--run", action="store_true", help="run it instead of printing it")
    replay.set_defaults(verb=replay_record)

    golden = verbs.add_parser(
        "golden",
        help="compare a training with the bits committed for machines of this kind (exit status 77: none are)",
        epilog="seedbed golden golden.json -- python train.py --epochs 1",
    )
    golden.add_argument("file", type=Path, metavar="FILE", help="the golden fingerprints, as JSON")
    golden.add_argument("--record", action="store_true", help="write this training's bits into the file")
    golden.set_defaults(verb=golden_command)
    add_command(golden)

    trace = verbs.add_parser(
        "trace",
        help="find the first operation that gives another result in another run",
        epilog="seedbed trace --hunt -- python train.py --epochs 1",
    )
    add_trace_options(trace)
    trace.set_defaults(verb=trace_command)
    add_command(trace)

    sweep = verbs.add_parser(
        "sweep",
        help="run a command under several seeds: mean, spread and plot",
        epilog="seedbed sweep --seeds 5 --metric accuracy -- python train.py --output '{folder}'",
    )
    add_sweep_options(sweep)
    sweep.set_defaults(verb=sweep_command)
    add_command(sweep)
    return top


def add_sweep_options(sweep: argparse.ArgumentParser) -> None:
    sweep.add_argument("--seeds", default="5", metavar="K", help="how many, or which: 1,7,42 (default: 5, from 42 on)")
    sweep.add_argument("--metric", action="append", metavar="NAME", help="what to sum up; may be given several times")
    sweep.add_argument(
        "--pattern", type=pattern, metavar="REGEX", help="its first group is the metric in a line printed"
    )
    sweep.add_argument(
        "--file", metavar="PATH", help="a CSV or JSON file with the metric; {folder}, {seed}: the run's own"
    )
    sweep.add_argument(
        "--parallel",
        type=at_least(1),
        nargs="?",
        const=None,
        default=1,
        metavar="K",
        help="how many at a time; without a number, one on each GPU, or else on each CPU (default: 1)",
    )
    sweep.add_argument("--output", type=Path, default=Path("sweep"), metavar="FOLDER", help="(default: sweep)")
    sweep.add_argument("--mode", help="strict or warn (default: SEEDBED_MODE, else strict)")
    sweep.add_argument("--json", action="store_true", help="for programs")


def add_trace_options(trace: argparse.ArgumentParser) -> None:
    trace.add_argument(
        "-n", type=at_least(2), default=4, metavar="N", help="runs to try until two of them differ (default: 4)"
    )
    trace.add_argument("--hunt", action="store_true", help="try one change at a time, to find what is to blame")
    add_seed_and_mode(trace)
    trace.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the journals of all runs here")
    trace.add_argument("--json", action="store_true", help="for programs")


def add_verify_options(verify: argparse.ArgumentParser) -> None:
    verify.add_argument("-n", type=at_least(2), default=3, metavar="N", help="how many runs (default: 3)")
    verify.add_argument("--parallel", type=at_least(1), default=1, metavar="K", help="how many at a time (default: 1)")
    add_what_counts(verify)
    verify.add_argument(
        "--output", action="append", default=[], metavar="PATH", help="a file or folder that counts too"
    )
    verify.add_argument("--data", action="append", type=Path, default=[], metavar="PATH", help="fingerprint these data")
    add_seed_and_mode(verify)
    verify.add_argument("--no-other-seed", action="store_true", help="do without the run with another seed")
    verify.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the records of all runs here")
    verify.add_argument("--json", action="store_true", help="for programs")


def add_seed_and_mode(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--seed", help="0 to 4294967295 (default: SEEDBED_SEED, else 42)")
    verb.add_argument("--mode", help="strict, warn or off (default: SEEDBED_MODE, else strict)")


def add_what_counts(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--tolerance", type=tolerance, default=0.0, metavar="T", help="relative, for losses (default: 0)")
    verb.add_argument("--lines", type=pattern, metavar="REGEX", help="what counts of the lines printed")


def add_command(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what to run")


def at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not environment.is_number(text) or not least <= int(text) <= MOST:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {MOST}, found {text!r}")
        return int(text)

    return number


def tolerance(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, such as 1e-6, found {text!r}")
    return number


def pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"expected a regular expression, found {text!r}: {error}") from error
    return text


def show_info(options: argparse.Namespace) -> int:
    loaded_at_start = "seedbed.boot" in sys.modules
    from seedbed import info

    rows = info.rows(loaded_at_start)
    terminal.show(info.as_json(rows) if options.json else info.as_text(rows))
    return 0 if all(row.holds for row in rows) else 1


def run_command(options: argparse.Namespace) -> int:
    """Become the command, in the environment asked for."""
    command = command_of(options)
    if not command:
        return wrong("run: expected a command, as in: seedbed run --seed 7 -- python train.py")
    try:
        environ = environment_for(dict(os.environ) | portable(options), options.seed, options.mode)
    except ValueError as error:
        return wrong(str(error))
    program = shutil.which(command[0])
    if program is None:
        return wrong(f"{command[0]}: no such command on PATH", 127)
    if options.audit:
        environ["SEEDBED_AUDIT"] = "1"
    announce(environ)
    if options.audit or options.record:
        from seedbed import leftovers

        with leftovers.Ended():
            return run_watched(options, program, command, environ)
    os.execve(program, command, environ)


def run_watched(options: argparse.Namespace, program: str, command: list[str], environ: dict[str, str]) -> int:
    if not options.audit:
        return run_recorded(command, options.record, environ)
    from seedbed import run

    recorded = partial(run_recorded, command, options.record)
    return run.audited(environ, recorded if options.record else partial(run.as_child, program, command))


def portable(options: argparse.Namespace) -> dict[str, str]:
    return {name: value for name, (value, _) in PORTABLE.items()} if options.portable else {}


def run_recorded(command: list[str], folder: Path, environ: dict[str, str]) -> int:
    from seedbed.recording import launch

    try:
        status = launch.record_run(command, folder, environ, echo=True)
    except ValueError as error:
        return wrong(str(error))
    return status if status >= 0 else 128 - status  # as a shell tells a signal


def verify_command(options: argparse.Namespace) -> int:
    command = command_of(options)
    if complaint := complaint_about(command, "verify"):
        return wrong(complaint)

    def environ(seed: int | None) -> dict[str, str]:
        return environment_for(dict(os.environ), options.seed if seed is None else str(seed), options.mode)

    try:
        environ(None)
    except ValueError as error:
        return wrong(f"verify: {error}")
    from seedbed import leftovers, verify
    from seedbed.native import preload

    with leftovers.Ended(), leftovers.temporary("seedbed-") as temporary, preload.watch() as native:
        plan = verify.Plan(
            command,
            environ,
            options.keep or Path(temporary),
            runs=options.n,
            parallel=options.parallel,
            tolerance=options.tolerance,
            pattern=options.lines,
            outputs=tuple(options.output),
            data=tuple(options.data),
            other_seed=not options.no_other_seed,
            native=native,
        )
        try:
            report = verify.verify(plan, log)
        except ValueError as error:
            return wrong(f"verify: {error}")
        except verify.Unfit as unfit:
            return wrong(f"verify: {unfit}", 1)
        terminal.show(verify.as_json(report) if options.json else verify.as_text(plan, report))
        return 0 if report.verdict.outcome in ("equal", "within") else 1


def compare_records(options: argparse.Namespace) -> int:
    try:
        environment.mode(os.environ)
        from seedbed import compare
        from seedbed.recording import record

        a, b = (record.read(path) for path in options.records)
    except ValueError as error:
        return wrong(f"compare: {error}")
    verdict = compare.judge([a, b], options.tolerance, options.lines)
    terminal.show(compare.as_json(a, b, verdict) if options.json else compare.as_text(a, b, verdict))
    return 0 if verdict.outcome in ("equal", "within") else 1


def replay_record(options: argparse.Namespace) -> int:
    try:
        environment.mode(os.environ)
        from seedbed import replay
        from seedbed.recording import record

        recorded = record.read(options.record)
        command = replay.docker_run(recorded, options.image)
        warnings = list(replay.warnings(recorded))
    except ValueError as error:
        return wrong(f"replay: {error}")
    for warning in warnings:
        log(f"warning: {warning}")
    if not options.run:
        terminal.show(replay.as_shell(command))
        return 0
    program = shutil.which(command[0])
    if program is None:
        return wrong("replay: no docker on PATH: run what it prints on the machine that has it", 127)
    os.execv(program, command)


def sweep_command(options: argparse.Namespace) -> int:
    command = command_of(options)
    if complaint := complaint_about(command, "sweep"):
        return wrong(complaint)
    from seedbed import leftovers
    from seedbed.sweep import verb

    def environ(seed: int, threads: str | None) -> dict[str, str]:
        limits = {"OMP_NUM_THREADS": threads} if threads else {}
        return environment_for({**os.environ, **limits}, str(seed), options.mode)

    try:
        metrics, plan = verb.metrics_of(options), verb.plan_of(options, command, environ)
        with leftovers.Ended():
            return verb.sweep(metrics, plan, log, as_json=options.json)
    except ValueError as error:
        return wrong(f"sweep: {error}")
    except KeyboardInterrupt:
        log("sweep: the same command goes on where it stopped")
        raise


def trace_command(options: argparse.Namespace) -> int:
    command = command_of(options)
    if complaint := complaint_about(command, "trace"):
        return wrong(complaint)
    try:
        environ = environment_for(dict(os.environ), options.seed, options.mode)
    except ValueError as error:
        return wrong(f"trace: {error}")
    from seedbed import leftovers
    from seedbed.native import preload
    from seedbed.trace import report, search
    from seedbed.trace.hunt import hunt

    try:
        with leftovers.Ended(), search.scratch(options.keep) as folder, preload.watch() as native:
            tracer = search.Tracer(command, environ, folder, log, native)
            finding = search.search(tracer, options.n)
            trials = hunt(tracer, finding) if options.hunt and finding.landmark else None
            terminal.show((report.as_json if options.json else report.as_text)(finding, trials))
    except ValueError as error:
        return wrong(f"trace: {error}")
    except search.Failed as failed:
        return wrong(f"trace: {failed}", 1)
    return 1 if finding.landmark else 0


def golden_command(options: argparse.Namespace) -> int:
    command = command_of(options)
    if not command or shutil.which(command[0]) is None:
        return wrong("golden: expected a command, as in: seedbed golden golden.json -- python train.py")
    try:
        environ = environment_for(dict(os.environ), None, None)
    except ValueError as error:
        return wrong(f"golden: {error}")
    from seedbed import files, golden, leftovers
    from seedbed.recording import launch

    with leftovers.Ended(), leftovers.temporary("seedbed-") as folder:
        try:
            golden.read(options.file)
            if options.record:
                files.check_writable(options.file)
            record = launch.run(command, Path(folder), environ)
            if options.record:
                golden.write(options.file, record)
            answer = golden.check(options.file, record)
        except ValueError as error:
            return wrong(f"golden: {error}")
        except OSError as error:
            return wrong(f"golden: {options.file}: {error.strerror}")
    terminal.show(terminal.printable(answer.text))
    return {True: 0, False: 1, None: UNKNOWN}[answer.holds]


def command_of(options: argparse.Namespace) -> list[str]:
    return options.command[1:] if options.command[:1] == ["--"] else options.command


def complaint_about(command: list[str], verb: str) -> str | None:
    """Why the verb cannot run it; None: it can."""
    if not command:
        return f"{verb}: expected a command, as in: seedbed {verb} -- python train.py"
    return None if shutil.which(command[0]) else f"{command[0]}: no such command on PATH"


def log(message: str) -> None:
    terminal.say(terminal.printable(message))


def environment_for(environ: dict[str, str], seed: str | None, mode: str | None) -> dict[str, str]:
    """`environ` with what was set before taken out, and the seed's and the mode's put in. ValueError: no such."""
    environment.adjust(environ, "off")
    environ |= {name: value for name, value in (("SEEDBED_SEED", seed), ("SEEDBED_MODE", mode)) if value is not None}
    libraries = tuple(name for name in GPU if importlib.util.find_spec(name))
    environment.adjust(environ, environment.mode(environ), libraries)
    environment.check(environ)
    return environ


def announce(environ: dict[str, str]) -> None:
    """The entrypoint's line."""
    if environ.get("SEEDBED_QUIET") == "1":
        return
    seed, mode = environment.seed(environ), environment.mode(environ)
    line = {
        "strict": f"seed {seed}, mode strict, threads {environ.get('OMP_NUM_THREADS')}",
        "warn": f"seed {seed}, mode warn (attention's backward stays nondeterministic), "
        f"threads {environ.get('OMP_NUM_THREADS')}",
        "off": "mode off (nothing is seeded)",
    }[mode]
    image = f", image {environ['SEEDBED_IMAGE']}" if "SEEDBED_IMAGE" in environ else ""
    log(f"{line}{image}")


def wrong(message: str, status: int = 2) -> int:
    return terminal.say(one_line(message), status)


def one_line(message: str) -> str:
    line = terminal.printable(message)
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"
