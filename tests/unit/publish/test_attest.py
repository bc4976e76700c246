"""Statements that an image was rebuilt count once for each key, and only as they were signed, of that image."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from builder import commands, paths
from builder.cli.prove import attest_
from builder.errors import SeedbedError, UsageError
from builder.image import digest
from builder.publish import attest, signing, statements
from builder.publish.attest import Given
from builder.reproduce import verify

DIGEST = f"sha256:{'1' * 64}"
REVISION = "2" * 40


@pytest.fixture(autouse=True)
def revision(monkeypatch):
    monkeypatch.setattr(statements, "revision", lambda: REVISION)


@pytest.fixture
def key(tmp_path: Path) -> Callable[..., Path]:
    """A new private key, whose public one is in the folder `keys`."""
    (tmp_path / "keys").mkdir()

    def key(name: str, *, known: bool = True) -> Path:
        private = ed25519.Ed25519PrivateKey.generate()
        file = tmp_path / f"{name}.key"
        file.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        if known:
            public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            (tmp_path / "keys" / f"{name}.pem").write_bytes(public)
        return file

    return key


@pytest.fixture
def counted(tmp_path: Path) -> Callable[..., attest.Attested]:
    def counted(*signed: bytes, digest: str = DIGEST) -> attest.Attested:
        given = [Given(f"file:{number}", line) for number, line in enumerate(b"".join(signed).splitlines(), start=1)]
        return attest.count(digest, given, signing.keys_in(tmp_path / "keys"))

    return counted


def names(attested: attest.Attested) -> list[str]:
    return [each.name for each in attested.rebuilders]


def altered(signed: bytes, before: str, after: str) -> bytes:
    """The statements with another text under the same signatures."""
    lines = []
    for line in signed.splitlines():
        envelope = json.loads(line)
        payload = base64.b64decode(envelope["payload"]).decode()
        envelope["payload"] = base64.b64encode(payload.replace(before, after).encode()).decode()
        lines.append(json.dumps(envelope).encode() + b"\n")
    return b"".join(lines)


def test_signers_are_counted(resolve, key, counted):
    signed = [attest.attest(resolve(), DIGEST, key(name)) for name in ("ann", "bob")]
    attested = counted(*signed)
    assert names(attested) == ["ann", "bob"] and not attested.refused
    attest.check(attested, 2)
    with pytest.raises(SeedbedError, match=rf"^{DIGEST}: expected 3 to have rebuilt it, found 2 \(ann, bob\)$"):
        attest.check(attested, 3)


def test_a_key_counts_once_whatever_it_signs_and_whatever_its_files_are_called(resolve, key, counted, tmp_path):
    mine = key("ann")
    (tmp_path / "keys" / "another.pem").write_bytes((tmp_path / "keys" / "ann.pem").read_bytes())
    signed = [attest.attest(resolve(), DIGEST, mine) for _ in range(2)]
    assert names(counted(*signed, *signed)) == ["ann"]


def test_a_signer_has_the_name_of_its_file_whatever_it_signs(resolve, key, counted):
    statement = statements.statement(resolve(), DIGEST, statements.REBUILD, {"name": "bob"})
    attested = counted(signing.sign(statement, signing.signer(key("ann"))))
    assert [each["name"] for each in attested.to_json()["rebuilders"]] == names(attested) == ["ann"]


def test_provenance_alone_does_not_say_that_it_was_rebuilt(resolve, key, counted):
    provenance, rebuild = attest.attest(resolve(), DIGEST, key("ann")).splitlines()
    assert names(counted(provenance)) == [] and names(counted(rebuild)) == ["ann"]


@pytest.mark.parametrize(
    ("before", "after"),
    [("1" * 64, "3" * 64), (REVISION, "3" * 40), ("tiny", "tidy"), (statements.REBUILD, statements.PROVENANCE)],
)
def test_an_altered_statement_does_not_count(resolve, key, counted, before, after):
    signed = attest.attest(resolve(), DIGEST, key("ann"))
    attested = counted(altered(signed, before, after))
    assert names(attested) == []
    assert "file:2: not what ann has signed: it was altered" in attested.refused
    assert names(counted(altered(signed, before, before))) == ["ann"], "control"


def test_a_statement_about_another_image_does_not_count(resolve, key, counted):
    signed = attest.attest(resolve(), DIGEST, key("ann"))
    attested = counted(signed, digest=f"sha256:{'4' * 64}")
    assert (names(attested), attested.refused) == ([], (f"file:2: about another image, {DIGEST}",))


def test_a_signature_of_a_key_that_is_not_known_does_not_count(resolve, key, counted):
    key("ann")
    attested = counted(attest.attest(resolve(), DIGEST, key("eve", known=False)))
    assert (names(attested), set(attested.refused)) == (
        [],
        {"file:1: signed by none of the keys", "file:2: signed by none of the keys"},
    )


def test_a_signature_of_one_key_under_the_name_of_another_does_not_count(resolve, key, counted, tmp_path):
    key("ann")
    [ann] = signing.keys_in(tmp_path / "keys")
    envelope = json.loads(attest.attest(resolve(), DIGEST, key("eve", known=False)).splitlines()[1])
    envelope["signatures"][0]["keyid"] = ann
    attested = counted(json.dumps(envelope).encode())
    assert (names(attested), attested.refused) == ([], ("file:1: not what ann has signed: it was altered",))


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"{}", b"[]", b"null", b'"', b"\xff", b"[" * 10_000),
        b'{"payload": "!", "payloadType": "x", "signatures": 1}',
        b'{"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": [{"keyid": 1, "sig": "x"}]}',
    ],
)
def test_what_is_no_statement_is_one_line(key, tmp_path, line):
    key("ann")
    attested = attest.count(DIGEST, [Given("file:1", line)], signing.keys_in(tmp_path / "keys"))
    [refused] = attested.refused
    assert refused.startswith("file:1: no signed statement: ") and "\n" not in refused


@pytest.mark.parametrize(
    "manifest",
    [
        *(b"", b"[]", b"null", b"{}", b'{"layers": 1}', b'{"layers": [1]}', b"[" * 100_000),
        *(b'{"layers": [{"digest": 1}]}', b'{"layers": [{"digest": "sha256:../../another/blobs/x"}]}'),
    ],
)
def test_what_somebody_attached_that_is_no_manifest_of_envelopes_is_named_and_does_not_count(key, tmp_path, manifest):
    key("ann")
    registry = SimpleNamespace(referrers=lambda *_: ["sha256:3"], manifest=lambda _: manifest, read_blob=None)
    attested = attest.count(DIGEST, attest.attached(registry, DIGEST), signing.keys_in(tmp_path / "keys"))
    [refused] = attested.refused
    assert "@sha256:3: no signed statement: " in refused and "\n" not in refused


def test_what_an_image_is_made_from_is_named_by_sha256(resolve):
    recipe = resolve()
    stated = statements.provenance(recipe, DIGEST)
    found = {each.get("uri", "").partition("?")[0]: each["digest"] for each in dependencies(stated)}
    [numpy] = [wheel for wheel in recipe.wheels.wheels if wheel.name == "numpy"]
    [bash] = [package for package in recipe.packages.packages if package.name == "bash"]
    assert found[f"pkg:pypi/numpy@{numpy.version}"] == {"sha256": numpy.sha256}
    assert found[f"pkg:deb/debian/bash@{bash.version.replace('+', '%2B')}"] == {"sha256": bash.sha256}
    assert found[""] == {"gitCommit": REVISION}
    assert len(found) == 2 + len(recipe.packages.packages) + len(recipe.wheels.wheels)  # mmdebstrap, the revision
    assert stated["subject"] == [{"name": "tiny", "digest": {"sha256": "1" * 64}}]


def test_a_machine_that_is_no_linux_has_a_kind_too(monkeypatch, tmp_path):
    def no_release() -> None:
        raise OSError

    monkeypatch.setattr(statements, "CPUS", tmp_path / "none")
    monkeypatch.setattr(statements.platform, "freedesktop_os_release", no_release)
    found = statements.machine()
    assert (found["processor"], found["system"]) == ("unknown", statements.platform.system())


def dependencies(stated: statements.Statement) -> list[dict]:
    return stated["predicate"]["buildDefinition"]["resolvedDependencies"]


def test_where_to_attach_is_known_before_the_rebuild(resolve, key, folder, monkeypatch, tmp_path):
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    monkeypatch.delenv("SEEDBED_REPOSITORY", raising=False)
    monkeypatch.setattr(verify, "verify", lambda *_, **__: pytest.fail("rebuilt"))
    digest.path_of(resolve()).write_text(f"lock sha256:{resolve().lock}\nmanifest {DIGEST}\n")
    with pytest.raises(UsageError, match=r"^set SEEDBED_REPOSITORY"):
        attest_.main(["tiny", "--key", str(key("me")), "--attach"], obj=folder, standalone_mode=False)


def test_a_statement_in_a_file_is_named_by_its_line(tmp_path):
    (tmp_path / "a.jsonl").write_text("one\n\nthree\n")
    (tmp_path / "notes").touch()
    assert [each.where.rpartition("/")[2] for each in attest.given_in([tmp_path])] == ["a.jsonl:1", "a.jsonl:3"]


def test_a_private_key_that_is_none_is_one_line(tmp_path):
    file = tmp_path / "key"
    for content in (b"", b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n", b"\xff"):
        file.write_bytes(content)
        with pytest.raises(UsageError, match=r"key: expected a private key in PEM, without a password; make one with"):
            signing.signer(file)


def test_a_folder_without_public_keys_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="has no public key"):
        signing.keys_in(tmp_path)
    with pytest.raises(UsageError, match="expected a folder with public keys"):
        signing.keys_in(tmp_path / "missing")
    (tmp_path / "ann.pem").write_text("not a key")
    with pytest.raises(UsageError, match=r"ann\.pem: expected a public key in PEM"):
        signing.keys_in(tmp_path)


@pytest.mark.parametrize("make", [lambda: ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate])
def test_keys_of_either_kind_sign(resolve, tmp_path, make):
    private = make()
    (tmp_path / "key").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "ann.pub").write_bytes(public)
    signed = attest.attest(resolve(), DIGEST, tmp_path / "key")
    given = [Given("", line) for line in signed.splitlines()]
    assert names(attest.count(DIGEST, given, signing.keys_in(tmp_path))) == ["ann"]


def test_a_statement_names_a_revision_and_nothing_if_files_differ_from_it(tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    with pytest.raises(SeedbedError, match="no git checkout"):
        statements.revision.__wrapped__()
    (tmp_path / "build.py").write_text("")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "--quiet"], ["add", "build.py"], ["commit", "--quiet", "--message", "x"]):
        assert commands.run([*git, *command]).returncode == 0
    assert len(statements.revision.__wrapped__()) == 40
    (tmp_path / "notes").write_text("")
    assert len(statements.revision.__wrapped__()) == 40, "notes are not what an image is built from"
    (tmp_path / "build.py").write_text("x")
    with pytest.raises(SeedbedError, match=r"^build\.py: not as in the revision that a statement would name"):
        statements.revision.__wrapped__()
