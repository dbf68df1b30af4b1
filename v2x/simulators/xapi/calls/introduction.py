# SPDX-License-Identifier: Apache-2.0
"""Records brought in by hand: what exists somewhere is told to the database.

Facts: xapi, xapi_vdi.ml, xapi_sr.ml, xapi_pif.ml. The parameters of an `introduce` are the fields of the record.
"""

import uuid as uuid_module
from typing import Any

from v2x.simulators.xapi.attach import assert_sr_usable
from v2x.simulators.xapi.calls.network import free_bridge
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.seed import DRIVERS, THICK_TYPES
from v2x.simulators.xapi.state import Context, call
from v2x.simulators.xapi.store import Record

_DEFAULT_BYTES = 1024**4


def _told(context: Context, cls: str, name: str, args: tuple[Any, ...]) -> Record:
    """The arguments by the names of the parameters; references must lead somewhere, or be NULL."""
    params = context.state.model.classes[cls].messages[name].params
    fields = context.state.model.classes[cls].fields
    return {p.name: value for p, value in zip(params, args, strict=True) if p.name in fields}


@call("network.pool_introduce")
def network_introduce(context: Context, *args: Any) -> str:
    values = _told(context, "network", "pool_introduce", args)
    values["bridge"] = values["bridge"] or free_bridge(context.state)
    return context.store.add("network", values)


@call("PIF.pool_introduce", "PIF.db_introduce")
def pif_introduce(context: Context, *args: Any) -> str:
    values = _told(context, "PIF", "pool_introduce", args)
    context.store.get("network", values["network"], "uuid")
    context.store.get("host", values["host"], "uuid")
    metrics = context.store.add("PIF_metrics", {"last_updated": context.state.now()})
    return context.store.add("PIF", {**values, "metrics": metrics, "currently_attached": False})


@call("VLAN.pool_introduce")
def vlan_introduce(context: Context, *args: Any) -> str:
    values = _told(context, "VLAN", "pool_introduce", args)
    for pif in (values["tagged_PIF"], values["untagged_PIF"]):
        context.store.get("PIF", pif, "uuid")
    return context.store.add("VLAN", values)


@call("VDI.introduce", "VDI.pool_introduce", "VDI.db_introduce")
def vdi_introduce(context: Context, *args: Any) -> str:
    """Only what lies on the SR can be brought in, and nothing lies on a simulated SR that has no record."""
    params = [p.name for p in context.state.model.classes["VDI"].messages["introduce"].params]
    values = dict(zip(params, args, strict=False))
    sr, location = values["SR"], values["location"]
    assert_sr_usable(context.state, sr)
    if context.store.find("VDI", SR=sr, location=location):
        raise ApiError("LOCATION_NOT_UNIQUE", sr, location)
    raise ApiError("SR_BACKEND_FAILURE_46", "", f"The VDI is not available [opterr=no {location}]", "")


@call("VDI.db_forget")
def vdi_db_forget(_context: Context, _vdi: str) -> None:
    raise ApiError("OPERATION_NOT_ALLOWED", "the storage driver alone forgets disks in this way")


@call("VDI.force_unlock")
def force_unlock(context: Context, vdi: str) -> None:
    """Deprecated and without an effect in xapi too."""
    context.store.get("VDI", vdi, "uuid")


@call("VDI.generate_config")
def generate_config(context: Context, _host: str, vdi: str) -> str:
    uuid, sr = context.store.get("VDI", vdi, "uuid"), context.store.get("VDI", vdi, "SR")
    return f"<config><vdi uuid='{uuid}'/><sr uuid='{context.store.get('SR', sr, 'uuid')}'/></config>"


@call("VDI.open_database", "VDI.read_database_pool_uuid")
def no_database(context: Context, vdi: str) -> str:
    """No disk of the simulated pool holds the database of another."""
    kind = context.store.get("VDI", vdi, "type")
    raise ApiError("VDI_INCOMPATIBLE_TYPE", vdi, kind)


# SR


@call("SR.introduce")
def sr_introduce(
    context: Context,
    uuid: str,
    name: str,
    description: str,
    kind: str,
    content_type: str,
    shared: bool,
    sm_config: dict[str, str],
) -> str:
    """The record of an SR that is there, without PBDs; its disks come with a scan, and there are none."""
    if kind not in DRIVERS:
        raise ApiError("SR_UNKNOWN_DRIVER", kind)
    uuid = uuid or str(uuid_module.uuid4())
    if context.store.find("SR", uuid=uuid):
        raise ApiError("SR_UUID_EXISTS", uuid)
    context.state.volumes.add_sr(uuid, _DEFAULT_BYTES, thick=kind in THICK_TYPES)
    values = {"uuid": uuid, "name_label": name, "name_description": description, "type": kind, "shared": shared}
    config = {"content_type": content_type, "sm_config": sm_config, "physical_size": _DEFAULT_BYTES}
    return context.store.add("SR", values | config)


@call("SR.make")
def sr_make(_context: Context, *_args: Any) -> str:
    """Deprecated since long, for SR.create."""
    raise ApiError("MESSAGE_DEPRECATED", "SR.make")


def _assert_driver(context: Context, host: str, kind: str) -> None:
    context.store.get("host", host, "uuid")
    if kind not in DRIVERS:
        raise ApiError("SR_UNKNOWN_DRIVER", kind)


@call("SR.probe")
def probe(context: Context, host: str, _device: dict[str, str], kind: str, _config: dict[str, str]) -> str:
    """Nothing is found that is not attached already."""
    _assert_driver(context, host, kind)
    return '<?xml version="1.0" ?><SRlist></SRlist>'


@call("SR.probe_ext")
def probe_ext(
    context: Context, host: str, _device: dict[str, str], kind: str, _config: dict[str, str]
) -> list[dict[str, Any]]:
    _assert_driver(context, host, kind)
    return []


@call("PBD.create")
def pbd_create(context: Context, values: Record) -> str:
    """One PBD per SR and host; an SR that is not shared has one only."""
    store, sr, host = context.store, values["SR"], values["host"]
    store.get("host", host, "uuid")
    for pbd in store.get("SR", sr, "PBDs"):
        if store.get("PBD", pbd, "host") == host:
            raise ApiError("PBD_EXISTS", sr, host, pbd)
        if not store.get("SR", sr, "shared"):
            raise ApiError("SR_NOT_SHARABLE", sr, host)
    return store.add("PBD", {**values, "currently_attached": False})


@call("SR.assert_can_host_ha_statefile", "SR.assert_supports_database_replication")
def assert_shared(context: Context, sr: str) -> None:
    assert_sr_usable(context.state, sr)
    if not context.store.get("SR", sr, "shared"):
        raise ApiError("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", sr)


@call("SR.enable_database_replication", "SR.disable_database_replication")
def replication(_context: Context, sr: str) -> None:
    """The replica would be another pool's to read."""
    raise ApiError("SR_OPERATION_NOT_SUPPORTED", sr)
