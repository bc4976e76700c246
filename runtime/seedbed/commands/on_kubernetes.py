"""`--on kubernetes`: its options, and the manifests that the commands that have it print."""

import argparse
import re
from collections.abc import Callable
from dataclasses import fields

from seedbed import kubernetes
from seedbed.commands import common
from seedbed.kubernetes import INDEX, Job, Pod, literal

OPTIONS = (*(field.name for field in fields(Pod)), "nodes", "name")


def arguments(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    group = parser.add_argument_group("with --on kubernetes")
    group.add_argument("--image", type=by_digest, metavar="NAME@DIGEST", help="the image, by digest")
    group.add_argument(
        "--claim",
        type=plain(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", "the name of a PersistentVolumeClaim"),
        metavar="NAME",
        help=f"the PersistentVolumeClaim for {kubernetes.WORKSPACE}: script, data and results",
    )
    group.add_argument("--cpus", type=common.at_least(1), metavar="N", help="CPUs and threads of a pod (default: 4)")
    group.add_argument(
        "--memory",
        type=plain("[1-9][0-9]*[KMGT]i", "a size such as 8Gi"),
        metavar="SIZE",
        help="memory of a pod (default: 8Gi)",
    )
    group.add_argument("--gpus", type=common.at_least(0), metavar="N", help="GPUs of a pod (default: 0)")
    group.add_argument(
        "--user",
        type=plain("[1-9][0-9]{0,9}:(0|[1-9][0-9]{0,9})", "UID:GID, and not root"),
        metavar="UID:GID",
        help="who the pods run as (default: 1000:1000)",
    )
    return group


def arguments_of_training(parser: argparse.ArgumentParser) -> None:
    name = plain(rf"[a-z]([a-z0-9-]{{0,{kubernetes.LONGEST_NAME - 2}}}[a-z0-9])?", "small letters, digits and hyphens")
    group = arguments(parser)
    group.add_argument("--nodes", type=common.at_least(1), metavar="N", help="pods that train together (default: 1)")
    group.add_argument("--name", type=name, metavar="NAME", help="the name of the Job (default: train)")


def plain(pattern: str, called: str) -> Callable[[str], str]:
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


def sweep(options: argparse.Namespace, command: list[str]) -> str:
    """The manifest of a sweep, with a pod for each seed, or of its table. ValueError: wrong use."""
    from seedbed.sweep import plan

    plan.metrics_of(options)
    seeds, each = len(plan.seeds_of(options)), pod(options)
    variables = kubernetes.settings(each, SEEDBED_MODE=options.mode)
    plan.refuse_off(variables)
    name = kubernetes.label(kubernetes.below_workspace("--output", str(options.output)))
    words = ["seedbed", "sweep", *map(literal, plan.passed_on(options))]
    of_user = ["--", *map(literal, command)]
    if options.table:
        words += [*["--json"] * options.json, "--table", *of_user]
        return kubernetes.manifest(Job(f"{name}-table", words, variables=variables), each)
    at_a_time = min(seeds, options.parallel or seeds)
    words += ["--only", INDEX, *of_user]
    return kubernetes.manifest(Job(name, words, seeds, at_a_time, "backoffLimitPerIndex: 2", variables), each)


def training(options: argparse.Namespace, command: list[str]) -> str:
    """The manifests of a training. ValueError: wrong use."""
    nodes, each = options.nodes or 1, pod(options)
    if options.record and nodes > 1:
        raise ValueError("--record: a folder is for one process, and each node has one: record a run on one node")
    if options.record:
        kubernetes.below_workspace("--record", str(options.record))
    flags = [f"--{name}" for name in ("portable", "audit") if getattr(options, name)]
    flags += [f"--record={options.record}"] * bool(options.record)
    words = ["seedbed", "run", *flags, "--", *command]
    variables = kubernetes.settings(each, SEEDBED_SEED=options.seed, SEEDBED_MODE=options.mode)
    again = not options.record  # a record is of one run
    return kubernetes.training(options.name or "train", words, nodes, each, variables, again=again)


def pod(options: argparse.Namespace) -> Pod:
    """ValueError: something is missing."""
    found = {field.name: value for field in fields(Pod) if (value := getattr(options, field.name)) is not None}
    if not {"image", "claim"} <= found.keys():
        raise ValueError("--on kubernetes: expected --image NAME@sha256:… and --claim NAME")
    return Pod(**found)
