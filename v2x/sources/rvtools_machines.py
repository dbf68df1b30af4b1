# SPDX-License-Identifier: Apache-2.0
"""Rows of vInfo, and what the other sheets say of them, as machines."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from v2x.model.inventory import SourceProblem
from v2x.model.machine import (
    Cpu,
    Device,
    Disk,
    DiskBus,
    DiskFormat,
    Firmware,
    Guest,
    GuestIdKind,
    Machine,
    Memory,
    Other,
    PowerState,
    ToolsState,
)
from v2x.sources.ovf_dialects import plain_uuid
from v2x.sources.rvtools_cells import Row, count, flag, mebibytes, name, number, text
from v2x.sources.rvtools_index import MachineIndex, machine_ids
from v2x.sources.rvtools_parts import addresses, cd_drives, disks, named_nics, nics, snapshots, usb_devices
from v2x.sources.rvtools_sheets import CD, CPU, DISK, MEMORY, NETWORK, SNAPSHOT, TOOLS, USB

CUSTOM = "custom "  # begins the keys of custom attributes in a row of vInfo
MOST_CPUS = 4_096
_POWER = {"poweredon": PowerState.ON, "poweredoff": PowerState.OFF, "suspended": PowerState.SUSPENDED}
_TOOLS = {
    "toolsok": ToolsState.RUNNING,
    "toolsold": ToolsState.RUNNING,
    "toolsnotrunning": ToolsState.INSTALLED,
    "toolsnotinstalled": ToolsState.MISSING,
}
# vSphere Cluster Services: `vCLS-` and a UUID since 7.0 U3, `vCLS (1)` before.
_CLUSTER_SERVICE = re.compile(r"vCLS(?:-[0-9a-f]{8}-[0-9a-f-]{20,}| \([0-9]{1,3}\))", re.IGNORECASE)
_KEPT = {
    "connection": "rvtools.connection_state",
    "consolidation": "rvtools.consolidation_needed",
    "ft": "rvtools.fault_tolerance",
    "latency": "rvtools.latency_sensitivity",
    "enableuuid": "rvtools.disk_enable_uuid",
    "provisioned": "rvtools.provisioned_mib",
    "inuse": "rvtools.in_use_mib",
    "capacity": "rvtools.total_disk_capacity_mib",
    "datacenter": "rvtools.datacenter",
    "server": "rvtools.vcenter",
    "vmid": "rvtools.vm_id",
    "path": "rvtools.path",
}


class MachineReader:
    """Turns rows into machines. `parts` holds the rows of the other sheets; a sheet that is not there has no key.

    What was left out or could not be placed is added to `problems`.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        parts: Mapping[str, Sequence[Row]],
        vlans: dict[str, int | None],
        problems: list[SourceProblem],
        *,
        date_1904: bool = False,
    ) -> None:
        self._problems = problems
        self._vlans = vlans
        self._date_1904 = date_1904
        self._sheets = frozenset(parts)
        self._rows = self._real(rows)
        index = MachineIndex(self._rows)
        self._parts = {sheet: self._placed(sheet, found, index) for sheet, found in parts.items()}

    def machines(self) -> Iterator[Machine]:
        for at, (row, key) in enumerate(zip(self._rows, machine_ids(self._rows), strict=True)):
            yield self._machine(row, key, at)

    def _real(self, rows: Sequence[Row]) -> list[Row]:
        """The rows of machines: without repeated headers, doubles, and machines that belong to vSphere itself."""
        kept: list[Row] = []
        services, placeholders, twice = 0, 0, 0
        seen: set[tuple[str, str]] = set()
        for row in rows:
            named = name(row, "vm")
            if not named and not text(row, "vmid"):
                continue
            if named.lower() == "vm" and text(row, "power").lower() == "powerstate":
                continue
            identity = (text(row, "sdk").lower(), text(row, "vmid"))
            if identity[1] and identity in seen:
                twice += 1
                continue
            seen.add(identity)
            if _CLUSTER_SERVICE.fullmatch(named):
                services += 1
            elif flag(row, "srm"):
                placeholders += 1
            else:
                kept.append(row)
        self._left_out(services, "vSphere Cluster Services (vCLS), which the cluster makes for itself")
        self._left_out(placeholders, "Site Recovery Manager placeholders, which stand for machines of another site")
        self._left_out(twice, "rows of vInfo that repeat the id of a machine above them")
        return kept

    def _left_out(self, times: int, what: str) -> None:
        if times:
            self._problems.append(SourceProblem(subject="vInfo", code="LEFT-OUT", text=f"left out {times:,}: {what}"))

    def _placed(self, sheet: str, rows: Sequence[Row], index: MachineIndex) -> dict[int, list[Row]]:
        placed: dict[int, list[Row]] = {}
        missed: Counter[str] = Counter()
        for row in rows:
            at = index.find(row)
            if at is not None:
                placed.setdefault(at, []).append(row)
            elif (named := name(row, "vm")) and not _CLUSTER_SERVICE.fullmatch(named):
                missed[named] += 1
        if missed:
            some, total = ", ".join(sorted(missed)[:5]), sum(missed.values())
            words = f"{total:,} rows belong to no machine of vInfo, or to several of one name: {some}"
            self._problems.append(SourceProblem(subject=sheet, code="NOT-PLACED", text=words))
        return placed

    def _of(self, sheet: str, at: int) -> list[Row]:
        return self._parts.get(sheet, {}).get(at, [])

    def _first(self, sheet: str, at: int) -> Row:
        return next(iter(self._of(sheet, at)), {})

    def _machine(self, row: Row, key: str, at: int) -> Machine:
        firmware = text(row, "firmware").lower()
        power = _POWER.get(text(row, "power").lower(), PowerState.UNKNOWN)
        hardware = re.search(r"[0-9]{1,3}", text(row, "hardware"))
        return Machine(
            id=key,
            name=name(row, "vm"),
            uuid=plain_uuid(text(row, "smbios")),
            cpu=self._cpu(row, at),
            memory=self._memory(row, at),
            firmware=Firmware.UEFI if firmware in ("efi", "uefi") else Firmware.BIOS,
            firmware_stated=firmware in ("efi", "uefi", "bios"),
            secure_boot=flag(row, "secureboot") is True and firmware != "bios",
            power_state=power,
            is_template=flag(row, "template") is True,
            guest=self._guest(row, at),
            disks=self._disks(row, at),
            nics=tuple(
                nics(self._of(NETWORK.name, at), power is PowerState.ON, self._vlans)
                if NETWORK.name in self._sheets
                else named_nics(row, self._vlans)
            ),
            cd_drives=tuple(cd_drives(self._of(CD.name, at))),
            devices=tuple(self._devices(at)),
            snapshots=tuple(snapshots(self._of(SNAPSHOT.name, at), self._date_1904)),
            notes=text(row, "annotation"),
            attributes=_attributes(row),
            hardware_version=f"vmx-{int(hardware[0]):02d}" if hardware else "",
            folder=text(row, "folder"),
            host=text(row, "host"),
            cluster=text(row, "cluster"),
            resource_pool=text(row, "pool"),
            group=text(row, "vapp"),
            connection_state=text(row, "connection"),
            consolidation_needed=flag(row, "consolidation"),
            fault_tolerance=_is_on(text(row, "ft")),
            latency_sensitivity=text(row, "latency"),
            disk_uuid_enabled=flag(row, "enableuuid"),
            change_tracking=flag(row, "cbt"),
        )

    def _cpu(self, row: Row, at: int) -> Cpu:
        """A machine that vCenter cannot reach has no processors in the export; 0 stands for that."""
        more = self._first(CPU.name, at)
        total = count(row, "cpus") or count(more, "cpus") or 0
        limit, reserved = number(more, "limit"), number(more, "reservation")
        return Cpu(
            count=min(total, MOST_CPUS),
            cores_per_socket=count(more, "cores") or None,
            hot_add=flag(more, "hotadd") is True,
            limit_mhz=int(limit) if limit is not None and 0 < limit < 1e9 else None,
            reservation_mhz=int(reserved) if reserved is not None and 0 < reserved < 1e9 else None,
        )

    def _memory(self, row: Row, at: int) -> Memory:
        more = self._first(MEMORY.name, at)
        return Memory(
            size_bytes=mebibytes(row, "memory") or mebibytes(more, "size") or 0,
            hot_add=flag(more, "hotadd") is True,
            reservation_bytes=mebibytes(more, "reservation") or None,
        )

    def _guest(self, row: Row, at: int) -> Guest:
        """The configuration says what the machine was made for, VMware Tools say what runs; the latter counts."""
        more = self._first(TOOLS.name, at)
        made_for, running = text(row, "osconfig"), text(row, "ostools")
        return Guest(
            os_id=made_for if running else "",
            os_id_kind=GuestIdKind.TEXT if made_for and running else GuestIdKind.NONE,
            os_name=running or made_for,
            hostname=text(row, "dns"),
            tools=_TOOLS.get(text(more, "tools").lower(), ToolsState.UNKNOWN),
            ip_addresses=addresses(text(row, "ip")),
            time_sync=flag(more, "sync"),
        )

    def _disks(self, row: Row, at: int) -> tuple[Disk, ...]:
        tracking = flag(row, "cbt")
        if DISK.name in self._sheets:
            return tuple(disks(self._of(DISK.name, at), tracking))
        capacity = mebibytes(row, "capacity")
        if count(row, "disks") != 1 or not capacity:
            return ()
        # The size of all disks is that of the only one.
        return (
            Disk(
                id="0",
                label="",
                position=0,
                bus=DiskBus.UNKNOWN,
                controller=0,
                unit=0,
                capacity_bytes=capacity,
                format=DiskFormat.VMDK,
                mode=Other(""),
                change_tracking=tracking,
            ),
        )

    def _devices(self, at: int) -> Iterator[Device]:
        yield from usb_devices(self._of(USB.name, at))
        for row in self._of(NETWORK.name, at):
            if flag(row, "direct") is True:
                yield Device(kind="passthrough", label=f"DirectPath I/O of {text(row, 'label') or 'a network card'}")


def _is_on(state: str) -> bool | None:
    """Whether a state such as `notConfigured` or `running` says that something is on; None for no word."""
    return state.casefold() not in ("notconfigured", "disabled") if state else None


def _attributes(row: Row) -> dict[str, str]:
    found = {key: text(row, column) for column, key in _KEPT.items()}
    found |= {f"custom.{key.removeprefix(CUSTOM)}": text(row, key) for key in row if key.startswith(CUSTOM)}
    return {key: value for key, value in found.items() if value}
