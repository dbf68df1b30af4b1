# SPDX-License-Identifier: Apache-2.0
"""Which operations are allowed: the check that a call on a VM begins with, and allowed_operations, its advice.

Facts: xapi, xapi_vm_lifecycle.ml.
"""

from v2x.simulators.xapi.attach import attached_vbds
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.state import PoolState
from v2x.simulators.xapi.store import Record

_ANY = ("halted", "paused", "suspended", "running")
_UP = ("paused", "suspended", "running")
_POWER: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("changing_shadow_memory", "changing_static_range", "changing_VCPUs"), ("halted",)),
    **dict.fromkeys(("make_into_template", "provision", "start", "start_on", "create_vtpm"), ("halted",)),
    "unpause": ("paused",),
    **dict.fromkeys(("csvm", "resume", "resume_on"), ("suspended",)),
    **dict.fromkeys(("awaiting_memory_live", "changing_memory_live", "changing_shadow_memory_live"), ("running",)),
    **dict.fromkeys(("changing_VCPUs_live", "data_source_op", "clean_reboot", "clean_shutdown"), ("running",)),
    **dict.fromkeys(("pause", "pool_migrate", "send_sysrq", "send_trigger", "suspend"), ("running",)),
    **dict.fromkeys(("snapshot_with_quiesce", "call_plugin", "sysprep"), ("running",)),
    "changing_dynamic_range": ("halted", "running"),
    "migrate_send": ("halted", "suspended", "running"),
    **dict.fromkeys(("clone", "copy", "destroy", "export"), ("halted", "suspended")),
    "hard_reboot": ("paused", "running"),
    **dict.fromkeys(("checkpoint", "get_boot_record", "hard_shutdown", "shutdown"), _UP),
}
"""The power states that an operation is allowed in; one that is not here, in any."""
_SUSPENDED_AS_SNAPSHOT = frozenset({"clone", "copy", "destroy"})
"""What is done to a suspended VM only when it is a checkpoint."""
_OF_TEMPLATES = frozenset(
    {
        *("changing_dynamic_range", "changing_static_range", "changing_memory_limits", "changing_shadow_memory"),
        *("changing_VCPUs", "changing_NVRAM", "clone", "copy", "export", "metadata_export", "provision", "destroy"),
        "create_vtpm",
    }
)
_OF_SNAPSHOTS = frozenset({"revert", "clone", "copy", "export", "destroy", "hard_shutdown", "metadata_export"})
_OF_DOM0 = frozenset({"data_source_op", "changing_memory_live", "awaiting_memory_live", "metadata_export", "start"})
_OFFERED = (
    *("snapshot", "copy", "clone", "revert", "checkpoint", "start", "start_on", "pause", "unpause", "clean_shutdown"),
    *(
        "clean_reboot",
        "hard_shutdown",
        "hard_reboot",
        "shutdown",
        "suspend",
        "resume",
        "resume_on",
        "export",
        "destroy",
    ),
    *("provision", "changing_VCPUs", "changing_VCPUs_live", "pool_migrate", "migrate_send", "make_into_template"),
    *("changing_static_range", "changing_shadow_memory", "changing_dynamic_range", "changing_NVRAM", "create_vtpm"),
    *("send_trigger", "send_sysrq", "metadata_export", "csvm", "sysprep"),
)
"""What xapi computes the advice for."""
GUEST_OPERATIONS = frozenset(
    {
        "clean_shutdown",
        "clean_reboot",
        "suspend",
        "pool_migrate",
        "migrate_send",
        "checkpoint",
        "changing_VCPUs_live",
        "sysprep",
    }
)
_BY_STATE = {
    state.capitalize(): tuple(
        o for o in _OFFERED if state in _POWER.get(o, _ANY) and o not in ("provision", "revert", "csvm")
    )
    for state in _ANY
}


def assert_allowed(state: PoolState, vm: str, operation: str) -> None:
    """The check that every operation on a VM begins with: blocked, power state, busy, template, snapshot, dom0."""
    store = state.store
    blocked = store.get("VM", vm, "blocked_operations")
    if operation in blocked:
        raise ApiError("OPERATION_BLOCKED", vm, blocked[operation])
    snapshot = store.get("VM", vm, "is_a_snapshot")
    suspended = snapshot or operation not in _SUSPENDED_AS_SNAPSHOT
    assert_power(state, vm, *(_POWER.get(operation, _ANY) if suspended else ("halted",)))
    for task, running in store.get("VM", vm, "current_operations").items():
        raise ApiError("OTHER_OPERATION_IN_PROGRESS", "VM", vm, running, task)
    if snapshot:
        if operation not in _OF_SNAPSHOTS:
            raise ApiError("VM_IS_SNAPSHOT", vm, operation)
    elif store.get("VM", vm, "is_a_template") and operation not in _OF_TEMPLATES:
        raise ApiError("VM_IS_TEMPLATE", vm, operation)
    if store.get("VM", vm, "is_control_domain") and operation not in _OF_DOM0:
        raise ApiError("OPERATION_NOT_ALLOWED", "Operations on domain 0 are not allowed")


def assert_power(state: PoolState, vm: str, *expected: str) -> None:
    """VM_BAD_POWER_STATE, which names all the states that would do."""
    actual = state.store.get("VM", vm, "power_state").lower()
    if actual not in expected:
        raise ApiError("VM_BAD_POWER_STATE", vm, ", ".join(expected), actual)


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
    power = values["power_state"]
    if values["is_a_snapshot"]:
        wanted = [o for o in _OFFERED if o in _OF_SNAPSHOTS and power.lower() in _POWER.get(o, _ANY)]
    elif values["is_a_template"]:
        wanted = [o for o in _OFFERED if o in _OF_TEMPLATES and power.lower() in _POWER.get(o, _ANY)]
        if values["is_default_template"]:
            wanted.remove("destroy")
    else:
        bare = power == "Running" and values["guest_metrics"] == NULL
        wanted = [o for o in _BY_STATE[power] if not (bare and o in GUEST_OPERATIONS)]
        if power == "Suspended":
            wanted = [o for o in wanted if o not in _SUSPENDED_AS_SNAPSHOT]
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
