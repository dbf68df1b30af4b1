# SPDX-License-Identifier: Apache-2.0
"""The privileges that a migration needs, and which of them an account lacks."""

from collections.abc import Iterable, Mapping
from typing import Any

from pyVmomi import vim

from v2x.errors import V2xError
from v2x.sources.vsphere.session import VsphereSession

INVENTORY = ("System.Read", "System.View")
SNAPSHOT = ("VirtualMachine.State.CreateSnapshot", "VirtualMachine.State.RemoveSnapshot")
POWER = ("VirtualMachine.Interact.PowerOff", "VirtualMachine.Interact.PowerOn")
CHANGE_TRACKING = ("VirtualMachine.Config.ChangeTracking", "VirtualMachine.Provisioning.DiskRandomRead")
HTTPS = ("Datastore.Browse", "Datastore.FileManagement")
NFC = ("VApp.Export",)
VDDK = ("VirtualMachine.Provisioning.DiskRandomRead", "VirtualMachine.Provisioning.GetVmFiles")
PURPOSES: Mapping[str, tuple[str, ...]] = {
    "the inventory": INVENTORY,
    "snapshots": SNAPSHOT,
    "power": POWER,
    "change tracking": CHANGE_TRACKING,
    "transport https": HTTPS,
    "transport nfc": NFC,
    "transport vddk": VDDK,
}
EVERY: tuple[str, ...] = tuple(dict.fromkeys(one for names in PURPOSES.values() for one in names))


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
