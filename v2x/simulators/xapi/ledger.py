# SPDX-License-Identifier: Apache-2.0
"""What the pool was made to do, append-only: calls with an effect, imports with their bytes, blocks per VDI.

Tests read it to prove that no block was sent twice and that nothing was left behind.
"""

import json
import threading
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

BLOCK_BYTES = 2 * 1024 * 1024
"""The unit that writes are counted in, whatever the format of the VDI."""


@dataclass(slots=True)
class Import:
    """One upload. `received_bytes` came over the wire, `written_bytes` went to the disk."""

    kind: str
    task: str
    format: str
    vdi: str = ""
    received_bytes: int = 0
    written_bytes: int = 0
    outcome: str = "running"
    error: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CallEntry:
    """A call that changed something, or tried to: its name, the references in it, its result and its failure."""

    number: int
    call: str
    refs: tuple[str, ...]
    result: str
    error: tuple[str, ...]


class WriteTally:
    """Counts visits of one import to the blocks of one VDI: a run of adjoining writes in a block is one visit."""

    def __init__(self, counts: Counter[int]) -> None:
        self._counts = counts
        self._end = -1

    def wrote(self, offset: int, length: int) -> None:
        if length <= 0:
            return
        first, last = offset // BLOCK_BYTES, (offset + length - 1) // BLOCK_BYTES
        if offset == self._end and offset % BLOCK_BYTES:
            first += 1
        for block in range(first, last + 1):
            self._counts[block] += 1
        self._end = offset + length


class Ledger:
    """Read `calls`, `imports` and `blocks` freely; nothing in them is ever taken back."""

    def __init__(self, path: Path) -> None:
        self.calls: list[CallEntry] = []
        self.imports: list[Import] = []
        self._blocks: dict[str, Counter[int]] = {}
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")

    def record_call(self, call: str, refs: tuple[str, ...], result: str = "", error: tuple[str, ...] = ()) -> None:
        with self._lock:
            entry = CallEntry(len(self.calls), call, refs, result, error)
            self.calls.append(entry)
            self._line("call", asdict(entry))

    def open_import(self, kind: str, task: str, format_: str, vdi: str = "") -> Import:
        with self._lock:
            entry = Import(kind, task, format_, vdi)
            self.imports.append(entry)
            return entry

    def close_import(self, entry: Import, outcome: str, error: list[str]) -> None:
        with self._lock:
            entry.outcome = outcome
            entry.error = list(error)
            self._line("import", asdict(entry))

    def tally(self, vdi_uuid: str) -> WriteTally:
        """The counter of one import into the VDI with this uuid."""
        with self._lock:
            return WriteTally(self._blocks.setdefault(vdi_uuid, Counter()))

    def blocks(self, vdi_uuid: str) -> dict[int, int]:
        """How many times each 2 MiB block of a VDI was written by uploads; blocks never written are absent."""
        return dict(self._blocks.get(vdi_uuid, Counter()))

    def calls_of(self, name: str) -> list[CallEntry]:
        return [c for c in list(self.calls) if c.call == name]

    def to_json(self) -> dict[str, Any]:
        with self._lock:
            return {
                "calls": [asdict(c) for c in self.calls],
                "imports": [asdict(i) for i in self.imports],
                "blocks": {uuid: {str(k): v for k, v in sorted(c.items())} for uuid, c in self._blocks.items()},
            }

    def _line(self, kind: str, entry: dict[str, Any]) -> None:
        if not self._file.closed:
            self._file.write(json.dumps({"entry": kind, **entry}) + "\n")
            self._file.flush()

    def close(self) -> None:
        with self._lock:
            self._file.close()
