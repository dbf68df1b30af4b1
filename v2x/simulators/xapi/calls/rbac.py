# SPDX-License-Identifier: Apache-2.0
"""role, subject and external authentication (xapi: xapi_role.ml, xapi_subject.ml, xapi_host.ml).

The roles of the datamodel are records of their own; permissions are names of calls, in lower case.
"""

from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.roles import permissions_of
from v2x.simulators.xapi.state import Context, call
from v2x.simulators.xapi.store import Record


def _permissions(context: Context, role: str) -> list[str]:
    """All that a role may do."""
    return sorted(permissions_of(context.state.model, context.store.get("role", role, "name_label")))


def _having(context: Context, label: str) -> list[str]:
    return [r for r in context.store.refs("role") if label.lower() in _permissions(context, r)]


@call("role.get_permissions")
def permissions(_context: Context, role: str) -> list[str]:
    """Permissions are roles too, in xapi; here they are known by name only, so a role is all there is to refer to."""
    return [role]


@call("role.get_permissions_name_label")
def permission_names(context: Context, role: str) -> list[str]:
    return _permissions(context, role)


@call("role.get_by_permission")
def by_permission(_context: Context, permission: str) -> list[str]:
    return [permission]


@call("role.get_by_permission_name_label")
def by_permission_name(context: Context, label: str) -> list[str]:
    return _having(context, label)


@call("subject.create")
def create_subject(context: Context, values: Record) -> str:
    """Only of a pool that authenticates elsewhere, which this one never does."""
    if context.store.find("subject", subject_identifier=values.get("subject_identifier", "")):
        raise ApiError("SUBJECT_ALREADY_EXISTS")
    return context.store.add("subject", values)


@call("subject.add_to_roles")
def add_role(context: Context, subject: str, role: str) -> None:
    if not context.store.exists("role", role):
        raise ApiError("ROLE_NOT_FOUND")
    held = context.store.get("subject", subject, "roles")
    if role in held:
        raise ApiError("ROLE_ALREADY_EXISTS")
    context.store.set("subject", subject, roles=[*held, role])


@call("subject.remove_from_roles")
def remove_role(context: Context, subject: str, role: str) -> None:
    held = context.store.get("subject", subject, "roles")
    if role not in held:
        raise ApiError("ROLE_NOT_FOUND")
    context.store.set("subject", subject, roles=[r for r in held if r != role])


@call("subject.get_permissions_name_label")
def subject_permissions(context: Context, subject: str) -> list[str]:
    found: set[str] = set()
    for role in context.store.get("subject", subject, "roles"):
        found |= set(_permissions(context, role))
    return sorted(found)


@call("session.logout_subject_identifier")
def logout_subject(_context: Context, _subject: str) -> None:
    """Nobody is logged in by a subject."""


def _refuse_directory(kind: str) -> None:
    """There is no directory to join, whatever kind is named."""
    if kind not in ("AD", "PAM"):
        raise ApiError("AUTH_UNKNOWN_TYPE", kind)


@call("pool.enable_external_auth")
def enable_on_pool(context: Context, _pool: str, _config: dict[str, str], _service: str, kind: str) -> None:
    _refuse_directory(kind)
    raise ApiError("POOL_AUTH_ENABLE_FAILED_UNAVAILABLE", context.state.master, "the simulated pool has no directory")


@call("host.enable_external_auth")
def enable_on_host(_context: Context, _host: str, _config: dict[str, str], _service: str, kind: str) -> None:
    _refuse_directory(kind)
    raise ApiError("AUTH_ENABLE_FAILED_UNAVAILABLE", "the simulated host has no directory")


@call("pool.disable_external_auth", "pool.detect_nonhomogeneous_external_auth")
def disable_on_pool(context: Context, pool: str, *_options: object) -> None:
    context.store.get("pool", pool, "uuid")


@call("host.disable_external_auth")
def disable_on_host(context: Context, host: str, *_options: object) -> None:
    context.store.get("host", host, "uuid")


@call("pool.external_auth_set_ldaps", "host.external_auth_set_ldaps")
def set_ldaps(_context: Context, _ref: str, _ldaps: bool, _force: bool) -> None:
    raise ApiError("AUTH_IS_DISABLED")
