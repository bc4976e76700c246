"""Rebuild kits: the Debian packages of an image, kept where nobody drops them.

A kit is an OCI artifact with a layer for each package, under the package's own sha256. It is an OCI layout or archive,
or lies in a registry beside the image. Nothing of a kit is believed: a package has the size and sha256 of the lock, or
it is refused.

Source: OCI image specification 1.1, image-layout.md, manifest.md.
"""

import hashlib
import io
import logging
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol, cast

from builder import files, reading
from builder.debian.archive import Package
from builder.errors import SeedbedError
from builder.oci.artifacts import TITLE
from builder.oci.images import INDEX, UNREADABLE, Document, Index, Part, Source, document_in, tar_in
from builder.oci.registry import Repository
from builder.oci.store import blob_path
from builder.oci.tar import CHUNK
from builder.oci.transport import Refused

log = logging.getLogger(__name__)

KIT_TYPE = "application/vnd.seedbed.kit.v1"
PACKAGE_TYPE = "application/vnd.debian.binary-package"
MARK = "oci-layout"
DOWNLOADS_AT_ONCE = 4
REMEDY = "get it again, or write one with ./build.py kit"


class Kit(Protocol):
    """Where packages may be; as a string it is what a person calls it."""

    def fetch(self, wanted: Sequence[Package], into: Path) -> list[Package]:
        """Bring those that it has to their files in `into`, and return them.

        Raises SeedbedError if it has other bytes for one, or is no kit.
        """


def fetch(kits: Sequence[Kit], wanted: Sequence[Package], into: Path) -> list[Package]:
    """Bring what the kits have of the packages to their files in `into`; returns those that none of them has."""
    missing = list(wanted)
    for kit in kits:
        if missing and (taken := kit.fetch(missing, into)):
            log.info(f"Debian packages from the kit {kit}: {', '.join(map(str, taken))}")
            missing = [package for package in missing if package not in taken]
    return missing


# ---- a kit at hand -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KitAtHand:
    """A kit as `./build.py kit` writes it, or as an OCI client pulls it: an archive, or the folder of a layout."""

    path: Path

    def __str__(self) -> str:
        return str(reading.shown(self.path))

    def fetch(self, wanted: Sequence[Package], into: Path) -> list[Package]:
        try:
            with self.opened() as source:
                layers = layers_in(source)
                taken = [package for package in wanted if listed(package, layers, f"the kit {self}")]
                for package in taken:
                    with source(blob_path(package.digest)) as data:
                        bring(package, data, into, f"the kit {self}")
        except UNREADABLE as error:
            raise SeedbedError(f"{self}: expected a rebuild kit: {error}; {REMEDY}") from None
        return taken

    @contextmanager
    def opened(self) -> Iterator[Source]:
        if self.path.is_dir():
            yield self.of_folder
            return
        with reading.opened(self.path, REMEDY) as file, tar_in(file, "r:") as tar:
            members = members_of(tar)

            def source(path: str) -> nullcontext[BinaryIO]:
                if not ((member := members.get(path)) and member.isreg()):
                    raise absent(path)
                return nullcontext(cast(BinaryIO, tar.extractfile(member)))

            yield source

    def of_folder(self, path: str) -> BinaryIO:
        if not (self.path / path).is_file():
            raise absent(path)
        return reading.opened(self.path / path)


def absent(path: str) -> ValueError:
    return ValueError(f"found no {path} in it")


def members_of(tar: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """The members of an archive by their paths; raises ValueError if one leads out of it."""
    members = {}
    for member in tar:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"found the path {member.name!r} in it, which leads outside")
        members[str(path)] = member
    return members


class Layer(Part):
    annotations: dict[str, str] | None = None

    @property
    def title(self) -> str:
        return (self.annotations or {}).get(TITLE, "")


class Manifest(Document):
    artifactType: str = ""
    layers: list[Layer]


def manifest_in(source: Source, path: str) -> Manifest:
    return Manifest.model_validate(document_in(source, path, Manifest))


def layers_of(manifests: Iterable[Manifest]) -> list[Layer]:
    """What manifests of kits list; raises ValueError for a file name that is a path."""
    layers = [layer for manifest in manifests for layer in manifest.layers]
    if outside := [layer.title for layer in layers if "/" in layer.title]:
        raise ValueError(f"found the file name {outside[0]!r} in it, which leads outside")
    return layers


def layers_in(source: Source) -> list[Layer]:
    """What an OCI layout lists; raises ValueError if it holds no kit."""
    document_in(source, MARK, Document)  # an archive that is cut short may lack just its end
    index = document_in(source, INDEX, Index)
    manifests = [manifest_in(source, blob_path(entry["digest"])) for entry in index["manifests"]]
    if not (kits := [manifest for manifest in manifests if manifest.artifactType == KIT_TYPE]):
        raise ValueError(f"found no manifest of the type {KIT_TYPE} in it")
    return layers_of(kits)


def listed(package: Package, layers: Sequence[Layer], kit: str) -> bool:
    """Whether the package is among them; raises SeedbedError if its name is, for other bytes."""
    if any(layer.digest == package.digest for layer in layers):
        return True
    for layer in layers:
        if layer.title == file_name(package):
            raise refusal(package, kit, layer.digest)
    return False


# ---- the kit of a published image ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class PublishedKit:
    """The packages in a repository, `registry.example.org/team/name`, beside its `image`, named by digest or tag.

    A registry gives any blob of a repository by its digest, so packages are found even if the kit is another image's.
    """

    reference: str
    image: str

    def __str__(self) -> str:
        return f"of {self.reference}"

    def fetch(self, wanted: Sequence[Package], into: Path) -> list[Package]:
        """A registry that cannot be reached, or has no kit, is no error."""
        try:
            repository = Repository.of(self.reference)
            layers = self.layers(repository)
        except (SeedbedError, ValueError) as error:
            log.info(f"{self.reference}: no packages from there: {error}")
            return []
        with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
            there = pool.map(lambda package: self.bring(package, repository, layers, into), wanted)
            return [package for package, found in zip(wanted, there, strict=True) if found]

    def layers(self, repository: Repository) -> list[Layer]:
        """What the kits list that are attached to the image."""

        def manifest(digest: str) -> BinaryIO:
            return io.BytesIO(repository.manifest(digest))

        image = repository.digest(self.image)
        kits = repository.referrers(image, KIT_TYPE) if image else []
        return layers_of(manifest_in(manifest, kit) for kit in kits)

    def bring(self, package: Package, repository: Repository, layers: Sequence[Layer], into: Path) -> bool:
        """Whether it is there, and now in `into`."""
        try:
            repository.blob(package.digest, package.size, package.file(into))
            return True
        except Refused as refused:
            if listed(package, layers, f"the kit {self}"):
                log.info(f"{package}: in the kit {self}, but {refused}")
            return False
        except SeedbedError as error:
            raise SeedbedError(f"{package}: not taken from the kit {self}: {error}") from None


# ---- a package -----------------------------------------------------------------------------------------------------


def bring(package: Package, data: BinaryIO, into: Path, kit: str) -> None:
    """Write the package to its file in `into`; raises SeedbedError, and writes nothing, if its bytes are others."""
    with files.new(into) as file:
        found, size = hashlib.sha256(), 0
        while size <= package.size and (chunk := data.read(CHUNK)):
            found.update(chunk)
            size += file.write(chunk)
        if (found.hexdigest(), size) != (package.sha256, package.size):
            raise refusal(package, kit, f"sha256:{found.hexdigest()}" if size <= package.size else "more bytes")
        file.flush()
        Path(file.name).replace(package.file(into))


def refusal(package: Package, kit: str, found: str) -> SeedbedError:
    return SeedbedError(
        f"{package}: {kit} has {found} for it, the lock says {package.digest}; it was not used: "
        "get another kit, or build without this one"
    )


def file_name(package: Package) -> str:
    return PurePosixPath(package.filename).name
