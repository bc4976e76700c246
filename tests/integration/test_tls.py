"""A registry with TLS, from an authority of its own, and a password.

It listens on loopback under a name that is not loopback's: to that one, nothing goes over a plain connection.
"""

import base64
import datetime
import json
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from builder.errors import SeedbedError
from builder.oci import patience
from builder.oci.registry import Repository
from tests.integration.daemon import Daemon
from tests.integration.test_faults import CONFIG, IMAGE, LAYERS, SBOM, TAGS

HOST = "registry.example.org"
HTPASSWD = "gardener:$2b$05$jZ29vH/WEzX0nnBSKPIHm.9eH.ElrGVNjeIyNPuYLBcx1s5eD6ePW"
"""The password is `a secret`; by bcrypt, the only way that the registry knows."""

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC)


def certificate(folder: Path, name: str, until: datetime.datetime) -> dict[str, str]:
    """Files with a certificate for `name` and its key, and with that of the authority that signed it."""
    keys = {each: ec.generate_private_key(ec.SECP256R1()) for each in ("authority", name)}
    common = {each: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in keys}
    files = {}
    for each, key in keys.items():
        made = (
            x509.CertificateBuilder(common["authority"], common[each], key.public_key(), x509.random_serial_number())
            .not_valid_before(NOW - 2 * DAY)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=each == "authority", path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(each)]), critical=False)
            .sign(keys["authority"], hashes.SHA256())
        )
        files[each] = folder / f"{each}.pem"
        files[each].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key = folder / "key.pem"
    form = serialization.PrivateFormat.PKCS8
    key.write_bytes(keys[name].private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return {"authority": str(files["authority"]), "certificate": str(files[name]), "key": str(key)}


@pytest.fixture
def start(registry_program, tmp_path, monkeypatch) -> Iterator[Callable[..., Repository]]:
    """Starts such a registry, tells this host of its authority, and logs in."""
    daemons = []
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest: resolve("127.0.0.1" if host == HOST else host, *rest)
    )
    monkeypatch.setattr(patience, "POLICY", patience.POLICY.new(backoff_factor=0, backoff_jitter=0))

    def start(name: str = HOST, until: datetime.datetime = NOW + DAY, password: str = "a secret") -> Repository:
        files = certificate(tmp_path, name, until)
        (tmp_path / "htpasswd").write_text(HTPASSWD)
        password_file = {"htpasswd": {"realm": "garden", "path": str(tmp_path / "htpasswd")}}
        tls = {"certificate": files["certificate"], "key": files["key"]}
        daemon = Daemon(registry_program, tmp_path, {"auth": password_file}, tls)
        daemons.append(daemon)
        daemon.start()
        monkeypatch.setenv("SSL_CERT_FILE", files["authority"])
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", requests.certs.where())  # comes second, also for requests
        login = base64.b64encode(f"gardener:{password}".encode()).decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {f"{HOST}:{daemon.port}": {"auth": login}}}))
        return Repository(f"{HOST}:{daemon.port}", "team/tiny", tmp_path / "config.json")

    yield start
    for daemon in daemons:
        daemon.kill()


def test_an_image_goes_there_and_comes_back(start):
    repository = start()
    sent = repository.push(IMAGE, [*LAYERS, CONFIG], TAGS, attached=[SBOM])
    assert sent.sent > sum(layer.descriptor.size for layer in LAYERS)
    assert {repository.digest(tag) for tag in TAGS} == {IMAGE.descriptor.digest}
    assert repository.read_blob(LAYERS[0].descriptor.digest) == LAYERS[0].open().read()
    assert repository.referrers(IMAGE.descriptor.digest, SBOM.media_type) == [SBOM.entry()["digest"]]
    other = Repository(repository.registry, "team/other", repository.logins)
    assert other.push(
        IMAGE, [*LAYERS, CONFIG], others={layer.descriptor.digest: ["team/tiny"] for layer in LAYERS}
    ) == (type(sent)(CONFIG.descriptor.size, mounted=sum(layer.descriptor.size for layer in LAYERS)))


def test_with_another_password_the_error_says_what_to_type_and_does_not_show_it(start):
    repository = start(password="another secret")
    with pytest.raises(SeedbedError, match=rf"refused with status 401.*; run docker login {HOST}:\d+$") as refused:
        repository.push(IMAGE, LAYERS)
    assert "another" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "until", "expected"),
    [
        ("other.example.org", NOW + DAY, "Hostname mismatch"),
        (HOST, NOW - DAY, "certificate has expired.*check the clock first"),
    ],
)
def test_a_certificate_that_is_not_good_is_refused_at_once(start, name, until, expected, caplog):
    repository = start(name, until)
    caplog.set_level(logging.INFO, "builder")
    with pytest.raises(SeedbedError, match=rf"^{HOST}:\d+/team/tiny: no answer: .*{expected}"):
        repository.push(IMAGE, LAYERS)
    assert caplog.messages == []


def test_an_authority_that_this_host_does_not_know_is_refused_at_once(start, monkeypatch):
    repository = start()
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(SeedbedError, match=r"certificate verify failed: unable to get local issuer certificate"):
        repository.push(IMAGE, LAYERS)
