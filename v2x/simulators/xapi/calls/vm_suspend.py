# SPDX-License-Identifier: Apache-2.0
"""VM: suspend and resume, as far as records go (xapi: xapi_vm.ml). A guest that QEMU runs is not suspended."""

from v2x.simulators.xapi.calls.vdi import make_vdi, remove_vdi
from v2x.simulators.xapi.calls.vm_life import boot, check_host, choose_host, halt
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.operations import assert_allowed
from v2x.simulators.xapi.state import Context, PoolState, call


@call("VM.suspend")
def suspend(context: Context, vm: str) -> None:
    """Needs the guest's help; the memory goes to a VDI of type suspend on the suspend SR."""
    state, store = context.state, context.store
    assert_allowed(state, vm, "suspend")
    if state.machines is not None:
        raise ApiError("NOT_IMPLEMENTED", "VM.suspend of a VM that QEMU runs")
    image = make_image(state, vm)
    halt(state, vm)
    store.set("VM", vm, power_state="Suspended", suspend_VDI=image)


def make_image(state: PoolState, vm: str) -> str:
    """A VDI for the memory of a running VM, which must have the agent's help, on the suspend SR."""
    store = state.store
    if store.get("VM", vm, "guest_metrics") == NULL:
        raise ApiError("VM_LACKS_FEATURE", vm)
    chosen = (store.get("VM", vm, "suspend_SR"), store.get("pool", state.pool_ref, "suspend_image_SR"))
    sr = next((s for s in chosen if store.exists("SR", s)), NULL)
    if sr == NULL:
        raise ApiError("VM_NO_SUSPEND_SR", vm)
    memory = store.get("VM", vm, "memory_static_max")
    return make_vdi(
        state,
        {
            "name_label": "Suspend image",
            "SR": sr,
            "virtual_size": memory,
            "type": "suspend",
            "sharable": False,
            "read_only": False,
            "other_config": {},
        },
    )


@call("VM.resume")
def resume(context: Context, vm: str, paused: bool, _force: bool) -> None:
    assert_allowed(context.state, vm, "resume")
    _resume(context, vm, choose_host(context.state, vm), paused=paused)


@call("VM.resume_on")
def resume_on(context: Context, vm: str, host: str, paused: bool, _force: bool) -> None:
    assert_allowed(context.state, vm, "resume_on")
    check_host(context.state, vm, host)
    _resume(context, vm, host, paused=paused)


def _resume(context: Context, vm: str, host: str, *, paused: bool) -> None:
    state, store = context.state, context.store
    image = store.get("VM", vm, "suspend_VDI")
    boot(state, vm, host, paused=paused)
    store.set("VM", vm, suspend_VDI=NULL)
    if store.exists("VDI", image):
        remove_vdi(state, image)
