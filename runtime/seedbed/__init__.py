"""Seedbed's runtime: every source of randomness set before any user code runs, in every Python process."""

__version__ = "0.1.0"
