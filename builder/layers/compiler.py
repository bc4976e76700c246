"""Compiles Python sources to bytecode. Run by the interpreter of an image; never imported.

Standard input: a list of (path in the image, source). Standard output: the interpreter's cache tag and a list of .pyc
contents, None where a source does not compile, as with templates and with code for another Python. Both are written
by marshal in its version 2, which every Python 3 reads alike.

A .pyc holds its source's hash and is marked "checked" (PEP 552): Python hashes the source at import, and compiles it
anew if it was edited, whatever its date. `import torch` takes 4 percent longer for that.
"""

import importlib.util
import marshal
import sys

CHECKED_HASH = (3).to_bytes(4, "little")


def main() -> None:
    codes = [bytecode(path, source) for path, source in marshal.load(sys.stdin.buffer)]
    marshal.dump((sys.implementation.cache_tag, codes), sys.stdout.buffer, 2)


def bytecode(path: str, source: bytes) -> bytes | None:
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError):
        return None
    return importlib.util.MAGIC_NUMBER + CHECKED_HASH + importlib.util.source_hash(source) + marshal.dumps(code)


if __name__ == "__main__":
    main()
