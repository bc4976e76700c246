"""Rebuild kits to spoil, of packages that are none."""

import hashlib
import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from builder.debian.archive import Package
from builder.image.recipe import Recipe
from builder.layers.base import folder_of_packages

Files = dict[str, bytes]


def package(name: str, content: bytes) -> Package:
    """A package with that content, in the cache."""
    sha256 = hashlib.sha256(content).hexdigest()
    folder_of_packages().mkdir(parents=True, exist_ok=True)
    (folder_of_packages() / f"{sha256}.deb").write_bytes(content)
    return Package(name, "1.0-1", "amd64", sha256, len(content), f"pool/main/x/{name}_1.0-1_amd64.deb")


def recipe_of(recipe: Recipe, mmdebstrap: Package, *packages: Package) -> Recipe:
    """The recipe, with these packages alone in its lock."""
    return replace(recipe, packages=replace(recipe.packages, mmdebstrap=mmdebstrap, packages=packages))


def spoil(kit: Path, into: Path, change: Callable[[Files], None]) -> Path:
    """A copy of an archive whose files were changed."""
    with tarfile.open(kit) as tar:
        contents = {member.name: file.read() for member in tar if (file := tar.extractfile(member))}
    change(contents)
    with tarfile.open(into, "w") as tar:
        for name, data in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return into


def alter(package: Package, content: bytes) -> Callable[[Files], None]:
    """Other bytes under the package's own digest."""
    return lambda contents: contents.update({f"blobs/sha256/{package.sha256}": content})


def forge(package: Package, content: bytes) -> Callable[[Files], None]:
    """Other bytes under their own digest, with a manifest and an index that fit: nothing in the kit contradicts it."""

    def change(contents: Files) -> None:
        del contents[f"blobs/sha256/{package.sha256}"]
        swap(contents, package.sha256, content)

    return change


def swap(contents: Files, before: str, data: bytes) -> None:
    """Put a blob in another's place, and in every document that names it."""
    after = hashlib.sha256(data).hexdigest()
    contents.pop(f"blobs/sha256/{before}", None)
    naming = {path: text for path, text in contents.items() if before.encode() in text}
    contents[f"blobs/sha256/{after}"] = data
    for path, text in naming.items():
        text = text.replace(before.encode(), after.encode())
        if path == "index.json":
            contents[path] = text
        else:
            swap(contents, Path(path).name, text)
