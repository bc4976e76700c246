"""One module for each command: `EXAMPLE`, its `arguments` for the parser, and `command`, which returns its exit status.

What a command works with is imported when it runs: a mode or seed that there is not must be an error of one line.
"""
