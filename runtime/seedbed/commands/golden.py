"""`seedbed golden`: a training's bits against those committed for machines of this kind."""

import argparse
import os
import shutil
from pathlib import Path

from seedbed import terminal
from seedbed.commands.arguments import add_command, command_of, environment_for, wrong

EXAMPLE = "seedbed golden golden.json -- python train.py --epochs 1"
UNKNOWN = 77  # what test harnesses take for "skipped"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="the golden fingerprints, as JSON")
    parser.add_argument("--record", action="store_true", help="write this training's bits into the file")
    add_command(parser)


def command(options: argparse.Namespace) -> int:
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
