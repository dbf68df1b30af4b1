# SPDX-License-Identifier: Apache-2.0
"""The bill of materials names every package that a plain install brings, and is the same each time."""

import hashlib
import json
from pathlib import Path

from cyclonedx.model.bom import Bom

from tests.release.lock import ROOT, read
from tests.release.sbom import bill, write


def test_every_package_stands_in_it_with_who_asks_for_it(tmp_path: Path) -> None:
    wheel = tmp_path / "v2x-1-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    text = write("1", [wheel], 1700000000, tmp_path).read_text()
    pins = [pin for pin in read((ROOT / ".ci/runtime.lock").read_text("utf-8")) if pin.wanted_here]
    assert text == bill("1", pins, [wheel], 1700000000)

    told = json.loads(text)
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    assert {(one["name"], one["version"]) for one in told["components"]} == {(pin.name, pin.version) for pin in pins}
    assert all(one["licenses"] for one in told["components"])
    asks = {one["ref"]: set(one.get("dependsOn", ())) for one in told["dependencies"]}
    versions = {pin.name: pin.version for pin in pins}
    assert f"requests=={versions['requests']}" in asks["v2x==1"]
    assert f"urllib3=={versions['urllib3']}" in asks[f"requests=={versions['requests']}"]
    (archive,) = told["metadata"]["component"]["externalReferences"]
    assert archive["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"wheel").hexdigest()}]
    assert len(Bom.from_json(told).components) == len(pins)


def test_its_serial_number_follows_its_content() -> None:
    pins = read((ROOT / ".ci/runtime.lock").read_text("utf-8"))
    first, second = (json.loads(bill(version, pins, [], 0))["serialNumber"] for version in ("1", "2"))
    assert first != second and first == json.loads(bill("1", pins, [], 0))["serialNumber"]
