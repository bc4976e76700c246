"""The state of every generator: what a script saves beside its model, and restores, to resume exactly.

A state holds dicts, lists, tuples, texts and numbers, and tensors if torch is loaded: `pickle` and
`torch.load(weights_only=True)` can read it, on any device. Nothing is imported that is not loaded already, but for
libraries that a state holds.
"""

import sys

from seedbed.generators import libraries, named, streams

FORMAT = 1
OWN = "own"


def saved(own: dict[str, object]) -> dict:
    """See `seedbed.state`."""
    found: dict = {"format": FORMAT}
    for library, (save, _) in libraries.LIBRARIES.items():
        if libraries.is_loaded(library):
            found[library] = save()
    if ours := sys.modules.get("seedbed.process"):  # not in mode off
        found["seedbed"] = streams.save(ours)
    found[OWN] = {name: named.save(name, generator) for name, generator in own.items()}
    return found


def restore(state: dict, own: dict[str, object]) -> None:
    """See `seedbed.restore`."""
    check(state, own)
    for library in [name for name in libraries.LIBRARIES if name in state and not libraries.is_loaded(name)]:
        libraries.bring(library)
    if "torch" in state:
        libraries.check_torch(state["torch"])
    ours = sys.modules.get("seedbed.process") if "seedbed" in state else None
    if ours:
        streams.check(ours, state["seedbed"])
    for library, (_, put_back) in libraries.LIBRARIES.items():
        if library in state:
            put_back(state[library])
    for name, generator in own.items():
        named.restore(generator, state[OWN][name])
    if ours:  # last: the others have noted what they were given
        streams.restore(ours, state["seedbed"])


def check(state: dict, own: dict[str, object]) -> None:
    if not isinstance(state, dict) or "format" not in state or not isinstance(state.get(OWN), dict):
        raise ValueError(f"seedbed.restore: expected what seedbed.state() returned, found {type(state).__name__}")
    if state["format"] != FORMAT:
        raise ValueError(
            f"seedbed.restore: expected a state of format {FORMAT}, found format {state['format']!r}: "
            "it was saved by another version of Seedbed"
        )
    for name in state[OWN].keys() ^ own.keys():
        given, other = ("state()", "restore()") if name in state[OWN] else ("restore()", "state()")
        raise ValueError(f"seedbed.restore: {name} was given to {given} and not to {other}; give it to both")
    for name, generator in own.items():
        named.check(name, generator, state[OWN][name])
