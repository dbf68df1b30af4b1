# SPDX-License-Identifier: Apache-2.0
"""From vSphere faults to v2x errors: one line that names the cause, and what to do.

Only the type of a fault is a contract; its message is in the server's language and is shown as it is. What each means
stands in v2x/causes/vsphere.toml.
"""

from typing import Any

from v2x.causes import cause
from v2x.errors import ConnectError, LoginError, PermissionRefused, SourceError, V2xError
from v2x.log import redact
from v2x.text import printable

LICENCE_TEXT = "license or esxi version prohibits"
GONE = frozenset({"ManagedObjectNotFound"})
SESSION_ENDED = "NotAuthenticated"


class ConnectionLost(ConnectError):
    """The connection broke while a call was under way: whether it took effect is unknown."""


def fault_name(fault: object) -> str:
    """The name of a fault's type, without its package; an empty string for what is no fault."""
    return type(fault).__name__.rpartition(".")[2] if hasattr(fault, "msg") else ""


def fault_text(fault: Any) -> str:
    """What the server said: the fault's message, then those of its details; made printable."""
    said = [fault.msg] if getattr(fault, "msg", None) else []
    for detail in getattr(fault, "faultMessage", None) or []:
        if getattr(detail, "message", None) and detail.message not in said:
            said.append(detail.message)
    return printable(redact(" ".join(said)), 400)


def _names(fault: object) -> list[str]:
    return [kind.__name__.rpartition(".")[2] for kind in type(fault).__mro__]


def error_from(fault: Any, doing: str = "", subject: str = "") -> V2xError:
    """The v2x error for a fault; `doing` is what was attempted, `subject` the machine or object it concerns."""
    before = f"{subject}: " if subject else ""
    before += f"{doing}: " if doing else ""
    names, said = _names(fault), fault_text(fault)
    if "NoPermission" in names:
        return no_permission(fault, before)
    if "InvalidLogin" in names and "lock" in said.lower():
        return LoginError(
            f"{before}the account is locked: {said}",
            hint="unlock it, or wait (ESXi: 15 minutes); v2x tried once",
            code="ACCOUNT-LOCKED",
        )
    known = ["RestrictedVersion"] if LICENCE_TEXT in said.lower() else names
    found = next((one for name in known if (one := cause("vsphere", name)) is not None), None)
    if found is None:
        what = fault_name(fault) or type(fault).__name__
        return SourceError(
            f"{before}{what}" + (f" ({said})" if said else ""),
            hint="the server refused this; its task list and events have more",
        )
    told = f" ({said})" if said and found.kind is not LoginError else ""
    return found.error(f"{before}{found.line}{told}")


def no_permission(fault: Any, before: str = "") -> PermissionRefused:
    """The error for a missing privilege, which it names with the object it is missing on."""
    privileges = [fault.privilegeId] if getattr(fault, "privilegeId", None) else []
    objects: list[str] = []
    for one in getattr(fault, "missingPrivileges", None) or []:
        privileges += [name for name in one.privilegeIds or [] if name not in privileges]
    where = getattr(fault, "object", None)
    if where is not None:
        objects.append(str(getattr(where, "_moId", "")))
    on = f" on {', '.join(objects)}" if objects and objects[0] else ""
    named = ", ".join(privileges) or "a privilege"
    return PermissionRefused(
        f"{before}the account lacks {named}{on}",
        hint="grant the role of docs/privileges.md to the account, on the vCenter's root and propagating",
    )
