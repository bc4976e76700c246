"""`python -m tests.image.transcript` writes docs/transcript.md: commands given in the images, and their output.

It shows what docs/image.md says; the tests are in test_field_image.py. `pip` needs the index, so this is not a test.
"""

import shlex
from collections.abc import Iterator
from pathlib import Path

from builder import network, paths
from builder.catalog import models
from builder.engine import client
from builder.image import tags
from builder.smoke.smoke import PROBE_SCRIPTS

PAGE = paths.ROOT / "docs" / "transcript.md"
HEAD = """\
# What a person sees in the images

Commands given in containers of both images, and what they printed, without the log's first line (`SEEDBED_QUIET=1`).
`python -m tests.image.transcript` writes this page; [docs/image.md](image.md) says why things are as they are.
"""
AUTHORITIES, PIP_CONF = "/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf"
INSTALL = 'pip install --quiet einops && python -c "import einops; print(einops.__file__)"'
VENV = "python -m venv --system-site-packages /tmp/v && /tmp/v/bin/pip install -q einops && /tmp/v/bin/python -c"
TOOLS = "git --version; curl --version | head -1; less --version | head -1; nano --version | head -1"
HOME = 'whoami; id; echo "$HOME"; touch ~/mine && ls ~'
READ_ONLY = "--read-only --tmpfs /tmp:exec"
COMMANDS = "python /probes/commands.py /opt/venv/bin"

BOTH = [
    ("", COMMANDS),
    ("", INSTALL),
    ("--user 12345:0", INSTALL),
    ("--user 0:0", INSTALL),
    ("", 'pip install "numpy<2" 2>&1 | grep numpy'),
    ("", HOME),
    ("--user 12345:54321", HOME),
    (READ_ONLY, HOME),
    (f"{READ_ONLY} --user 12345:54321", HOME),
    ("--init", "true"),
    ("", "seedbed info | grep shm"),
    ("--shm-size 1g", "seedbed info | grep shm"),
    ("", TOOLS),
]
STEPS = {
    "pytorch": [*BOTH, ("", f'{VENV} "import einops, torch; print(torch.initial_seed())"')],
    "tensorflow": [
        *BOTH,
        ("", "tensorboard --version_tb"),
        ("", f'{VENV} "import einops, numpy; print(numpy.random.rand())"'),
    ],
}


def main() -> None:
    docker = client.connect()
    loaded = models.load(paths.IMAGES)
    pages = [section(docker, f"{tags.repository()}/{name}:{loaded.image(name).full_tag}", name) for name in STEPS]
    PAGE.write_text("\n".join([HEAD, *pages]), encoding="utf-8")


def section(docker: client.Engine, image: str, name: str) -> str:
    return "\n".join([f"## {name}\n", *(step(docker, image, *given) for given in STEPS[name])])


def step(docker: client.Engine, image: str, options: str, command: str) -> str:
    words = ["sh", "-c", command] if any(sign in command for sign in "&|;") else shlex.split(command)
    done = docker.docker("run", "--rm", *shlex.split(options), *mounted(), image, *words)
    shown = [" ".join(filter(None, ["$ docker run --rm", options, "IMAGE", shlex.join(words)]))]
    said = [*done.stderr.splitlines(), *done.stdout.splitlines()]
    return "".join(
        f"    {line}\n" for line in [*shown, *said, *([f"(status {done.returncode})"] * bool(done.returncode))]
    )


def mounted() -> Iterator[str]:
    """The probes, no first line in the log, and what pip needs to reach the index from here."""
    yield from ("--env", "SEEDBED_QUIET=1", "--volume", f"{PROBE_SCRIPTS}:/probes:ro")
    for inside, here in (
        ("/etc/ssl/certs/ca-certificates.crt", network.ca_bundle()),
        ("/etc/pip.conf", "/etc/pip.conf"),
    ):
        if here and Path(here).is_file():
            yield from ("--volume", f"{here}:{inside}:ro")


if __name__ == "__main__":
    main()
