"""`seedbed resume`: does a training that is cut off and resumed give the bits of one that was not?"""

import argparse
import json
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed import environment, terminal
from seedbed.commands import common

if TYPE_CHECKING:
    from seedbed.native.preload import Watch
    from seedbed.resume import runs

EXAMPLE = """\
seedbed resume -- python train.py
seedbed resume --at 50 --with 'python train.py --resume last.pt' -- python train.py
seedbed resume -- python train.py --output '{folder}'

Each run works in a copy of the working folder, which it may fill with checkpoints. If the command names {folder}, it
works in the working folder itself, and {folder} is an empty folder that a run shares with the one that resumes it."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--at",
        action="append",
        type=step,
        default=[],
        metavar="STEP",
        help="cut it off after this step; may be given several times (default: two steps, chosen by the seed)",
    )
    parser.add_argument(
        "--signal", type=signal_of, default=signal.SIGKILL, help="KILL, TERM, INT, USR1 and so on (default: KILL)"
    )
    parser.add_argument("--with", dest="again", metavar="COMMAND", help="what resumes it (default: the same command)")
    common.add_seed_and_mode(parser)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the records of all runs here")
    common.add_json(parser)
    common.add_command(parser)


def step(text: str) -> int:
    if not environment.is_number(text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a step, from 1 on, found {text!r}")
    return int(text)


def signal_of(text: str) -> signal.Signals:
    try:
        return signal.Signals[f"SIG{text.upper().removeprefix('SIG')}"]
    except KeyError:
        raise argparse.ArgumentTypeError(f"expected a signal such as KILL or TERM, found {text!r}") from None


def command(options: argparse.Namespace) -> int:
    """The exit status: 0 for equal, 1 for what differs, 2 for what cannot be tried."""
    command = common.runnable(options)
    environ = common.environment_for(options)
    again = shlex.split(options.again) if options.again else command
    from seedbed import leftovers
    from seedbed.native import preload
    from seedbed.resume import runs

    with leftovers.Ended(), leftovers.temporary("seedbed-") as folder, preload.watch() as native:
        scratch = Path(folder).resolve()
        records = (options.keep or scratch / "records").absolute()
        at = tuple(dict.fromkeys(options.at))
        plan = runs.Plan(command, again, environ, scratch, records, at, options.signal, native)
        document, status = tried(plan, options.json)
        terminal.show(document)
        return status


def after_verify(
    command: list[str],
    environ: dict[str, str],
    scratch: Path,
    records: Path,
    native: "Watch",
    said: str,
    as_json: bool,
) -> tuple[str, int]:
    """What `verify --resume` says, after what `verify` has said, and the exit status. Errors: see `runs.resume`."""
    from seedbed.resume import runs
    from seedbed.verify import RUN

    words = [word.replace(RUN, "resume") for word in command]
    plan = runs.Plan(words, words, environ, scratch, records, (), signal.SIGKILL, native)
    document, status = tried(plan, as_json)
    if as_json:
        return json.dumps({**json.loads(said), "resume": json.loads(document)}, indent=2), status
    return f"{said}\n\n{document}", status


def tried(plan: "runs.Plan", as_json: bool) -> tuple[str, int]:
    from seedbed.resume import judge, report, runs

    done = runs.resume(plan, terminal.log)
    return (report.as_json if as_json else report.as_text)(plan, done), judge.status_of(done.findings)
