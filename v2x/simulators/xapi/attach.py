# SPDX-License-Identifier: Apache-2.0
"""Who has which VDI attached, and the temporary VBD of the control domain that transfers go through."""

from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import PoolState


def attached_vbds(state: PoolState, vdi: str) -> list[str]:
    """The VBDs through which the VDI is attached now."""
    store = state.store
    return [v for v in store.get("VDI", vdi, "VBDs") if store.get("VBD", v, "currently_attached")]


def assert_attachable(state: PoolState, vdi: str, mode: str, besides: str = NULL) -> None:
    """VDI_IN_USE unless the VDI may be attached with this mode: one writer, or readers only."""
    store = state.store
    if store.get("VDI", vdi, "sharable"):
        return
    for vbd in attached_vbds(state, vdi):
        if vbd != besides and (mode == "RW" or store.get("VBD", vbd, "mode") == "RW"):
            raise ApiError("VDI_IN_USE", vdi, "attach")


def assert_idle(state: PoolState, cls: str, ref: str) -> None:
    """OTHER_OPERATION_IN_PROGRESS when something is under way on the object."""
    for task, operation in state.store.get(cls, ref, "current_operations").items():
        raise ApiError("OTHER_OPERATION_IN_PROGRESS", cls, ref, operation, task)


def dom0(state: PoolState, host: str) -> str:
    ref: str = state.store.get("host", host, "control_domain")
    return ref


def attach_to_dom0(state: PoolState, vdi: str, mode: str, host: str) -> str:
    """Attaches a VDI to the control domain of `host`; returns the VBD. VDI_READONLY, VDI_IN_USE, …"""
    store = state.store
    with store.lock:
        if mode == "RW" and store.get("VDI", vdi, "read_only"):
            raise ApiError("VDI_READONLY", vdi)
        assert_idle(state, "VDI", vdi)
        assert_attachable(state, vdi, mode)
        domain = dom0(state, host)
        taken = {store.get("VBD", v, "userdevice") for v in store.get("VM", domain, "VBDs")}
        number = next(n for n in range(len(taken) + 1) if str(n) not in taken)
        metrics = store.add("VBD_metrics", {})
        return store.add(
            "VBD",
            {
                "VM": domain,
                "VDI": vdi,
                "userdevice": str(number),
                "device": f"sm/backend/{number}",
                "mode": mode,
                "type": "Disk",
                "unpluggable": True,
                "currently_attached": True,
                "metrics": metrics,
            },
        )


def detach(state: PoolState, vbd: str) -> None:
    """Takes the temporary VBD away again; an already missing one is fine."""
    store = state.store
    with store.lock:
        if not store.exists("VBD", vbd):
            return
        vdi, metrics = store.get("VBD", vbd, "VDI"), store.get("VBD", vbd, "metrics")
        store.remove("VBD", vbd)
        if store.exists("VBD_metrics", metrics):
            store.remove("VBD_metrics", metrics)
        store.touch("VDI", vdi)


def plugged_hosts(state: PoolState, sr: str) -> list[str]:
    """The hosts that can reach an SR: those with a plugged PBD."""
    store = state.store
    pbds = store.get("SR", sr, "PBDs")
    return [store.get("PBD", p, "host") for p in pbds if store.get("PBD", p, "currently_attached")]


def assert_sr_usable(state: PoolState, sr: str) -> None:
    """SR_HAS_NO_PBDS or SR_NOT_ATTACHED unless some host has the SR plugged."""
    if not state.store.get("SR", sr, "PBDs"):
        raise ApiError("SR_HAS_NO_PBDS", sr)
    if not plugged_hosts(state, sr):
        raise ApiError("SR_NOT_ATTACHED", sr)


def sm_of(state: PoolState, sr: str) -> str:
    """The storage driver object of an SR."""
    found = state.store.find("SM", type=state.store.get("SR", sr, "type"))
    return found[0] if found else NULL


def assert_feature(state: PoolState, sr: str, feature: str) -> None:
    sm = sm_of(state, sr)
    if sm == NULL or feature not in state.store.get("SM", sm, "features"):
        raise ApiError("SR_OPERATION_NOT_SUPPORTED", sr)
