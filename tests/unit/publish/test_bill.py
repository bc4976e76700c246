"""Single facts of an SBOM: source packages, suppliers, purls, serial numbers."""

from dataclasses import replace
from email.parser import HeaderParser

import pytest
from packageurl import PackageURL

from builder.errors import SeedbedError
from builder.lock.index import Pin
from builder.publish import bill, dpkg
from builder.publish.bill import Bill, Component
from builder.publish.dpkg import Source

GCC = {"Package": "g++", "Version": "4:12.2.0-3", "Architecture": "amd64", "Source": "gcc-defaults (1.203)"}


def test_a_package_has_its_source_and_that_has_a_version_of_its_own():
    package = dpkg.package_of(GCC, {})
    assert package.source == Source("gcc-defaults", "1.203")
    alone = dpkg.package_of({"Package": "tini", "Version": "0.19.0-1", "Architecture": "amd64"}, {})
    assert alone.source == Source("tini", "0.19.0-1")


def test_a_purl_of_debians_says_release_architecture_and_source():
    component = bill.of_package(dpkg.package_of(GCC, {}), "debian-12", "0" * 64)
    found = PackageURL.from_string(component.purl)
    assert (found.type, found.namespace, found.name, found.version) == ("deb", "debian", "g++", "4:12.2.0-3")
    assert found.qualifiers == {"arch": "amd64", "distro": "debian-12", "upstream": "gcc-defaults@1.203"}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("Author: A. Author\nAuthor-email: a@example.org", "A. Author"),
        ("Author-email: A. Author <a@example.org>, B <b@example.org>", "A. Author"),
        ("Author-email: a@example.org", "a@example.org"),
        ("Maintainer-email: M <m@example.org>", "M"),
        ("", ""),
    ],
)
def test_a_wheel_is_supplied_by_whom_it_names(lines, expected):
    assert bill.author_of(HeaderParser().parsestr(f"Name: demo\n{lines}\n")) == expected


def test_a_wheel_that_is_not_what_the_lock_says_is_refused():
    other = HeaderParser().parsestr("Name: Demo\nVersion: 2.0\n")
    with pytest.raises(SeedbedError, match=r"expected METADATA of demo 1\.0, found it of demo 2\.0"):
        bill.of_wheel(Pin("demo", "1.0", "0" * 64), other)


def test_another_image_or_another_bill_of_it_has_another_number():
    image = Component("image", "tiny", "1", "pkg:oci/tiny@1", "0" * 64)
    described = Bill(image, 0, ())
    assert described.uuid == replace(described).uuid
    assert described.uuid != replace(described, image=replace(image, sha256="1" * 64)).uuid
    assert described.uuid != replace(described, facts=(("left-out", "/opt/venv/bin/demo"),)).uuid
