# SPDX-License-Identifier: Apache-2.0
"""Makes the golden reports of this folder: a fixed estate, a fixed pool, a fixed run.

    PYTHONPATH=. python tests/golden/reports/recipe.py

writes them anew; read the difference before committing it.
"""

from datetime import UTC, datetime
from pathlib import Path

from v2x.assess.engine import assess
from v2x.mapping.tables import load_tables
from v2x.model.approval import Approval
from v2x.model.finding import Finding
from v2x.model.forecast import DEFAULT_PACE
from v2x.model.health import Check, GuestBefore, Health, Port, Verdict
from v2x.model.inventory import Inventory, SourceInfo, SourceProblem
from v2x.model.machine import (
    CdDrive,
    Cpu,
    Device,
    Disk,
    DiskBacking,
    DiskBus,
    DiskFormat,
    Firmware,
    Guest,
    GuestAddress,
    GuestIdKind,
    GuestVolume,
    Machine,
    Memory,
    Nic,
    NicModel,
    PowerState,
    Snapshot,
    ToolsState,
)
from v2x.model.migration import (
    BlockDigests,
    DiskResult,
    Failure,
    GuestChange,
    Migration,
    Outcome,
    Phase,
    PhaseTime,
    Report,
    VerifyLevel,
)
from v2x.model.outage import Outage, Part, Span
from v2x.model.target import (
    SecureBoot,
    StorageRepository,
    TargetDisk,
    TargetFacts,
    TargetHost,
    TargetMachine,
    TargetNetwork,
    TargetNic,
    Template,
    UsedMac,
)
from v2x.model.units import GIB, MIB, TIB
from v2x.plan import forecast
from v2x.render import REPORT_FORMATS, render_findings, render_report

HERE = Path(__file__).parent
NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
VERSION = "0.1.0"
SUFFIXES = {"text": "txt", "json": "json", "csv": "csv", "html": "html"}


def disk(number: int, size_bytes: int, **more: object) -> Disk:
    values: dict[str, object] = {
        "id": f"disk-{number}",
        "label": f"Hard disk {number + 1}",
        "position": number,
        "bus": DiskBus.SCSI,
        "controller": 0,
        "unit": number,
        "capacity_bytes": size_bytes,
        "format": DiskFormat.VMDK,
        "subformat": "streamOptimized",
        "allocated_bytes": size_bytes // 4,
        "controller_model": "lsilogic",
    }
    return Disk(**(values | more))  # type: ignore[arg-type]


def nic(number: int, **more: object) -> Nic:
    values: dict[str, object] = {
        "position": number,
        "label": f"Network adapter {number + 1}",
        "model": NicModel.VMXNET3,
        "network": "VM Network",
        "mac": f"00:50:56:9a:00:{number + 1:02x}",
    }
    return Nic(**(values | more))  # type: ignore[arg-type]


def machine(name: str, **more: object) -> Machine:
    values: dict[str, object] = {
        "id": f"{name}.ovf",
        "name": name,
        "cpu": Cpu(count=2, cores_per_socket=2),
        "memory": Memory(size_bytes=4 * GIB),
        "firmware": Firmware.BIOS,
        "power_state": PowerState.OFF,
        "disks": (disk(0, 40 * GIB),),
        "nics": (nic(0),),
        "exporter": "VMware ESXi",
    }
    return Machine(**(values | more))  # type: ignore[arg-type]


def vmware(os_id: str, os_name: str = "", **more: object) -> Guest:
    return Guest(os_id=os_id, os_id_kind=GuestIdKind.VMWARE, os_name=os_name, **more)  # type: ignore[arg-type]


def inventory() -> Inventory:
    debian = vmware("debian12_64Guest", "Debian GNU/Linux 12 (64-bit)", tools=ToolsState.INSTALLED)
    return Inventory(
        source=SourceInfo(kind="ovf", address="/srv/exports", product="VMware ESXi", version="8.0.3"),
        taken_at=datetime(2026, 5, 4, 9, 12, tzinfo=UTC),
        machines=(
            machine("intranet", guest=debian, nics=(nic(0, mac="00:50:56:9a:10:01"),)),
            machine(
                "fileserver",
                firmware=Firmware.UEFI,
                secure_boot=True,
                vtpm=True,
                cpu=Cpu(count=8, cores_per_socket=3, hot_add=True),
                memory=Memory(size_bytes=32 * GIB),
                guest=vmware("windows2019srvNext_64Guest", "Microsoft Windows Server 2022 (64-bit)"),
                disks=(
                    disk(0, 100 * GIB, bus=DiskBus.NVME),
                    disk(1, 3 * TIB, allocated_bytes=2 * TIB),
                    disk(2, 500 * GIB),
                    disk(3, 500 * GIB),
                    disk(4, 20 * GIB + 512, allocated_bytes=None),
                ),
                nics=tuple(nic(number, network=f"Storage {number}", vlan=100 + number) for number in range(3)),
                cd_drives=(CdDrive(position=0, bus=DiskBus.SATA, image="[ISO] drivers/virtio.iso"),),
                snapshots=(Snapshot(id="1", name="before update", with_memory=True),),
            ),
            machine(
                "erp-database",
                cpu=Cpu(count=48, cores_per_socket=24),
                memory=Memory(size_bytes=768 * GIB),
                guest=vmware("rhel8_64Guest", "Red Hat Enterprise Linux 8 (64-bit)"),
                disks=(
                    disk(0, 80 * GIB, controller_model="pvscsi"),
                    disk(1, 0, backing=DiskBacking.MISSING, files=("erp-database-disk2.vmdk",)),
                    disk(2, 2 * TIB, backing=DiskBacking.RAW_DEVICE),
                ),
                nics=(nic(0, mac="00:50:56:9a:20:01"), nic(1, mac="", connected=False)),
                devices=(Device(kind="passthrough", label="PCI device 1"), Device(kind="floppy", label="Floppy 1")),
            ),
            machine(
                "Zeiterfassung ÄÖÜ",
                guest=vmware("windows8Server64Guest", "Microsoft Windows Server 2012 (64-bit)"),
                nics=(nic(0, mac="00:50:56:9a:30:01", model=NicModel.E1000),),
            ),
            machine(
                "kiosk",
                guest=Guest(os_id="97", os_id_kind=GuestIdKind.CIM, os_name=""),
                firmware_stated=False,
                exporter="VirtualBox 7.0",
                nics=(nic(0, mac="08:00:27:aa:bb:cc"),),
            ),
            machine(
                "forgotten",
                guest=debian,
                disks=(),
                nics=(nic(0, mac="00:50:56:9a:40:01"),),
                attributes={"rvtools.total_disk_capacity_mib": "40960"},
            ),
            machine("转换服务器", guest=debian, nics=(), disks=(disk(0, 10 * GIB, bus=DiskBus.XEN),)),
        ),
        problems=(
            SourceProblem(subject="old.ova", code="BAD-IMAGE", text="the archive ends in the middle of a member"),
        ),
    )


def facts() -> TargetFacts:
    return TargetFacts(
        kind="xapi",
        address="xapi://root@pool1.example.net",
        taken_at=NOW,
        product="XCP-ng",
        version="8.3.0",
        xapi_version="26.1.4",
        pool_name="Pool 1",
        hosts=(
            TargetHost(
                uuid="h1",
                name="xcp1",
                address="192.0.2.1",
                cpu_count=32,
                memory_total_bytes=512 * GIB,
                memory_free_bytes=300 * GIB,
            ),
        ),
        storage=(
            StorageRepository(uuid="s1", name="Local storage", kind="ext", size_bytes=4 * TIB, used_bytes=1 * TIB),
        ),
        networks=(TargetNetwork(uuid="n1", name="VM Network"),),
        templates=tuple(
            Template(reference_label=label, name=label, uuid=label)
            for label in ("debian-12", "windows-server-2022-64bit", "rhel-8", "other-install-media")
        ),
        machine_names=("intranet", "router"),
        macs=(UsedMac(mac="00:50:56:9a:10:01", machine="intranet"),),
    )


def health() -> Health:
    before = GuestBefore(
        taken_at=datetime(2026, 5, 4, 9, 10, tzinfo=UTC),
        running=True,
        addresses=(
            GuestAddress(
                mac="00:50:56:9a:00:01", addresses=("192.0.2.20/24",), gateways=("192.0.2.1",), dns=("192.0.2.53",)
            ),
        ),
        volumes=(GuestVolume(path="C:\\", capacity_bytes=100 * GIB), GuestVolume(path="D:\\", capacity_bytes=3 * TIB)),
        tools=ToolsState.RUNNING,
        tools_version="12352",
        ports=(Port(number=445, answered=("192.0.2.20",)),),
    )
    checks = (
        Check(name="power", verdict=Verdict.PASS, text="it runs"),
        Check(name="PV drivers", verdict=Verdict.PASS, text="in use 9.4.0.45"),
        Check(name="address", verdict=Verdict.PASS, text="on the adapter 00:50:56:9a:00:01", subject="192.0.2.20"),
        Check(name="port", verdict=Verdict.FAIL, text="no answer; it answered at 192.0.2.20 before", subject="tcp:445"),
        Check(
            name="mount points", verdict=Verdict.NOT_CHECKED, text="the pool's agent tells none; there were C:\\, D:\\"
        ),
    )
    return Health(before=before, checks=checks, seconds=300.0, reboots=1, reboot_seconds=42.0)


def outage() -> Outage:
    figures = {
        Part.SHUTDOWN: (30.0, 41.5, "a guess, until a machine of this run was cut over"),
        Part.DELTA: (12.0, 11.2, "73,400,320 bytes of the last pass at 9,000,000 bytes/s, 4.0 s for its snapshot"),
        Part.CONVERSION: (0.0, None, "none"),
        Part.VERIFICATION: (90.0, 84.0, "27,000,000,000 bytes at 300,000,000 bytes/s, as this one was copied"),
        Part.START: (10.0, 6.1, "a guess, until a machine of this run was cut over"),
        Part.REBOOTS: (0.0, 42.0, "none was seen in this run yet"),
        Part.HEALTH: (60.0, 258.0, "a guess, until a machine of this run was cut over"),
    }
    spans = tuple(
        Span(part=part, predicted=predicted, real=real, why=why) for part, (predicted, real, why) in figures.items()
    )
    return Outage(spans=spans, wanted_seconds=300.0, read_back_bytes=25 * GIB)


def report(findings: tuple[Finding, ...]) -> Report:
    made = TargetMachine(
        source_id="fileserver.ovf",
        name="fileserver",
        description="",
        firmware=Firmware.UEFI,
        secure_boot=SecureBoot.AUTO,
        vtpm=True,
        vcpus=8,
        memory_bytes=32 * GIB,
        platform={},
        boot_order="cd",
        template="windows-server-2022-64bit",
        template_name="Windows Server 2022 (64-bit)",
        disks=(
            TargetDisk(source_disk="disk-0", name="Hard disk 1", description="", sr="s1", size_bytes=GIB, device="0"),
        ),
        nics=(TargetNic(source_position=0, device="0", network="n1", network_name="VM Network"),),
        notes=(
            "cores per socket: 3 → left out, it does not divide 8 processors",
            "network card 1: vmxnet3 on Storage 0 → Xen network card on VM Network",
        ),
    )
    digests = BlockDigests(
        algorithm="xxh3-128", block_bytes=2 * MIB, size_bytes=GIB, runs=((0, 2), (7, 1)), digests=bytes(range(48))
    )
    common = {"source": "/srv/exports", "target": "xapi://root@pool1.example.net"}
    return Report(
        id="r-20260504-0930",
        created=NOW,
        version=VERSION,
        plan_id="5c1f0d6e",
        migrations=(
            Migration(
                id="m-1",
                machine_id="fileserver.ovf",
                machine_name="fileserver",
                target_name="fileserver",
                phase=Phase.DONE,
                outcome=Outcome.MIGRATED,
                started=datetime(2026, 5, 4, 8, 0, tzinfo=UTC),
                finished=datetime(2026, 5, 4, 9, 17, 30, tzinfo=UTC),
                vm_uuid="0f0f4f2e-88a1-4b9e-a3a5-5d7a3f1c2b10",
                disks=(
                    DiskResult(
                        source_disk="disk-0", label="Hard disk 1", vdi="7b1c3a52-0d9e-4d6f-9a58-1f2e3d4c5b6a",
                        capacity_bytes=100 * GIB, target_bytes=100 * GIB, data_bytes=25 * GIB, sent_bytes=25 * GIB,
                        segments=4, seconds=312.5, verified=VerifyLevel.FULL, digests=digests,
                    ),
                    DiskResult(
                        source_disk="disk-1", label="Hard disk 2", vdi="c3f0a1de-5a44-4f7b-8d0c-2b6f9e8d7c61",
                        capacity_bytes=3 * TIB, target_bytes=3 * TIB, data_bytes=2 * TIB, sent_bytes=1 * TIB,
                        resumed_at_bytes=1 * TIB, segments=16, seconds=4180.0, verified=VerifyLevel.SAMPLE,
                    ),
                ),
                warnings=("The virtual TPM is new and empty.",),
                health=health(),
                outage=outage(),
                alarm="its source was started again, seen 2026-05-04 09:20 UTC: two machines with the same addresses "
                "may run",
                changes=(
                    GuestChange(
                        kind="edit", what="/etc/fstab", why="names of disks change with their bus",
                        before="proc /proc proc\n/dev/sda1 / ext4 <x>\n", after="proc /proc proc\nUUID=77 / ext4 <x>\n",
                    ),
                    GuestChange(kind="link", what="/etc/systemd/system/vmtoolsd.service", after="/dev/null", why="off"),
                    GuestChange(kind="copy", what="/boot/initrd.img", after="/boot/initrd.img.pre-v2x", why="kept"),
                    GuestChange(kind="command", what="update-initramfs -u", why="rebuilt with the drivers for Xen"),
                ),
                machine=made,
                change="CHG-4711",
                approved_by="Ada Lovelace",
                checks="shares answer; backup agent is green",
                phases=(
                    PhaseTime(phase=Phase.PREFLIGHT, began=datetime(2026, 5, 4, 8, 0, tzinfo=UTC), seconds=1.4),
                    PhaseTime(phase=Phase.COPY, began=datetime(2026, 5, 4, 8, 1, tzinfo=UTC), seconds=4502, times=2),
                    PhaseTime(phase=Phase.DONE, began=datetime(2026, 5, 4, 9, 17, tzinfo=UTC), seconds=0),
                ),
                **common,
            ),
            Migration(
                id="m-2", machine_id="intranet.ovf", machine_name="intranet", target_name="intranet",
                phase=Phase.CLAIM, outcome=Outcome.FAILED, started=NOW, finished=NOW,
                failure=Failure(code="NO-SPACE", message="SR “Local storage” has 3 GiB free, 10 GiB are needed",
                                hint="free space on the SR, or choose another with --sr", exit_code=4),
                **common,
            ),
        ),
        findings=tuple(finding for finding in findings if finding.machine_name == "fileserver"),
        approvals=(
            Approval(number=3, plan_id="5c1f0d6e", time=datetime(2026, 5, 3, 15, 0, tzinfo=UTC), by="Ada Lovelace",
                     user="ada@desk", change="CHG-4711", wave=1),
            Approval(number=4, plan_id="5c1f0d6e", time=datetime(2026, 5, 3, 16, 0, tzinfo=UTC), by="Bob <b@x>",
                     user="bob@desk", source="/srv/exports", machine_id="kiosk.ovf", machine_name="kiosk",
                     revoked=True),
        ),
        mapping_tables={"built-in/guest_os.toml": "ab" * 32},
    )  # fmt: skip


def documents() -> dict[str, bytes]:
    """Every golden file by name."""
    estate, pool = inventory(), facts()
    tables = load_tables(environ={})
    findings = assess(estate, pool, tables)
    outlook = forecast(estate, pool, tables, findings=findings, pace=DEFAULT_PACE)
    made: dict[str, bytes] = {}
    for form, suffix in SUFFIXES.items():  # a workbook's bytes depend on the library that packs it
        body = render_findings(form, estate, pool, findings, now=NOW, version=VERSION, forecast=outlook)
        made[f"assessment.{suffix}"] = body
    for form in REPORT_FORMATS:
        made[f"report.{SUFFIXES[form]}"] = render_report(form, report(findings))
    return made


def main() -> None:
    for name, body in documents().items():
        (HERE / name).write_bytes(body)


if __name__ == "__main__":
    main()
