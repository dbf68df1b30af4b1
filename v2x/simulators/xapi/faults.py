# SPDX-License-Identifier: Apache-2.0
"""Settings that may change while the pool runs, and faults that are armed for the next n times.

All of it is reachable in-process and, as JSON, through the panel (panel.py).
"""

import threading
import time
from dataclasses import asdict, dataclass, fields
from typing import Any

from v2x.errors import UsageError


@dataclass(slots=True)
class Settings:
    """Times are seconds, rates bytes per second per connection (0 is unlimited).

    `attach_delay` passes between the 200 answer of an upload and the first byte read of it; `release_delay` is how
    long a VDI stays attached to the control domain after a failed import; `detach_delay` the same after a good one,
    spent before the task completes. `cancel_poll` is how often tar and XVA imports look at cancellation.

    A collector passes every `collect_every`: it drops finished tasks after `tasks_kept_for`, pending ones that are
    older than `tasks_pending_for` and made no progress since the last pass, and idle sessions. Beyond `tasks_kept`
    finished tasks the oldest go at once. The oldest session goes when there are `sessions_per_originator` of one
    originator (root) or `sessions_per_user` of one user name.
    """

    login_delay: float = 5.0
    attach_delay: float = 0.0
    detach_delay: float = 0.0
    release_delay: float = 0.2
    read_rate: int = 0
    session_idle: float = 86400.0
    cancel_poll: float = 10.0
    guest_agent: bool = False
    collect_every: float = 30.0
    tasks_kept: int = 200
    tasks_kept_for: float = 3900.0
    tasks_pending_for: float = 86400.0
    sessions_per_originator: int = 500
    sessions_per_user: int = 500


@dataclass(slots=True)
class Fault:
    """An armed fault. `target` narrows it to a VDI, SR or method; "" is any. `times` counts down, -1 is for good.

    `until` is when a busy method is free again, on the monotonic clock; 0 means that only `times` counts.
    """

    kind: str
    times: int = 1
    at: int = 0
    target: str = ""
    seconds: float = 0.0
    address: str = ""
    until: float = 0.0


KINDS = {
    "cut_import": "cuts the connection of an upload after `at` bytes of the body",
    "sr_full": "the SR runs out of space when an import has written `at` bytes",
    "busy": "OTHER_OPERATION_IN_PROGRESS for the method `target`, for `seconds` when given, else `times` times",
    "vanish_task": "the task of an upload is gone (HANDLE_INVALID) when the upload ends",
    "unauthorized": "an upload is answered 401",
    "redirect": "an upload is answered 302 to `address`",
    "hold_busy": "after a failed import the VDI stays attached for `seconds`",
}


class Faults:
    """The armed faults. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self._lock = threading.Lock()

    def arm(
        self,
        kind: str,
        *,
        times: int = 1,
        at: int = 0,
        target: str = "",
        seconds: float = 0.0,
        address: str = "",
    ) -> None:
        """Arms `kind` (a key of KINDS) for the next `times` occasions. UsageError for an unknown kind."""
        if kind not in KINDS:
            raise UsageError(f"No fault {kind!r}", hint=f"one of {', '.join(KINDS)}")
        with self._lock:
            until = time.monotonic() + seconds if kind == "busy" and seconds else 0.0
            self._armed.append(Fault(kind, -1 if until else times, at, target, seconds, address, until))

    def take(self, kind: str, *targets: str) -> Fault | None:
        """The first armed fault of this kind that concerns one of `targets`, used up once; None when there is none."""
        now = time.monotonic()
        with self._lock:
            self._armed = [f for f in self._armed if not f.until or f.until > now]
            for fault in self._armed:
                if fault.kind == kind and (not fault.target or fault.target in targets):
                    if fault.times > 0:
                        fault.times -= 1
                        if fault.times == 0:
                            self._armed.remove(fault)
                    return fault
        return None

    def clear(self) -> None:
        with self._lock:
            self._armed.clear()

    def armed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(f) for f in self._armed]


def apply_settings(settings: Settings, changes: dict[str, Any]) -> None:
    """Sets the named settings; UsageError for an unknown name or a value of the wrong kind."""
    known = {f.name: type(getattr(settings, f.name)) for f in fields(settings)}
    for name, value in changes.items():
        wanted = known.get(name)
        if wanted is None:
            raise UsageError(f"No setting {name!r}", hint=f"one of {', '.join(known)}")
        if isinstance(value, bool) != (wanted is bool) or not isinstance(value, (int, float)):
            raise UsageError(f"Setting {name} takes a {wanted.__name__}, not {value!r}")
        if value < 0:
            raise UsageError(f"Setting {name} is negative")
        setattr(settings, name, wanted(value))
