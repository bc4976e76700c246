"""`python -m tests.torture [CAMPAIGN…]`: prints campaign, tries, failures; exit status 1 after a failure."""

import argparse
import os
import random
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from builder import paths

sys.path.insert(0, str(paths.RUNTIME))
os.environ["SEEDBED_MODE"] = "off"  # what reads records is to be tried, not what seeds: that has processes of its own

from tests.torture import containers, crashes, harness, inputs, stock
from tests.torture.harness import Campaign, Failure

SHORT_SEED = 1  # a check of a change is to fail for the change alone
CAMPAIGNS = {campaign.name: campaign for campaign in (inputs.CAMPAIGN, crashes.CAMPAIGN, containers.CAMPAIGN)}


def main() -> int:
    options = parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that engine and mounts go
    seed = options.seed
    if seed is None:
        seed = SHORT_SEED if options.short else random.SystemRandom().randrange(1_000_000)
    print(f"SEED={seed}", flush=True)
    stock.make_all()
    rows, failures = [], []
    for name in options.campaigns or CAMPAIGNS:
        campaign = CAMPAIGNS[name]
        if options.short and not campaign.short:
            continue
        if reason := campaign.obstacle():
            print(f"{name}: skipped: {reason}")
            continue
        every = campaign.short if options.short else campaign.tries
        numbers = spread(options.tries or every, every) if options.only is None else [options.only]
        found = carry_out(campaign, seed, numbers, short=options.short, show=options.only is not None)
        rows.append((name, len(numbers), len(found)))
        failures += found
    harness.print_failures(failures)
    harness.print_table(rows)
    return 1 if failures else 0


def spread(tries: int, every: int) -> list[int]:
    """The numbers of so many tries; fewer than there are, and they are of all kinds."""
    return [number * max(every, tries) // tries for number in range(tries)]


def carry_out(campaign: Campaign, seed: int, numbers: list[int], *, short: bool, show: bool) -> list[Failure]:
    """All of these tries; in parallel, as many at once as there are CPUs."""
    make = partial(campaign.attempt, seed, short=short, show=show)
    try:
        if not campaign.parallel or len(numbers) == 1:
            return [failure for number in numbers if (failure := make(number))]
        with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("fork")) as pool:
            return [failure for failure in pool.map(make, numbers, chunksize=10) if failure]
    finally:
        campaign.close()


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("campaigns", nargs="*", metavar="CAMPAIGN", help=f"default: all: {', '.join(CAMPAIGNS)}")
    parser.add_argument("--tries", type=int, metavar="N", help="default: the campaign's own number")
    parser.add_argument(
        "--seed", type=int, metavar="S", help=f"default: a new one, which is printed; {SHORT_SEED} in the short form"
    )
    parser.add_argument("--only", type=int, metavar="NUMBER", help="make this one try, and show all that it says")
    parser.add_argument("--short", action="store_true", help="as many as fit into a minute or two")
    return parser


if __name__ == "__main__":
    sys.exit(main())
