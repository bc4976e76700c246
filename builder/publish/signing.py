"""Statements in signed envelopes (DSSE), each a line of JSON; keys are files in PEM, as openssl writes them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from securesystemslib import exceptions
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey

from builder import reading
from builder.errors import SeedbedError, UsageError
from builder.oci.store import canonical_json
from builder.publish.statements import STATEMENT, Statement
from builder.reading import shown

PAYLOAD = "application/vnd.in-toto+json"
MAKE_A_KEY = "make one with: openssl genpkey -algorithm ed25519 -out FILE"
GIVE_IT = "its owner gets it with: openssl pkey -in FILE -pubout"
NOT_A_KEY = (ValueError, TypeError, UnsupportedAlgorithm)


class Refused(SeedbedError):
    """An envelope proves nothing; the message says why."""


@dataclass(frozen=True)
class Key:
    """The public key of somebody whose word counts; `name` is its file's."""

    name: str
    public: SSlibKey


Keys = Mapping[str, Key]
"""By key id."""


def signer(path: Path) -> CryptoSigner:
    """Who signs with the private key in that file."""
    try:
        return CryptoSigner(load_pem_private_key(reading.data(path, MAKE_A_KEY), password=None))
    except NOT_A_KEY:
        raise UsageError(f"{shown(path)}: expected a private key in PEM, without a password; {MAKE_A_KEY}") from None


def keys_in(folder: Path) -> Keys:
    """The public keys in the `.pem` and `.pub` files of a folder. The same key in two files is one signer."""
    keys: dict[str, Key] = {}
    if not folder.is_dir():
        raise UsageError(f"{shown(folder)}: expected a folder with public keys, FILE.pem or FILE.pub; {GIVE_IT}")
    for path in sorted(path for path in folder.iterdir() if path.suffix in (".pem", ".pub")):
        try:
            key = SSlibKey.from_crypto(load_pem_public_key(reading.data(path)))
        except NOT_A_KEY:
            raise UsageError(f"{shown(path)}: expected a public key in PEM; {GIVE_IT}") from None
        keys.setdefault(key.keyid, Key(path.stem, key))
    if not keys:
        raise UsageError(f"{shown(folder)}: has no public key, FILE.pem or FILE.pub; {GIVE_IT}")
    return keys


def sign(statement: Statement, by: CryptoSigner) -> bytes:
    """The statement in an envelope, as one line."""
    envelope = Envelope(canonical_json(statement), PAYLOAD, {})
    envelope.sign(by)
    return canonical_json(envelope.to_dict()) + b"\n"


def opened(line: bytes, keys: Keys) -> tuple[Statement, list[str]]:
    """An envelope's statement, and the ids of the keys that have signed it.

    Raises Refused if it is malformed, if none of the keys has signed it, or if it is not what one of them has signed.
    """
    try:
        envelope = Envelope.from_dict(json.loads(line))
        statement = json.loads(envelope.payload)
        if envelope.payload_type != PAYLOAD or statement["_type"] != STATEMENT:
            raise ValueError("not a statement of in-toto")
        signed = [keyid for keyid in envelope.signatures if keyid in keys]
    except (exceptions.Error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refused(f"no signed statement: {error}") from None
    if not signed:
        raise Refused("signed by none of the keys")
    for keyid in signed:
        try:
            keys[keyid].public.verify_signature(envelope.signatures[keyid], envelope.pae())
        except exceptions.Error:
            raise Refused(f"not what {keys[keyid].name} has signed: it was altered") from None
    return statement, signed
