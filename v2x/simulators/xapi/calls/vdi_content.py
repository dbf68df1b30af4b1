# SPDX-License-Identifier: Apache-2.0
"""VDI: the calls that read the bytes: checksum, copy, revert, NBD.

Facts: xapi, xapi_vdi.ml, sm_fs_ops.ml.
"""

import hashlib
from typing import Any

from v2x.simulators.xapi import nbd
from v2x.simulators.xapi.attach import assert_idle, attach_to_dom0, attached_vbds, detach, plugged_hosts
from v2x.simulators.xapi.calls.vdi import make_vdi, remove_vdi
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import Context, PoolState, call
from v2x.simulators.xapi.volumes import COPY_BYTES, NoRoom, Volume

_GRAIN_BYTES = 64 * 1024


@call("VDI.checksum", unlocked=True)
def checksum(context: Context, vdi: str) -> str:
    """MD5 of the attached device, as hex."""
    state = context.state
    vbd = attach_to_dom0(state, vdi, "RO", context.host)
    try:
        volume = state.volume(vdi)
        digest = hashlib.md5(usedforsecurity=False)
        for at in range(0, volume.size, COPY_BYTES):
            digest.update(volume.read(at, min(COPY_BYTES, volume.size - at)))
        return digest.hexdigest()
    finally:
        detach(state, vbd)


@call("VDI.copy", unlocked=True)
def copy(context: Context, vdi: str, sr: str, base: str, into: str) -> str:
    """A copy in a new VDI on `sr`, or into `into`. With `base` only what differs from it is written."""
    state, store = context.state, context.store
    with store.lock:
        for named in (v for v in (vdi, base, into) if v != NULL):
            store.get("VDI", named, "uuid")
        made_here = into == NULL
        target = _new_copy(state, vdi, sr) if made_here else _checked_target(state, vdi, into)
    try:
        _copy_attached(context, vdi, base, target, fresh=made_here)
    except ApiError:
        if made_here:
            with store.lock:
                remove_vdi(state, target)
        raise
    return target


def _copy_attached(context: Context, vdi: str, base: str, target: str, *, fresh: bool) -> None:
    """The copy itself, with all of them attached to the control domain as long as it lasts."""
    state, attached = context.state, list[str]()
    try:
        with state.store.lock:
            attached.append(attach_to_dom0(state, vdi, "RO", context.host))
            if base != NULL:
                attached.append(attach_to_dom0(state, base, "RO", context.host))
            attached.append(attach_to_dom0(state, target, "RW", context.host))
        _copy_content(state.volume(vdi), state.volume(target), state.volume(base) if base != NULL else None, fresh)
    except NoRoom:
        raise ApiError("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "") from None
    finally:
        for vbd in attached:
            detach(state, vbd)


def _new_copy(state: PoolState, vdi: str, sr: str) -> str:
    kept = ("name_label", "name_description", "type", "sharable", "other_config", "xenstore_data", "tags")
    values = {k: state.store.get("VDI", vdi, k) for k in kept}
    where = sr if sr != NULL else state.store.get("VDI", vdi, "SR")
    size = state.store.get("VDI", vdi, "virtual_size")
    return make_vdi(state, {**values, "SR": where, "virtual_size": size, "read_only": False})


def _checked_target(state: PoolState, vdi: str, into: str) -> str:
    store = state.store
    if store.get("VDI", into, "read_only"):
        raise ApiError("VDI_READONLY", into)
    size = store.get("VDI", vdi, "virtual_size")
    if store.get("VDI", into, "virtual_size") < size:
        raise ApiError("VDI_TOO_SMALL", into, size)
    if store.get("VDI", into, "sm_config").get("type") == "raw":
        raise ApiError("VDI_NOT_SPARSE", into)
    return into


def _copy_content(source: Volume, target: Volume, base: Volume | None, fresh: bool) -> None:
    """Everything, or what is not as in `base`. A fresh target has zeros where the source has a hole."""
    for at in range(0, source.size, COPY_BYTES):
        length = min(COPY_BYTES, source.size - at)
        data = memoryview(source.read(at, length))
        old = bytes(length) if fresh and base is None else base.read(at, length) if base is not None else None
        if old is not None:
            old = old.ljust(length, b"\0")
        for start in range(0, length, _GRAIN_BYTES):
            grain = data[start : start + _GRAIN_BYTES]
            if old is None or grain != old[start : start + _GRAIN_BYTES]:
                target.write(grain, at + start)


@call("VDI.revert")
def revert(context: Context, snapshot: str) -> None:
    """The VDI that the snapshot is of has its content again."""
    state, store = context.state, context.store
    vdi = store.get("VDI", snapshot, "snapshot_of")
    if not store.get("VDI", snapshot, "is_a_snapshot") or not store.exists("VDI", vdi):
        raise ApiError("OPERATION_NOT_ALLOWED", "not a snapshot of a VDI that is there")
    assert_idle(state, "VDI", vdi)
    if attached_vbds(state, vdi):
        raise ApiError("VDI_IN_USE", vdi, "revert_to")
    origin, volume = state.volume(snapshot), state.volume(vdi)
    volume.resize(origin.size)
    volume.empty()
    try:
        _copy_content(origin, volume, None, fresh=True)
    except NoRoom:
        raise ApiError("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "") from None
    store.set("VDI", vdi, virtual_size=origin.size)


@call("VDI.get_nbd_info")
def nbd_info(context: Context, vdi: str) -> list[dict[str, Any]]:
    """One record per host that reaches the VDI and has a network with an NBD purpose; none is seeded with one."""
    state, store = context.state, context.store
    if store.get("VDI", vdi, "type") == "cbt_metadata":
        raise ApiError("VDI_INCOMPATIBLE_TYPE", vdi, "cbt_metadata")
    uuid, told = store.get("VDI", vdi, "uuid"), []
    for host in plugged_hosts(state, store.get("VDI", vdi, "SR")):
        if nbd.purposes(state, host) & {"nbd", "insecure_nbd"}:
            told.append(
                {
                    "exportname": f"/{uuid}?session_id={context.session_ref}",
                    "address": store.get("host", host, "address").partition(":")[0],
                    "port": state.nbd_ports[host],
                    "cert": state.certificates[host],
                    "subject": store.get("host", host, "hostname"),
                }
            )
    return told
