"""`seedbed trace`: the first operation that gave another result although it was given the same.

Inside a traced process `start` writes a journal (`journal`, `surroundings`, `torch`, `tensorflow`) and makes the one
change that a hunt tries (`changes`). Outside, `search` runs the command and compares, `difference` finds the first line
in which two journals differ, `cause` says where that comes from, and `hunt` tries one change at a time.
"""


def start() -> None:
    """Called in every Python process of a traced command, before any user code: SEEDBED_TRACE names the folder."""
    from seedbed import libraries
    from seedbed.trace import changes, journal, surroundings

    journal.start()
    surroundings.start()
    changes.start()
    libraries.watchers.append(watch)


def watch(name: str, module) -> None:
    """Called when a library is ready."""
    from seedbed.trace import changes, journal, surroundings

    journal.write(ready=name)
    surroundings.watch(name, module)
    changes.watch(name, module)
    if name == "torch":
        from seedbed.trace import torch

        torch.start()
    elif name == "tensorflow":
        from seedbed.trace import tensorflow

        tensorflow.start()
    elif name == "keras" and module.backend.backend() == "tensorflow":  # with torch, layers are its modules
        from seedbed.trace import tensorflow

        tensorflow.follow_keras(module)
