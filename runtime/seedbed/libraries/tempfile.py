"""`tempfile`: names of temporary files stay random, or runs side by side would pick the same ones."""

from types import ModuleType


def configure(tempfile: ModuleType) -> None:
    from random import SystemRandom

    tempfile._Random = SystemRandom
