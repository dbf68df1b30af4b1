# SPDX-License-Identifier: Apache-2.0
"""A backup product at a machine: its temporary snapshot, and the machine's disks hot-added to a proxy meanwhile."""

import copy

from pyVmomi import vim

from v2x.simulators.vsphere import snapshots
from v2x.simulators.vsphere.state import State
from v2x.simulators.vsphere.store import ABSENT, Entity

NAME = "VEEAM BACKUP TEMPORARY SNAPSHOT"
_DESCRIPTION = "Please do not delete this snapshot. It is used by a backup."
_FIRST_UNIT = 8
_Disk = vim.vm.device.VirtualDisk


def begin(state: State, machine: Entity, proxy: Entity | None = None) -> None:
    """The snapshot is taken; with a `proxy`, the disks that it froze are attached there, as passing copies."""
    with state.store.lock:
        taken = state.store.get(snapshots.take(state, machine, NAME, _DESCRIPTION, quiesced=False))
        if proxy is None:
            return
        config = state.store.own(proxy, "config")
        frozen = [device for device in taken.values["config"].hardware.device if isinstance(device, _Disk)]
        for number, device in enumerate(frozen, _FIRST_UNIT):
            lent = copy.deepcopy(device)
            lent.key, lent.unitNumber, lent.controllerKey = 2000 + number, number, 1000
            lent.backing.diskMode = "independent_nonpersistent"
            config.hardware.device.append(lent)
        state.store.touch(proxy)


def end(state: State, machine: Entity, proxy: Entity | None = None) -> None:
    """The proxy lets go of the disks, and the snapshot is removed and merged."""
    with state.store.lock:
        if proxy is not None:
            config = state.store.own(proxy, "config")
            kept = [one for one in config.hardware.device if not (isinstance(one, _Disk) and _passing(one))]
            config.hardware.device = kept
            state.store.touch(proxy)
        info = state.store.value(machine, "snapshot")
        if info is ABSENT:
            return
        for node in [one for one in snapshots.tree_nodes(info) if one.name == NAME]:
            snapshots.remove(state, state.store.get(node.snapshot), False)
        snapshots.consolidate(state, machine)


def _passing(device: object) -> bool:
    return str(device.backing.diskMode) == "independent_nonpersistent"  # type: ignore[attr-defined]
