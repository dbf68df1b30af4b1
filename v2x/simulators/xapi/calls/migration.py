# SPDX-License-Identifier: Apache-2.0
"""Migration inside the simulated pool: of a running VM, of its disks, of both.

Facts: xapi, xapi_vm_migrate.ml, xapi_host.ml migrate_receive, xapi_vdi.ml pool_migrate. Another pool is not reached:
that fails as a real pool does when the other one does not answer.
"""

import urllib.parse

from v2x.simulators.xapi.attach import assert_feature, assert_idle, attached_vbds, plugged_hosts
from v2x.simulators.xapi.calls.vdi import remove_vdi
from v2x.simulators.xapi.calls.vdi_content import copy as copy_vdi
from v2x.simulators.xapi.calls.vm_life import check_host
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError, internal
from v2x.simulators.xapi.operations import assert_allowed, assert_power
from v2x.simulators.xapi.state import Context, PoolState, call

_KEYS = ("SM", "host", "xenops", "session_id", "master")


@call("host.migrate_receive")
def migrate_receive(context: Context, host: str, network: str, _options: dict[str, str]) -> dict[str, str]:
    """What a sender needs to know: where the services of `host` are, and a session to use them with."""
    state, store = context.state, context.store
    here = [p for p in store.get("network", network, "PIFs") if store.get("PIF", p, "host") == host]
    if not here:
        raise ApiError("HOST_CANNOT_ATTACH_NETWORK", host, network)
    if not store.get("PIF", here[0], "IP"):
        raise ApiError("INTERFACE_HAS_NO_IP", here[0])
    assert context.session is not None
    account = context.session.account
    values: dict[str, object] = {"last_active": state.now(), "validation_time": state.now()}
    session = state.sessions.open(account, "migrate_receive", host, values)
    url = f"https://{store.get('host', host, 'address')}"
    master = f"https://{store.get('host', state.master, 'address')}/"
    services = {
        "SM": f"{url}/services/SM?session_id={session}",
        "xenops": f"{url}/services/xenops?session_id={session}",
    }
    return {**services, "host": host, "session_id": session, "master": master}


def _destination(context: Context, dest: dict[str, str]) -> str:
    """The host that a migrate_receive has named. Another pool than this one cannot be contacted."""
    if any(key not in dest for key in _KEYS):
        raise internal("Not_found")
    state = context.state
    here = {state.store.get("host", h, "address") for h in state.store.refs("host")}
    if urllib.parse.urlsplit(dest["master"]).netloc not in here:
        raise ApiError("VM_MIGRATE_CONTACT_REMOTE_SERVICE_FAILED")
    state.sessions.check(dest["session_id"])
    state.store.get("host", dest["host"], "uuid")
    return dest["host"]


def _disks(state: PoolState, vm: str) -> list[str]:
    store = state.store
    vbds = [v for v in store.get("VM", vm, "VBDs") if store.get("VBD", v, "type") != "CD"]
    return [vdi for v in vbds if (vdi := store.get("VBD", v, "VDI")) != NULL]


def _check_moves(state: PoolState, vm: str, host: str, vdi_map: dict[str, str], vif_map: dict[str, str]) -> None:
    """Each disk ends on an SR that the destination reaches, each NIC on a network of the pool."""
    store, disks = state.store, _disks(state, vm)
    for vdi, sr in vdi_map.items():
        store.get("VDI", vdi, "uuid")
        if host not in plugged_hosts(state, sr):
            raise ApiError("HOST_CANNOT_SEE_SR", host, sr)
        if vdi in disks and store.get("VDI", vdi, "SR") != sr:
            assert_feature(state, store.get("VDI", vdi, "SR"), "VDI_SNAPSHOT")
    for vdi in disks:
        if vdi not in vdi_map and host not in plugged_hosts(state, store.get("VDI", vdi, "SR")):
            raise ApiError("VDI_NOT_IN_MAP", vdi)
    for vif, network in vif_map.items():
        store.get("VIF", vif, "uuid")
        store.get("network", network, "uuid")


def _assert_movable(state: PoolState, vm: str) -> None:
    """Whatever moves while it runs needs the agent's help, and no machines inside."""
    if state.store.get("VM", vm, "power_state") == "Running":
        if state.store.get("VM", vm, "guest_metrics") == NULL:
            raise ApiError("VM_LACKS_FEATURE", vm)
        if state.store.get("VM", vm, "platform").get("nested-virt") == "true":
            raise ApiError("VM_IS_USING_NESTED_VIRT", vm)


def _check_send(
    context: Context, vm: str, dest: dict[str, str], live: bool, vdi_map: dict[str, str], vif_map: dict[str, str]
) -> str:
    state = context.state
    assert_allowed(state, vm, "migrate_send")
    host = _destination(context, dest)
    if not live:
        assert_power(state, vm, "halted")
    _assert_movable(state, vm)
    _check_moves(state, vm, host, vdi_map, vif_map)
    return host


@call("VM.assert_can_migrate", "VM.assert_can_migrate_sender")
def assert_can_migrate(
    context: Context,
    vm: str,
    dest: dict[str, str],
    live: bool,
    vdi_map: dict[str, str],
    vif_map: dict[str, str],
    *_options: object,
) -> None:
    _check_send(context, vm, dest, live, vdi_map, vif_map)


@call("VM.migrate_send", unlocked=True)
def migrate_send(
    context: Context,
    vm: str,
    dest: dict[str, str],
    live: bool,
    vdi_map: dict[str, str],
    vif_map: dict[str, str],
    *_options: object,
) -> str:
    """The VM with its disks on the SRs of the map; a running one goes on at the destination. The same reference."""
    state, store = context.state, context.store
    with store.lock:
        host = _check_send(context, vm, dest, live, vdi_map, vif_map)
        moves = {v: sr for v, sr in vdi_map.items() if v in _disks(state, vm) and store.get("VDI", v, "SR") != sr}
    for vdi, sr in moves.items():
        _move_disk(context, vdi, sr)
    with store.lock:
        for vif, network in vif_map.items():
            store.set("VIF", vif, network=network)
        if store.get("VM", vm, "power_state") == "Running":
            store.set("VM", vm, resident_on=host)
    return vm


def _move_disk(context: Context, vdi: str, sr: str) -> str:
    """A copy of the disk on `sr`, to which its VBDs point from now on; the old one goes."""
    store = context.store
    with store.lock:
        attached = attached_vbds(context.state, vdi)
        for vbd in attached:  # the mirror writes both; here nothing writes while the copy is made
            store.set("VBD", vbd, currently_attached=False)
    try:
        made: str = copy_vdi(context, vdi, sr, NULL, NULL)
    finally:
        with store.lock:
            for vbd in attached:
                store.set("VBD", vbd, currently_attached=True)
    with store.lock:
        for vbd in store.get("VDI", vdi, "VBDs"):
            store.set("VBD", vbd, VDI=made)
        remove_vdi(context.state, vdi)
    return made


@call("VM.pool_migrate")
def pool_migrate(context: Context, vm: str, host: str, _options: dict[str, str]) -> None:
    """Another host of the pool runs the VM from now on; its disks stay where they are."""
    state, store = context.state, context.store
    assert_allowed(state, vm, "pool_migrate")
    store.get("host", host, "uuid")
    _assert_movable(state, vm)
    if store.get("VM", vm, "resident_on") != host:
        check_host(state, vm, host)
        store.set("VM", vm, resident_on=host)
        for console in store.get("VM", vm, "consoles"):
            location = f"https://{store.get('host', host, 'address')}/console?uuid={store.get('VM', vm, 'uuid')}"
            store.set("console", console, location=location)


@call("VM.pool_migrate_complete")
def pool_migrate_complete(context: Context, _vm: str, host: str) -> None:
    """Hosts say this to each other; here a migration is complete once its call has ended."""
    context.store.get("host", host, "uuid")


@call("VDI.pool_migrate", unlocked=True)
def vdi_pool_migrate(context: Context, vdi: str, sr: str, _options: dict[str, str]) -> str:
    """The disk of a running VM on another SR that the VM's host reaches: a new VDI in the place of the old."""
    state, store = context.state, context.store
    with store.lock:
        assert_idle(state, "VDI", vdi)
        store.get("SR", sr, "uuid")
        if store.get("VDI", vdi, "SR") == sr:
            return vdi
        attached = attached_vbds(state, vdi)
        if not attached:
            raise ApiError("VDI_NEEDS_VM_FOR_MIGRATE", vdi)
        if len(attached) > 1:
            raise ApiError("VDI_IN_USE", vdi, "mirror")
        assert_feature(state, store.get("VDI", vdi, "SR"), "VDI_MIRROR")
        vm = store.get("VBD", attached[0], "VM")
        assert_allowed(state, vm, "migrate_send")
        host = store.get("VM", vm, "resident_on")
        if host not in plugged_hosts(state, sr):
            raise ApiError("HOST_CANNOT_SEE_SR", host, sr)
    return _move_disk(context, vdi, sr)
