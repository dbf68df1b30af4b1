# SPDX-License-Identifier: Apache-2.0
"""Descriptions of machines and of plans as targets: OVF, OVA, VMX, configurations of Hyper-V, JSON, CSV, workbooks."""

import tempfile
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from tests import hyperv_estates, rvtools_book
from tests.fuzz import disks, edits
from tests.fuzz.sparse import SparseFile, SparseListing, SparseSource
from tests.hyperv_exports import Stored
from v2x.errors import InputRefused, PlanError, SourceError, V2xError
from v2x.model.codec import SchemaError, from_json, to_json
from v2x.model.forecast import measured_pace
from v2x.model.inventory import Inventory
from v2x.model.machine import Firmware, Machine, PowerState
from v2x.model.migration import REPORT_SCHEMA, Report
from v2x.model.plan import PlanRow
from v2x.plan.csvfile import read_rows, write_rows
from v2x.plan.xlsxfile import read_workbook, write_workbook
from v2x.render.baseline import read_baseline
from v2x.sources import vmx_machine
from v2x.sources.hyperv.config_machine import drives_of, is_checkpoint, read_machine
from v2x.sources.hyperv.config_vmcx import read_vmcx
from v2x.sources.hyperv.config_xml import read_xml
from v2x.sources.hyperv.document import decode, read_document
from v2x.sources.hyperv.estate import collected_at, read_estate
from v2x.sources.hyperv.settings import Settings
from v2x.sources.ova import OvaListing
from v2x.sources.ovf import OvfSource
from v2x.sources.vmsd import read_snapshots
from v2x.sources.vmx_disks import SlotReader
from v2x.sources.vmx_file import read_vmx

GOLDEN = Path(__file__).parents[1] / "golden"
NOW = datetime(2026, 5, 6, tzinfo=UTC)


def golden(*suffixes: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((GOLDEN / "sources").iterdir()) if path.suffix in suffixes]


@cache
def _beside() -> dict[str, SparseFile]:
    """Disks under the names that the golden descriptors give theirs."""
    stream, base = disks.vmdk_files()["stream.vmdk"], SparseFile.decoded(disks.vhd_seeds()[0])
    names = ["builder-disk001", "builder-disk002", "lab pc-disk1", "small-disk001", "web01-1", "web01-2", "node-base"]
    found = {f"{name}.vmdk": stream for name in [*names, "desktop", "esxi", "esxi_2"]}
    assert base is not None
    return {**found, "11110000-0000-4000-8000-000000000001.vhd": base}


def ovf_seeds() -> list[bytes]:
    return golden(".ovf")


def _taken(source: OvfSource) -> None:
    """The machines, whose JSON must come back as it went, and the first of their disks."""
    found = source.inventory()
    assert from_json(to_json(found), Inventory) == found
    for machine in found.machines[:3]:
        point = source.checkpoint(machine, "tag")
        for disk in machine.disks[:2]:
            try:
                source.reader(machine, disk, point).close()
            except (InputRefused, SourceError):
                continue


def read_ovf(data: bytes) -> bool:
    listing = SparseListing({**_beside(), "x.ovf": SparseFile.of(data)})
    try:
        _taken(OvfSource(listing, "x.ovf", "x.ovf", lambda: NOW))  # type: ignore[arg-type]
    except InputRefused:
        return False
    return True


def ova_seeds() -> list[bytes]:
    import tarfile

    files = {"x.ovf": ovf_seeds()[4], "disk1.vmdk": b"x" * 600, "x.mf": b"SHA256(y)= " + b"0" * 64 + b"\n"}
    long = {"a/" * 60 + "x.vmdk": b"1", "n" * 120: b"2", **files}
    return [edits.tar_of(files), edits.tar_of(long, tarfile.PAX_FORMAT), edits.tar_of(long, tarfile.GNU_FORMAT)]


def read_ova(data: bytes) -> bool:
    archive = SparseSource(SparseFile.of(data), "x.ova")
    try:
        listing = OvaListing(archive, Path("x.ova"))  # type: ignore[arg-type]
        for name in listing.names():
            with_member = listing.open(name)
            with_member.read_into(0, bytearray(min(with_member.size, 4096)))
        for name in [name for name in listing.names() if name.endswith(".ovf")][:1]:
            _taken(OvfSource(listing, name, "x.ova", lambda: NOW))
    except InputRefused:
        return False
    return True


def vmx_seeds() -> list[bytes]:
    return golden(".vmx", ".vmsd")


def read_vmx_text(data: bytes) -> bool:
    """As a .vmx and as a .vmsd; both are the same language."""
    listing = SparseListing({**_beside(), "x.vmx": SparseFile.of(data)})
    try:
        vmx = read_vmx(listing, "x.vmx")
        slots = SlotReader(vmx, listing)
        try:
            snapshots = read_snapshots(vmx, listing.names())
        except InputRefused:
            snapshots = ()
        _kept([vmx_machine.read_machine(vmx, slots, snapshots, PowerState.OFF, False)])
    except InputRefused:
        return False
    return True


def _kept(machines: Iterable[Machine]) -> None:
    for machine in machines:
        assert from_json(to_json(machine), Machine) == machine


def vmcx_seeds() -> list[bytes]:
    """Of both generations."""
    both = [Stored(scsi={(0, 0): r"D:\a.vhdx"}), Stored(scsi={(0, 0): r"D:\a.vhdx"}, generation=1)]
    return [SparseFile.of(stored.vmcx()).encoded() for stored in both]


def _configured(settings: Settings, *, binary: bool) -> None:
    if not is_checkpoint(settings):
        _kept([read_machine(settings, "x", binary=binary, experimental=True)])
        read_machine(settings, "x", binary=binary)
        drives_of(settings)


def read_vmcx_bytes(data: bytes) -> bool:
    file = SparseFile.decoded(data)
    if file is None or file.size > 1 << 20:
        return False
    try:
        _configured(read_vmcx(file.read(0, file.size), "x.vmcx"), binary=True)
    except InputRefused:
        return False
    return True


def hyperv_xml_seeds() -> list[bytes]:
    return [Stored(scsi={(0, 0): r"D:\a.vhdx"}).xml(), Stored(scsi={(0, 0): r"D:\a.vhd"}).xml("utf-8")]


def read_hyperv_xml(data: bytes) -> bool:
    try:
        _configured(read_xml(data, "x.xml"), binary=False)
    except InputRefused:
        return False
    return True


@cache
def hyperv_json_seeds() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        made = hyperv_estates.estate(hyperv_estates.virtual_machine(), hosts=2)
        return [hyperv_estates.document(made, Path(folder), host).encode() for host in (0, 1)]


def read_hyperv_json(data: bytes) -> bool:
    try:
        document = read_document(decode(data, "x.json"), "x.json")
        found = read_estate([document], "hyperv://x", collected_at(document, lambda: NOW))
    except InputRefused:
        return False
    assert from_json(to_json(found), Inventory) == found
    return True


def _rows() -> list[PlanRow]:
    plain = PlanRow(machine_id="vm-1", machine_name="web", source="old", target="new")
    rich = PlanRow(
        machine_id="vm-2",
        machine_name="=db;1",
        source="old",
        target="new",
        storage={"*": "SR 1", "2000": "fast"},
        networks={"0": "LAN", "*": "none"},
        vcpus=4,
        memory_bytes=8 << 30,
        firmware=Firmware.UEFI,
        vtpm=False,
        timezone="Europe/Vienna",
        after=("web",),
        window="Sat 22:00-06:00 Europe/Vienna",
        checks="tcp:443;tcp:22@10.0.0.1",
        note="two\nlines, and a comma",
        start=True,
    )
    return [plain, rich]


def csv_seeds() -> list[bytes]:
    plain, one = write_rows(_rows()), write_rows(_rows()[:1])
    return [plain, one.replace(b",", b";"), plain.decode("utf-8-sig").encode("utf-16")]


def read_csv(data: bytes) -> bool:
    """What is read and written again is read as the same."""
    try:
        rows = read_rows(data)
    except PlanError:
        return False
    assert read_rows(write_rows(rows)) == rows
    return True


def workbook_seeds() -> list[bytes]:
    return [write_workbook(_rows())]


def read_plan_workbook(data: bytes) -> bool:
    try:
        read_workbook(data)
    except (InputRefused, PlanError):
        return False
    return True


@cache
def rvtools_seeds() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return [rvtools_book.write_xlsx(Path(folder) / "x.xlsx", rvtools_book.estate()).read_bytes()]


def read_rvtools(data: bytes) -> bool:
    try:
        found = _listed(data, "x.xlsx")
    except V2xError as refused:
        assert refused.exit_code in {4, 6}
        return False
    return _comes_back(found)


def _listed(data: bytes, name: str) -> Inventory:
    """What a file of that name is as a source."""
    from v2x.sources import open_source

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        with open_source(path) as source:
            return source.inventory()


def _comes_back(found: Inventory) -> bool:
    assert from_json(to_json(found), Inventory) == found
    return True


def inventory_seeds() -> list[bytes]:
    return [(GOLDEN / "rvtools" / "inventory.json").read_bytes()]


def read_inventory(data: bytes) -> bool:
    try:
        found = _listed(data, "x.json")
    except InputRefused:
        return False
    return _comes_back(found)


def report_seeds() -> list[bytes]:
    return [(GOLDEN / "reports" / name).read_bytes() for name in ("report.json", "assessment.json")]


def read_report(data: bytes) -> bool:
    """As the report of a run, whose pace counts, and as an earlier assessment."""
    understood = False
    with suppress(SchemaError):
        measured_pace(from_json(data, Report, REPORT_SCHEMA))
        understood = True
    with suppress(InputRefused):
        read_baseline(data, "x.json")
        understood = True
    return understood
