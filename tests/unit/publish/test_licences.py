"""Licences as packages state them: in SPDX's terms if it has one for them, never a guess."""

from email.parser import HeaderParser

import pytest

from builder.publish.licences import NOT_STATED, Licence, of_copyright, of_metadata, references

FORMAT = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"


def metadata(*lines: str) -> Licence:
    return of_metadata(HeaderParser().parsestr("\n".join(["Name: demo", *lines, ""])))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["License-Expression: mit or apache-2.0"], "MIT OR Apache-2.0"),
        (["License-Expression: MIT", "License: Apache 2.0"], "MIT"),
        (["License: BSD-3-Clause"], "BSD-3-Clause"),
        (["License: Apache License 2.0", "Classifier: License :: OSI Approved :: MIT License"], "Apache-2.0"),
        (["Classifier: License :: OSI Approved :: MIT License"], "MIT"),
        (["License: LicenseRef-NVIDIA-Proprietary"], "LicenseRef-NVIDIA-Proprietary"),
    ],
)
def test_a_wheels_licence_is_in_spdx_if_spdx_has_it(lines, expected):
    assert metadata(*lines).expression == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["License: BSD"], "BSD"),
        (["License: NVIDIA Proprietary Software"], "NVIDIA Proprietary Software"),
        (["Classifier: License :: OSI Approved :: BSD License"], "BSD License"),
        (["License: " + "a whole text " * 20, "Classifier: License :: OSI Approved :: BSD License"], "BSD License"),
    ],
)
def test_a_name_that_may_mean_several_is_kept(lines, expected):
    assert metadata(*lines) == Licence(name=expected)


def test_a_wheel_that_states_none_has_none():
    assert metadata() == NOT_STATED


def test_what_spdx_does_not_have_has_a_text():
    stated = metadata("License-Expression: MIT AND LicenseRef-own")
    assert references(stated.expression) == ["LicenseRef-own"] == [name for name, _ in stated.texts]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-2", "GPL-2.0-only"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
        ("Expat", "MIT"),
        ("BSD-3-clause", "BSD-3-Clause"),
        ("GPL-1+ or Artistic", "GPL-1.0-or-later OR Artistic-1.0-Perl"),
        ("GPL-1+ or Artistic, and Expat", "(GPL-1.0-or-later OR Artistic-1.0-Perl) AND MIT"),
        ("GPL-2+ with Libtool exception", "GPL-2.0-or-later WITH Libtool-exception"),
        ("GPL-3+ with strange exception", "LicenseRef-debian-demo-GPL-3plus-with-strange-exception"),
        ("public-domain", "LicenseRef-debian-demo-public-domain"),
        ("BSD-variant", "LicenseRef-debian-demo-BSD-variant"),
    ],
)
def test_debians_names_are_spdxs(field, expected):
    assert of_copyright(f"{FORMAT}\nFiles: *\nLicense: {field}\n", "demo").expression == expected


def test_a_package_has_all_licences_of_its_source_and_the_texts_of_the_unknown():
    text = f"{FORMAT}\nFiles: *\nLicense: odd\n\nFiles: b\nLicense: Expat\n\nLicense: odd\n Do as you like.\n"
    stated = of_copyright(text, "demo")
    assert stated.expression == "MIT AND LicenseRef-debian-demo-odd"
    assert stated.texts == (("LicenseRef-debian-demo-odd", " Do as you like."),)


def test_a_text_for_people_is_not_interpreted():
    assert of_copyright("This is free software, under the GPL-2+.\nLicense: Expat\n", "demo") == NOT_STATED
    assert of_copyright("", "demo") == NOT_STATED
