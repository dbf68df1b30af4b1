# SPDX-License-Identifier: Apache-2.0
"""ova.xml: complete for all versions, the same for the same ids, and only v2x's own is read back."""

import gzip
import json
import xmlrpc.client
from collections.abc import Callable
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest

from v2x.errors import BadImage
from v2x.model.machine import Firmware
from v2x.model.target import SecureBoot, TargetDisk, TargetMachine, TargetNic
from v2x.target import ova_xml

DATAMODEL = Path(__file__).parents[3] / "v2x/simulators/xapi/datamodel.json.gz"


def ids() -> Callable[[], UUID]:
    numbers = count(1)
    return lambda: UUID(int=next(numbers))


def spec() -> TargetMachine:
    return TargetMachine(
        source_id="m",
        name="web <&> \x1b shop",
        description="line 1\nline 2",
        firmware=Firmware.UEFI,
        secure_boot=SecureBoot.AUTO,
        vtpm=True,
        vcpus=4,
        memory_bytes=8 << 30,
        platform={"acpi": "1"},
        boot_order="cd",
        template="windows-11",
        cores_per_socket=2,
        disks=(
            TargetDisk(source_disk="d0", name="a", description="", sr="xva", size_bytes=1 << 20, device="0"),
            TargetDisk(source_disk="d1", name="b", description="", sr="xva", size_bytes=1 << 20, device="1"),
        ),
        nics=(
            TargetNic(source_position=0, device="0", network="LAN", network_name="LAN", mac="00:50:56:00:00:01"),
            TargetNic(source_position=1, device="1", network="LAN", network_name="LAN"),
        ),
        cd_device="3",
        other_config={"v2x-migration": "forged", "folder": "/x"},
    )


def xml() -> bytes:
    disks = {"d0": ("Ref:0002", 1 << 20), "d1": ("Ref:0003", 1 << 20)}
    return ova_xml.write(spec(), "tag-1", disks, vm_uuid=UUID(int=99), new_uuid=ids())


def decoded() -> dict:
    (value,), _ = xmlrpc.client.loads(b"<params><param>" + xml().split(b"?>", 1)[1] + b"</param></params>")
    return value


@pytest.mark.parametrize(
    ("device", "mac"), [(0, "c6:42:6b:96:31:66"), (1, "b2:05:1e:8b:28:bc"), (6, "f2:4d:63:6d:c5:00")]
)
def test_derived_mac_is_the_pools_own(device: int, mac: str) -> None:
    assert ova_xml.derived_mac("11111111-2222-3333-4444-555555555555", device) == mac


def test_same_ids_make_the_same_bytes() -> None:
    assert xml() == xml()


def test_every_required_member_of_every_version_is_there() -> None:
    model = json.loads(gzip.decompress(DATAMODEL.read_bytes()))
    objects = decoded()["objects"]
    assert {item["class"] for item in objects} == {"SR", "VDI", "VM", "network", "VBD", "VIF"}
    for item in objects:
        fields = model["classes"][item["class"]]["fields"]
        named = fields.items() if isinstance(fields, dict) else ((field["name"], field) for field in fields)
        needed = {name for name, field in named if field.get("xva_required")}
        assert needed, item["class"]
        assert not needed - set(item["snapshot"]), item["class"]


def test_references_lead_to_objects_or_null() -> None:
    objects = decoded()["objects"]
    known = {item["id"] for item in objects} | {"OpaqueRef:NULL"}
    for item in objects:
        for key in ("VM", "VDI", "SR", "network"):
            if key in item["snapshot"]:
                assert item["snapshot"][key] in known


def test_wire_types_are_xapis() -> None:
    vm = next(item["snapshot"] for item in decoded()["objects"] if item["class"] == "VM")
    assert vm["VCPUs_max"] == "4" and vm["memory_static_max"] == str(8 << 30)
    assert vm["has_vendor_device"] is False
    assert vm["parent"] == "OpaqueRef:NULL"
    assert vm["platform"] == {"acpi": "1", "secureboot": "auto", "cores-per-socket": "2", "vtpm": "true"}
    assert vm["name_label"] == "web <&>  shop"
    assert vm["other_config"]["v2x-sealed"] == "tag-1" and "v2x-migration" not in vm["other_config"]


def test_macs_are_given_or_derived_and_one_network_serves_both() -> None:
    objects = decoded()["objects"]
    seed = next(item["snapshot"]["other_config"]["mac_seed"] for item in objects if item["class"] == "VM")
    vifs = [item["snapshot"] for item in objects if item["class"] == "VIF"]
    assert [vif["MAC"] for vif in vifs] == ["00:50:56:00:00:01", ova_xml.derived_mac(seed, 1)]
    assert len([item for item in objects if item["class"] == "network"]) == 1


def test_own_file_is_read_back() -> None:
    objects = ova_xml.read(xml())
    assert objects["VM"][0]["other_config"]["v2x-sealed"] == "tag-1"
    assert [vdi["id"] for vdi in objects["VDI"]] == ["Ref:0002", "Ref:0003"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<value>",
        b"\xff\xfe\x00",
        b"<value><array><data/></array></value>",
        b"<value><struct><member><name>objects</name></member></struct></value>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><value>&a;</value>',
        b"<value><array><data>" * 40 + b"</data></array></value>" * 40,
        b"<?xml version='1.0' encoding='nonsense'?><value/>",
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(BadImage):
        ova_xml.read(data)
