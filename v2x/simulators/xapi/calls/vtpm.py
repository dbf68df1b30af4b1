# SPDX-License-Identifier: Apache-2.0
"""VTPM: one per VM, made while the VM is halted (xapi: xapi_vtpm.ml, vm_platform.ml)."""

from typing import Any

from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.operations import assert_allowed, assert_power
from v2x.simulators.xapi.state import Context, PoolState, call


def make_vtpm(state: PoolState, vm: str, *, unique: bool) -> str:
    store = state.store
    restrictions = store.get("pool", state.pool_ref, "restrictions")
    if restrictions.get("restrict_vtpm") != "false":
        raise ApiError("FEATURE_RESTRICTED", "restrict_vtpm")
    if store.get("VM", vm, "VTPMs"):
        raise ApiError("VTPM_MAX_AMOUNT_REACHED", "1")
    return store.add("VTPM", {"VM": vm, "is_unique": unique, "persistence_backend": "xapi"})


@call("VTPM.create")
def create(context: Context, *args: Any) -> str:
    """8.3: (VM, is_unique). The record constructor of 8.2 was never carried out."""
    if not context.state.profile.vtpm:
        raise ApiError("NOT_IMPLEMENTED", "VTPM.create")
    vm, unique = args
    assert_allowed(context.state, vm, "create_vtpm")
    return make_vtpm(context.state, vm, unique=unique)


@call("VTPM.destroy")
def destroy(context: Context, vtpm: str) -> None:
    vm = context.store.get("VTPM", vtpm, "VM")
    assert_power(context.state, vm, "halted")
    context.store.remove("VTPM", vtpm)
