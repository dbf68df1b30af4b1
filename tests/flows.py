# SPDX-License-Identifier: Apache-2.0
"""A stream that flows from a file, as an export does, and can be cut."""

from pathlib import Path

from v2x.disks.vmdk.flow import GrainFlow


class FileFlow:
    """One pass over `path`; with `cut`, only the first so many bytes come. `step` is the most that comes at a time."""

    def __init__(self, path: Path, *, cut: int | None = None, step: int = 100_000) -> None:
        self._file = path.open("rb")
        self._left = path.stat().st_size if cut is None else cut
        self._step = step
        self.closed = False
        self.stream = GrainFlow(self.read, path.name)

    def read(self, view: memoryview) -> int:
        count = self._file.readinto(view[: min(self._left, self._step)])
        self._left -= count
        return count

    def close(self) -> None:
        self.closed = True
        self._file.close()
