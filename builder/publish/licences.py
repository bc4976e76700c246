"""Licences as packages state them, in SPDX's terms as far as those have a word for them.

Source: SPDX specification 2.3, annex D; PyPA core metadata; Debian's machine-readable debian/copyright 1.0.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from email.message import Message
from functools import cache

from license_expression import ExpressionError, Licensing, get_spdx_licensing

from builder.debian.sources import stanzas

MACHINE_READABLE = re.compile(r"\AFormat:.*(copyright-format|dep-?5)", re.IGNORECASE)
LONGEST_NAME = 100  # characters; some wheels have a whole text in the place of a name

OTHER_NAMES = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",  # Debian's is the one of Perl
    "artistic-2": "Artistic-2.0",
    "bsd 3-clause": "BSD-3-Clause",
    "bsl-1": "BSL-1.0",
    "expat": "MIT",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "mpl-2": "MPL-2.0",
    "openldap-2.8": "OLDAP-2.8",
}
"""What packages call licences that SPDX has, in small letters. Names that may mean several licences, such as `BSD`,
are not among them."""

GNU = re.compile(r"(?P<name>AGPL|GPL|LGPL|GFDL)-(?P<niv>NIV-)?(?P<major>\d)(?P<minor>\.\d)?(?P<later>\+?)")


@dataclass(frozen=True)
class Licence:
    """What a package states: an SPDX expression, or only a name; neither if it does not tell.

    `texts` has what the package says of each `LicenseRef-` in the expression.
    """

    expression: str = ""
    name: str = ""
    texts: tuple[tuple[str, str], ...] = ()


NOT_STATED = Licence()


def of_metadata(metadata: Message) -> Licence:
    """Of a wheel, by its METADATA."""
    stated = [str(metadata.get(field, "")).strip() for field in ("License-Expression", "License")]
    classifiers = [str(each).split(" :: ") for each in metadata.get_all("Classifier", [])]
    approved = sorted(each[-1] for each in classifiers if each[0] == "License" and each[1:])
    names = [*stated, " AND ".join(approved)]
    name = next((each for each in names if each and len(each) <= LONGEST_NAME and each.isprintable()), "")
    if not (expression := in_spdx(name)):
        return Licence(name=name)
    return of_expression(expression, "METADATA")


def of_expression(expression: str, where: str) -> Licence:
    """Of an SPDX expression; of a `LicenseRef-` there is no more to read than `where` it is named."""
    return Licence(expression, texts=tuple((each, f"{each}, as {where} names it") for each in references(expression)))


def of_copyright(text: str, source: str) -> Licence:
    """Of a Debian package, by its copyright file: all licences that a file of its source package is under."""
    if not MACHINE_READABLE.match(text):
        return NOT_STATED
    fields = [entry["License"] for entry in stanzas(text) if "License" in entry]
    stated = sorted({" ".join(field.split("\n")[0].split()) for field in fields} - {""})
    texts = {name: body for field in reversed(fields) for name, _, body in [field.partition("\n")] if body.strip()}
    terms = Terms(source)
    expression = in_spdx(" AND ".join(f"({terms.expression(each)})" for each in stated))
    found = ((each, texts.get(name, name)) for each, name in terms.unknown.items())
    return Licence(expression, texts=tuple(sorted(found))) if expression else NOT_STATED


class Terms:
    """Reads Debian's licence fields; notes the names that SPDX does not have, by what they are called instead."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.unknown: dict[str, str] = {}

    def expression(self, field: str) -> str:
        """`GPL-1+ or Artistic, and Expat`: what a comma separates is grouped."""
        return joined(re.split(r",\s+(and|or)\s+", field), self.group)

    def group(self, text: str) -> str:
        terms = joined(re.split(r"\s+(and|or)\s+", text), self.term)
        return f"({terms})"

    def term(self, name: str) -> str:
        licence, _, exception = name.partition(" with ")
        term = in_spdx(of_gnu(licence))
        if term and exception:
            term = in_spdx(f"{term} WITH {'-'.join(exception.split())}")
        if term and " " not in term.replace(" WITH ", ""):
            return term
        reference = f"LicenseRef-debian-{slug(self.source)}-{slug(name)}"
        self.unknown[reference] = name
        return reference


def joined(parts: Iterable[str], stated: Callable[[str], str]) -> str:
    """Parts of a field, the operators among them in capitals."""
    return " ".join(part.upper() if part in ("and", "or") else stated(part) for part in parts)


def of_gnu(name: str) -> str:
    """SPDX's name for what Debian calls `GPL-2+`; any other name as it is."""
    if not (found := GNU.fullmatch(name)):
        return name
    invariant = "-no-invariants" if found["niv"] else ""
    until = "or-later" if found["later"] else "only"
    return f"{found['name']}-{found['major']}{found['minor'] or '.0'}{invariant}-{until}"


def in_spdx(name: str) -> str:
    """The SPDX expression that this is, or another name of; empty if there is none."""
    try:
        parsed = licensing().parse(OTHER_NAMES.get(name.lower(), name))
    except ExpressionError:
        return ""
    unknown = licensing().unknown_license_keys(parsed)
    if parsed is None or any(not each.startswith("LicenseRef-") for each in unknown):
        return ""
    return str(licensing().dedup(parsed))


def references(expression: str) -> Sequence[str]:
    """The `LicenseRef-` in an expression."""
    return sorted(each for each in licensing().license_keys(expression) if each.startswith("LicenseRef-"))


@cache
def licensing() -> Licensing:
    return get_spdx_licensing()


def slug(name: str) -> str:
    """The name with what an identifier of SPDX may hold."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name.replace("+", "plus"))[:LONGEST_NAME].strip("-")
