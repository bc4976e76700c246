"""jax: its keys are explicit, so there is nothing to seed; XLA's determinism is a flag, read when a backend starts."""

import os
from types import ModuleType

from seedbed import process
from seedbed.settings import VARIABLES

FLAG = next(setting.values["strict"] for setting in VARIABLES if setting.name == "XLA_FLAGS")


def configure(jax: ModuleType) -> None:
    """Add the flag to XLA_FLAGS of the user's own, unless they decide on it."""
    flags = os.environ.get("XLA_FLAGS", "")
    if process.mode == "strict" and FLAG.partition("=")[0] not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {FLAG}".strip()


def state(jax: ModuleType) -> dict[str, str]:
    """Nothing is called: `XLA_FLAGS` stands among the variables."""
    return {}
