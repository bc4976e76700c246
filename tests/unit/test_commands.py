"""Other programs, run to their end."""

import subprocess
import sys

import pytest

from builder import commands

PRINT = "import sys; sys.stdout.buffer.write(b'caf\\xe9\\n'); sys.stderr.buffer.write(b'\\xff'); sys.exit(3)"
COMMAND = [sys.executable, "-c", PRINT]


def test_what_a_command_prints_is_text_whatever_bytes_it_is():
    done = commands.run(COMMAND)
    assert (done.returncode, done.stdout, done.stderr) == (3, "caf\ufffd\n", "\ufffd")
    with pytest.raises(UnicodeDecodeError):  # control: a traceback
        subprocess.run(COMMAND, capture_output=True, encoding="utf-8", check=False)
