"""Wheels to be made for a test, right or wrong."""

import base64
import csv
import hashlib
import io
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.layers.install import Wheel


@dataclass
class Recipe:
    """A wheel to be made for a test: file name to content, and what to do wrong."""

    name: str = "demo"
    version: str = "1.0"
    files: Mapping[str, bytes] = field(default_factory=lambda: {"demo/__init__.py": b"ANSWER = 42\n"})
    entry_points: str = ""
    executable: set[str] = field(default_factory=set)
    record: Mapping[str, tuple[str, str, str] | None] = field(default_factory=dict)
    compression: int = zipfile.ZIP_DEFLATED
    wheel_version: str = "1.0"

    def make(self, folder: Path) -> Wheel:
        info = f"{self.name}-{self.version}.dist-info"
        files = dict(self.files)
        files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {self.name}\nVersion: {self.version}\n".encode()
        files[f"{info}/WHEEL"] = (
            f"Wheel-Version: {self.wheel_version}\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n".encode()
        )
        if self.entry_points:
            files[f"{info}/entry_points.txt"] = self.entry_points.encode()
        files[f"{info}/RECORD"] = self._record(files, info)
        path = folder / f"{self.name}-{self.version}-py3-none-any.whl"
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w", self.compression) as archive:
            for name, data in files.items():
                member = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
                member.external_attr = (stat.S_IFREG | (0o755 if name in self.executable else 0o644)) << 16
                archive.writestr(member, data, self.compression)
        return wheel_at(path, self.name.replace("_", "-"), self.version)

    def _record(self, files: Mapping[str, bytes], info: str) -> bytes:
        rows = {name: (name, record_hash(data), str(len(data))) for name, data in files.items()}
        rows |= {f"{info}/RECORD": (f"{info}/RECORD", "", "")} | self.record
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(row for row in rows.values() if row)
        return text.getvalue().encode()


def record_hash(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}={base64.urlsafe_b64encode(hashlib.new(algorithm, data).digest()).decode().rstrip('=')}"


def wheel_at(path: Path, name: str = "demo", version: str = "1.0") -> Wheel:
    return Wheel(name, version, hashlib.sha256(path.read_bytes()).hexdigest(), path)
