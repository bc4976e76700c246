"""What buildx is given: names in the folder it runs in, whatever the path of the cache and of temporary files."""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from builder import network
from builder.engine.client import CONTAINERD_STORE, Engine
from builder.errors import SeedbedError
from builder.image import assemble, buildx
from builder.image.contents import UNLOCKED
from builder.oci.tar import file, write_layer

BUILDX = """\
#!{python}
# Reads its arguments as buildx does: values by CSV, and a layout up to the first @ or colon.
import csv, json, os, sys
seen = {{"contexts": {{}}, "secrets": [], "labels": []}}
for option, value in zip(sys.argv, sys.argv[1:]):
    if option == "--build-context":
        name, _, layout = value.partition("=")
        folder, _, digest = layout.removeprefix("oci-layout://").partition("@")
        folder, _, tag = folder.partition(":")
        blob = f"{{folder}}/blobs/{{digest.replace(':', '/')}}"
        seen["contexts"][name] = os.path.exists(blob)
    if option == "--secret":
        fields = dict(field.split("=", 1) for field in next(csv.reader([value])))
        seen["secrets"].append([fields["id"], open(fields["src"]).read()])
    if option == "--output":
        seen["output"] = dict(field.split("=", 1) for field in next(csv.reader([value])))
    if option == "--label":
        seen["labels"].append(value)
    if option == "--metadata-file":
        metadata = value
json.dump(seen, open({seen!r}, "w"))
json.dump({{"containerimage.digest": "sha256:m", "containerimage.config.digest": "sha256:c"}}, open(metadata, "w"))
"""


@pytest.fixture
def seen(tmp_path: Path) -> Path:
    """What the `docker` on the engine's path has read of its arguments."""
    return tmp_path / "seen.json"


@pytest.fixture
def store() -> str:
    """The engine's image store."""
    return CONTAINERD_STORE


@pytest.fixture
def engine(tmp_path: Path, seen: Path, store: str) -> Engine:
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(BUILDX.format(python=sys.executable, seen=str(seen)))
    program.chmod(0o755)
    client = SimpleNamespace(info=lambda: {"DriverStatus": [["driver-type", store]]})
    return Engine(client, {**os.environ, "PATH": str(program.parent)}, embedded=False)


@pytest.mark.parametrize("name", ["plain", "a,b", "a@b", "a:b", 'a "b" c', "a=b"])
def test_no_path_is_read_as_anything_else(engine, seen, tmp_path, monkeypatch, resolve, name):
    cache = tmp_path / name / "cache"
    monkeypatch.setenv("SEEDBED_CACHE", str(cache))
    bundle = tmp_path / name / "authorities.pem"
    bundle.parent.mkdir()
    bundle.write_text("authorities")
    monkeypatch.setattr(network, "ca_bundle", lambda: bundle)
    monkeypatch.setattr(network, "index_url", lambda: "https://index.example.org/simple")
    debian = write_layer(assemble.store(), [file("x", b"x")], epoch=0, level=1, what="")
    buildx.run(resolve(), engine, debian)
    read = json.loads(seen.read_text())
    assert read["contexts"] == {"base": True}
    assert read["output"]["type"] == "image"
    assert {"pip.conf", "uv.toml", "ca-bundle"} <= dict(read["secrets"]).keys()
    assert dict(read["secrets"])["ca-bundle"] == "authorities"


def test_an_image_of_substituted_packages_is_labelled_with_them_and_any_other_is_not(
    engine, seen, tmp_path, monkeypatch, resolve
):
    monkeypatch.setenv("SEEDBED_CACHE", str(tmp_path))
    for substituted, labels in (((), []), (("a: 1 -> 2", "b: 1 -> 2"), [f"{UNLOCKED}=a: 1 -> 2; b: 1 -> 2"])):
        buildx.run(resolve(), engine, None, substituted=substituted)
        read = json.loads(seen.read_text())
        assert (read["labels"], read["contexts"]) == (labels, {})


@pytest.mark.parametrize("store", ["another"])
def test_an_engine_with_the_older_image_store_is_refused_with_a_remedy(engine, seen, resolve):
    """With it a layer that is pushed has another digest than the one that was built."""
    with pytest.raises(SeedbedError, match=r"containerd image store.*daemon\.json, or build without --recipe$"):
        buildx.run(resolve(), engine, None)
    assert not seen.exists()
