"""What stays unique: names (identifiers, run names, ports, cache keys, tokens) and waits do not follow the seed.

Modules that draw names or waits from Python's global generator get a `random` of their own, so that their names differ
and the user's numbers do not depend on them (`boot.DRAW_NAMES_APART`). Packages have generators of their own to make
names (`NAMERS`) or samples (`SAMPLERS`). One in neither is left random, because `seedbed verify` sees that, and nobody
sees a name that repeats. docs/libraries.md says what each of them draws, and where that can be read.
"""

import os
from functools import cache

from seedbed import callers

# fmt: off
NAMERS = {
    "aiohttp", "datasets", "dvc", "haikunator", "logfire", "marimo", "mlflow", "nni", "wandb",
}
SAMPLERS = {
    "albumentations", "dask", "faker", "gluonts", "hypothesis", "keras_tuner", "lhotse", "litdata", "mesa", "mimesis",
    "mpmath", "nltk", "pygad", "pytest_randomly", "river", "sympy", "timm", "toolz", "torch", "webdataset",
}
# fmt: on
NAMERS_OPTION, SAMPLERS_OPTION = "SEEDBED_NAMERS", "SEEDBED_SAMPLERS"


def listed(option: str) -> set[str]:
    """The packages that the user lists in a variable, separated by commas."""
    return {name.strip() for name in os.environ.get(option, "").split(",")} - {""}


_namers = NAMERS - listed(SAMPLERS_OPTION) | listed(NAMERS_OPTION)
_samplers = {callers.USER} | SAMPLERS - listed(NAMERS_OPTION) | listed(SAMPLERS_OPTION)


@cache
def kind(maker: str) -> str:
    """What a generator made by that module (see `callers.maker`) draws: "sampler", "namer" or "unknown".

    The longest part of the dotted name that is listed decides; Python's own modules make names (tempfile).
    """
    while maker:
        if maker in _samplers:
            return "sampler"
        if maker in _namers or maker == callers.PYTHON:
            return "namer"
        maker = maker.rpartition(".")[0]
    return "unknown"


def separate(module) -> None:
    """Before a module runs: have `import random` in it, at its top or in a function, give a `random` of its own."""
    import builtins

    usual = builtins.__import__

    def own_import(name, globals=None, locals=None, fromlist=(), level=0):
        imported = usual(name, globals, locals, fromlist, level)
        return own_random() if name == "random" and not level else imported

    module.__dict__["__builtins__"] = {**vars(builtins), "__import__": own_import}


@cache
def own_random():
    """The module `random` with all that draws taken from the operating system; there is one for all."""
    import random

    own = type(random)("random", random.__doc__)
    own.__dict__.update(vars(random))
    system = type("SystemRandom", (random.SystemRandom,), {"__reduce__": lambda _: (own_source, ())})()
    drawing = (name for name in random.__all__ if getattr(vars(random)[name], "__self__", None) is random._inst)
    own.__dict__.update({name: getattr(system, name) for name in drawing if not name.endswith("state")})
    own._inst = system
    return own


def own_source():
    """What draws for all modules apart: a module may keep a method of it in an object that is copied or pickled."""
    return own_random()._inst
