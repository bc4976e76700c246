"""Notices generators that are not Python's: C, C++ and Rust code seeded by the operating system or the clock.

No seed reaches them. `preload` builds `entropy.c` and has it loaded into a command before everything else; it writes a
line whenever a library asks for entropy. `events` reads these lines and says what they mean. Only `seedbed run --audit`
(`run`), `verify` and `trace` do this: a normal run is not touched.
"""
