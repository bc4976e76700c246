"""A bill of what is in an image as CycloneDX 1.6, in JSON."""

from collections.abc import Iterable

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model import component as model
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import ComponentType, Pedigree
from cyclonedx.model.contact import OrganizationalEntity
from cyclonedx.model.license import DisjunctiveLicense, LicenseAcknowledgement, LicenseExpression
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from builder.publish.bill import SUPPLIER, Bill, Component
from builder.publish.dpkg import Source
from builder.publish.licences import Licence

TYPES = {
    "image": ComponentType.CONTAINER,
    "deb": ComponentType.LIBRARY,
    "pypi": ComponentType.LIBRARY,
    "own": ComponentType.APPLICATION,
    "system": ComponentType.OPERATING_SYSTEM,
}
Stated = LicenseExpression | DisjunctiveLicense


def render(bill: Bill) -> bytes:
    """The document. It is dated by the image's epoch and numbered by what is in it, so it is the same in every run."""
    image = of_component(bill.image, bill.facts)
    components = [of_component(component) for component in bill.components]
    author = OrganizationalEntity(name=SUPPLIER)
    tool = model.Component(name="seedbed-builder", type=ComponentType.APPLICATION, supplier=author)
    tools = ToolRepository(components=[tool])
    metadata = BomMetaData(component=image, timestamp=bill.created, tools=tools, manufacturer=author)
    bom = Bom(serial_number=bill.uuid, metadata=metadata, components=components)
    bom.register_dependency(image, components)
    return f"{JsonV1Dot6(bom).output_as_string(indent=2)}\n".encode()


def of_component(component: Component, facts: Iterable[tuple[str, str]] = ()) -> model.Component:
    return model.Component(
        name=component.name,
        version=component.version,
        type=TYPES[component.kind],
        bom_ref=component.purl,
        purl=PackageURL.from_string(component.purl),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=component.sha256)] if component.sha256 else [],
        licenses=stated(component.licence),
        supplier=OrganizationalEntity(name=component.supplier) if component.supplier else None,
        pedigree=Pedigree(ancestors=[of_source(component.source)]) if component.source else None,
        properties=[Property(name=f"seedbed:{name}", value=value) for name, value in facts],
    )


def of_source(source: Source) -> model.Component:
    purl = PackageURL("deb", "debian", source.name, source.version, {"arch": "source"})
    return model.Component(name=source.name, version=source.version, type=ComponentType.LIBRARY, purl=purl)


def stated(licence: Licence) -> list[Stated]:
    if licence.expression:
        return [LicenseExpression(licence.expression, acknowledgement=LicenseAcknowledgement.DECLARED)]
    if licence.name:
        return [DisjunctiveLicense(name=licence.name, acknowledgement=LicenseAcknowledgement.DECLARED)]
    return []
