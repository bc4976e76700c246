"""A bill of what is in an image as SPDX 2.3, in JSON."""

import json
from collections.abc import Iterable

from license_expression import LicenseExpression
from spdx_tools.spdx import model
from spdx_tools.spdx.jsonschema.document_converter import DocumentConverter

from builder.publish.bill import SUPPLIER, Bill, Component
from builder.publish.licences import Licence, licensing, slug

DOCUMENT, IMAGE = "SPDXRef-DOCUMENT", "SPDXRef-image"
UNSTATED = model.SpdxNoAssertion()
PURPOSES = {
    "image": model.PackagePurpose.CONTAINER,
    "deb": model.PackagePurpose.LIBRARY,
    "pypi": model.PackagePurpose.LIBRARY,
    "own": model.PackagePurpose.APPLICATION,
    "system": model.PackagePurpose.OPERATING_SYSTEM,
}


def render(bill: Bill) -> bytes:
    """The document. It is dated by the image's epoch and named by what is in it, so it is the same in every run."""
    data = DocumentConverter().convert(document(bill))
    for each in data["packages"]:
        for reference in each["externalRefs"]:
            # The schema of 2.3 has hyphens where that of 2.2 and the library have underscores; readers take both.
            reference["referenceCategory"] = reference["referenceCategory"].replace("_", "-")
    return f"{json.dumps(data, indent=2)}\n".encode()


def document(bill: Bill) -> model.Document:
    creation = model.CreationInfo(
        spdx_version="SPDX-2.3",
        spdx_id=DOCUMENT,
        name=f"{bill.image.name} {bill.image.version}",
        document_namespace=f"urn:uuid:{bill.uuid}",
        creators=[
            model.Actor(model.ActorType.ORGANIZATION, SUPPLIER),
            model.Actor(model.ActorType.TOOL, "seedbed-builder"),
        ],
        created=bill.created.replace(tzinfo=None),
    )
    held = {identifier(component): component for component in bill.components}
    assert len(held) == len(bill.components), "two components have one identifier"
    relations = [model.Relationship(DOCUMENT, model.RelationshipType.DESCRIBES, IMAGE)]
    relations += [model.Relationship(IMAGE, model.RelationshipType.CONTAINS, each) for each in held]
    packages = [package(IMAGE, bill.image, bill.facts), *(package(name, component) for name, component in held.items())]
    licences = [component.licence for component in (*bill.components, bill.image)]
    texts = {name: text for licence in licences for name, text in texts_of(licence)}
    extracted = [
        model.ExtractedLicensingInfo(name, text, name.removeprefix("LicenseRef-"))
        for name, text in sorted(texts.items())
    ]
    return model.Document(creation, packages, relationships=relations, extracted_licensing_info=extracted)


def package(spdx_id: str, component: Component, facts: Iterable[tuple[str, str]] = ()) -> model.Package:
    return model.Package(
        spdx_id,
        component.name,
        download_location=UNSTATED,
        version=component.version,
        supplier=model.Actor(model.ActorType.ORGANIZATION, component.supplier) if component.supplier else UNSTATED,
        files_analyzed=False,
        checksums=[model.Checksum(model.ChecksumAlgorithm.SHA256, component.sha256)] if component.sha256 else [],
        source_info=f"built from: {component.source}" if component.source else None,
        license_concluded=UNSTATED,
        license_declared=declared(component.licence),
        copyright_text=UNSTATED,
        external_references=[
            model.ExternalPackageRef(model.ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", component.purl)
        ],
        primary_package_purpose=PURPOSES[component.kind],
        comment="; ".join(f"{name}: {value}" for name, value in facts) or None,
    )


def declared(licence: Licence) -> LicenseExpression | model.SpdxNoAssertion:
    expression = licence.expression or (reference(licence.name) if licence.name else "")
    return licensing().parse(expression) if expression else UNSTATED


def texts_of(licence: Licence) -> list[tuple[str, str]]:
    """What there is to read of the `LicenseRef-` in `declared`."""
    return [*licence.texts, *([(reference(licence.name), licence.name)] if licence.name else [])]


def reference(name: str) -> str:
    return f"LicenseRef-named-{slug(name)}"


def identifier(component: Component) -> str:
    return f"SPDXRef-{component.kind}-{slug(component.name)}"
