"""`seedbed replay`: print the docker run command that repeats a recorded run."""

import argparse
import os
import shutil
from pathlib import Path

from seedbed import terminal
from seedbed.commands import common

EXAMPLE = "seedbed replay records/a"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("record", type=Path, metavar="RECORD", help="a folder that seedbed run --record wrote")
    parser.add_argument("--image", help="the image to use (default: the one in the record)")
    parser.add_argument("--run", action="store_true", help="run it instead of printing it")


def command(options: argparse.Namespace) -> int:
    from seedbed import replay
    from seedbed.recording import record

    recorded = record.read(options.record)
    command = replay.docker_run(recorded, options.image)
    for warning in replay.warnings(recorded):
        terminal.log(f"warning: {warning}")
    if not options.run:
        terminal.show(replay.as_shell(command))
        return 0
    program = shutil.which(command[0])
    if program is None:
        return common.wrong("replay --run: no docker on PATH; without --run, it prints the command", 127)
    os.execv(program, command)
