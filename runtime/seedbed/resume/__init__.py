"""`seedbed resume -- COMMAND`: does a training that is cut off and resumed give the bits of one that was not?

`runs` runs the command, cuts it off and starts it again, each time in a copy of the working folder (`copies`); `judge`
compares the records and says what was not restored; `report` tells it. `inside`, `torch` and `keras` work in a process
that is recorded: SEEDBED_RECORD_STATES=1 adds fingerprints of all state to each step of its record,
SEEDBED_RECORD_STOP=<step>:<signal> ends it after a step.
"""

from types import ModuleType

from seedbed import libraries, recording

STATES, STOP = "SEEDBED_RECORD_STATES", "SEEDBED_RECORD_STOP"


def start() -> None:
    """Have the libraries watched that are recorded; started after the recording."""
    libraries.watchers.append(watch)


def watch(name: str, module: ModuleType) -> None:
    if recording.trains(name, module):
        from seedbed.resume import inside  # it needs what is seeded when a library is imported

        inside.start(name, module)
