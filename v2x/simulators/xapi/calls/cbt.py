# SPDX-License-Identifier: Apache-2.0
"""Changed block tracking of VDIs: on, off, what changed, and snapshots of which only the log is kept.

Facts: xapi, xapi_vdi.ml; sm, cbtutil.
"""

import base64

from v2x.simulators.xapi.attach import assert_feature, assert_idle, assert_sr_usable, attached_vbds
from v2x.simulators.xapi.changes import ChangeLog, either
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import Context, PoolState, call

_TRACKED_TYPES = frozenset({"user", "system"})


def _checked(context: Context, vdi: str) -> None:
    state, store = context.state, context.store
    assert_idle(state, "VDI", vdi)
    sr = store.get("VDI", vdi, "SR")
    assert_sr_usable(state, sr)
    assert_feature(state, sr, "VDI_CONFIG_CBT")
    if store.get("VDI", vdi, "is_a_snapshot"):
        raise ApiError("OPERATION_NOT_ALLOWED", f"VDI is a snapshot: {vdi}")
    kind = store.get("VDI", vdi, "type")
    if kind not in _TRACKED_TYPES:
        raise ApiError("VDI_INCOMPATIBLE_TYPE", vdi, kind)


@call("VDI.enable_cbt")
def enable(context: Context, vdi: str) -> None:
    _checked(context, vdi)
    volume = context.state.volume(vdi)
    if volume.tracking is None:
        volume.tracking = ChangeLog(volume.size)
        volume.unsaved = True
    context.store.set("VDI", vdi, cbt_enabled=True)


@call("VDI.disable_cbt")
def disable(context: Context, vdi: str) -> None:
    _checked(context, vdi)
    volume = context.state.volume(vdi)
    volume.tracking = None
    volume.unsaved = True
    context.store.set("VDI", vdi, cbt_enabled=False)


def branch_log(state: PoolState, origin: str, snapshot: str) -> None:
    """After a snapshot of a tracked VDI (by uuid): it takes the log over, and the VDI counts from it."""
    volume, made = state.volumes.get(origin), state.volumes.get(snapshot)
    if volume.tracking is not None:
        made.tracking = volume.tracking
        volume.tracking = ChangeLog(volume.size, since=snapshot)
        made.unsaved = volume.unsaved = True


def _unrelated() -> ApiError:
    text = "Failed to calculate changed blocks for given VDIs. [opterr=Source and target VDI are unrelated]"
    return ApiError("SR_BACKEND_FAILURE_460", "", text, "")


@call("VDI.list_changed_blocks")
def list_changed_blocks(context: Context, older: str, newer: str) -> str:
    """base64 of one bit per 64 KiB that was written after the snapshot `older` and before `newer`."""
    state, store = context.state, context.store
    assert_sr_usable(state, store.get("VDI", newer, "SR"))
    if attached_vbds(state, newer) and not store.get("VDI", newer, "is_a_snapshot"):
        raise ApiError("VDI_IN_USE", newer, "list_changed_blocks")
    first, at = store.get("VDI", older, "uuid"), store.get("VDI", newer, "uuid")
    joined = bytes(len(ChangeLog(state.volumes.get(at).size).bits))
    while at != first:
        log = state.volumes.get(at).tracking if state.volumes.known(at) else None
        if log is None or not log.since:
            raise _unrelated()
        joined, at = either(joined, bytes(log.bits)), log.since
    return base64.b64encode(joined).decode()


@call("VDI.data_destroy")
def data_destroy(context: Context, vdi: str) -> None:
    """Only the log of a tracked snapshot stays; its VBDs go."""
    state, store = context.state, context.store
    assert_idle(state, "VDI", vdi)
    if not store.get("VDI", vdi, "is_a_snapshot"):
        raise ApiError("OPERATION_NOT_ALLOWED", f"VDI is not a snapshot: {vdi}")
    if store.get("VDI", vdi, "type") == "cbt_metadata":
        return
    if not store.get("VDI", vdi, "cbt_enabled"):
        raise ApiError("VDI_NO_CBT_METADATA", vdi)
    if attached_vbds(state, vdi):
        raise ApiError("VDI_IN_USE", vdi, "data_destroy")
    for vbd in store.get("VDI", vdi, "VBDs"):
        store.remove("VBD", vbd)
    state.volume(vdi).empty()
    store.set("VDI", vdi, type="cbt_metadata")
