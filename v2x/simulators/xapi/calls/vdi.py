# SPDX-License-Identifier: Apache-2.0
"""VDI: create, destroy, resize, copy, checksum. Snapshots and clones are in snapshot.py.

Facts: xapi, sm vhdutil.py, xapi_vdi.ml.
"""

import uuid as uuid_module

from v2x.simulators.xapi.attach import (
    assert_feature,
    assert_idle,
    assert_sr_usable,
    attached_vbds,
    sm_of,
)
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import Context, PoolState, call
from v2x.simulators.xapi.store import Record
from v2x.simulators.xapi.volumes import MIB

GIB = 1024 * MIB
VHD_LIMIT_BYTES = 2040 * GIB
QCOW2_LIMIT_BYTES = 16 * 1024 * GIB
IMAGE_FORMAT_TYPES = frozenset({"ext", "nfs", "lvm", "lvmoiscsi", "lvmohba"})
LVM_TYPES = frozenset({"lvm", "lvmoiscsi", "lvmohba"})
_ROUNDING = {"vhd": 2 * MIB, "qcow2": 64 * 1024, "raw": 512}
_GARBAGE = bytes(range(1, 256)) * 4113


def knows_image_formats(state: PoolState, sr: str) -> bool:
    """Whether the SR's driver looks at `image-format`: its SM configuration has the key that says so."""
    sm = sm_of(state, sr)
    return sm != NULL and "preferred-image-formats" in state.store.get("SM", sm, "configuration")


def chosen_format(state: PoolState, sr: str, sm_config: dict[str, str]) -> str:
    """The on-disk format the driver would choose: vhd, qcow2 or raw."""
    if knows_image_formats(state, sr):
        wanted = sm_config.get("image-format", sm_config.get("type", ""))
        if not wanted:
            for pbd in state.store.get("SR", sr, "PBDs"):
                preferred = state.store.get("PBD", pbd, "device_config").get("preferred-image-formats", "")
                wanted = wanted or preferred.split(",")[0].strip()
        wanted = (wanted or "vhd").lower()
    else:
        wanted = sm_config.get("type", "vhd").lower()
    if wanted not in _ROUNDING:
        text = f"VDI Creation failed [opterr=Invalid VDI type {wanted}]"
        raise ApiError("SR_BACKEND_FAILURE_78", "", text, "")
    return wanted


def rounded(size: int, format_: str) -> int:
    """`size` as the driver makes it; SR_BACKEND_FAILURE_79 when it makes no such size."""
    unit = _ROUNDING[format_]
    limit = VHD_LIMIT_BYTES if format_ == "vhd" else QCOW2_LIMIT_BYTES
    whole = max(-(-size // unit), 1) * unit
    if size <= 0 or whole > limit:
        text = f"VDI Invalid size [opterr=VDI size must be between 1 MB and {limit // MIB} MB]"
        raise ApiError("SR_BACKEND_FAILURE_79", "", text, "")
    return whole


def prezeroed(state: PoolState, vdi: str) -> bool:
    """What the import handler believes of the VDI (xapi: vhd_tool_wrapper.ml): false, and no sparse stream will do."""
    store = state.store
    sr = store.get("VDI", vdi, "SR")
    kind, sr_config = store.get("SR", sr, "type"), store.get("SR", sr, "sm_config")
    if kind in LVM_TYPES:
        raw = store.get("VDI", vdi, "sm_config").get("type") == "raw"
        return not raw and sr_config.get("use_vhd") == "true"
    return not (kind == "cslg" or (kind == "equal" and sr_config.get("allocation") == "thick"))


def _shown_config(state: PoolState, sr: str, sm_config: dict[str, str], format_: str) -> dict[str, str]:
    shown = dict(sm_config)
    if knows_image_formats(state, sr):
        shown["image-format"] = format_
    elif state.store.get("SR", sr, "type") in LVM_TYPES and format_ == "vhd":
        shown["vdi_type"] = "vhd"
    return shown


def make_vdi(state: PoolState, values: Record) -> str:
    """A new VDI record with its volume; storage errors as the driver reports them."""
    store, sr = state.store, values["SR"]
    sr_type = store.get("SR", sr, "type")
    assert_sr_usable(state, sr)
    assert_feature(state, sr, "VDI_CREATE")
    sm_config = values.get("sm_config", {})
    format_ = chosen_format(state, sr, sm_config)
    if sr_type in LVM_TYPES and store.get("SR", sr, "sm_config").get("use_vhd") != "true":
        format_ = "raw"
    size = rounded(values["virtual_size"], format_)
    uuid = str(uuid_module.uuid4())
    volume = state.volumes.create(store.get("SR", sr, "uuid"), uuid, size)
    if format_ == "raw" and sr_type in LVM_TYPES:
        _leave_garbage(volume.fd, size)
    made = {
        **values,
        "uuid": uuid,
        "virtual_size": size,
        "location": uuid,
        "managed": True,
        "parent": NULL,
        "sm_config": _shown_config(state, sr, sm_config, format_),
    }
    return store.add("VDI", made)


def _leave_garbage(fd: int, size: int) -> None:
    """A raw logical volume holds what was there before: the first 16 MiB and the last get a pattern."""
    import os

    for at in {0, 1 * MIB, 2 * MIB, 3 * MIB, max(size - MIB, 0)}:
        os.pwrite(fd, _GARBAGE[: min(MIB, size - at)], at)


@call("VDI.create")
def create(context: Context, values: Record) -> str:
    return make_vdi(context.state, values)


def assert_destroyable(state: PoolState, vdi: str, operation: str) -> None:
    store = state.store
    assert_idle(state, "VDI", vdi)
    if attached_vbds(state, vdi):
        raise ApiError("VDI_IN_USE", vdi, operation)
    for vbd in store.get("VDI", vdi, "VBDs"):
        assert_idle(state, "VBD", vbd)
    assert_sr_usable(state, store.get("VDI", vdi, "SR"))


def remove_vdi(state: PoolState, vdi: str) -> None:
    """The record, its VBD records and its bytes."""
    store = state.store
    for vbd in store.get("VDI", vdi, "VBDs"):
        metrics = store.get("VBD", vbd, "metrics")
        store.remove("VBD", vbd)
        if store.exists("VBD_metrics", metrics):
            store.remove("VBD_metrics", metrics)
    uuid = store.get("VDI", vdi, "uuid")
    store.remove("VDI", vdi)
    if state.volumes.known(uuid):
        forget_snapshot(state, uuid)
        state.volumes.delete(uuid)


def forget_snapshot(state: PoolState, uuid: str) -> None:
    """Changed block tracking that counts from the VDI `uuid` counts from the one before it, as that VDI goes."""
    gone = state.volumes.get(uuid).tracking
    for _other, volume in state.volumes.items():
        log = volume.tracking
        if log is not None and log.since == uuid:
            if gone is not None:
                log.absorb(gone)
            else:
                volume.tracking = None
            volume.unsaved = True


@call("VDI.destroy")
def destroy(context: Context, vdi: str) -> None:
    assert_destroyable(context.state, vdi, "destroy")
    assert_feature(context.state, context.store.get("VDI", vdi, "SR"), "VDI_DELETE")
    remove_vdi(context.state, vdi)


@call("VDI.forget")
def forget(context: Context, vdi: str) -> None:
    assert_destroyable(context.state, vdi, "forget")
    remove_vdi(context.state, vdi)


@call("VDI.resize")
def resize(context: Context, vdi: str, size: int) -> None:
    _resize(context, vdi, size, online=False)


@call("VDI.resize_online")
def resize_online(context: Context, vdi: str, size: int) -> None:
    _resize(context, vdi, size, online=True)


def _resize(context: Context, vdi: str, size: int, *, online: bool) -> None:
    state, store = context.state, context.store
    assert_idle(state, "VDI", vdi)
    sr = store.get("VDI", vdi, "SR")
    assert_sr_usable(state, sr)
    if attached_vbds(state, vdi) and not online:
        raise ApiError("VDI_IN_USE", vdi, "resize")
    assert_feature(state, sr, "VDI_RESIZE")
    whole = rounded(size, disk_format(state, vdi))
    held = store.get("VDI", vdi, "virtual_size")
    if whole < held:
        text = "VDI resize failed [opterr=shrinking not allowed]"
        raise ApiError("SR_BACKEND_FAILURE_110", "", text, "")
    volume = state.volume(vdi)
    if volume.thick and not volume.space.fits(whole - held):
        raise ApiError("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "")
    volume.resize(whole)
    store.set("VDI", vdi, virtual_size=whole)


def disk_format(state: PoolState, vdi: str) -> str:
    """The on-disk format of a VDI, as its sm_config says."""
    config = state.store.get("VDI", vdi, "sm_config")
    shown = config.get("image-format", config.get("vdi_type", config.get("type", "vhd")))
    return shown if shown in _ROUNDING else "vhd"


@call("VDI.update")
def update(context: Context, vdi: str) -> None:
    context.store.touch("VDI", vdi)
