"""Torture: many small cruelties, each repeatable by its seed and number (`make torture`; `python -m tests.torture`)."""
