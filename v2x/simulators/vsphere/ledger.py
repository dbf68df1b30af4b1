# SPDX-License-Identifier: Apache-2.0
"""What the stand-in was made to do, append-only: calls with an effect, transfers, and who wrote to guests' disks."""

import json
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class CallEntry:
    """A call with an effect, or that tried to have one. `says` names what it asked for; `fault` is a type's name."""

    number: int
    call: str
    object: str
    user: str
    says: dict[str, Any]
    result: str = ""
    fault: str = ""


@dataclass(slots=True)
class Transfer:
    """One answer with bytes: `kind` is folder or nfc, `outcome` running, done, cut, lost, refused, or why it ended."""

    kind: str
    what: str
    user: str
    start: int = 0
    sent_bytes: int = 0
    outcome: str = "running"


@dataclass(frozen=True, slots=True)
class Effect:
    """A change of state that a task or the clock brought about, or that a guest or a person in front of it caused."""

    what: str
    object: str
    says: dict[str, Any]


class Ledger:
    """Read `calls`, `transfers` and `effects` freely; nothing in them is ever taken back."""

    def __init__(self, path: Path) -> None:
        self.calls: list[CallEntry] = []
        self.transfers: list[Transfer] = []
        self.effects: list[Effect] = []
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")

    def record_call(
        self, call: str, on: str, user: str, says: dict[str, Any], *, result: str = "", fault: str = ""
    ) -> None:
        with self._lock:
            entry = CallEntry(len(self.calls), call, on, user, says, result, fault)
            self.calls.append(entry)
            self._line("call", asdict(entry))

    def record_effect(self, what: str, on: str, **says: Any) -> None:
        with self._lock:
            entry = Effect(what, on, says)
            self.effects.append(entry)
            self._line("effect", asdict(entry))

    def open_transfer(self, kind: str, what: str, user: str, start: int = 0) -> Transfer:
        with self._lock:
            entry = Transfer(kind, what, user, start)
            self.transfers.append(entry)
            return entry

    def close_transfer(self, entry: Transfer, outcome: str) -> None:
        with self._lock:
            entry.outcome = outcome
            self._line("transfer", asdict(entry))

    def calls_of(self, name: str) -> list[CallEntry]:
        """The calls of one method, by its name in the API: `CreateSnapshot_Task`."""
        return [c for c in list(self.calls) if c.call == name]

    def effects_of(self, what: str) -> list[Effect]:
        return [e for e in list(self.effects) if e.what == what]

    def to_json(self) -> dict[str, Any]:
        with self._lock:
            return {
                "calls": [asdict(c) for c in self.calls],
                "transfers": [asdict(t) for t in self.transfers],
                "effects": [asdict(e) for e in self.effects],
            }

    def _line(self, kind: str, entry: dict[str, Any]) -> None:
        if not self._file.closed:
            self._file.write(json.dumps({"entry": kind, **entry}) + "\n")
            self._file.flush()

    def close(self) -> None:
        with self._lock:
            self._file.close()
