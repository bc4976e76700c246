"""What is in an image: every Debian package, every wheel, and Seedbed's own files, each with where it comes from.

The locks say which file each was installed from, the image itself what it is: dpkg's status and the copyright files in
the base layer, and METADATA of each wheel. That is read in the cache's wheel; if the cache has none, in the layers.

Source: package-url 1.0, types deb, generic, oci and pypi.
"""

import json
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.message import Message
from email.parser import HeaderParser
from email.utils import getaddresses
from functools import cached_property
from typing import Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from packageurl import PackageURL
from packaging.utils import canonicalize_name

from builder.errors import SeedbedError
from builder.image import assemble, contents
from builder.image.recipe import Recipe
from builder.layers import wheels
from builder.layers.source import Contents, Wheel
from builder.lock.index import Pin
from builder.oci.layout import OciImage
from builder.oci.store import hash_of
from builder.oci.tar import opened
from builder.publish import dpkg
from builder.publish.licences import NOT_STATED, Licence, of_copyright, of_expression, of_metadata

METADATA = "METADATA"
INSTALLED = re.compile(r".*/site-packages/[^/]+\.dist-info/METADATA")
SEEDBED_LICENCE = Licence("Apache-2.0")
SUPPLIER = "Seedbed"


@dataclass(frozen=True)
class Component:
    """An image, or a thing in it.

    `sha256` (hex) is of the file that it was installed from, empty if no lock names one; of an image, of its manifest.
    `supplier` is who it says it is from; empty if it does not.
    """

    kind: Literal["image", "deb", "pypi", "own", "system"]
    name: str
    version: str
    purl: str
    sha256: str = ""
    licence: Licence = NOT_STATED
    supplier: str = ""
    source: dpkg.Source | None = None


@dataclass(frozen=True)
class Bill:
    """An image and all that is in it.

    `facts` are what else there is to say of the image, as pairs: `lock`, the sha256 of its locks; `left-out`, the path
    of a wheel's file that it does not have, or has another at; `substituted`, the locked Debian packages that it has
    others for.
    """

    image: Component
    epoch: int
    components: tuple[Component, ...]
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def created(self) -> datetime:
        return datetime.fromtimestamp(self.epoch, UTC)

    @cached_property
    def uuid(self) -> UUID:
        """The same for the same bill of the same image."""
        return uuid5(NAMESPACE_URL, hash_of(asdict(self)))


def of(recipe: Recipe, image: OciImage) -> Bill:
    """What is in an image that the recipe made, whose layers are in the store.

    Raises SeedbedError if the store lacks a layer, or a layer has not what the locks say.
    """
    base = dpkg.read(image.layers[0].descriptor.digest)
    release = f"{base.release['ID']}-{base.version}"
    hashes = {(package.name, package.version): package.sha256 for package in recipe.packages.packages}
    components = [
        of_system(base),
        *(of_package(each, release, hashes.get((each.name, each.version), "")) for each in base.packages),
        *(of_wheel(pin, metadata) for pin, metadata in metadata_of(recipe, image).items()),
        of_seedbed(recipe),
    ]
    facts = [("lock", f"sha256:{recipe.lock}"), *(("left-out", path) for path in left_out(recipe))]
    if substituted := json.loads(image.config)["config"]["Labels"].get(contents.UNLOCKED):
        facts.append(("substituted", substituted))
    return Bill(of_image(recipe, image.digest), recipe.epoch, tuple(components), tuple(facts))


def of_image(recipe: Recipe, digest: str) -> Component:
    tag, licence = recipe.image.full_tag, of_expression(recipe.image.licenses, "image.yaml")
    where = purl("oci", "", recipe.name, digest, arch="amd64", tag=tag)
    return Component("image", recipe.name, tag, where, digest.removeprefix("sha256:"), licence, SUPPLIER)


def of_system(base: dpkg.Base) -> Component:
    """The release, by which scanners choose their advisories."""
    name = base.release["ID"]
    where = purl("generic", "", name, base.version)
    return Component("system", name, base.version, where, supplier=base.release["NAME"].partition(" ")[0])


def of_package(package: dpkg.Package, release: str, sha256: str) -> Component:
    source = package.source
    upstream = source.name if source.version == package.version else f"{source.name}@{source.version}"
    qualifiers = {"arch": package.architecture, "distro": release}
    if upstream != package.name:
        qualifiers["upstream"] = upstream  # by which scanners find the advisories, which are about source packages
    return Component(
        "deb",
        package.name,
        package.version,
        purl("deb", "debian", package.name, package.version, **qualifiers),
        sha256,
        of_copyright(package.copyright, source.name),
        package.maintainer.partition(" <")[0],
        source,
    )


def of_wheel(pin: Pin, metadata: Message) -> Component:
    """A wheel as locked, which describes itself; raises SeedbedError if that is another project or version."""
    found = canonicalize_name(metadata["Name"] or ""), metadata["Version"]
    if found != (pin.name, pin.version):
        raise SeedbedError(f"expected METADATA of {pin.name} {pin.version}, found it of {' '.join(map(str, found))}")
    where = purl("pypi", "", pin.name, pin.version)
    return Component("pypi", pin.name, pin.version, where, pin.sha256, of_metadata(metadata), author_of(metadata))


def of_seedbed(recipe: Recipe) -> Component:
    """The runtime, the entrypoint, settings and everything else in the image that is neither Debian's nor a wheel's."""
    version, name = contents.RUNTIME_VERSION, "seedbed"
    return Component("own", name, version, purl("generic", "", name, version), "", SEEDBED_LICENCE, SUPPLIER)


def author_of(metadata: Message) -> str:
    """The first one named: the author, else the maintainer."""
    for role in ("Author", "Maintainer"):
        if name := str(metadata.get(role) or "").strip():
            return " ".join(name.split())
        people = getaddresses([str(each) for each in metadata.get_all(f"{role}-email", [])])
        if people:
            return people[0][0] or people[0][1]
    return ""


def left_out(recipe: Recipe) -> tuple[str, ...]:
    """Console scripts that image.yaml removes, and files that the runtime's layer has something else at."""
    removed = [path for group, _ in recipe.layers for path in contents.removed_commands(group)]
    return tuple(sorted([*removed, *contents.certificate_links(recipe)]))


def metadata_of(recipe: Recipe, image: OciImage) -> dict[Pin, Message]:
    """METADATA of every wheel, in the order of the lock."""
    texts = {pin: in_wheel(wheel) for pin in recipe.wheels.wheels if (wheel := wheels.find(pin))}
    if missing := [pin for pin in recipe.wheels.wheels if pin not in texts]:
        texts |= in_layers(missing, image)
    return {pin: of_text(texts[pin]) for pin in recipe.wheels.wheels}


def in_wheel(wheel: Wheel) -> str:
    with zipfile.ZipFile(wheel.path) as archive:
        return Contents(wheel, archive).read_dist_info(METADATA)


def in_layers(pins: Sequence[Pin], image: OciImage) -> dict[Pin, str]:
    """METADATA of these wheels as the image has it; raises SeedbedError for one that it has not."""
    found: dict[Pin, str] = {}
    for layer in image.layers[1:]:
        if named := [pin for pin in pins if pin not in found and f"{pin.name} {pin.version}" in layer.what]:
            projects = {canonicalize_name(of_text(text)["Name"]): text for text in texts_in(layer.descriptor.digest)}
            found |= {pin: projects[name] for pin in named if (name := canonicalize_name(pin.name)) in projects}
    if missing := [f"{pin.name} {pin.version}" for pin in pins if pin not in found]:
        raise SeedbedError(f"{image.digest}: expected {', '.join(missing)} in it, found no such distribution")
    return found


def texts_in(layer: str) -> Iterable[str]:
    """METADATA of every distribution that a layer installs, and none of those that it has inside of others."""
    with opened(assemble.store().proven(layer)) as tar:
        for member in tar:
            if INSTALLED.fullmatch(member.name) and (data := tar.extractfile(member)):
                yield data.read().decode()


def of_text(metadata: str) -> Message:
    return HeaderParser().parsestr(metadata)


def purl(kind: str, namespace: str, name: str, version: str, **qualifiers: str) -> str:
    return PackageURL(kind, namespace or None, name, version, qualifiers).to_string()
