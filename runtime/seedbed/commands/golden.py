"""`seedbed golden`: a training's bits against those committed for machines of this kind."""

import argparse
import os
import shutil
from pathlib import Path

from seedbed import terminal
from seedbed.commands import common

EXAMPLE = "seedbed golden golden.json -- python train.py --epochs 1"
UNKNOWN = 77  # what test harnesses take for "skipped"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="the golden fingerprints, as JSON")
    parser.add_argument("--record", action="store_true", help="write the fingerprint of this training into the file")
    common.add_command(parser)


def command(options: argparse.Namespace) -> int:
    common.refuse_in_rank("golden")
    command = common.command_of(options)
    if not command or shutil.which(command[0]) is None:
        return common.wrong("golden: expected a command, as in: seedbed golden golden.json -- python train.py")
    with common.errors("golden"):
        environ = common.environment_for(dict(os.environ), None, None)
    from seedbed import files, golden, leftovers
    from seedbed.recording import launch

    with common.errors("golden"), leftovers.Ended(), leftovers.temporary("seedbed-") as folder:
        try:
            golden.read(options.file)
            if options.record:
                files.check_writable(options.file)
            record = launch.run(command, Path(folder), environ)
            if options.record:
                golden.write(options.file, record)
            answer = golden.check(options.file, record)
        except OSError as error:
            return common.wrong(f"golden: {options.file}: {error.strerror}")
    terminal.show(terminal.printable(answer.text))
    return {True: 0, False: 1, None: UNKNOWN}[answer.holds]
