# SPDX-License-Identifier: Apache-2.0
"""SR and PBD: create, scan, plug, forget (xapi: xapi_sr.ml)."""

from v2x.simulators.xapi.attach import assert_sr_usable, attached_vbds, plugged_hosts
from v2x.simulators.xapi.calls.vdi import remove_vdi
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.seed import DRIVERS, add_sr
from v2x.simulators.xapi.state import Context, call

_DEFAULT_BYTES = 1024**4


@call("SR.scan", "SR.update")
def scan(context: Context, sr: str) -> None:
    assert_sr_usable(context.state, sr)
    context.store.touch("SR", sr)


@call("SR.get_supported_types")
def supported_types(context: Context) -> list[str]:
    return [context.store.get("SM", s, "type") for s in context.store.refs("SM")]


@call("SR.create")
def create(
    context: Context,
    host: str,
    device_config: dict[str, str],
    physical_size: int,
    name: str,
    description: str,
    kind: str,
    content_type: str,
    shared: bool,
    sm_config: dict[str, str],
) -> str:
    """An SR with PBDs on `host`, or on all hosts when shared; a size of 0 becomes 1 TiB."""
    if kind not in DRIVERS:
        raise ApiError("SR_UNKNOWN_DRIVER", kind)
    hosts = context.store.refs("host") if shared else [host]
    sr = add_sr(
        context.state,
        hosts,
        name=name,
        kind=kind,
        size=physical_size or _DEFAULT_BYTES,
        sm_config=sm_config,
        content_type=content_type or "user",
        device_config=device_config,
    )
    context.store.set("SR", sr, name_description=description, shared=shared)
    return sr


@call("SR.forget")
def forget(context: Context, sr: str) -> None:
    if plugged_hosts(context.state, sr):
        raise ApiError("SR_HAS_PBD", sr)
    _remove(context, sr)


@call("SR.destroy")
def destroy(context: Context, sr: str) -> None:
    if context.store.get("SR", sr, "VDIs"):
        raise ApiError("SR_NOT_EMPTY")
    _remove(context, sr)


def _remove(context: Context, sr: str) -> None:
    for vdi in context.store.get("SR", sr, "VDIs"):
        remove_vdi(context.state, vdi)
    for pbd in context.store.get("SR", sr, "PBDs"):
        context.store.remove("PBD", pbd)
    context.store.remove("SR", sr)


@call("SR.get_live_hosts")
def live_hosts(context: Context, sr: str) -> list[str]:
    """The hosts that reach the SR and are up."""
    store = context.store

    def live(host: str) -> bool:
        return bool(store.get("host_metrics", store.get("host", host, "metrics"), "live"))

    return [host for host in plugged_hosts(context.state, sr) if live(host)]


@call("PBD.plug")
def plug(context: Context, pbd: str) -> None:
    context.store.set("PBD", pbd, currently_attached=True)
    context.store.touch("SR", context.store.get("PBD", pbd, "SR"))


@call("PBD.unplug")
def unplug(context: Context, pbd: str) -> None:
    store = context.store
    sr, host = store.get("PBD", pbd, "SR"), store.get("PBD", pbd, "host")
    for vdi in store.get("SR", sr, "VDIs"):
        for vbd in attached_vbds(context.state, vdi):
            if store.get("VM", store.get("VBD", vbd, "VM"), "resident_on") == host:
                raise ApiError("VDI_IN_USE", vdi, "unplug")
    store.set("PBD", pbd, currently_attached=False)
    store.touch("SR", sr)


@call("PBD.destroy")
def destroy_pbd(context: Context, pbd: str) -> None:
    if context.store.get("PBD", pbd, "currently_attached"):
        raise ApiError("OPERATION_NOT_ALLOWED", "PBD is currently plugged")
    context.store.remove("PBD", pbd)
