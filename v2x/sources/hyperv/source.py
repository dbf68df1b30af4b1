# SPDX-License-Identifier: Apache-2.0
"""Hyper-V hosts as a source: machines listed over PowerShell, disks read over SMB while the machine is off."""

import ntpath
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType

from v2x.disks.interface import DiskReader
from v2x.disks.smb import ShareRule, SmbAccess, SmbFiles, SmbServers, UncPath, parse_unc, places_of
from v2x.errors import SourceError, Unsupported
from v2x.model.inventory import Inventory
from v2x.model.machine import Disk, DiskBacking, DiskFormat, Machine, PowerState
from v2x.model.migration import SourceChange
from v2x.sources.empty import EmptyDisk
from v2x.sources.hyperv.login import HostAccess
from v2x.sources.hyperv.estate import read_estate
from v2x.sources.hyperv.fields import Fields
from v2x.sources.hyperv.hosts import Connect, Hosts
from v2x.sources.hyperv.power import Power
from v2x.sources.images import open_image
from v2x.sources.interface import Checkpoint
from v2x.sources.local_files import Clock, utc_now
from v2x.sources.stamps import check_point

PATIENCE_SECONDS = 1800.0


class HyperVSource:
    """One or several hosts, or nodes of a cluster. `smb` is how their files are read; None where that is impossible.

    `patience_seconds` is how long a checkpoint waits for a backup or merge to end.
    """

    def __init__(
        self,
        hosts: Sequence[HostAccess],
        address: str,
        connect: Connect,
        *,
        smb: SmbAccess | None = None,
        rules: Sequence[ShareRule] = (),
        clock: Clock = utc_now,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._hosts = Hosts(hosts, connect)
        self._power = Power(self._hosts, sleep=sleep, clock=monotonic)
        self._address = address
        self._rules = tuple(rules)
        self._clock = clock
        self._servers = SmbServers(smb) if smb is not None else None
        self._patience_seconds = patience_seconds
        self._found_rules: dict[str, tuple[ShareRule, ...]] = {}

    def __enter__(self) -> "HyperVSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def inventory(self, select: Callable[[str], bool] | None = None) -> Inventory:
        """AccessError, SourceError or Unsupported when no host could be asked; what one host lacks is a problem."""
        documents, problems = self._hosts.collect()
        return read_estate(documents, self._address, self._clock(), select, problems)

    def checkpoint(self, machine: Machine, tag: str) -> Checkpoint:
        """Creates nothing: the machine must be off, and its files are looked at.

        Waits for a running backup or merge. SourceError when the machine is not off, or not as it was listed.
        """
        self._power.wait_until_free(machine, self._patience_seconds)
        now = self._now(machine)
        for listed in machine.disks:
            current = next((disk for disk in now.disks if disk.id == listed.id), None)
            if current is None or current.files != listed.files:
                raise SourceError(
                    f"disk {listed.label} of {machine.name} is not made of the files it was listed with",
                    code="SOURCE-CHANGED",
                    hint="take the inventory again; a checkpoint was made or merged since",
                )
        points = {disk.id: self._point(machine, disk) for disk in machine.disks}
        return Checkpoint(tag=tag, machine_id=machine.id, points=points)

    def reader(self, machine: Machine, disk: Disk, at: Checkpoint) -> DiskReader:
        if disk.backing is DiskBacking.EMPTY:
            return EmptyDisk(disk.capacity_bytes)
        if disk.backing is not DiskBacking.FILE:
            raise Unsupported(
                f"disk {disk.label} of {machine.name} is no file of the host", hint="copy it inside the guest"
            )
        if at.machine_id != machine.id or disk.id not in at.points:
            raise SourceError(
                f"the checkpoint {at.tag} does not know disk {disk.label} of {machine.name}",
                hint="run the command again",
            )
        check_point(at.points[disk.id], self._point(machine, disk), disk)
        files, names = self._files(machine, disk)
        return open_image(files, names, disk.format)

    def recheck(self, machine: Machine, at: Checkpoint) -> None:
        """SourceError when the machine is not off any more, or a file was written to since the checkpoint."""
        self._now(machine)
        for disk in machine.disks:
            check_point(at.points.get(disk.id, ""), self._point(machine, disk), disk)

    def release(self, machine: Machine, tag: str) -> None:
        """Nothing was created."""

    def state(self, machine: Machine) -> PowerState:
        return self._power.state(machine)

    def shutdown(self, machine: Machine, deadline_seconds: float) -> None:
        self._power.shutdown(machine, deadline_seconds)

    def power_on(self, machine: Machine) -> None:
        self._power.power_on(machine)

    def stay_off(self, machine: Machine) -> None:
        self._power.stay_off(machine)

    def undo(self, machine: Machine) -> None:
        self._power.undo(machine)

    @property
    def changes(self) -> tuple[SourceChange, ...]:
        return tuple(self._power.changes)

    def close(self) -> None:
        if self._servers is not None:
            self._servers.close()

    def _now(self, machine: Machine) -> Machine:
        """The machine as its host tells it now, which must be off."""
        access, document = self._hosts.one(machine)
        found = read_estate([document], self._address, self._clock()).machines
        now = next(one for one in found if one.id == machine.id)
        if now.power_state is not PowerState.OFF:
            raise SourceError(
                f"{machine.name} is {now.power_state_text or now.power_state} on {now.host}",
                code="POWERED-ON",
                hint="shut it down there, or let v2x ask it to (--shutdown); a saved state must be resumed first",
            )
        self._found_rules[machine.id] = _shared_folders(document, access)
        return now

    def _point(self, machine: Machine, disk: Disk) -> str:
        if disk.backing is not DiskBacking.FILE:
            return f"{disk.backing}:{disk.capacity_bytes}"
        files, names = self._files(machine, disk)
        return " ".join(f"{name}={_stamp(files, name, disk.format)}" for name in names)

    def _files(self, machine: Machine, disk: Disk) -> tuple[SmbFiles, tuple[str, ...]]:
        """The disk's files where they are found on shares, and their names there, the one in use first."""
        if self._servers is None:
            raise Unsupported(
                f"disk {disk.label} is read over SMB, which needs a password or a Kerberos ticket",
                hint="log in with auth kerberos, negotiate or ntlm",
            )
        hosts = self._hosts.near(machine)
        rules = self._rules or self._found_rules.get(machine.id, ())
        places: dict[str, Sequence[UncPath]] = {}
        for number, path in enumerate(disk.files):
            name = ntpath.basename(path)
            # Two folders may each hold a file of one name.
            key = name if name not in places else f"{number}-{name}"
            places[key] = places_of(path, hosts, rules)
        return SmbFiles(self._servers, places), tuple(places)


def _shared_folders(document: Fields, access: HostAccess) -> tuple[ShareRule, ...]:
    """Shares of the host as rules, for an account that may not use its administrative ones."""
    if document.row("account").flag("administrator") is not False:
        return ()
    found = []
    for row in document.rows("shares"):
        name, path = row.text("name"), row.text("path").rstrip("\\")
        if name and path and not name.endswith("$"):
            found.append(ShareRule(prefix=path, place=replace(parse_unc(f"\\\\{_in_unc(access.host)}\\{name}"))))
    return tuple(found)


def _in_unc(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _stamp(files: SmbFiles, name: str, kind: object) -> str:
    """Size and time of the file, and the identifier that every writer of a VHDX must change."""
    from v2x.disks.vhd import identify_vhd
    from v2x.disks.vhdx import identify_vhdx

    source = files.open(name)
    try:
        identity = identify_vhdx(source) if kind is DiskFormat.VHDX else identify_vhd(source)
        return f"{source.write_id}:{identity}"
    finally:
        source.close()
