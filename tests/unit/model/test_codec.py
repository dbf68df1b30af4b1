# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v2x.model.codec import SchemaError, from_json, to_json
from v2x.model.inventory import INVENTORY_SCHEMA, Inventory, SourceInfo, SourceProblem
from v2x.model.machine import Cpu, Disk, DiskBus, DiskFormat, Firmware, Machine, Memory, Nic, NicModel, Other
from v2x.model.migration import REPORT_SCHEMA, BlockDigests, DiskResult, Migration, Outcome, Report
from v2x.model.target import SecureBoot, TargetDisk, TargetMachine, TargetNic

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
texts = st.text(max_size=20)

disks = st.builds(
    Disk,
    id=texts, label=texts, position=st.integers(0, 9), bus=st.sampled_from(DiskBus) | st.builds(Other, texts),
    controller=st.integers(0, 3), unit=st.integers(0, 63), capacity_bytes=st.integers(0, 2**62),
    format=st.sampled_from(DiskFormat) | st.builds(Other, texts), files=st.lists(texts, max_size=2).map(tuple),
)  # fmt: skip
nics = st.builds(
    Nic, position=st.integers(0, 9), label=texts, network=texts, mac=texts,
    model=st.sampled_from(NicModel) | st.builds(Other, texts), vlan=st.none() | st.integers(0, 4094),
)  # fmt: skip
machines = st.builds(
    Machine,
    id=texts, name=texts, cpu=st.builds(Cpu, count=st.integers(1, 512)),
    memory=st.builds(Memory, size_bytes=st.integers(0, 2**50)), firmware=st.sampled_from(Firmware),
    disks=st.lists(disks, max_size=3).map(tuple), nics=st.lists(nics, max_size=3).map(tuple),
    attributes=st.dictionaries(texts, texts, max_size=2), tags=st.lists(texts, max_size=2).map(tuple),
)  # fmt: skip


@given(st.lists(machines, max_size=3).map(tuple))
def test_an_inventory_survives_json(found):
    inventory = Inventory(
        source=SourceInfo(kind="ovf", address="/a.ova"), taken_at=NOW, machines=found,
        problems=(SourceProblem(subject="x", code="Y", text="z"),),
    )  # fmt: skip
    data = to_json(inventory)
    assert from_json(data, Inventory, INVENTORY_SCHEMA) == inventory
    assert to_json(from_json(data, Inventory)) == data


def report() -> Report:
    spec = TargetMachine(
        source_id="1", name="n", description="", firmware=Firmware.UEFI, secure_boot=SecureBoot.FALSE, vtpm=False,
        vcpus=1, memory_bytes=2**30, platform={"acpi": "1"}, boot_order="cd", template="debian-12",
        disks=(TargetDisk(source_disk="d", name="n", description="", sr="s", size_bytes=1, device="0"),),
        nics=(TargetNic(source_position=0, device="0", network="u", network_name="n"),),
    )  # fmt: skip
    digests = BlockDigests(
        algorithm="xxh3-128", block_bytes=2097152, size_bytes=3, runs=((0, 1), (7, 1)), digests=bytes(range(32))
    )
    migration = Migration(
        id="t", machine_id="1", machine_name="n", target_name="n", source="s", target="t", machine=spec,
        outcome=Outcome.MIGRATED, disks=(DiskResult(source_disk="d", label="l", digests=digests),),
    )  # fmt: skip
    return Report(id="r", created=NOW, version="0", migrations=(migration,))


def test_a_report_survives_json():
    assert from_json(to_json(report()), Report, REPORT_SCHEMA) == report()


def test_another_schema_is_refused():
    data = to_json(replace(report(), schema="v2x.report/99"))
    with pytest.raises(SchemaError, match=r"v2x\.report/99"):
        from_json(data, Report, REPORT_SCHEMA)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"schema": 1}', b"\xff\xfe{}", b'{"schema":"v2x.report/1"}'])
def test_damage_is_a_schema_error(data):
    with pytest.raises(SchemaError):
        from_json(data, Report, REPORT_SCHEMA)


def test_a_wrong_type_names_its_place():
    data = to_json(report()).replace(b'"version": "0"', b'"version": 0')
    with pytest.raises(SchemaError, match="version"):
        from_json(data, Report, REPORT_SCHEMA)
