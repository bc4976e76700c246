"""What an image contains beside Debian and wheels, for the assembled layer and for the Dockerfile."""

import json
import posixpath
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from builder import paths
from builder.catalog.image import Image, LayerGroup
from builder.image.recipe import Recipe
from builder.lock import toolchain

sys.path.append(str(paths.RUNTIME))
import seedbed
from seedbed.environment import baked_environment

RUNTIME_VERSION = seedbed.__version__
VENV = "/opt/venv"
ENTRYPOINT = ("/usr/bin/tini", "-s", "--", "/opt/seedbed/entrypoint.sh")
"""tini alone gets the signals and hands them to the command, which tells its own workers. With -g the workers of a
DataLoader would die first, and the training of that. -s: reaps orphans also when another init is process 1."""
COMMAND = ("bash",)
UNLOCKED = "io.seedbed.unlocked"
PATH = f"{VENV}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WORKING_FOLDER = "/workspace"
DESCRIPTION = "/etc/seedbed/image.json"
CONSTRAINTS = "/etc/seedbed/constraints.txt"

HOME = "/home/seedbed"
USER_ID = 1000
PASSWD = f"seedbed:*:{USER_ID}:{USER_ID}::{HOME}:/bin/bash"  # with x, `su` would look for a line in /etc/shadow
GROUP = f"seedbed:x:{USER_ID}:"
FOLDERS = {HOME: 0o755, WORKING_FOLDER: 0o1777}
"""Folders of the image's user, and their modes. Any `--user` may write to the working folder, and nobody but its owner
replaces a file there. A home belongs to one user: the entrypoint gives every other one its own."""

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages/00_seedbed.pth"
"""In the folder that `python -m venv --system-site-packages` adds, so that such an environment has the image's packages
and the startup hook."""


@dataclass(frozen=True)
class Installed:
    """A file of `runtime/` (`source` is relative to it) and where it goes."""

    source: str
    target: str
    mode: int

    def read(self) -> bytes:
        return (paths.RUNTIME / self.source).read_bytes()


def site_packages(image: Image) -> str:
    return f"{VENV}/lib/python{image.python}/site-packages"


def venv_links(image: Image) -> dict[str, str]:
    """The symbolic links that make a virtual environment of Debian's interpreter: path to target."""
    return {
        f"{VENV}/bin/python": f"/usr/bin/python{image.python}",
        f"{VENV}/bin/python3": "python",
        f"{VENV}/bin/python{image.python}": "python",
        f"{VENV}/lib64": "lib",
    }


def certificate_links(recipe: Recipe) -> dict[str, str]:
    """certifi's list is a link to Debian's, as in Debian's own certifi: some programs read it without being asked, and
    would not trust the authority that a company has added."""
    if not recipe.holds("certifi"):
        return {}
    return {f"{site_packages(recipe.image)}/certifi/cacert.pem": CERTIFICATES}


VENV_CONFIGURATION = "home = /usr/bin\ninclude-system-site-packages = true\n"
"""True: without it Python has no packages in a user's home, so `pip install` would work for root alone. They come after
the image's own in sys.path: what is locked wins."""


def removed_commands(group: LayerGroup) -> list[str]:
    """The paths of the console scripts that the layer leaves out."""
    return [f"{VENV}/bin/{command}" for command in group.remove_commands]


def runtime_files(image: Image) -> list[Installed]:
    """Every file of the runtime, sorted by target."""
    found = (path for pattern in ("*.py", "*.c") for path in paths.RUNTIME.glob(f"seedbed/**/{pattern}"))
    modules = (path.relative_to(paths.RUNTIME).as_posix() for path in found)
    files = [Installed(module, f"{site_packages(image)}/{module}", 0o644) for module in modules]
    files += [
        Installed("00_seedbed.pth", f"{site_packages(image)}/00_seedbed.pth", 0o644),
        Installed("bin/seedbed", f"{VENV}/bin/seedbed", 0o755),
        Installed("entrypoint.sh", ENTRYPOINT[-1], 0o755),
        Installed("settings.sh", "/opt/seedbed/settings.sh", 0o644),
        Installed("profile.d/seedbed.sh", "/etc/profile.d/seedbed.sh", 0o644),
        Installed("sitecustomize.py", f"/etc/python{image.python}/sitecustomize.py", 0o644),
    ]
    return sorted(files, key=lambda file: file.target)


def by_folder(files: Iterable[Installed]) -> list[tuple[str, int, list[str]]]:
    """What single `install` commands can put in place: a folder, a mode, and the sources that go there with it."""
    grouped: dict[tuple[str, int], list[str]] = {}
    for file in files:
        grouped.setdefault((posixpath.dirname(file.target), file.mode), []).append(file.source)
    return [(folder, mode, sources) for (folder, mode), sources in sorted(grouped.items())]


def environment(image: Image) -> dict[str, str]:
    """The image's ENV: what makes it usable, what makes it repeatable, and what image.yaml adds."""
    usable = {
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "PIP_CONSTRAINT": CONSTRAINTS,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONUNBUFFERED": "1",
        # requests and curl bring authorities of their own, unless told to read the file that a company adds its own to.
        "SSL_CERT_FILE": CERTIFICATES,
        "REQUESTS_CA_BUNDLE": CERTIFICATES,
        "CURL_CA_BUNDLE": CERTIFICATES,
        "SEEDBED_IMAGE": f"{image.name} {image.full_tag}",
    }
    if image.end_of_life:
        usable["SEEDBED_END_OF_LIFE"] = image.end_of_life.date.isoformat()
    if image.cuda:
        usable |= {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
    return usable | baked_environment(image.frameworks) | image.environment


def container(recipe: Recipe, substituted: Sequence[str] = ()) -> dict[str, Any]:
    """The `config` of OCI's image configuration. `substituted` names locked Debian packages and their substitutes."""
    return {
        "User": f"{USER_ID}:{USER_ID}",
        "Env": [f"{name}={value}" for name, value in environment(recipe.image).items()],
        "Entrypoint": list(ENTRYPOINT),
        "Cmd": list(COMMAND),
        "WorkingDir": WORKING_FOLDER,
        "Labels": labels(recipe) | ({UNLOCKED: "; ".join(substituted)} if substituted else {}),
    }


def labels(recipe: Recipe) -> dict[str, str]:
    """The image's labels: OCI's own keys, and what everything in it follows from."""
    image = recipe.image
    standard = {
        "title": image.title,
        "description": image.description,
        "version": image.full_tag,
        "licenses": image.licenses,
    }
    labels = {f"org.opencontainers.image.{key}": value for key, value in standard.items()}
    labels |= {
        "io.seedbed.image": image.name,
        "io.seedbed.writer": toolchain.identity(),
        "io.seedbed.lock": f"sha256:{recipe.lock}",
    }
    if image.gpus:
        labels["io.seedbed.gpus"] = " ".join(image.gpus)
    if image.end_of_life:
        labels["io.seedbed.end-of-life"] = image.end_of_life.date.isoformat()
    return labels | image.labels


def description(recipe: Recipe) -> str:
    """The text of image.json: facts about the image, read by `seedbed info`."""
    image = recipe.image
    facts = {
        "name": image.name,
        "title": image.title,
        "tag": image.full_tag,
        "lock": f"sha256:{recipe.lock}",
        "python": image.python,
        "cuda": image.cuda,
        "cudnn": image.cudnn,
        "gpus": list(image.gpus),
        "frameworks": list(image.frameworks),
        "end_of_life": image.end_of_life.model_dump(mode="json") if image.end_of_life else None,
        "environment": environment(image),
        "versions": {wheel.name: wheel.version for wheel in recipe.wheels.wheels},
    }
    return json.dumps(facts, indent=2) + "\n"


def constraints(recipe: Recipe) -> str:
    """The text of constraints.txt: whatever is installed on top keeps the versions that the image is for.

    Only those: a constraint on pillow or packaging would make pip take years-old releases of what needs a newer one.
    """
    kept = (wheel for wheel in recipe.wheels.wheels if is_kept(recipe.image, wheel.name))
    return "".join(f"{wheel.release}\n" for wheel in kept)


def is_kept(image: Image, name: str) -> bool:
    """Whether results depend on this package: the frameworks, what they compute with, and CUDA."""
    return name in image.versions or name in ("numpy", "triton") or name.startswith("nvidia-")


def system_packages(image: Image) -> str:
    """The text of the `.pth` file at SYSTEM_PACKAGES; Python skips the folder where it has it already.

    No other package called seedbed, on PYTHONPATH say, is taken for the hook.
    """
    folder = site_packages(image)
    hook = (paths.RUNTIME / "00_seedbed.pth").read_text(encoding="ascii")
    return f"{folder}\n{hook.replace('sitedir', repr(folder))}"
