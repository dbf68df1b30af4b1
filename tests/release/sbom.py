# SPDX-License-Identifier: Apache-2.0
"""The software bill of materials of a wheel, as CycloneDX 1.6 JSON: what a plain install of it brings, by the lock."""

import hashlib
import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from tests.release.licences import licence_of
from tests.release.lock import ROOT, Pin, read


def bill(version: str, pins: Iterable[Pin], archives: Iterable[Path], epoch: int) -> str:
    """The document for v2x `version`, whose `archives` are named with their SHA-256. The same input gives the same
    bytes: its serial number is made of its content."""
    wanted = [pin for pin in pins if pin.wanted_here]
    root = Component(
        type=ComponentType.APPLICATION,
        name="v2x",
        version=version,
        bom_ref=f"v2x=={version}",
        purl=PackageURL("pypi", None, "v2x", version),
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
        external_references=[_archive(path) for path in archives],
    )
    bom = Bom(serial_number=uuid.UUID(int=0))
    bom.metadata.component = root
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, UTC)
    parts = {pin.name: _component(pin) for pin in wanted}
    bom.components.update(parts.values())
    asked: dict[str, list[Component]] = {}
    for pin in wanted:
        for by in pin.by:
            asked.setdefault(by, []).append(parts[pin.name])
    bom.register_dependency(root, asked.get("v2x", ()))
    for name, part in parts.items():
        bom.register_dependency(part, asked.get(name, ()))
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, hashlib.sha256(_printed(bom).encode()).hexdigest())
    return _printed(bom)


def _printed(bom: Bom) -> str:
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string()
    return json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n"


def _component(pin: Pin) -> Component:
    return Component(
        type=ComponentType.LIBRARY,
        name=pin.name,
        version=pin.version,
        bom_ref=f"{pin.name}=={pin.version}",
        purl=PackageURL("pypi", None, pin.name, pin.version),
        licenses=[LicenseFactory().make_from_string(licence_of(pin.name).text)],
    )


def _archive(path: Path) -> ExternalReference:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(path.name),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
    )


def write(version: str, archives: Iterable[Path], epoch: int, folder: Path) -> Path:
    made = folder / f"v2x-{version}.cdx.json"
    pins = read((ROOT / ".ci/runtime.lock").read_text("utf-8"))
    made.write_text(bill(version, pins, archives, epoch), "utf-8")
    return made
