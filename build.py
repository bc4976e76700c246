#!/usr/bin/env python3
"""Build container images for training that build to the same digest and train to the same bits."""

import sys

from builder import interrupts

if __name__ == "__main__":  # and not a worker that imports this file
    interrupts.handle()

from builder import environment

if "smoke" in sys.argv and "--host" in sys.argv:  # has to work where no package can be fetched
    environment.refuse_an_old_python()
    from builder.smoke import host

    sys.exit(host.main(sys.argv[1:]))

environment.enter()

from builder.cli.main import seedbed  # noqa: E402

if __name__ == "__main__":
    seedbed()
