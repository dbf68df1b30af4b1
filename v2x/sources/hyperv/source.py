# SPDX-License-Identifier: Apache-2.0
"""Hyper-V hosts as a source: machines listed over PowerShell, disks read over SMB while the machine is off."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType

from v2x.disks.extent import Extent
from v2x.disks.interface import DiskReader
from v2x.disks.smb.paths import ShareRule, parse_unc
from v2x.errors import InputRefused, SourceError, Unsupported
from v2x.model.inventory import Inventory
from v2x.model.machine import Disk, DiskBacking, Machine, PowerState
from v2x.sources.empty import EmptyDisk
from v2x.sources.hyperv.access import ShareOptions
from v2x.sources.hyperv.checkpoints import Checkpoints
from v2x.sources.hyperv.estate import read_estate
from v2x.sources.hyperv.fields import Fields
from v2x.sources.hyperv.hosts import Connect, Hosts
from v2x.sources.hyperv.login import HostAccess
from v2x.sources.hyperv.passes import Passes
from v2x.sources.hyperv.power import Power
from v2x.sources.hyperv.shares import ShareDisks
from v2x.sources.interface import Checkpoint, SourceCheck, SourceLeftover, Strain
from v2x.sources.local_files import Clock, utc_now
from v2x.waiting import nap

PATIENCE_SECONDS = 1800.0
_RELEASE_SECONDS = 60.0
_STEP_SECONDS = 5.0
_STRAIN_SECONDS = 60.0


class HyperVSource:
    """One or several hosts, or nodes of a cluster. `shares` is how their files are read; None where that is impossible.

    `patience_seconds` is how long a checkpoint waits for a backup or merge to end.
    """

    def __init__(
        self,
        hosts: Sequence[HostAccess],
        address: str,
        connect: Connect,
        *,
        shares: ShareOptions | None = None,
        clock: Clock = utc_now,
        sleep: Callable[[float], None] = nap,
        monotonic: Callable[[], float] = time.monotonic,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._hosts = Hosts(hosts, connect)
        self._power = Power(self._hosts, sleep=sleep, clock=monotonic)
        self._address = address
        self._options = shares
        self._clock = clock
        self._sleep = sleep
        self._monotonic = monotonic
        self._patience_seconds = patience_seconds
        self._checkpoints = Checkpoints(self._hosts, self._power.note)
        self._passes = Passes(self._checkpoints, self._told, self._shares_of, self._hosts.near, self._points)
        self._strains: dict[str, tuple[float, Strain | None]] = {}
        self._disks: dict[tuple[ShareRule, ...], ShareDisks] = {}
        self._rules: dict[str, tuple[ShareRule, ...]] = {}

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
        return Checkpoint(tag=tag, machine_id=machine.id, points=self._points(machine))

    def _points(self, machine: Machine) -> dict[str, str]:
        """Right after a shutdown the host may have the files open yet: they are waited for."""
        disks, hosts = self._shares_of(machine), self._hosts.near(machine)
        until = self._monotonic() + _RELEASE_SECONDS
        while True:
            try:
                return {disk.id: disks.point(disk, hosts) for disk in machine.disks}
            except SourceError as problem:
                if problem.code != "SOURCE-RUNNING" or self._monotonic() >= until:
                    raise
            self._sleep(_STEP_SECONDS)

    def reader(self, machine: Machine, disk: Disk, at: Checkpoint) -> DiskReader:
        if disk.backing is DiskBacking.EMPTY:
            return EmptyDisk(disk.capacity_bytes)
        disk, at = self._passes.held(machine, disk, at)
        return self._shares_of(machine).reader(machine, disk, at, self._hosts.near(machine))

    def confirm(self, machine: Machine, at: Checkpoint) -> None:
        """SourceError when the machine is not off any more, or a file was written to since the checkpoint."""
        self._now(machine)
        disks, hosts = self._shares_of(machine), self._hosts.near(machine)
        for listed in machine.disks:
            disk, stamps = self._passes.held(machine, listed, at)
            disks.recheck(disk, stamps, hosts)

    def release(self, machine: Machine, tag: str) -> None:
        """Checkpoints of ours, which only warm migrations make."""
        self._passes.release(machine, tag)

    def rehearse(self, machine: Machine) -> None:
        """Finds each disk's files on its shares, open at the host as they are."""
        disks, hosts = self._shares_of(self._told(machine)), self._hosts.near(machine)
        for disk in machine.disks:
            try:
                disks.point(disk, hosts)
            except SourceError as problem:
                if problem.code != "SOURCE-RUNNING":
                    raise

    def track(self, machine: Machine, *, allowed: bool) -> bool:
        """Nothing is turned on: what changed is told by differencing files. SourceError where it gets none."""
        del allowed
        now = self._told(machine)
        lacking = [disk.label for disk in now.disks if disk.backing is not DiskBacking.FILE or disk.shared]
        lacking = [label for label in lacking if label]
        if lacking:
            raise SourceError(
                f"{machine.name}: {', '.join(lacking)} cannot be in a checkpoint",
                code="NOT-TRACKED",
                hint="migrate it cold",
            )
        return False

    def turned_on(self, machine: Machine) -> bool:
        return False  # there is nothing to turn on

    def untrack(self, machine: Machine) -> None:
        """Nothing was turned on."""

    def freeze(self, machine: Machine, tag: str) -> Checkpoint:
        self._power.wait_until_free(machine, self._patience_seconds)
        return self._passes.freeze(machine, tag)

    def strain(self, machine: Machine, tag: str) -> Strain | None:
        """As WatchesSnapshots.strain: the volume with the least share free, and the age of our newest checkpoint.

        A host answers in seconds, so it is asked once a minute at most.
        """
        known = self._strains.get(machine.id)
        if known is None or self._monotonic() - known[0] >= _STRAIN_SECONDS:
            known = self._monotonic(), self._strained(machine, tag)
            self._strains[machine.id] = known
        return known[1]

    def _strained(self, machine: Machine, tag: str) -> Strain | None:
        _, document = self._hosts.one(machine)
        estate = read_estate([document], self._address, self._clock())
        now = next(one for one in estate.machines if one.id == machine.id)
        used = {disk.datastore for disk in now.disks}
        rooms = [(one.name, one.free_bytes, one.capacity_bytes) for one in estate.datastores if one.name in used]
        known = [(name, free, size) for name, free, size in rooms if size and free is not None]
        if not known:
            return None
        name, free, size = min(known, key=lambda room: room[1] / room[2])
        age = self._checkpoints.age_seconds(machine, tag, self._clock())
        return Strain(datastore=name, free_bytes=free, capacity_bytes=size, age_seconds=age)

    def changed(self, machine: Machine, disk: Disk, since: str, at: Checkpoint) -> Iterator[Extent]:
        return self._passes.changed(machine, disk, since, at)

    def thaw(self, machine: Machine, tag: str) -> None:
        self._passes.thaw(machine, tag)

    def leftovers(self) -> tuple[SourceLeftover, ...]:
        return self._checkpoints.leftovers()

    def remove(self, leftover: SourceLeftover) -> tuple[str, ...]:
        machine = next((one for one in self.inventory(None).machines if leftover.id.startswith(f"{one.id}/")), None)
        if machine is not None:
            self._hosts.change(machine, "drop", leftover.id.partition("/")[2])
        return ()

    def diagnosis(self, inventory: Inventory, machine: Machine | None) -> tuple[SourceCheck, ...]:
        """What the account may do, as the hosts told with the inventory."""
        missing = inventory.source.missing_privileges
        found = "no group is missing, as far as the hosts tell; power and checkpoints over JEA need --jea-power"
        if missing:
            found = f"lacks {', '.join(missing)}, for everything but a list of machines"
        remedy = "add the account to that group of each host, or use the JEA endpoint: docs/privileges.md"
        return (SourceCheck(name="rights on the hosts", ok=not missing, found=found, remedy=remedy),)

    def state(self, machine: Machine) -> PowerState:
        return self._power.state(machine)

    def shutdown(self, machine: Machine, deadline_seconds: float) -> None:
        self._power.shutdown(machine, deadline_seconds)

    def power_on(self, machine: Machine) -> None:
        self._power.power_on(machine)

    def stay_off(self, machine: Machine) -> None:
        self._power.stay_off(machine)

    def was(self, machine: Machine) -> dict[str, str]:
        return self._power.was(machine)

    def give_back(self, machine: Machine, old: Mapping[str, str]) -> None:
        self._power.give_back(machine, old)

    def label(self, machine: Machine) -> dict[str, str]:
        return self._power.label(machine)

    def relabel(self, machine: Machine, wanted: Mapping[str, str]) -> None:
        self._power.relabel(machine, wanted)

    def notes(self, machine: Machine) -> tuple[str, ...]:
        """What was changed at the source for it since this was last asked for, and how to put it back."""
        return tuple(str(change) for change in self._power.told(machine))

    def close(self) -> None:
        for disks in self._disks.values():
            disks.close()
        self._disks.clear()

    def _told(self, machine: Machine) -> Machine:
        """The machine as its host tells it now."""
        access, document = self._hosts.one(machine)
        found = read_estate([document], self._address, self._clock()).machines
        self._rules[machine.id] = _shared_folders(document, access)
        return next(one for one in found if one.id == machine.id)

    def _now(self, machine: Machine) -> Machine:
        """The same, which must be off."""
        now = self._told(machine)
        if now.power_state is not PowerState.OFF:
            raise SourceError(
                f"{machine.name} is not off: its host {now.host} says {now.power_state_text or now.power_state}",
                code="POWERED-ON",
                hint="shut it down there, or let v2x ask it to (--running shutdown); resume a saved one first",
            )
        return now

    def _shares_of(self, machine: Machine) -> ShareDisks:
        """The machine's files: by the rules that were given, else by the shares that its host told of."""
        options = self._options
        if options is None:
            raise Unsupported(
                "disks are read over SMB, which needs a password or a Kerberos ticket",
                hint="log in with auth kerberos, negotiate or ntlm, or add --smb-user and a password file",
            )
        rules = options.rules or self._rules.get(machine.id, ())
        if rules not in self._disks:
            self._disks[rules] = ShareDisks(replace(options, rules=rules))
        return self._disks[rules]


def _shared_folders(document: Fields, access: HostAccess) -> tuple[ShareRule, ...]:
    """Shares of the host as rules, for an account that may not use its administrative ones."""
    if document.row("account").flag("administrator") is not False:
        return ()
    found = []
    for row in document.rows("shares"):
        name, path = row.text("name"), row.text("path").rstrip("\\")
        if name and path and not name.endswith("$"):
            with suppress(InputRefused):  # a name that no path could be made of
                found.append(ShareRule(prefix=path, place=parse_unc(f"\\\\{_in_unc(access.host)}\\{name}")))
    return tuple(found)


def _in_unc(host: str) -> str:
    return f"[{host}]" if ":" in host else host
