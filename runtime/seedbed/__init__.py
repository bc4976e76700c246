"""Seedbed's runtime: every source of randomness set before any user code runs, in every Python process."""

__version__ = "0.1.0"


def state(**generators: object) -> dict:
    """What a script saves beside its model, so that `restore` makes it draw on as if it had never stopped.

    It holds the state of Python's, numpy's, torch's, TensorFlow's and Keras' global generators, of Seedbed's own, and
    of the script's own `generators`, each by a name: `seedbed.state(shuffle=generator)`. `pickle`, `torch.save` and
    `torch.load(weights_only=True)` take it. ValueError: one of `generators` is none, or this thread is at a task of a
    pool.
    """
    from seedbed import generators as all_of_them

    return all_of_them.saved(generators)


def restore(state: dict, **generators: object) -> None:
    """Put back what `state` returned, in this process or another one, after all that draws numbers to begin with.

    `generators` are those that `state` was given, made anew. ValueError, in one line: the state is of another format,
    of another seed, or of a machine with more GPUs; a generator is missing, or is of another kind.
    """
    from seedbed import generators as all_of_them

    all_of_them.restore(state, generators)
