"""Who says to have rebuilt an image: statements are made, and counted by the keys that have signed them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import reading
from builder.console import print_line, print_table
from builder.errors import SeedbedError
from builder.image.recipe import Recipe
from builder.oci.artifacts import Artifact
from builder.oci.registry import Repository
from builder.oci.store import DIGEST, MANIFEST_TYPE, Blob, Descriptor
from builder.publish import signing, statements
from builder.publish.signing import Keys, Refused
from builder.publish.statements import REBUILD
from builder.reading import shown

MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json"


@dataclass(frozen=True)
class Given:
    """A signed statement, and where it was found."""

    where: str
    envelope: bytes


@dataclass(frozen=True)
class Rebuilder:
    """Whose key has signed that they rebuilt the image, and what they say of how."""

    name: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class Attested:
    """Whose word counts for an image, each key once, and every statement that does not count, with the reason."""

    digest: str
    rebuilders: tuple[Rebuilder, ...]
    refused: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        rebuilders = [each.facts | {"name": each.name} for each in self.rebuilders]
        return {"digest": self.digest, "rebuilders": rebuilders, "refused": list(self.refused)}


def attest(recipe: Recipe, digest: str, key: Path) -> bytes:
    """Two signed statements, a line each: what the image is made from, and that it was rebuilt. It has to be true."""
    by = signing.signer(key)
    return b"".join(
        signing.sign(statement, by)
        for statement in (statements.provenance(recipe, digest), statements.rebuild(recipe, digest))
    )


def count(digest: str, given: Iterable[Given], keys: Keys) -> Attested:
    """Whose statements say that the image of this digest was rebuilt."""
    rebuilders: dict[str, Rebuilder] = {}
    refused = []
    for each in given:
        try:
            statement, signed = signing.opened(each.envelope, keys)
            if statement.get("predicateType") != REBUILD:  # provenance says what it was made from, not that it was
                continue
            facts = rebuilt(statement, digest)
        except Refused as error:
            refused.append(f"{each.where}: {error}")
        else:
            rebuilders |= {keyid: Rebuilder(keys[keyid].name, facts) for keyid in signed}
    return Attested(digest, tuple(sorted(rebuilders.values(), key=lambda each: each.name)), tuple(refused))


def rebuilt(statement: statements.Statement, digest: str) -> dict[str, Any]:
    """What the statement says of the rebuild; raises Refused if it is about another image."""
    try:
        about = [f"sha256:{subject['digest']['sha256']}" for subject in statement["subject"]]
        facts = dict(statement["predicate"])
    except (KeyError, TypeError, ValueError):
        raise Refused("names no image") from None
    if about != [digest]:
        raise Refused(f"about another image, {', '.join(about)[:100]}")
    return facts


def check(attested: Attested, wanted: int) -> None:
    """Raise SeedbedError unless that many independent signers say so."""
    found = len(attested.rebuilders)
    if found < wanted:
        names = f" ({', '.join(each.name for each in attested.rebuilders)})" if found else ""
        reasons = "".join(f"; {reason}" for reason in attested.refused)
        raise SeedbedError(f"{attested.digest}: expected {wanted} to have rebuilt it, found {found}{names}{reasons}")


def print_attested(attested: Attested) -> None:
    rows = [
        (each.name, *(str(each.facts.get(fact, "")) for fact in ("date", "revision")), machine_of(each.facts))
        for each in attested.rebuilders
    ]
    if rows:
        print_table(("rebuilt by", "date", "revision", "on"), rows)
    for reason in attested.refused:
        print_line(f"does not count: {reason}")
    print_line(f"{attested.digest}: rebuilt by {len(attested.rebuilders)} whose keys are given")


def machine_of(facts: dict[str, Any]) -> str:
    machine = facts.get("machine")
    return ", ".join(map(str, machine.values())) if isinstance(machine, dict) else ""


def attach(repository: Repository, digest: str, signed: bytes) -> str:
    """Attach the statements to the image in its repository; returns their name there."""
    manifest = repository.manifest(digest)
    layers = tuple(Blob.of(line, MEDIA_TYPE) for line in signed.splitlines())
    artifact = Artifact(MEDIA_TYPE, Descriptor.of(manifest, MANIFEST_TYPE), layers)
    return f"{repository}@{repository.attach(artifact)}"


def attached(repository: Repository, digest: str) -> list[Given]:
    """The statements that are attached to the image there."""
    return [
        Given(f"{repository}@{referrer}", envelope)
        for referrer in repository.referrers(digest, MEDIA_TYPE)
        for envelope in envelopes_of(repository, repository.manifest(referrer))
    ]


def envelopes_of(repository: Repository, manifest: bytes) -> list[bytes]:
    """The layers of what anybody may have attached; if it lists none by digest, the manifest, which is no envelope."""
    try:
        digests = [DIGEST.fullmatch(layer["digest"])[0] for layer in json.loads(manifest)["layers"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return [manifest]
    return [repository.read_blob(digest) for digest in digests]


def given_in(paths: Sequence[Path]) -> list[Given]:
    """The statements in these files, and in the `.jsonl` files of folders."""
    files = [file for path in paths for file in (sorted(path.glob("*.jsonl")) if path.is_dir() else [path])]
    return [
        Given(f"{shown(file)}:{number}", line)
        for file in files
        for number, line in enumerate(reading.data(file).splitlines(), start=1)
        if line.strip()
    ]
