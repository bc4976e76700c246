"""The command `seedbed` inside an image (and after `pip install ./runtime`)."""

import argparse
import importlib.util
import os
import shutil
import signal
import sys

from seedbed import environment
from seedbed.settings import GPU


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 the promise does not hold, 2 wrong use; `run` ends with its command's."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `seedbed info | head` ends quietly
    options = parser().parse_args(arguments)
    return options.verb(options)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="seedbed", description="Runs that repeat, bit for bit.")
    verbs = top.add_subparsers(required=True, metavar="VERB")

    info = verbs.add_parser(
        "info", help="what is in force, and what breaks the promise (exit status 1)", epilog="seedbed info --json"
    )
    info.add_argument("--json", action="store_true", help="for programs")
    info.set_defaults(verb=show_info)

    run = verbs.add_parser("run", help="run a command", epilog="seedbed run --seed 7 -- python train.py --epochs 3")
    run.add_argument("--seed", help="0 to 4294967295 (default: SEEDBED_SEED, else 42)")
    run.add_argument("--mode", help="strict, warn or off (default: SEEDBED_MODE, else strict)")
    run.add_argument("--audit", action="store_true", help="say at exit what stays unrepeatable, and where")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what to run")
    run.set_defaults(verb=run_command)
    return top


def show_info(options: argparse.Namespace) -> int:
    loaded_at_start = "seedbed.boot" in sys.modules
    from seedbed import info

    rows = info.findings(loaded_at_start)
    print(info.as_json(rows) if options.json else info.as_text(rows))
    return 0 if all(row.holds for row in rows) else 1


def run_command(options: argparse.Namespace) -> int:
    """Become the command, in the environment asked for."""
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        return wrong("run: expected a command, as in: seedbed run --seed 7 -- python train.py")
    try:
        environ = environment_for(dict(os.environ), options.seed, options.mode)
    except ValueError as error:
        return wrong(str(error))
    program = shutil.which(command[0])
    if program is None:
        return wrong(f"{command[0]}: no such command on PATH", 127)
    if options.audit:
        environ["SEEDBED_AUDIT"] = "1"
    announce(environ)
    os.execve(program, command, environ)


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
    print(f"seedbed: {line}{image}", file=sys.stderr, flush=True)


def wrong(message: str, status: int = 2) -> int:
    print(f"seedbed: {message}", file=sys.stderr)
    return status
