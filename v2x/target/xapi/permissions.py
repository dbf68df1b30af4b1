# SPDX-License-Identifier: Apache-2.0
"""What each command does on a pool, the role that allows it, and what an account lacks.

Roles, from weakest to strongest: read-only, vm-operator, vm-admin, vm-power-admin, pool-operator, pool-admin. A session
tells the permissions it has as names of calls in lower case, and none at all for the local superuser (xapi:
xapi_session.ml, rbac.ml, gen_rbac.ml); transfers have names of their own, `http/put_import_raw_vdi`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from v2x.errors import PermissionRefused, TargetError
from v2x.target.rights import RightsCheck
from v2x.target.xapi.client import Client

_MOST_NAMED = 6
"""A line names no more calls than this: who lacks many lacks the role, which stands beside them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a use takes. `role` is the weakest that has all of `calls`; `optional` says what becomes of it without."""

    role: str
    uses: str
    calls: tuple[str, ...]
    optional: str = ""


_CLAIM = (
    *("VM.create", "VM.destroy", "VM.set_name_label", "VM.set_blocked_operations", "VM.remove_from_blocked_operations"),
    *("VM.add_to_other_config", "VM.remove_from_other_config", "VM.set_bios_strings", "VM.set_is_a_template"),
    *("VM.set_tags", "VBD.create", "VIF.create", "VIF.destroy", "VTPM.create"),
    *("VDI.create", "VDI.destroy", "VDI.resize", "VDI.set_name_label", "VDI.add_to_other_config"),
    *(
        "VDI.remove_from_other_config",
        "VDI.set_other_config",
        "VDI.snapshot",
        "VDI.clone",
        "http/put_import_raw_vdi",
        "http/get_export_raw_vdi",
    ),
)

NEEDS: Mapping[str, Need] = {
    "reading": Need(
        role="read-only",
        uses="assess, plan draft, plan check, batch status, and easing off",
        calls=(
            *("pool.get_all_records", "host.get_all_records", "host_metrics.get_all_records", "VM.get_all_records"),
            *("SR.get_all_records", "PBD.get_all_records", "SM.get_all_records", "network.get_all_records"),
            *("PIF.get_all_records", "VM.get_data_sources", "VM.query_data_source", "host.query_data_source"),
        ),
    ),
    "moving machines": Need(
        role="vm-admin",
        uses="migrate and batch run, cold and warm, with any --verify; batch cancel",
        calls=(*_CLAIM, "VDI.get_nbd_info"),
    ),
    "cleaning up": Need(
        role="vm-admin",
        uses="cleanup --target, batch rollback --discard",
        calls=("VM.destroy", "VDI.destroy", "VM.remove_from_blocked_operations", "VM.add_to_other_config"),
    ),
    "verifying": Need(role="vm-admin", uses="verify", calls=("http/get_export_raw_vdi", "VDI.get_nbd_info")),
    "starting": Need(role="vm-operator", uses="migrate --start, batch cutover", calls=("VM.start",)),
    "going back": Need(
        role="vm-admin",
        uses="batch rollback, batch finalize",
        calls=(
            *("VM.clean_shutdown", "VM.hard_shutdown", "VM.add_to_blocked_operations"),
            "VM.remove_from_blocked_operations",
        ),
    ),
    "test copies": Need(
        role="vm-power-admin",
        uses="batch test",
        calls=(
            *("VM.create", "VM.clone", "VM.destroy", "VM.start_on", "VM.hard_shutdown", "VM.set_name_label"),
            *("VM.set_affinity", "VM.set_blocked_operations", "VM.remove_from_blocked_operations"),
            *("VM.set_other_config", "VM.add_to_other_config", "VM.remove_from_other_config"),
            *("VDI.set_other_config", "VDI.set_name_label", "VDI.destroy", "VBD.create", "VIF.create"),
            "VBD.add_to_other_config",
            *("VM.set_bios_strings", "VTPM.create", "network.create", "network.destroy"),
        ),
    ),
    "test copies on VLANs": Need(
        role="pool-operator",
        uses="batch test --vlan",
        calls=("VM.start", "pool.create_VLAN_from_PIF", "VLAN.create", "VLAN.destroy"),
    ),
    "preferred host": Need(
        role="vm-power-admin",
        uses="migrate --host and the plan's column host",
        calls=("VM.set_affinity",),
        optional="the machine is moved, and the report says that it was not set",
    ),
    "full storage": Need(
        role="vm-power-admin",
        uses="telling a full SR from one that fails, in a moment of need",
        calls=("SR.scan",),
        optional="v2x goes by the SR's last figures",
    ),
    "networks": Need(
        role="pool-operator",
        uses="migrate and batch run with --create-networks",
        calls=(
            *("network.create", "network.destroy", "pool.create_VLAN_from_PIF", "VLAN.create", "VLAN.destroy"),
            "network.get_PIFs",
        ),
    ),
    "start with the pool": Need(
        role="pool-operator",
        uses="--ha, --pool-autostart and vApps with their order",
        calls=(
            *("VM.set_ha_restart_priority", "VM.set_appliance", "VM.set_order", "VM.set_start_delay"),
            *("VM.set_shutdown_delay", "VM_appliance.create", "VM_appliance.destroy"),
            *("pool.add_to_other_config", "pool.remove_from_other_config"),
        ),
        optional="the machine is moved, and the report says what was not set",
    ),
}


def held(client: Client) -> frozenset[str] | None:
    """The permissions of the session, in lower case; None for the local superuser, who has all."""
    if client.call("session.get_is_local_superuser", client.reference) is True:
        return None
    told = client.call("session.get_rbac_permissions", client.reference)
    return frozenset(str(one).lower() for one in told) if isinstance(told, list) else frozenset()


def check(client: Client) -> tuple[RightsCheck, ...]:
    """One line for each use. Where the pool does not tell, that is what the only line says."""
    try:
        permissions = held(client)
    except (TargetError, PermissionRefused) as problem:
        remedy = "log in with a role of docs/privileges.md"
        return (RightsCheck(name="permissions", ok=False, found=f"not told: {problem.message}", remedy=remedy),)
    return tuple(_checked(name, need, permissions) for name, need in NEEDS.items())


def lacking(calls: Iterable[str], permissions: frozenset[str] | None) -> tuple[str, ...]:
    return () if permissions is None else tuple(one for one in calls if one.lower() not in permissions)


def _checked(name: str, need: Need, permissions: frozenset[str] | None) -> RightsCheck:
    missing = lacking(need.calls, permissions)
    if not missing:
        return RightsCheck(name=name, ok=True, found=f"permitted: {need.uses}")
    more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    without = f"; without, {need.optional}" if need.optional else ""
    return RightsCheck(
        name=name,
        ok=False,
        found=f"lacks {', '.join(missing[:_MOST_NAMED])}{more}, for {need.uses}{without}",
        remedy=f"give the account the role {need.role}: xe subject-role-add uuid=SUBJECT role-name={need.role}",
    )
