"""A bill of what is in an image as CycloneDX 1.6, in JSON."""

from collections.abc import Iterator

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
from builder.publish.licences import Licence

TYPES = {
    "deb": ComponentType.LIBRARY,
    "pypi": ComponentType.LIBRARY,
    "own": ComponentType.APPLICATION,
    "system": ComponentType.OPERATING_SYSTEM,
}
Stated = LicenseExpression | DisjunctiveLicense


def render(bill: Bill) -> bytes:
    """The document. It is dated by the image's epoch and numbered by what is in it, so it is the same in every run."""
    image = of_image(bill)
    components = [of_component(component) for component in bill.components]
    author = OrganizationalEntity(name=SUPPLIER)
    tool = model.Component(name="seedbed-builder", type=ComponentType.APPLICATION, supplier=author)
    tools = ToolRepository(components=[tool])
    metadata = BomMetaData(component=image, timestamp=bill.created, tools=tools, manufacturer=author)
    bom = Bom(serial_number=bill.uuid, metadata=metadata, components=components)
    bom.register_dependency(image, components)
    return f"{JsonV1Dot6(bom).output_as_string(indent=2)}\n".encode()


def of_image(bill: Bill) -> model.Component:
    facts = [("lock", f"sha256:{bill.lock}"), *(("left-out", path) for path in bill.left_out)]
    facts += [("substituted", bill.substituted)] if bill.substituted else []
    return model.Component(
        name=bill.name,
        version=bill.tag,
        type=ComponentType.CONTAINER,
        bom_ref=bill.purl,
        purl=PackageURL.from_string(bill.purl),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=bill.digest.removeprefix("sha256:"))],
        licenses=stated(Licence(bill.licences)),
        supplier=OrganizationalEntity(name=SUPPLIER),
        properties=[Property(name=f"seedbed:{name}", value=value) for name, value in facts],
    )


def of_component(component: Component) -> model.Component:
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=component.sha256)] if component.sha256 else []
    return model.Component(
        name=component.name,
        version=component.version,
        type=TYPES[component.kind],
        bom_ref=component.purl,
        purl=PackageURL.from_string(component.purl),
        hashes=hashes,
        licenses=stated(component.licence),
        supplier=OrganizationalEntity(name=component.supplier) if component.supplier else None,
        pedigree=Pedigree(ancestors=ancestors(component)) if component.source else None,
    )


def ancestors(component: Component) -> Iterator[model.Component]:
    """The source package that it was built from."""
    if source := component.source:
        purl = PackageURL.from_string(source.purl)
        yield model.Component(name=source.name, version=source.version, type=ComponentType.LIBRARY, purl=purl)


def stated(licence: Licence) -> list[Stated]:
    if licence.expression:
        return [LicenseExpression(licence.expression, acknowledgement=LicenseAcknowledgement.DECLARED)]
    if licence.name:
        return [DisjunctiveLicense(name=licence.name, acknowledgement=LicenseAcknowledgement.DECLARED)]
    return []
