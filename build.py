#!/usr/bin/env python3
"""Build container images for training that build to the same digest and train to the same bits."""

import sys

try:
    from builder import interrupts
except KeyboardInterrupt:
    sys.exit(130)

if __name__ == "__main__":  # and not a worker that imports this file
    interrupts.handle()
    interrupts.nothing_begun = True

from builder import environment

if "smoke" in sys.argv and "--host" in sys.argv:  # has to work where no package can be fetched
    environment.refuse_an_old_python()
    from builder.smoke import host

    interrupts.nothing_begun = False
    sys.exit(host.main(sys.argv[1:]))

environment.enter()

from builder.cli.main import seedbed  # noqa: E402

if __name__ == "__main__":
    seedbed()
