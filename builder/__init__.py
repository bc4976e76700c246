"""The library behind build.py: one concern a file, data flowing one way (see README.md)."""
