# SPDX-License-Identifier: Apache-2.0
"""The privileges that a migration needs, and which of them an account lacks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from v2x.errors import V2xError
from v2x.model.inventory import Inventory
from v2x.model.machine import Machine
from v2x.sources.vsphere.session import VsphereSession

INVENTORY = ("System.Read", "System.View")
SNAPSHOT = ("VirtualMachine.State.CreateSnapshot", "VirtualMachine.State.RemoveSnapshot")
POWER = ("VirtualMachine.Interact.PowerOff", "VirtualMachine.Interact.PowerOn")
CHANGE_TRACKING = ("VirtualMachine.Config.ChangeTracking", "VirtualMachine.Provisioning.DiskRandomRead")
HTTPS = ("Datastore.Browse", "Datastore.FileManagement")
NFC = ("VApp.Export",)
VDDK = ("VirtualMachine.Provisioning.DiskRandomRead", "VirtualMachine.Provisioning.GetVmFiles")
_ELSEWHERE = ("Datastore.", "Host.")
MARKS = ("VirtualMachine.Config.Rename", "VirtualMachine.Config.Annotation")
UNTRACK = ("VirtualMachine.Config.AdvancedConfig",)
STAYS_OFF = ("VirtualMachine.Config.EditDevice", "Host.Config.AutoStart")


@dataclass(frozen=True, slots=True)
class Purpose:
    """What privileges are for; `uses` are commands and options as a person types them. A `wish` is no part of a
    migration that nobody asks it for."""

    uses: str
    privileges: tuple[str, ...]
    wish: bool = False


PURPOSES: Mapping[str, Purpose] = {
    "the inventory": Purpose("inventory, assess, plan draft, plan check", INVENTORY),
    "snapshots": Purpose("migrate --running snapshot, --warm, cleanup --source", SNAPSHOT),
    "power": Purpose("--running shutdown or power-off, --warm, batch cutover, batch rollback", POWER),
    "change tracking": Purpose("--warm, --enable-cbt, --allocation cbt", CHANGE_TRACKING),
    "transport https": Purpose("--transport https, and resuming a machine that is off", HTTPS),
    "transport nfc": Purpose("--transport nfc", NFC),
    "transport vddk": Purpose("--transport vddk", VDDK),
    "tracking left on": Purpose("turning it off again after a run that was killed", UNTRACK, wish=True),
    "marks": Purpose("--mark-source", MARKS, wish=True),
    "staying off": Purpose("--warm and batch cutover, --keep-source-off", STAYS_OFF),
}
EVERY: tuple[str, ...] = tuple(
    dict.fromkeys(one for purpose in PURPOSES.values() if not purpose.wish for one in purpose.privileges)
)
WISHES: tuple[str, ...] = tuple(
    dict.fromkeys(one for purpose in PURPOSES.values() if purpose.wish for one in purpose.privileges)
)


def missing_privileges(session: VsphereSession, entity: Any = None, wanted: Iterable[str] = EVERY) -> tuple[str, ...]:
    """Those of `wanted` that the account lacks on `entity` (the root folder without one), by their names.

    Nothing is missing as far as a server tells that does not answer the question: only a refusal is a fact.
    """
    names = list(wanted)
    manager, place = session.content.authorizationManager, entity or session.content.rootFolder
    try:
        current = next(
            session.retrieve(vim.SessionManager, ["currentSession.key"], objects=[session.content.sessionManager])
        ).values.get("currentSession.key")
        held = session.read(manager.HasPrivilegeOnEntity, place, str(current or ""), names, doing="ask for privileges")
    except (V2xError, StopIteration):
        return ()
    return tuple(name for name, has in zip(names, held or [], strict=False) if has is False)


def missing_for(
    session: VsphereSession, inventory: Inventory, machine: Machine, wanted: Iterable[str]
) -> tuple[str, ...]:
    """Those of `wanted` that the account lacks where a migration of `machine` needs them: on it, on each datastore that
    its disks are on, on its host. A role may be granted further down than the root."""
    names = tuple(wanted)
    if not names or not machine.reference:
        return names
    vm = vim.VirtualMachine(machine.reference, session.stub)
    found = next(session.retrieve(vim.VirtualMachine, ["runtime.host"], objects=[vm]), None)
    host = found.values.get("runtime.host") if found is not None else None
    stores = {disk.datastore for disk in machine.disks}
    datastores = [
        vim.Datastore(one.reference, session.stub)
        for one in inventory.datastores
        if one.name in stores and one.reference and (not one.hosts or machine.host in one.hosts)
    ]
    lacking: set[str] = set()
    for start, places in (("Datastore.", datastores), ("Host.", [host] if host is not None else []), ("", [vm])):
        mine = [name for name in names if (name.startswith(start) if start else not name.startswith(_ELSEWHERE))]
        for place in places if mine else ():
            lacking |= set(missing_privileges(session, place, mine))
        if mine and not places:
            lacking |= set(mine)
    return tuple(name for name in names if name in lacking)
