# SPDX-License-Identifier: Apache-2.0
"""From vSphere faults to v2x errors: one line that names the cause, and what to do.

Only the type of a fault is a contract; its message is in the server's language and is shown as it is.
"""

from dataclasses import dataclass
from typing import Any

from v2x.errors import (
    ConnectError,
    InputRefused,
    LoginError,
    PermissionRefused,
    Retry,
    SourceError,
    Unsupported,
    V2xError,
)
from v2x.log import redact
from v2x.text import printable

LICENCE_TEXT = "license or esxi version prohibits"
GONE = frozenset({"ManagedObjectNotFound"})
SESSION_ENDED = "NotAuthenticated"


class ConnectionLost(ConnectError):
    """The connection broke while a call was under way: whether it took effect is unknown."""


@dataclass(frozen=True, slots=True)
class _Row:
    kind: type[V2xError]
    text: str
    hint: str = ""
    code: str | None = None
    retry: Retry | None = None


_READ_ONLY = _Row(
    SourceError,
    "the licence of the host does not allow it: a free ESXi licence makes the interface read-only",
    "assign a licence or the evaluation mode (Manage > Licensing), connect through a vCenter, or read the powered-off "
    "machine with --transport ssh",
    "READ-ONLY-LICENCE",
)
_TABLE: dict[str, _Row] = {
    "InvalidLogin": _Row(
        LoginError,
        "user name or password refused",
        "check both; v2x does not try again, so that it locks no account (vCenter wants user@domain, and ESXi locks "
        "an account for 15 minutes after 5 wrong tries)",
    ),
    "PasswordExpired": _Row(
        LoginError, "the account's password has expired", "change it in the vSphere client", "PASSWORD-EXPIRED"
    ),
    "RestrictedVersion": _READ_ONLY,
    "LicenseExpired": _Row(SourceError, "the licence of the host has expired", "renew it", "READ-ONLY-LICENCE"),
    "NotEnoughLicenses": _Row(SourceError, "the licence does not cover it", "assign a licence", "READ-ONLY-LICENCE"),
    "TaskInProgress": _Row(
        SourceError, "another task of the machine is running", "try again when it has ended", "BUSY", Retry.LATER
    ),
    "ConcurrentAccess": _Row(SourceError, "the machine was changed meanwhile", "run again", "BUSY", Retry.LATER),
    "ResourceInUse": _Row(SourceError, "it is in use", "try again when it is free", "BUSY", Retry.LATER),
    "FileLocked": _Row(
        SourceError,
        "a file of the machine is locked",
        "another host, a backup or a hot-added disk holds it; end that, then run again",
        "LOCKED",
        Retry.LATER,
    ),
    "NoDiskSpace": _Row(
        SourceError, "the datastore has no room for a snapshot", "free some space on it, then run again", "SOURCE-FULL"
    ),
    "ToolsUnavailable": _Row(
        SourceError, "VMware Tools do not run in the guest", "shut the guest down from inside", "TOOLS"
    ),
    "InvalidPowerState": _Row(
        SourceError, "the machine is not in the power state for it", "run again: it may have changed", "POWER-STATE"
    ),
    "InvalidHostConnectionState": _Row(
        SourceError, "the host does not answer its vCenter", "reconnect the host, then run again", "HOST-LOST"
    ),
    "InvalidHostState": _Row(
        SourceError,
        "the state of the host does not allow it, as in maintenance mode",
        "take the host out of maintenance, or let the machine move to another, then run again",
        "MAINTENANCE",
        Retry.LATER,
    ),
    "InaccessibleDatastore": _Row(
        SourceError, "its datastore cannot be reached", "bring the datastore back, then run again", "HOST-LOST"
    ),
    "InvalidDatastoreState": _Row(
        SourceError,
        "the state of its datastore does not allow it, as in maintenance mode",
        "take the datastore out of maintenance, then run again",
        "MAINTENANCE",
    ),
    "HostNotConnected": _Row(
        SourceError, "the host is not connected to its vCenter", "reconnect it, then run again", "HOST-LOST"
    ),
    "HostNotReachable": _Row(
        SourceError, "the host cannot be reached by its vCenter", "bring it back, then run again", "HOST-LOST"
    ),
    "HostCommunication": _Row(
        SourceError, "vCenter cannot talk to the host", "bring it back, then run again", "HOST-LOST", Retry.LATER
    ),
    "ManagedObjectNotFound": _Row(
        SourceError, "the object is gone from the server", "list the source again", "SOURCE-GONE"
    ),
    "FileNotFound": _Row(InputRefused, "a file of the machine is missing", "repair the machine", "MISSING-DISK"),
    "NotSupported": _Row(Unsupported, "the server does not support it", "choose another way, or newer software"),
    "MethodNotFound": _Row(Unsupported, "the server does not know this call", "choose another transport"),
    "MultipleSnapshotsNotSupported": _Row(
        Unsupported, "the machine cannot have another snapshot", "shut it down and migrate it then"
    ),
    "SnapshotIncompatibleDeviceInVm": _Row(
        SourceError,
        "the machine cannot have a snapshot because of one of its devices",
        "shut it down and migrate it then (--running shutdown)",
        "NOT-IN-SNAPSHOT",
    ),
    "SnapshotDisabled": _Row(SourceError, "snapshots are disabled for the machine", "enable them", "SNAPSHOT"),
    "TooManySnapshotLevels": _Row(
        SourceError, "the machine has too many snapshots", "remove some of them, then run again", "SNAPSHOT"
    ),
    "Timedout": _Row(SourceError, "the server gave up waiting", "run again", "TIMEOUT", Retry.LATER),
    "RequestCanceled": _Row(SourceError, "the task was cancelled on the server", "run again", "CANCELLED"),
    "NotAuthenticated": _Row(LoginError, "the session has ended", "run again", "SESSION"),
}


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
    if LICENCE_TEXT in said.lower():
        row: _Row | None = _READ_ONLY
    else:
        row = next((_TABLE[name] for name in names if name in _TABLE), None)
    if row is None:
        what = fault_name(fault) or type(fault).__name__
        return SourceError(
            f"{before}{what}" + (f" ({said})" if said else ""),
            hint="the server refused this; its task list and events have more",
        )
    told = f" ({said})" if said and row.kind is not LoginError else ""
    return row.kind(f"{before}{row.text}{told}", hint=row.hint, code=row.code, retry=row.retry)


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
