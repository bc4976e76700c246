"""Runs a command again and again until it is known what made its runs differ."""

from dataclasses import dataclass, replace

from seedbed.crash import Unfit
from seedbed.trace import cause, difference
from seedbed.trace.cause import Cause
from seedbed.trace.difference import Difference
from seedbed.trace.run import Plan, Run, Tracer


@dataclass(frozen=True)
class Finding:
    """What was found: `landmark` and `cause` are None where the runs were equal.

    `detailed`: the operations were seen. Otherwise they were equal each time they were watched.
    """

    runs: list[Run]
    landmark: Difference | None = None
    cause: Cause | None = None
    detailed: bool = False

    def steps(self) -> int:
        """How many the first run took."""
        return max((sum(1 for _ in process.events("step")) for process in self.runs[0].processes.values()), default=0)


def search(tracer: Tracer, times: int = 4) -> Finding:
    """First by landmarks, cheaply; then the operations of the steps around the first difference.

    Each time up to so many runs, until two differ.
    """
    tracer.log(f"up to {times} runs, compared by batches, modules, gradients and updates")
    runs, landmark = until_two_differ(tracer, Plan(), times)
    if landmark is None:
        return Finding(runs)
    coarse = Finding(runs, landmark, cause.of(landmark, runs))
    if not landmark.step:
        return coarse
    last = landmark.step
    found = by_operations(tracer, times, last, last)
    if not found and not coarse.cause.certain:
        found = with_other_filling(tracer, last) or by_operations(tracer, times, 1, last + 3)
    return with_suspects_of(coarse, found) if found else coarse


def until_two_differ(tracer: Tracer, plan: Plan, times: int) -> tuple[list[Run], Difference | None]:
    """The runs, no more than needed, and where the last differs from the first. Unfit: the command fails."""
    runs, reported = [tracer.run(plan)], []
    landmark = None
    while landmark is None and len(runs) < times:
        runs.append(tracer.run(plan))
        if runs[0].failed and runs[1].failed:
            raise Unfit(f"the command fails: {runs[0].last_error()}")
        if failed := next((run for run in (runs[0], runs[-1]) if run.failed and run not in reported), None):
            reported.append(failed)
            tracer.log(f"a run fails, which is not a difference of numbers: {failed.last_error()}")
        landmark = difference.first([runs[0], runs[-1]])
    return runs, landmark


def with_suspects_of(coarse: Finding, found: Finding) -> Finding:
    """Whole runs tell better whether it is an order that differs; then there are fewer suspects."""
    likely = min((suspects for suspects in (coarse.cause.likely, found.cause.likely) if suspects), key=len, default=())
    return replace(found, cause=replace(found.cause, likely=likely)) if found.cause.likely else found


def by_operations(tracer: Tracer, times: int, first: int, last: int) -> Finding | None:
    """The operations of these steps, in fresh runs. None: this time they were equal.

    Memory that operations hand out uninitialised is filled with zeros: what is left are other differences.
    """
    tracer.log(f"up to {times} runs, operation by operation in step {first}" + f" to {last}" * (last > first))
    try:
        runs, landmark = until_two_differ(tracer, Plan(first, last, fill=0), times)
    except Unfit as unfit:
        tracer.log(f"watched like this, {unfit}")
        return None
    if landmark is None:
        return None
    if landmark.step < first:
        return by_operations(tracer, times, landmark.step, last)
    found = Finding(runs, landmark, cause.of(difference.origin(landmark), runs), detailed=True)
    if found.cause.kind == cause.DATA and first > 1 and not found.cause.certain:  # it may be older than these steps
        return by_operations(tracer, times, 1, last) or found
    return found


def with_other_filling(tracer: Tracer, last: int) -> Finding | None:
    """Two runs that differ in nothing but what uninitialised memory is filled with. None: they compute the same."""
    tracer.log("2 runs with uninitialised memory filled with zeros and with ones")
    runs = [tracer.run(Plan(1, last, fill=fill, hides_fresh=True)) for fill in (0, 1)]
    landmark = difference.first(runs)
    origin = landmark and difference.origin(landmark)
    found = origin and cause.of(origin, runs)
    return Finding(runs, landmark, found, detailed=True) if found and found.kind == cause.FRESH else None
