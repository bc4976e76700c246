"""Asks the watching library, from inside a watched process, which compiled code is calling."""

import os


def compiled_caller() -> str:
    """The library whose code has called the Python function that is running; empty: none, or it is not known."""
    try:
        import ctypes

        ask = ctypes.CDLL(None).seedbed_caller
    except (ImportError, OSError, AttributeError):  # not preloaded
        return ""
    ask.restype = ctypes.c_char_p
    return os.fsdecode(ask())
