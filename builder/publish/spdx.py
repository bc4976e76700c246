"""A bill of what is in an image as SPDX 2.3, in JSON."""

import json

from license_expression import LicenseExpression
from spdx_tools.spdx.jsonschema.document_converter import DocumentConverter
from spdx_tools.spdx.model import (
    Actor,
    ActorType,
    Checksum,
    ChecksumAlgorithm,
    CreationInfo,
    Document,
    ExternalPackageRef,
    ExternalPackageRefCategory,
    ExtractedLicensingInfo,
    Package,
    PackagePurpose,
    Relationship,
    RelationshipType,
    SpdxNoAssertion,
)

from builder.publish.bill import SUPPLIER, Bill, Component
from builder.publish.licences import Licence, licensing, references, slug

DOCUMENT, IMAGE = "SPDXRef-DOCUMENT", "SPDXRef-image"
PURPOSES = {
    "deb": PackagePurpose.LIBRARY,
    "pypi": PackagePurpose.LIBRARY,
    "own": PackagePurpose.APPLICATION,
    "system": PackagePurpose.OPERATING_SYSTEM,
}


def render(bill: Bill) -> bytes:
    """The document. It is dated by the image's epoch and named by what is in it, so it is the same in every run."""
    data = DocumentConverter().convert(document(bill))
    for each in data["packages"]:
        for reference in each["externalRefs"]:
            # The schema of 2.3 has hyphens where that of 2.2 and the library have underscores; readers take both.
            reference["referenceCategory"] = reference["referenceCategory"].replace("_", "-")
    return f"{json.dumps(data, indent=2)}\n".encode()


def document(bill: Bill) -> Document:
    creation = CreationInfo(
        spdx_version="SPDX-2.3",
        spdx_id=DOCUMENT,
        name=f"{bill.name} {bill.tag}",
        document_namespace=f"urn:uuid:{bill.uuid}",
        creators=[Actor(ActorType.ORGANIZATION, SUPPLIER), Actor(ActorType.TOOL, "seedbed-builder")],
        created=bill.created.replace(tzinfo=None),
    )
    held = {identifier(component): component for component in bill.components}
    assert len(held) == len(bill.components), "two components have one identifier"
    relations = [Relationship(DOCUMENT, RelationshipType.DESCRIBES, IMAGE)]
    relations += [Relationship(IMAGE, RelationshipType.CONTAINS, each) for each in held]
    packages = [of_image(bill), *(of_component(name, component) for name, component in held.items())]
    texts = {name: text for component in bill.components for name, text in texts_of(component.licence)}
    texts |= {name: f"{name}, as image.yaml names it" for name in references(bill.licences)}
    extracted = [ExtractedLicensingInfo(name, text, name_of(name)) for name, text in sorted(texts.items())]
    return Document(creation, packages, relationships=relations, extracted_licensing_info=extracted)


def of_image(bill: Bill) -> Package:
    facts = [f"lock sha256:{bill.lock}", *(f"without {path} of a wheel" for path in bill.left_out)]
    facts += [f"substituted {bill.substituted}"] if bill.substituted else []
    return package(
        IMAGE,
        name=bill.name,
        version=bill.tag,
        purl=bill.purl,
        sha256=bill.digest.removeprefix("sha256:"),
        licence=Licence(bill.licences),
        supplier=SUPPLIER,
        purpose=PackagePurpose.CONTAINER,
        comment="; ".join(facts),
    )


def of_component(name: str, component: Component) -> Package:
    return package(
        name,
        name=component.name,
        version=component.version,
        purl=component.purl,
        sha256=component.sha256,
        licence=component.licence,
        supplier=component.supplier,
        purpose=PURPOSES[component.kind],
        source_info=f"built from: {component.source}" if component.source else None,
    )


def package(
    spdx_id: str,
    *,
    name: str,
    version: str,
    purl: str,
    sha256: str,
    licence: Licence,
    supplier: str,
    purpose: PackagePurpose,
    source_info: str | None = None,
    comment: str | None = None,
) -> Package:
    return Package(
        spdx_id,
        name,
        download_location=SpdxNoAssertion(),
        version=version,
        supplier=Actor(ActorType.ORGANIZATION, supplier) if supplier else SpdxNoAssertion(),
        files_analyzed=False,
        checksums=[Checksum(ChecksumAlgorithm.SHA256, sha256)] if sha256 else [],
        source_info=source_info,
        license_concluded=SpdxNoAssertion(),
        license_declared=declared(licence),
        copyright_text=SpdxNoAssertion(),
        external_references=[ExternalPackageRef(ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", purl)],
        primary_package_purpose=purpose,
        comment=comment,
    )


def declared(licence: Licence) -> LicenseExpression | SpdxNoAssertion:
    expression = licence.expression or (reference(licence.name) if licence.name else "")
    return licensing().parse(expression) if expression else SpdxNoAssertion()


def texts_of(licence: Licence) -> list[tuple[str, str]]:
    """What there is to read of the `LicenseRef-` in `declared`."""
    return [*licence.texts, *([(reference(licence.name), licence.name)] if licence.name else [])]


def reference(name: str) -> str:
    return f"LicenseRef-named-{slug(name)}"


def name_of(reference: str) -> str:
    return reference.removeprefix("LicenseRef-")


def identifier(component: Component) -> str:
    return f"SPDXRef-{component.kind}-{slug(component.name)}"
