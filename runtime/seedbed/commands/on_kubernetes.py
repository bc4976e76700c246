"""`--on kubernetes`: its options, and what the commands that have it print instead of running anything."""

import argparse
import re
from collections.abc import Callable
from dataclasses import fields

from seedbed import kubernetes, terminal
from seedbed.commands import common
from seedbed.kubernetes import Pod

PLAIN = {  # what the text has to look like, and what that is called
    "claim": (r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", "the name of a PersistentVolumeClaim"),
    "memory": (r"[1-9][0-9]*[KMGT]i", "a size such as 8Gi"),
    "user": (r"[1-9][0-9]{0,9}:(0|[1-9][0-9]{0,9})", "UID:GID, and not root"),
    "name": (rf"[a-z]([a-z0-9-]{{0,{kubernetes.LONGEST_NAME - 2}}}[a-z0-9])?", "small letters, digits and hyphens"),
}


def arguments(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("with --on kubernetes")
    group.add_argument("--image", type=by_digest, metavar="NAME@DIGEST", help="the image, by digest")
    group.add_argument(
        "--claim",
        type=plain("claim"),
        metavar="NAME",
        help=f"the PersistentVolumeClaim for {kubernetes.WORKSPACE}: script, data and results",
    )
    group.add_argument("--cpus", type=common.at_least(1), metavar="N", help="CPUs and threads of a pod (default: 4)")
    group.add_argument("--memory", type=plain("memory"), metavar="SIZE", help="memory of a pod (default: 8Gi)")
    group.add_argument("--gpus", type=common.at_least(0), metavar="N", help="GPUs of a pod (default: 0)")
    group.add_argument("--user", type=plain("user"), metavar="UID:GID", help="who the pods run as (default: 1000:1000)")
    return group


def arguments_of_training(parser: argparse.ArgumentParser) -> None:
    group = arguments(parser)
    group.add_argument("--nodes", type=common.at_least(1), metavar="N", help="pods that train together (default: 1)")
    group.add_argument("--name", type=plain("name"), metavar="NAME", help="the name of the Job (default: train)")


def sweep(options: argparse.Namespace) -> int:
    """Print the manifest of a sweep, or of its table."""
    from seedbed.sweep import kubernetes as sweeps

    command = common.runnable(options, here=False)
    terminal.show(sweeps.manifest(options, command, pod(options)).rstrip("\n"))
    return 0


def training(options: argparse.Namespace, command: list[str]) -> int:
    """Print the manifests of a training."""
    nodes = options.nodes or 1
    if options.record and nodes > 1:
        raise ValueError("--record: a folder is for one process, and each node has one: record a run on one node")
    if options.record:
        kubernetes.below_workspace("--record", str(options.record))
    each = pod(options)
    words = ["seedbed", "run", *passed_on(options), "--", *command]
    variables = kubernetes.settings(each, SEEDBED_SEED=options.seed, SEEDBED_MODE=options.mode)
    again = not options.record  # a record is of one run
    manifest = kubernetes.training(options.name or "train", words, nodes, each, variables, again=again)
    terminal.show(manifest.rstrip("\n"))
    return 0


def passed_on(options: argparse.Namespace) -> list[str]:
    """The options of `seedbed run` but seed and mode, which are variables."""
    flags = [f"--{name}" for name in ("portable", "audit") if getattr(options, name)]
    return flags + [f"--record={options.record}"] * bool(options.record)


def plain(what: str) -> Callable[[str], str]:
    pattern, called = PLAIN[what]

    def text(found: str) -> str:
        if not re.fullmatch(pattern, found):
            raise argparse.ArgumentTypeError(f"expected {called}, found {found!r}")
        return found

    return text


def by_digest(text: str) -> str:
    if not re.fullmatch(r"[\w./:-]+@sha256:[0-9a-f]{64}", text, re.ASCII):
        raise argparse.ArgumentTypeError(
            f"expected NAME@sha256:…, since a tag may be another image tomorrow, found {text!r}; once it is pushed or "
            f"pulled, this shows it: docker image inspect --format '{{{{join .RepoDigests \" \"}}}}' {text}"
        )
    return text


def pod(options: argparse.Namespace) -> Pod:
    """ValueError: something is missing."""
    found = given(options)
    if not {"image", "claim"} <= found.keys():
        raise ValueError("--on kubernetes: expected --image NAME@sha256:… and --claim NAME")
    return Pod(**found)


def given(options: argparse.Namespace, *others: str) -> dict:
    """Of the options about pods, and these others, those that were given."""
    names = [*(field.name for field in fields(Pod)), *others]
    return {name: value for name in names if (value := getattr(options, name, None)) is not None}


def refuse_alone(options: argparse.Namespace) -> None:
    """ValueError: an option means nothing without --on kubernetes."""
    if found := given(options, "nodes", "name"):
        raise ValueError(f"--{min(found)} is for --on kubernetes")
