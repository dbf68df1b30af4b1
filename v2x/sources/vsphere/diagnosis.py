# SPDX-License-Identifier: Apache-2.0
"""What `v2x doctor` says of a vSphere source: who answers, what the account may do, how disks will be read."""

from collections.abc import Iterable, Iterator

from v2x.model.inventory import Inventory
from v2x.model.machine import Machine, PowerState
from v2x.sources.interface import SourceCheck
from v2x.sources.vsphere.privileges import PURPOSES
from v2x.sources.vsphere.transports.choose import outlook
from v2x.sources.vsphere.transports.options import TransportOptions

_ROLE = "grant the role of docs/privileges.md, at the root and propagating"


def diagnose(
    inventory: Inventory, machine: Machine | None, options: TransportOptions, lacking: Iterable[str]
) -> Iterator[SourceCheck]:
    """`lacking` are the privileges that the account was found not to have, of all that v2x ever asks for."""
    missing = set(lacking)
    for name, purpose in PURPOSES.items():
        gone = [one for one in purpose.privileges if one in missing]
        found = f"lacks {', '.join(gone)}, for {purpose.uses}" if gone else f"permitted: {purpose.uses}"
        yield SourceCheck(name=name, ok=not gone, found=found, remedy=_ROLE if gone else "")
    for host in inventory.hosts:
        if host.read_only_licence:
            yield SourceCheck(
                name="licence",
                ok=False,
                found=f"{host.name}: {host.licence} makes the interface read-only",
                remedy="assign a licence, or read machines that are off (--transport https or ssh)",
            )
    if machine is not None:
        yield from _of(machine, inventory, options)


def _of(machine: Machine, inventory: Inventory, options: TransportOptions) -> Iterator[SourceCheck]:
    if machine.power_state is PowerState.ON:
        choice = "running: say --running shutdown or --running snapshot when it is migrated"
        yield SourceCheck(name=machine.name, ok=True, found=choice)
    for trouble, remedy in _troubles(machine, inventory):
        yield SourceCheck(name=machine.name, ok=False, found=trouble, remedy=remedy)
    for lock in machine.locks:
        yield SourceCheck(name=machine.name, ok=False, found=lock, remedy="wait for it to end")
    kinds = {store.name: store.kind for store in inventory.datastores}
    for label, how in outlook(machine, kinds, options):
        ok = how.partition(":")[0] in {"https", "nfc", "vddk", "ssh"}
        yield SourceCheck(name=label, ok=ok, found=how, remedy="" if ok else "docs/vsphere-transports.md says what can")


def _troubles(machine: Machine, inventory: Inventory) -> Iterator[tuple[str, str]]:
    """What is wrong around the machine now, with what helps."""
    if machine.connection_state not in {"", "connected"}:
        yield f"its host says {machine.connection_state}", "bring host and datastore back, or register it again"
    for host in inventory.hosts:
        if host.name == machine.host and host.in_maintenance:
            yield f"its host {host.name} is in maintenance mode", "take it out of it, or move the machine"
        if host.name == machine.host and host.connection_state not in {"", "connected"}:
            yield f"its host {host.name} is {host.connection_state}", "reconnect it"
    mine = {disk.datastore for disk in machine.disks}
    for store in inventory.datastores:
        seen = not store.hosts or machine.host in store.hosts
        if store.name in mine and seen and (store.accessible is False or store.maintenance):
            yield f"its datastore {store.name} is {store.maintenance or 'not accessible'}", "bring it back first"
    if machine.consolidation_needed:
        yield "its disks need consolidation", "consolidate them in the vSphere client: chains make reading slow"
