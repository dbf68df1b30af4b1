# SPDX-License-Identifier: Apache-2.0
"""VM_appliance: VMs started and stopped together, in the order of VM.order (xapi: xapi_vm_appliance.ml)."""

from collections.abc import Callable

from v2x.simulators.xapi.calls import vm_life
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import Context, call


def _each(context: Context, appliance: str, power: str, act: Callable[[str], None], *, backwards: bool = False) -> None:
    """Acts on the VMs of the appliance that are in this power state, in their order. All are tried."""
    store = context.store
    vms = sorted(store.get("VM_appliance", appliance, "VMs"), key=lambda v: store.get("VM", v, "order"))
    failure: ApiError | None = None
    for vm in reversed(vms) if backwards else vms:
        if store.get("VM", vm, "power_state") == power:
            try:
                act(vm)
            except ApiError as error:
                failure = failure or error
    if failure is not None:
        raise ApiError("OPERATION_PARTIALLY_FAILED", *failure.description)


@call("VM_appliance.start")
def start(context: Context, appliance: str, paused: bool) -> None:
    _each(context, appliance, "Halted", lambda vm: vm_life.start(context, vm, paused, False))


@call("VM_appliance.clean_shutdown")
def clean_shutdown(context: Context, appliance: str) -> None:
    _each(context, appliance, "Running", lambda vm: vm_life.clean_shutdown(context, vm), backwards=True)


@call("VM_appliance.hard_shutdown", "VM_appliance.shutdown")
def hard_shutdown(context: Context, appliance: str) -> None:
    _each(context, appliance, "Running", lambda vm: vm_life.hard_shutdown(context, vm), backwards=True)


@call("VM_appliance.destroy")
def destroy(context: Context, appliance: str) -> None:
    """The VMs stay."""
    for vm in context.store.get("VM_appliance", appliance, "VMs"):
        context.store.set("VM", vm, appliance=NULL)
    context.store.remove("VM_appliance", appliance)


# recovery from the database of another pool: there is no other pool


@call("VM_appliance.get_SRs_required_for_recovery")
def appliance_srs(context: Context, appliance: str, _session: str) -> list[str]:
    found = dict[str, None]()
    for vm in context.store.get("VM_appliance", appliance, "VMs"):
        found |= dict.fromkeys(_srs(context, vm))
    return list(found)


@call("VM_appliance.assert_can_be_recovered", "VM_appliance.recover")
def appliance_recovery(context: Context, appliance: str, _session: str, *_force: bool) -> None:
    """Nothing of this pool needs recovery."""
    context.store.get("VM_appliance", appliance, "uuid")


def _srs(context: Context, vm: str) -> list[str]:
    store = context.store
    vdis = [store.get("VBD", v, "VDI") for v in store.get("VM", vm, "VBDs")]
    return [store.get("VDI", v, "SR") for v in vdis if v != NULL]


@call("VM.get_SRs_required_for_recovery")
def vm_srs(context: Context, vm: str, _session: str) -> list[str]:
    return list(dict.fromkeys(_srs(context, vm)))


@call("VM.assert_can_be_recovered", "VM.recover")
def vm_recovery(context: Context, vm: str, _session: str, *_force: bool) -> None:
    context.store.get("VM", vm, "uuid")
