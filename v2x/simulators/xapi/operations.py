# SPDX-License-Identifier: Apache-2.0
"""allowed_operations: advice computed from the records; the calls check for themselves (xapi: xapi_vm_lifecycle.ml)."""

from v2x.simulators.xapi.attach import attached_vbds
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.state import PoolState
from v2x.simulators.xapi.store import Record

_ALWAYS = ("changing_dynamic_range", "changing_NVRAM")
_BY_STATE = {
    "Halted": (
        *("start", "start_on", "clone", "copy", "destroy", "provision", "snapshot", "export", "migrate_send"),
        *("changing_VCPUs", "changing_static_range", "changing_shadow_memory", "create_vtpm"),
        *("make_into_template", "update_allowed_operations"),
    ),
    "Running": (
        *("hard_shutdown", "hard_reboot", "pause", "snapshot", "pool_migrate", "migrate_send", "suspend"),
        *("send_trigger", "send_sysrq", "clean_shutdown", "clean_reboot", "shutdown"),
    ),
    "Paused": ("unpause", "hard_shutdown", "hard_reboot"),
    "Suspended": ("resume", "resume_on", "hard_shutdown", "export", "clone"),
}
_TEMPLATE = ("clone", "copy", "provision", "export", "destroy", "changing_VCPUs", "changing_static_range")
_GUEST_TOOLS = frozenset({"clean_shutdown", "clean_reboot", "suspend", "pool_migrate", "migrate_send"})


def install(state: PoolState) -> None:
    """Registers allowed_operations of VM, VDI, VBD, VIF, SR, network and host."""

    def known(enum: str, wanted: list[str]) -> list[str]:
        declared = state.model.enums[enum]
        return [o for o in wanted if o in declared]

    def vm(_ref: str, values: Record) -> list[str]:
        return known("vm_operations", _vm(values))

    def vdi(ref: str, values: Record) -> list[str]:
        return known("vdi_operations", _vdi(state, ref, values))

    def device(kind: str) -> None:
        def allowed(_ref: str, values: Record) -> list[str]:
            return known(f"{kind.lower()}_operations", _device(state, kind, values))

        state.store.compute(kind, "allowed_operations", allowed)

    def sr(_ref: str, values: Record) -> list[str]:
        return known("storage_operations", _sr(state, values))

    state.store.compute("VM", "allowed_operations", vm)
    state.store.compute("VDI", "allowed_operations", vdi)
    state.store.compute("SR", "allowed_operations", sr)
    device("VBD")
    device("VIF")
    state.store.compute(
        "network", "allowed_operations", lambda _ref, _values: known("network_operations", ["attaching"])
    )
    state.store.compute(
        "host",
        "allowed_operations",
        lambda _ref, v: known("host_allowed_operations", ["vm_start", "provision", "evacuate"] if v["enabled"] else []),
    )


def _vm(values: Record) -> list[str]:
    if values["current_operations"] or values["is_control_domain"]:
        return []
    if values["is_a_template"]:
        wanted = [o for o in _TEMPLATE if not (o == "destroy" and values["is_default_template"])]
        if values["is_a_snapshot"]:
            wanted.append("revert")
    else:
        wanted = [*_BY_STATE[values["power_state"]], *_ALWAYS]
        if values["guest_metrics"] == NULL:
            wanted = [o for o in wanted if o not in _GUEST_TOOLS or values["power_state"] != "Running"]
    return [o for o in wanted if o not in values["blocked_operations"]]


def _vdi(state: PoolState, ref: str, values: Record) -> list[str]:
    if values["current_operations"]:
        return []
    sm = state.store.find("SM", type=state.store.get("SR", values["SR"], "type"))
    features = state.store.get("SM", sm[0], "features") if sm else {}
    live = ["snapshot", "clone", "resize_online", "enable_cbt", "disable_cbt", "copy", "mirror"]
    idle = ["destroy", "forget", "update", "resize", "generate_config", "set_on_boot"]
    needs = {"snapshot": "VDI_SNAPSHOT", "clone": "VDI_CLONE", "resize": "VDI_RESIZE", "destroy": "VDI_DELETE"}
    wanted = live if attached_vbds(state, ref) else [*live, *idle]
    return [o for o in wanted if needs.get(o, "VDI_ATTACH") in features]


def _device(state: PoolState, kind: str, values: Record) -> list[str]:
    if values["current_operations"] or not state.store.exists("VM", values["VM"]):
        return []
    running = state.store.get("VM", values["VM"], "power_state") == "Running"
    wanted = ["attach"]
    if running:
        wanted = ["unplug", "unplug_force"] if values["currently_attached"] else ["plug"]
    if kind == "VBD" and values["type"] == "CD":
        wanted.append("insert" if values["empty"] else "eject")
    return wanted


def _sr(state: PoolState, values: Record) -> list[str]:
    sm = state.store.find("SM", type=values["type"])
    features = state.store.get("SM", sm[0], "features") if sm else {}
    by_feature = {
        "VDI_CREATE": "vdi_create",
        "VDI_DELETE": "vdi_destroy",
        "VDI_CLONE": "vdi_clone",
        "VDI_SNAPSHOT": "vdi_snapshot",
        "VDI_RESIZE": "vdi_resize",
        "VDI_INTRODUCE": "vdi_introduce",
    }
    offered = [operation for feature, operation in by_feature.items() if feature in features]
    return [*offered, "scan", "plug", "unplug", "forget", "update"]
