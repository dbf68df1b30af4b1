# SPDX-License-Identifier: Apache-2.0
"""From XAPI failure codes to v2x errors: one line that names the cause, and what to do.

Only the code of a failure is a contract; its parameters differ between versions and are used as text alone.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import XenAPI

from v2x.errors import (
    Conflict,
    ConnectError,
    LoginError,
    NoSpace,
    PermissionRefused,
    Retry,
    TargetError,
    Unsupported,
    V2xError,
)
from v2x.log import redact
from v2x.text import printable

# The pool is busy with the same object, or has just let it go: the same call succeeds a little later.
BUSY = frozenset(
    {
        "OTHER_OPERATION_IN_PROGRESS",
        "SR_BACKEND_FAILURE_46",
        "VDI_IN_USE",
        "HOST_STILL_BOOTING",
        "DEVICE_ALREADY_ATTACHED",
    }
)
GONE = frozenset({"HANDLE_INVALID", "UUID_INVALID"})


class ConnectionLost(ConnectError):
    """The connection broke while a call was under way: whether it took effect is unknown."""


class PoolMember(ConnectError):
    """The address is a member of the pool; only the coordinator answers calls."""

    code = "NOT-COORDINATOR"
    retry = Retry.NEVER

    def __init__(self, asked: str, coordinator: str) -> None:
        super().__init__(
            f"{asked} is a member of the pool, not its coordinator",
            hint=f"use the coordinator's address: {coordinator}"
            if coordinator
            else "use the address of the pool's coordinator",
        )
        self.coordinator = coordinator


@dataclass(frozen=True, slots=True)
class _Row:
    kind: type[V2xError]
    text: str
    hint: str = ""
    retry: Retry | None = None


_ROLE = "the account needs the role vm-admin or stronger; a pool administrator grants it"
_TABLE: dict[str, _Row] = {
    "SESSION_AUTHENTICATION_FAILED": _Row(
        LoginError, "user name or password refused", "check both; v2x does not try again, so no account gets locked"
    ),
    "RBAC_PERMISSION_DENIED": _Row(PermissionRefused, "the account lacks the permission {0}", _ROLE),
    "LICENCE_RESTRICTION": _Row(TargetError, "the pool's licence does not cover {0}", "choose another setting"),
    "FEATURE_RESTRICTED": _Row(TargetError, "the pool does not offer the feature {0}", "choose another setting"),
    "OPERATION_BLOCKED": _Row(Conflict, "the operation is blocked on the pool: {1}", "finish or discard the migration"),
    "OPERATION_NOT_ALLOWED": _Row(TargetError, "the pool does not allow it: {0}"),
    "OTHER_OPERATION_IN_PROGRESS": _Row(
        TargetError, "another operation on the same {0} is in progress", "try again when it has ended", Retry.LATER
    ),
    "TOO_MANY_PENDING_TASKS": _Row(TargetError, "the pool has too many pending tasks", "try later", Retry.LATER),
    "NOT_SUPPORTED_DURING_UPGRADE": _Row(
        TargetError, "the pool is in a rolling upgrade", "try again when the upgrade has ended", Retry.LATER
    ),
    "HOST_STILL_BOOTING": _Row(TargetError, "the host is still starting", "try again in a minute", Retry.LATER),
    "SR_BACKEND_FAILURE_44": _Row(
        NoSpace, "the storage repository has no room", "free space on it, or choose another with --sr"
    ),
    "SR_BACKEND_FAILURE_180": _Row(
        NoSpace, "the storage repository has no room", "free space on it, or choose another with --sr"
    ),
    "SR_FULL": _Row(NoSpace, "the storage repository has no room", "free space on it, or choose another with --sr"),
    "SR_BACKEND_FAILURE_46": _Row(
        TargetError, "the disk is not available: {1}", "it may be attached elsewhere; try again", Retry.LATER
    ),
    "SR_BACKEND_FAILURE_79": _Row(
        Unsupported, "the disk size does not fit the format: {1}", "above 2040 GiB an SR that knows QCOW2 is needed"
    ),
    "SR_BACKEND_FAILURE_109": _Row(
        TargetError, "the disk's snapshot chain is too long", "wait for coalescing, then try again", Retry.LATER
    ),
    "SR_HAS_NO_PBDS": _Row(
        TargetError, "no host has the storage repository attached", "repair it (xe pbd-plug), then run again"
    ),
    "SR_NOT_ATTACHED": _Row(
        TargetError, "no host has the storage repository attached", "repair it (xe pbd-plug), then run again"
    ),
    "SR_OPERATION_NOT_SUPPORTED": _Row(
        Unsupported, "the storage repository cannot do this", "choose another with --sr"
    ),
    "VDI_IN_USE": _Row(TargetError, "the disk is in use", "detach it, or try again in a minute", Retry.LATER),
    "VDI_TOO_LARGE": _Row(Unsupported, "the disk is too large for its format", "choose an SR that knows QCOW2"),
    "VDI_READONLY": _Row(Conflict, "the disk is read only"),
    "VDI_IO_ERROR": _Row(
        TargetError, "the host could not read or write the disk: {0}", "its /var/log/daemon.log says why", Retry.LATER
    ),
    "VM_BAD_POWER_STATE": _Row(Conflict, "the VM is {2}, not {1}", "shut it down first"),
    "DEVICE_ALREADY_EXISTS": _Row(Conflict, "device {0} of the VM is already taken", "run v2x cleanup, then again"),
    "INVALID_DEVICE": _Row(Unsupported, "the pool does not know a device {0}"),
    "MAC_INVALID": _Row(Unsupported, "the pool refuses the MAC address {0}", "correct it in the plan"),
    "DUPLICATE_MAC_SEED": _Row(Conflict, "another VM on the pool has the same mac_seed"),
    "NO_HOSTS_AVAILABLE": _Row(TargetError, "no host can run the VM", "look at memory and storage of the hosts"),
    "HOST_NOT_ENOUGH_FREE_MEMORY": _Row(
        TargetError, "not enough free memory: {0} bytes needed, {1} free", "stop another VM, or give this one less"
    ),
    "HOST_NOT_ENOUGH_PCPUS": _Row(TargetError, "more virtual CPUs ({0}) than the host has ({1})", "give it fewer"),
    "VM_REQUIRES_SR": _Row(TargetError, "no host sees all the storage that the VM needs"),
    "VM_REQUIRES_NETWORK": _Row(TargetError, "no host sees all the networks that the VM needs"),
    "VCPU_MAX_NOT_CORES_PER_SOCKET_MULTIPLE": _Row(
        Conflict, "{0} virtual CPUs cannot be split into sockets of {1} cores", "correct cores per socket in the plan"
    ),
    "VLAN_TAG_INVALID": _Row(Unsupported, "VLAN tag {0} is not between 0 and 4094", "correct it in the plan"),
    "PIF_VLAN_EXISTS": _Row(Conflict, "the VLAN already exists on {0}", "choose its network in the plan"),
    "VLAN_IN_USE": _Row(Conflict, "VLAN {1} is in use on {0}", "choose another network in the plan"),
    "BRIDGE_NAME_EXISTS": _Row(Conflict, "bridge {0} exists"),
    "UUID_INVALID": _Row(Conflict, "the pool has no {0} {1} any more", "draft the plan again"),
    "HANDLE_INVALID": _Row(Conflict, "the {0} is gone from the pool", "run again"),
    "HOST_OFFLINE": _Row(TargetError, "the host is offline", "bring it back, then run again", Retry.LATER),
    "TASK_CANCELLED": _Row(TargetError, "the task was cancelled on the pool", "run again", Retry.LATER),
}


def _filled(text: str, parameters: list[str]) -> str:
    def at(match: re.Match[str]) -> str:
        index = int(match[1])
        return parameters[index] if index < len(parameters) and parameters[index] else "unknown"

    return re.sub(r"\{(\d)\}", at, text)


def error_from(details: list[str], doing: str = "") -> V2xError:
    """The v2x error for an ErrorDescription `[code, parameters…]`; `doing` is the call that failed."""
    code = details[0] if details else "UNKNOWN"
    parameters = [redact(text) for text in details[1:]]
    row = _TABLE.get(code)
    before = f"{doing}: " if doing else ""
    if row is not None:
        return row.kind(printable(before + _filled(row.text, parameters)), hint=row.hint, retry=row.retry)
    told = ", ".join(text for text in parameters if text)
    return TargetError(
        printable(f"{before}{code}" + (f" ({told})" if told else "")),
        hint="the pool refused this; /var/log/xensource.log on its coordinator has more",
        retry=Retry.LATER if code in BUSY else None,
    )


def failure_to_error(failure: XenAPI.Failure, doing: str = "") -> V2xError:
    """The v2x error for a failure of the XAPI client."""
    return error_from([str(part) for part in failure.details], doing)


def xapi_code(error: BaseException) -> str:
    """The XAPI code an error came from, or an empty string."""
    cause = error.__cause__
    if isinstance(cause, XenAPI.Failure) and cause.details:
        return str(cause.details[0])
    return ""


@contextlib.contextmanager
def passing_gone() -> Iterator[None]:
    """Lets pass that an object is gone from the pool: somebody was faster."""
    try:
        yield
    except V2xError as error:
        if xapi_code(error) not in GONE:
            raise
