# SPDX-License-Identifier: Apache-2.0
"""From XAPI failure codes to v2x errors: one line that names the cause, and what to do.

Only the code of a failure is a contract; its parameters differ between versions and are used as text alone. What each
means stands in v2x/causes/xapi.toml.
"""

import contextlib
from collections.abc import Iterator

import XenAPI

from v2x.causes import cause
from v2x.errors import ConnectError, Retry, TargetError, V2xError
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


def error_from(details: list[str], doing: str = "") -> V2xError:
    """The v2x error for an ErrorDescription `[code, parameters…]`; `doing` is the call that failed."""
    code = details[0] if details else "UNKNOWN"
    parameters = [redact(text) for text in details[1:]]
    found = cause("xapi", code)
    before = f"{doing}: " if doing else ""
    if found is not None:
        return found.error(printable(before + found.filled(parameters)))
    told = ", ".join(text for text in parameters if text)
    about = cause("xapi", "SR_BACKEND_FAILURE") if code.startswith("SR_BACKEND_FAILURE_") else None
    return TargetError(
        printable(f"{before}{code}" + (f" ({told})" if told else "")),
        hint=about.do if about else "the pool refused this; /var/log/xensource.log on its coordinator has more",
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
