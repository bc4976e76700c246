"""The library behind build.py; docs/architecture.md describes its rooms and the way of the data."""
