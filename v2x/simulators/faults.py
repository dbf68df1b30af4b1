# SPDX-License-Identifier: Apache-2.0
"""Faults that are armed for the next n times, and settings that may change while a simulator runs.

All of it is reachable in-process and, as JSON, through the panel (panel.py). Each simulator names its own kinds.
"""

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from v2x.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(slots=True)
class Fault:
    """An armed fault. `target` narrows it to an object or a method; "" is any. `times` counts down, -1 is for good.

    The first `after` occasions pass unharmed; `name` says more where a kind wants it, as the fault to answer.
    `until` is when a lasting fault ends, on the monotonic clock; 0 means that only `times` counts.
    """

    kind: str
    times: int = 1
    at: int = 0
    target: str = ""
    seconds: float = 0.0
    address: str = ""
    until: float = 0.0
    after: int = 0
    name: str = ""


class Faults:
    """The armed faults of the given kinds (name → what it does). Every method may be called from any thread.

    A fault of a kind in `lasting` that is armed with `seconds` holds for that long, however often it strikes.
    """

    def __init__(self, kinds: Mapping[str, str], lasting: Collection[str] = ()) -> None:
        self.kinds = kinds
        self._lasting = lasting
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
        after: int = 0,
        name: str = "",
    ) -> None:
        """Arms `kind` (a key of `kinds`) for the next `times` occasions. UsageError for an unknown kind."""
        if kind not in self.kinds:
            raise UsageError(f"No fault {kind!r}", hint=f"one of {', '.join(self.kinds)}")
        with self._lock:
            until = time.monotonic() + seconds if kind in self._lasting and seconds else 0.0
            self._armed.append(Fault(kind, -1 if until else times, at, target, seconds, address, until, after, name))

    def take(self, kind: str, *targets: str) -> Fault | None:
        """The first armed fault of this kind that concerns one of `targets`, used up once; None when there is none."""
        now = time.monotonic()
        with self._lock:
            self._armed = [f for f in self._armed if not f.until or f.until > now]
            for fault in self._armed:
                if fault.kind == kind and (not fault.target or fault.target in targets):
                    if fault.after > 0:
                        fault.after -= 1
                        continue
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


def apply_settings(settings: "DataclassInstance", changes: dict[str, Any]) -> None:
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
