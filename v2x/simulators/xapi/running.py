# SPDX-License-Identifier: Apache-2.0
"""From a VM record to the domain it becomes: firmware, Secure Boot, drives in their places.

Facts: xapi, vm_platform.ml, xapi_xenops.ml.
"""

from collections.abc import Callable

from v2x.simulators.xapi.calls.vbd import slot_of
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import invalid_value
from v2x.simulators.xapi.machines import Drive, Machine
from v2x.simulators.xapi.state import PoolState
from v2x.simulators.xapi.store import Record

DEVICE_MODELS = {"bios": "qemu-upstream-compat", "uefi": "qemu-upstream-uefi"}


def firmware_of(values: Record) -> str:
    """bios or uefi; INVALID_VALUE for anything else."""
    firmware: str = values["HVM_boot_params"].get("firmware", "bios")
    if firmware not in DEVICE_MODELS:
        raise invalid_value("HVM-boot-params['firmware']", firmware)
    return firmware


def secure_boot(state: PoolState, values: Record) -> bool:
    """platform:secureboot as a start resolves it: auto is true where the pool has UEFI certificates."""
    wanted = values["platform"].get("secureboot", "false")
    if wanted == "auto":
        return bool(state.store.get("pool", state.pool_ref, "uefi_certificates"))
    return bool(wanted == "true")


def begin(state: PoolState, vm: str, on_end: Callable[[], None], *, paused: bool = False) -> None:
    """Boots the VM where the pool boots its VMs. INTERNAL_ERROR when QEMU does not run."""
    if state.machines is not None:
        state.machines.start(_machine(state, vm), on_end, paused=paused)


def end(state: PoolState, vm: str) -> None:
    """Ends the guest, and pays for what it has written."""
    if state.machines is None:
        return
    state.machines.stop(state.store.get("VM", vm, "uuid"))
    for vbd in state.store.get("VM", vm, "VBDs"):
        vdi = state.store.get("VBD", vbd, "VDI")
        if vdi != NULL and state.store.get("VBD", vbd, "mode") == "RW":
            state.volume(vdi).claim_data()
            state.store.touch("VDI", vdi)


def _machine(state: PoolState, vm: str) -> Machine:
    store = state.store
    values = store.values("VM", vm)
    vifs = [store.values("VIF", vif) for vif in store.get("VM", vm, "VIFs")]
    offset = values["platform"].get("timeoffset", "0")
    return Machine(
        uuid=values["uuid"],
        uefi=firmware_of(values) == "uefi",
        secure_boot=secure_boot(state, values),
        memory_bytes=values["memory_static_max"],
        cpus=values["VCPUs_at_startup"],
        order=values["HVM_boot_params"].get("order", "cd"),
        drives=_drives(state, vm),
        macs=tuple(vif["MAC"] for vif in sorted(vifs, key=lambda v: int(v["device"]))),
        bios_strings=values["bios_strings"],
        timeoffset=int(offset) if offset.removeprefix("-").isdigit() else 0,
    )


def _drives(state: PoolState, vm: str) -> tuple[Drive, ...]:
    """In the order of their positions; a CD without a file behind it is an empty drive and left out."""
    store = state.store
    found = []
    for vbd in store.get("VM", vm, "VBDs"):
        values = store.values("VBD", vbd)
        if values["VDI"] == NULL or not state.volumes.known(store.get("VDI", values["VDI"], "uuid")):
            continue
        found.append(
            Drive(
                position=slot_of(values["userdevice"]) or 0,
                path=state.volume(values["VDI"]).path.absolute(),
                writable=values["mode"] == "RW",
                cd=values["type"] == "CD",
            )
        )
    return tuple(sorted(found, key=lambda drive: drive.position))
