# SPDX-License-Identifier: Apache-2.0
"""Which transport reads a disk, and why the others do not: each has a domain, outside of which it is refused by name.

The same rules judge a disk at its checkpoint and, for `v2x doctor`, one of an inventory before anything is touched.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from v2x.errors import InputRefused, UsageError, V2xError
from v2x.model.machine import Disk, DiskBacking, Machine, PowerState
from v2x.proc import find_tool
from v2x.sources.vsphere.transports.options import Transport, TransportChoice, TransportOptions
from v2x.sources.vsphere.transports.place import DiskPlace, parse_file
from v2x.sources.vsphere.transports.ssh import check_options
from v2x.sources.vsphere.transports.vddk import check_libdir, check_plugin

_OBJECT_STORES: Final = {"vsan": "vSAN", "vvol": "a vVol datastore"}
_FILE_SYSTEMS: Final = frozenset({"vmfs", "nfs", "nfs41", "nfsv41", "cifs"})
DOMAIN: Final = "TRANSPORT"
_HOLLOW: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What decides: `kinds` are those of the datastores that hold the chain; `frozen` is a snapshot to read from.

    `hollow`: little of the disk is in use, as its files' sizes tell, and change tracking does not tell which part.
    """

    title: str
    running: bool
    frozen: bool
    kinds: tuple[str, ...]
    chain: int
    flat: bool
    device: bool
    encrypted: bool
    host: str
    hollow: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a transport can read a disk: `problem` is why not, as it would be raised; `reason` is for a person."""

    transport: Transport
    reason: str
    problem: V2xError | None = None

    @property
    def usable(self) -> bool:
        return self.problem is None


def at_place(place: DiskPlace) -> Situation:
    """A disk at its checkpoint."""
    return Situation(
        title=place.title,
        running=place.powered_on,
        frozen=place.snapshot_ref is not None,
        kinds=tuple(sorted({kind.lower() for kind in place.datastores.values()})),
        chain=len(place.files),
        flat=place.backing.startswith("Flat"),
        device="RawDisk" in place.backing,
        encrypted=place.encrypted,
        host=place.host,
        hollow=_hollow(place.committed_bytes, place.capacity_bytes, tracked=place.tracked_before and place.tracked),
    )


def in_inventory(machine: Machine, disk: Disk, kinds: Mapping[str, str]) -> Situation:
    """A disk as it was listed; a running machine will be read from a snapshot. `kinds`: of datastores, by name."""
    stores = {parse_file(file).datastore for file in disk.files if file.startswith("[")} or {disk.datastore}
    return Situation(
        title=f"{disk.label} of {machine.name}",
        running=machine.power_state is not PowerState.OFF,
        frozen=machine.power_state is not PowerState.OFF,
        kinds=tuple(sorted({kinds.get(name, "").lower() for name in stores})),
        chain=max(1, len(disk.files)),
        flat=disk.subformat not in {"sesparse", "vmfssparse"},
        device=disk.backing is not DiskBacking.FILE,
        encrypted=disk.encrypted,
        host=machine.host,
        hollow=_hollow(disk.allocated_bytes, disk.capacity_bytes, tracked=bool(disk.change_tracking)),
    )


def _hollow(committed_bytes: int | None, capacity_bytes: int, *, tracked: bool) -> bool:
    return not tracked and committed_bytes is not None and committed_bytes < _HOLLOW * capacity_bytes


def verdicts(situation: Situation, options: TransportOptions) -> list[Verdict]:
    """All transports, the best first: what the user set up, then what needs nothing.

    An export reads only what is in use, twice; files are read whole where nothing tells what is in use.
    """
    order = [Transport.VDDK, Transport.HTTPS, Transport.NFC, Transport.SSH]
    if options.at_random:
        order[2:] = [Transport.SSH, Transport.NFC]
    elif situation.hollow:
        order[1:3] = [Transport.NFC, Transport.HTTPS]
    return [_judged(transport, situation, options) for transport in order]


def candidates(situation: Situation, options: TransportOptions) -> list[Verdict]:
    """Those to be tried, in order. The problem of the one that was asked for, or InputRefused NO-TRANSPORT."""
    found = verdicts(situation, options)
    if options.transport is not TransportChoice.AUTO:
        chosen = next(one for one in found if one.transport == options.transport.value)
        if chosen.problem is not None:
            raise chosen.problem
        return [chosen]
    usable = [one for one in found if one.usable]
    if not usable:
        why = "; ".join(f"{one.transport}: {one.reason}" for one in found)
        raise InputRefused(
            f"no transport can read {situation.title}: {why}",
            code="NO-TRANSPORT",
            hint="docs/vsphere-transports.md lists what each one needs",
        )
    return usable


def outlook(machine: Machine, kinds: Mapping[str, str], options: TransportOptions) -> Iterator[tuple[str, str]]:
    """For each disk its label, and which transport will read it and why the ones before it will not, in a sentence."""
    for disk in machine.disks:
        situation = in_inventory(machine, disk, kinds)
        try:
            chosen = candidates(situation, options)[0]
        except V2xError as problem:
            yield disk.label, problem.message
            continue
        passed = []
        for one in verdicts(situation, options):
            if one.transport is chosen.transport or options.transport is not TransportChoice.AUTO:
                break
            passed.append(f"not {one.transport}: {one.reason}")
        yield disk.label, "; ".join([f"{chosen.transport}: {chosen.reason}", *passed])


def _judged(transport: Transport, situation: Situation, options: TransportOptions) -> Verdict:
    try:
        for refusal in (_anywhere(situation), _outside(transport, situation), _unled(transport, options)):
            if refusal:
                raise _refused(transport, situation, refusal)
        return Verdict(transport=transport, reason=_ready(transport, situation, options))
    except V2xError as problem:
        return Verdict(transport=transport, reason=_reason_of(problem, transport, situation), problem=problem)


def _reason_of(problem: V2xError, transport: Transport, situation: Situation) -> str:
    return problem.message.removeprefix(f"the {transport} transport cannot read {situation.title}: ")


def _refused(transport: Transport, situation: Situation, why: str) -> InputRefused:
    return InputRefused(
        f"the {transport} transport cannot read {situation.title}: {why}",
        code=DOMAIN,
        hint="leave --transport out, or see docs/vsphere-transports.md for what reads it",
    )


def _anywhere(situation: Situation) -> str:
    if situation.device:
        return "it is a device, not a file"
    if situation.encrypted:
        return "it is encrypted"
    if situation.running and not situation.frozen:
        return "the machine runs and there is no snapshot of it"
    return ""


def _outside(transport: Transport, situation: Situation) -> str:
    objects = [_OBJECT_STORES[kind] for kind in situation.kinds if kind in _OBJECT_STORES]
    if transport in {Transport.HTTPS, Transport.SSH} and objects:
        return f"it lies on {objects[0]}, which keeps disks as objects and not as files"
    if transport is not Transport.SSH:
        return ""
    if situation.running:
        return "the machine runs"
    if situation.chain > 1:
        return "it stands on a chain of snapshots or a linked clone's parent"
    if not situation.flat:
        return "it is no flat disk"
    unknown = [kind for kind in situation.kinds if kind not in _FILE_SYSTEMS]
    return f"its datastore is of the kind {unknown[0] or 'unknown'}" if unknown else ""


def _unled(transport: Transport, options: TransportOptions) -> str:
    if options.network and transport in {Transport.HTTPS, Transport.VDDK}:
        return f"it goes where the server sends it, and cannot be led over {options.network}"
    return ""


def _ready(transport: Transport, situation: Situation, options: TransportOptions) -> str:
    """Why this transport is good for a disk of its domain; UsageError for what the user has yet to give it."""
    match transport:
        case Transport.VDDK:
            folder = check_libdir(options.vddk)
            check_plugin(options.vddk)
            return f"VDDK is given ({folder.name}); it reads only what is in use, from any datastore"
        case Transport.HTTPS:
            kinds = [kind.upper() for kind in situation.kinds if kind]
            return f"its files on {' and '.join(kinds) or 'the datastore'} can be read in place, on several connections"
        case Transport.NFC:
            why = "; little of it is in use, and an export leaves out the rest" if situation.hollow else ""
            when = "from the snapshot" if situation.frozen else "while the machine is off"
            return f"its host can export it {when}{why}"
        case Transport.SSH:
            check_options(options.ssh)
            find_tool(options.ssh.program)
            host = options.ssh.host or situation.host
            if not host:
                raise UsageError("no host to reach over SSH is known", code=DOMAIN, hint="give one with --ssh-host")
            return f"its flat file can be read from {host}"
