"""`seedbed resume -- COMMAND`: does a training that is cut off and resumed give the bits of one that was not?

`runs` runs the command, cuts it off and starts it again, each time in a copy of the working folder (`copies`); `judge`
compares the records and says what was not restored; `report` tells it. `inside`, `torch` and `keras` work in the
training's process: they add fingerprints of all state to each step of its record, and cut it off.
"""
