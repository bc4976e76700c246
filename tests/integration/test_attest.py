"""From a key to a count: statements are attached to an image in a registry, and found there and in files."""

import json
import subprocess
from types import SimpleNamespace

import pytest

from builder.cli import prove
from builder.errors import SeedbedError, UsageError
from builder.image import digest
from builder.oci.registry import Repository
from builder.publish import push, statements
from builder.reproduce import verify
from tests import commands


@pytest.fixture
def recorded(cache, tested, repository, nothing_attached, resolve, folder, monkeypatch) -> str:
    """The digest of record of the tiny image, which is in the registry too."""
    monkeypatch.setattr(statements, "revision", lambda: "2" * 40)
    digest.write(resolve(), tested)
    return push.push(resolve(), None).partition("@")[2]


@pytest.fixture
def rebuilt(monkeypatch):
    """Says how the rebuild shall end that `attest` makes."""

    def rebuilt(*, equal: bool) -> None:
        monkeypatch.setattr(
            prove.verify, "verify", lambda *_, **__: SimpleNamespace(comparison=SimpleNamespace(equal=equal))
        )

    rebuilt(equal=True)
    return rebuilt


@pytest.fixture
def key(tmp_path):
    """A new key pair, made as the documentation says; the public key is in the folder `keys`."""
    (tmp_path / "keys").mkdir()

    def key(name: str):
        file = tmp_path / f"{name}.key"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", file], check=True)
        subprocess.run(
            ["openssl", "pkey", "-in", file, "-pubout", "-out", tmp_path / "keys" / f"{name}.pem"], check=True
        )
        return str(file)

    return key


def counted(folder, tmp_path, *arguments: str) -> tuple[int, str]:
    return commands.run(prove.verify_, folder, *arguments, "--keys", str(tmp_path / "keys"))


def test_two_who_rebuilt_an_image_are_counted_where_it_is_published(
    recorded, rebuilt, key, folder, tmp_path, repository, capsys
):
    for name in ("ann", "bob"):
        assert commands.run(prove.attest_, folder, "tiny", "--key", key(name), "--attach") == (0, "")
    for reference in ("tiny", f"{repository}@{recorded}", f"{repository}:2.4.6-py311"):
        assert counted(folder, tmp_path, reference, "--attested-by", "2") == (0, "")
        assert counted(folder, tmp_path, reference, "--attested-by", "3") == (
            1,
            f"{recorded}: expected 3 to have rebuilt it, found 2 (ann, bob)",
        )
    assert Repository.of(repository).digest("2.4.6-py311") == recorded, "the image stays what it is"


def test_statements_are_files_too(recorded, rebuilt, key, folder, tmp_path, capsys):
    file = tmp_path / "ann.intoto.jsonl"
    assert commands.run(prove.attest_, folder, "tiny", "--key", key("ann"), "--output", str(file)) == (0, "")
    capsys.readouterr()
    for path in (file, tmp_path):
        command = ("tiny", "--attested-by", "1", "--statements", str(path), "--json")
        assert counted(folder, tmp_path, *command) == (0, "")
        found = json.loads(capsys.readouterr().out)
        assert (found["digest"], [each["name"] for each in found["rebuilders"]]) == (recorded, ["ann"])
        assert found["rebuilders"][0]["revision"] == "2" * 40
    status, _ = counted(folder, tmp_path, "tiny", "--attested-by", "1")
    assert status == 1, "none is attached"


def test_nothing_is_stated_if_the_rebuild_differs(recorded, rebuilt, key, folder, tmp_path):
    rebuilt(equal=False)
    file = tmp_path / "statements"
    status, said = commands.run(prove.attest_, folder, "tiny", "--key", key("ann"), "--output", str(file))
    assert (status, said) == (1, f"tiny: the rebuild is not {recorded}; run ./build.py verify tiny")
    assert not file.exists()


def test_an_image_that_is_not_there_is_one_line(cache, repository, key, folder, tmp_path):
    key("ann")
    status, said = counted(folder, tmp_path, f"{repository}:9.9", "--attested-by", "1")
    assert (status, said) == (1, f"{repository}:9.9: the registry has no such image")


@pytest.mark.parametrize(
    "arguments", [("tiny",), ("tiny", "--keys", "k"), ("tiny", "--attested-by", "1", "--vary"), ("--attested-by", "1")]
)
def test_what_belongs_together_is_asked_for_together(folder, arguments):
    if arguments == ("tiny",):
        arguments = ("tiny", "--statements", "x")
    status, said = commands.run(prove.verify_, folder, *arguments)
    assert status == 2 and said.startswith("--attested-by: expected one image, --keys FOLDER, and neither")


def no_engine():
    raise SeedbedError("no Docker engine answers")


def test_without_an_engine_a_published_image_is_known_by_its_digest(recorded, repository, resolve):
    for name in (f"{repository}@{recorded}", f"{repository}:2.4.6-py311"):
        found = verify.named(name, resolve(), no_engine)
        assert (found.digest, found.open()) == (recorded, None)
    with pytest.raises(SeedbedError, match=rf"^{repository}:9: the registry has no such image$"):
        verify.named(f"{repository}:9", resolve(), no_engine)
    with pytest.raises(SeedbedError, match=r"^no Docker engine answers$"):
        verify.named("seedbed/tiny:2.4.6-py311", resolve(), no_engine)


def test_a_published_image_of_other_inputs_is_refused(recorded, repository, edit, resolve):
    edit("tiny/requirements.lock", "# platform", "# a comment\n# platform")
    with pytest.raises(SeedbedError, match=r"made from other inputs: its label io\.seedbed\.lock is sha256:"):
        verify.named(f"{repository}@{recorded}", resolve(), no_engine)


@pytest.mark.parametrize("name", ["/tiny@", "/tiny:", "registry.example.org/tiny@", f"/tiny@sha256:{'1' * 64}"])
def test_a_name_with_an_empty_variable_in_it_is_wrong_use(folder, key, tmp_path, resolve, name):
    key("ann")
    expected = f"{name}: expected REGISTRY/NAME@DIGEST; a variable in it is empty"
    assert counted(folder, tmp_path, name, "--attested-by", "1") == (2, expected)
    with pytest.raises(UsageError, match="a variable in it is empty"):
        verify.named(name, resolve(), no_engine)


def test_a_digest_without_a_name_is_wrong_use(folder, key, tmp_path):
    key("ann")
    digest = f"sha256:{'1' * 64}"
    status, said = counted(folder, tmp_path, digest, "--attested-by", "1")
    assert (status, said) == (2, f"{digest}: expected REGISTRY/NAME@{digest}, or an image of the catalog")


def test_without_a_registry_and_files_nobody_is_counted(recorded, folder, key, tmp_path, monkeypatch):
    key("ann")
    monkeypatch.delenv("SEEDBED_REPOSITORY")
    status, said = counted(folder, tmp_path, "tiny", "--attested-by", "1")
    assert status == 2 and said.endswith("nowhere to look for statements: set SEEDBED_REPOSITORY, or give --statements")
