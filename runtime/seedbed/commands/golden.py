"""`seedbed golden`: a training's bits against those committed for machines of this kind."""

import argparse
import os
from pathlib import Path

from seedbed import environment, terminal
from seedbed.commands import common

EXAMPLE = "seedbed golden golden.json -- python train.py --epochs 1"
UNKNOWN = 77  # what test harnesses take for "skipped"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="the golden fingerprints, as JSON")
    parser.add_argument("--record", action="store_true", help="write the fingerprint of this training into the file")
    common.add_command(parser)


def command(options: argparse.Namespace) -> int:
    command = common.runnable(options, str(options.file))
    environ = environment.for_command(os.environ)
    from seedbed import files, golden, leftovers
    from seedbed.recording import launch

    with leftovers.Ended(), leftovers.temporary("seedbed-") as folder:
        try:
            golden.read(options.file)
            if options.record:
                files.check_writable(options.file)
            record = launch.run(command, Path(folder), environ)
            if options.record:
                answer = golden.Answer(True, golden.write(options.file, record))
            else:
                answer = golden.check(options.file, record)
        except OSError as error:
            raise ValueError(f"{options.file}: {error.strerror}") from error
    terminal.show(terminal.printable(answer.text))
    return {True: 0, False: 1, None: UNKNOWN}[answer.holds]
