# SPDX-License-Identifier: Apache-2.0
"""The error tree of v2x.

Every error that a user may meet is a subclass of `V2xError` with a stable `code`, an `exit_code` from
docs/exit-codes.md, a one-line message and a `hint` that says what to do. The message names the thing and the cause;
text from outside (file names, server answers) is made printable when the error is shown, not here.

    V2xError
    ├── UsageError            2   the command line or a configuration file is wrong
    │   └── PlanError         2   a plan row is wrong
    ├── FindingsError         3   findings at or above --fail-on
    ├── MachinesFailed        4   some machines failed
    ├── AccessError           5   cannot connect, log in, or not permitted
    │   ├── ConnectError
    │   ├── LoginError
    │   ├── TrustError
    │   └── PermissionRefused
    ├── InputRefused          6   unsafe, corrupt or unsupported input
    │   ├── BadImage
    │   ├── UnsafeImage
    │   ├── Unsupported
    │   └── DigestMismatch
    ├── TargetError           4   the pool refused or failed a step
    │   ├── NoSpace
    │   └── Conflict
    ├── SourceError           4   the source failed a step
    ├── Stopped              75   stopped but resumable
    │   └── Blocked          75   stopped by what was waited for in vain
    └── Interrupted         130   interrupted by a signal, resumable
"""

from enum import Enum

from v2x.log import without_sessions


class Retry(Enum):
    """When trying the same thing again makes sense."""

    NEVER = "never"
    NOW = "now"
    LATER = "later"


class V2xError(Exception):
    """Base of all errors that carry a message for the user."""

    code = "V2X-ERROR"
    exit_code = 1
    retry = Retry.NEVER
    details: tuple[str, ...] = ()
    """Where one error stands for many: each of them, a line."""

    def __init__(self, message: str, *, hint: str = "", code: str | None = None, retry: Retry | None = None) -> None:
        # It may hold what a server said, and ends in reports, journals and tickets.
        message = without_sessions(message)
        super().__init__(message)
        self.message = message
        self.hint = without_sessions(hint)
        if code is not None:
            self.code = code
        if retry is not None:
            self.retry = retry

    def __str__(self) -> str:
        return self.message


class UsageError(V2xError):
    """The command line or a configuration file is wrong."""

    code = "USAGE"
    exit_code = 2


class PlanError(UsageError):
    """A plan does not hold: row, column, value and what would be valid."""

    code = "PLAN"


class FindingsError(V2xError):
    """Findings at or above the chosen severity."""

    code = "FINDINGS"
    exit_code = 3


class MachinesFailed(V2xError):
    """Some machines of a run failed; the report says which."""

    code = "MACHINES-FAILED"
    exit_code = 4


class AccessError(V2xError):
    """Cannot connect, log in, or not permitted."""

    code = "ACCESS"
    exit_code = 5


class ConnectError(AccessError):
    """No connection to the named address."""

    code = "CONNECT"
    retry = Retry.LATER


class LoginError(AccessError):
    """User name or password refused. Never retried: a loop would lock the account."""

    code = "LOGIN"


class TrustError(AccessError):
    """The server's certificate is not trusted, or is not the pinned one."""

    code = "TRUST"


class PermissionRefused(AccessError):
    """The account lacks a role or privilege, which the message names."""

    code = "PERMISSION"


class InputRefused(V2xError):
    """Unsafe, corrupt or unsupported input."""

    code = "INPUT"
    exit_code = 6


class BadImage(InputRefused):
    """A disk image or appliance is damaged or contradicts itself."""

    code = "BAD-IMAGE"


class UnsafeImage(InputRefused):
    """An image names something outside itself: a host path, a backing file, a device."""

    code = "UNSAFE-IMAGE"


class Unsupported(InputRefused):
    """A known format or feature that v2x does not handle."""

    code = "UNSUPPORTED"


class DigestMismatch(InputRefused):
    """Bytes differ from the digest that goes with them."""

    code = "DIGEST-MISMATCH"


class TargetError(V2xError):
    """The pool refused or failed a step."""

    code = "TARGET"
    exit_code = 4


class NoSpace(TargetError):
    """A storage repository or a folder has no room."""

    code = "NO-SPACE"


class Conflict(TargetError):
    """A name, MAC address or tag is already used by something else."""

    code = "CONFLICT"


class SourceError(V2xError):
    """The source failed a step."""

    code = "SOURCE"
    exit_code = 4


class Stopped(V2xError):
    """Stopped before the end; the same command continues."""

    code = "STOPPED"
    exit_code = 75


class Blocked(Stopped):
    """Something else has to end first, and it was waited for long enough; then the same command continues."""

    code = "BLOCKED"


class Interrupted(V2xError):
    """Interrupted by a signal; the same command continues."""

    code = "INTERRUPTED"
    exit_code = 130

    def with_signal(self, number: int) -> "Interrupted":
        """The same error with the exit code of that signal: 130 for SIGINT, 143 for SIGTERM."""
        self.exit_code = 128 + number
        return self
