"""Seedbed's own streams and counts, as a part of a state."""

from seedbed.generators.named import as_python


def save(process) -> dict:
    """Seedbed's own streams that somebody has drawn from, its counts, and what the user has seeded."""
    if process.in_thread_task():
        raise ValueError("seedbed.state: called in a task of a pool of threads; call it in the main thread")
    process.choices()  # what was noted to be computed later is text from here on
    drawn = {
        name: stream.generator.getstate()
        for name, stream in process._streams.items()
        if stream.generator.getstate() != process.derived(name).getstate()
    }
    return {
        "seed": process.root_seed,
        "mode": process.mode,
        "streams": drawn,
        "counts": dict(process.of_process.counts),
        "forks": process.lineage._forks,
        "seeded": dict(process.of_process.noted),
    }


def check(process, state: dict) -> None:
    if "off" not in (process.mode, state["mode"]) and process.root_seed != state["seed"]:
        raise ValueError(
            f"seedbed.restore: the state is of seed {state['seed']}, and this process has {process.root_seed}: "
            f"set SEEDBED_SEED={state['seed']}"
        )
    if process.in_thread_task():
        raise ValueError("seedbed.restore: called in a task of a pool of threads; call it in the main thread")
    if missing := sorted(state["streams"].keys() - process._streams.keys()):
        raise ValueError(f"seedbed.restore: import the libraries first: nothing draws from {', '.join(missing)} yet")


def restore(process, state: dict) -> None:
    process.restart_streams()
    for name, numbers in state["streams"].items():
        process._streams[name].generator.setstate(as_python(numbers))
    process.lineage._forks = state["forks"]
    process.of_process.begin(process.of_process.inherited)
    process.of_process.counts.update(state["counts"])
    process.of_process.noted.update(state["seeded"])
