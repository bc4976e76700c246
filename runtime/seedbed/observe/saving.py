"""TensorFlow: a model that is saved while it is watched has nothing of ours, which no other process could call."""

from collections.abc import Iterator

from tensorflow.python.saved_model import save

from seedbed.observe.harmless import harmless
from seedbed.wrapping import after

OURS = "seedbed_note"  # the name of what we put into graphs


def hook() -> None:
    after(save, "_build_meta_graph", lambda built, *_, **__: strip(built[0]))


@harmless
def strip(meta) -> None:
    """Take what we have put into its functions out of a model that is being saved."""
    for function in meta.graph_def.library.function:
        ours = {node.name: node for node in function.node_def if is_ours(node)}
        if not ours:
            continue
        kept = [node for node in function.node_def if node.name not in ours]
        for node in kept:
            data = [name for name in node.input if not name.startswith("^")]  # one may be there twice
            waits = dict.fromkeys(without(ours, node.input[len(data) :]))  # these are behind
            del node.input[:]
            node.input.extend([*data, *waits])
        del function.node_def[:]
        function.node_def.extend(kept)
        for name in [name for name, node in function.control_ret.items() if node in ours]:
            del function.control_ret[name]
            function.signature.control_output.remove(name)


def is_ours(node) -> bool:
    return node.op == "EagerPyFunc" and node.name.rpartition("/")[2].startswith(OURS)


def without(ours: dict, inputs: list[str]) -> Iterator[str]:
    """These inputs; in place of one of our nodes, what that has waited for."""
    for name in inputs:
        if name.removeprefix("^") in ours:
            yield from without(ours, [one for one in ours[name[1:]].input if one.startswith("^")])
        else:
            yield name
