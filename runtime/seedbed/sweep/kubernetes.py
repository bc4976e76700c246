"""A sweep as a Job of Kubernetes with a pod for each seed, and its table as another Job."""

import argparse
import os

from seedbed import environment, kubernetes
from seedbed.kubernetes import INDEX, Job, Pod, literal
from seedbed.sweep import verb


def manifest(options: argparse.Namespace, command: list[str], pod: Pod) -> str:
    """ValueError: wrong use."""
    verb.metrics_of(options)
    seeds = verb.seeds_of(options.seeds, environment.seed(dict(os.environ)))
    if options.only is not None:
        raise ValueError("--only: leave it out, each seed has a pod")
    variables = kubernetes.settings(pod, SEEDBED_MODE=options.mode)
    verb.refuse_off(variables)
    name = kubernetes.label(kubernetes.below_workspace("--output", str(options.output)))
    words = ["seedbed", "sweep", *map(literal, passed_on(options))]
    of_user = ["--", *map(literal, command)]
    if options.table:
        return kubernetes.manifest(Job(f"{name}-table", [*words, "--table", *of_user], variables=variables), pod)
    parallel = min(len(seeds), options.parallel or len(seeds))
    words += ["--only", INDEX, *of_user]
    return kubernetes.manifest(Job(name, words, len(seeds), parallel, "backoffLimitPerIndex: 2", variables), pod)


def passed_on(options: argparse.Namespace) -> list[str]:
    """The options that make the sweep what it is; seed and mode are variables."""
    found = [("seeds", options.seeds), ("output", str(options.output))]
    found += [("metric", name) for name in options.metric or []]
    found += [(name, value) for name in ("pattern", "file") if (value := getattr(options, name))]
    return [f"--{name}={value}" for name, value in found] + ["--json"] * (options.json and options.table)
