# SPDX-License-Identifier: Apache-2.0
"""The bytes: one sparse file per VDI, and the space each takes from its SR.

Space on a thin SR is counted in 2 MiB blocks that were ever written through the pool; a thick VDI takes its full size
and the VHD metadata from the start (xapi: xapi_sr.ml).
"""

import base64
import os
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from v2x.simulators.xapi.chains import Chains, joined
from v2x.simulators.xapi.changes import ChangeLog
from v2x.simulators.xapi.failure import ApiError
from v2x.simulators.xapi.ledger import BLOCK_BYTES

MIB = 1024 * 1024
COPY_BYTES = 8 * MIB
_THICK_EXTENT = 4 * MIB


class NoRoom(Exception):
    """A write found no space left on the SR."""


class PastEnd(Exception):
    """A write reached beyond the end of the VDI."""


def thick_bytes(size: int) -> int:
    """The logical volume a thick VHD of `size` bytes needs: data, 4 KiB of bitmap per block, metadata."""
    whole = size + -(-size // BLOCK_BYTES) * 4096 + _THICK_EXTENT
    return -(-whole // _THICK_EXTENT) * _THICK_EXTENT


class Volume:
    """The file behind one VDI. `owned` has one byte per 2 MiB block, 1 where this VDI pays for it.

    As long as it pays for none there is no such table: pools hold tens of thousands of disks that nobody wrote to.
    `tracking` notes written blocks while changed block tracking is on. `unsaved` says that what `to_json` tells has
    changed since it was last kept.
    """

    def __init__(self, space: "SrSpace", path: Path, size: int, *, thick: bool) -> None:
        self.space = space
        self.path = path
        self.size = size
        self.thick = thick
        self._owned = bytearray()
        self.blocks = 0
        self.tracking: ChangeLog | None = None
        self.unsaved = True
        self._fd: int | None = None
        self._lock = threading.Lock()

    @property
    def fd(self) -> int:
        with self._lock:
            if self._fd is None:
                self._fd = os.open(self.path, os.O_RDWR)
            return self._fd

    @property
    def _all_blocks(self) -> int:
        return -(-self.size // BLOCK_BYTES)

    @property
    def owned(self) -> bytes:
        return bytes(self._owned.ljust(self._all_blocks, b"\0"))

    @property
    def used_bytes(self) -> int:
        return thick_bytes(self.size) if self.thick else self.blocks * BLOCK_BYTES

    def own(self, owned: bytes) -> None:
        """Pays for these blocks from now on, whatever it paid for before."""
        before = self.used_bytes
        self._hold(owned)
        self.space.charge(self.used_bytes - before)
        self.unsaved = True

    def _hold(self, owned: bytes) -> None:
        kept = owned[: self._all_blocks].rstrip(b"\0")
        self._owned = bytearray(kept.ljust(self._all_blocks, b"\0")) if kept else bytearray()
        self.blocks = kept.count(1)

    def claim_data(self) -> None:
        """Pays for whatever the file holds, and takes it for changed: somebody wrote to it past the pool."""
        owned = bytearray(self.owned)
        for at, length in self.data():
            if self.tracking is not None:
                self.tracking.mark(at, length)
            for block in range(at // BLOCK_BYTES, -(-(at + length) // BLOCK_BYTES)):
                owned[block] = 1
        self.own(bytes(owned))

    def write(self, view: memoryview, offset: int) -> None:
        """Writes `view` at `offset`. What fits is written before PastEnd or NoRoom is raised."""
        inside = min(len(view), max(self.size - offset, 0))
        room = self._take(offset, inside)
        done = 0
        while done < room:
            done += os.pwrite(self.fd, view[done:room], offset + done)
        if self.tracking is not None and room:
            self.tracking.mark(offset, room)
            self.unsaved = True
        if room < inside:
            raise NoRoom(f"no space left on the SR at byte {offset + room}")
        if inside < len(view):
            raise PastEnd(f"byte {self.size} is the end of the device")

    def zero(self, offset: int, length: int) -> None:
        """Writes zeros, as a helper does on an SR that is not zeroed."""
        empty = memoryview(bytes(min(length, BLOCK_BYTES)))
        while length > 0:
            part = min(length, len(empty))
            self.write(empty[:part], offset)
            offset, length = offset + part, length - part

    def _take(self, offset: int, length: int) -> int:
        """Claims the blocks of a range from the SR; returns how many bytes of the range may be written."""
        if self.thick or length == 0:
            return length
        if not self._owned:
            self._owned = bytearray(self._all_blocks)
        first, last = offset // BLOCK_BYTES, (offset + length - 1) // BLOCK_BYTES
        for block in range(first, last + 1):
            if not self._owned[block]:
                if not self.space.take(BLOCK_BYTES):
                    return max(block * BLOCK_BYTES - offset, 0)
                self._owned[block] = 1
                self.blocks += 1
                self.unsaved = True
        return length

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self.fd, length, offset)

    def data(self) -> Iterator[tuple[int, int]]:
        """(offset, length) of the parts that are no hole in the file."""
        at = 0
        while at < self.size:
            try:
                start = os.lseek(self.fd, at, os.SEEK_DATA)
            except OSError:
                return
            end = min(os.lseek(self.fd, start, os.SEEK_HOLE), self.size)
            if end > start:
                yield start, end - start
            at = max(end, start + 1)

    def resize(self, size: int) -> None:
        before = self.used_bytes
        os.truncate(self.path, size)
        self.size = size
        self._hold(bytes(self._owned))
        if self.tracking is not None:
            self.tracking.resize(size)
        self.space.charge(self.used_bytes - before)
        self.unsaved = True

    def empty(self) -> None:
        """Nothing of the content stays, the size does."""
        os.truncate(self.path, 0)
        os.truncate(self.path, self.size)
        self.own(b"")

    def to_json(self, more: bytes) -> dict[str, Any]:
        """What is kept of it; it is told to own the blocks `more` as well."""
        owned = joined(bytes(self._owned), more)
        return {
            "sr": self.space.uuid,
            "size": self.size,
            "owned": base64.b64encode(zlib.compress(owned, 1)).decode() if owned else "",
            "tracking": self.tracking.to_json() if self.tracking is not None else None,
        }

    def close(self) -> None:
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None


class SrSpace:
    """The room of one SR. `physical_size` in bytes; `used_bytes` is kept up with every change of a volume."""

    def __init__(self, uuid: str, physical_size: int, *, thick: bool) -> None:
        self.uuid = uuid
        self.physical_size = physical_size
        self.thick = thick
        self.used_bytes = 0
        self._lock = threading.Lock()

    def fits(self, size: int) -> bool:
        return self.used_bytes + size <= self.physical_size

    def charge(self, size: int) -> None:
        with self._lock:
            self.used_bytes += size

    def take(self, size: int) -> bool:
        """Takes `size` more bytes for a thin volume; False when there are not so many."""
        with self._lock:
            if not self.fits(size):
                return False
            self.used_bytes += size
            return True


class Volumes:
    """All volumes by VDI uuid, and the space of all SRs by SR uuid."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.spaces: dict[str, SrSpace] = {}
        self._volumes: dict[str, Volume] = {}
        self._chains = Chains()
        self._gone: list[str] = []

    def add_sr(self, sr_uuid: str, physical_size: int, *, thick: bool) -> SrSpace:
        return self.spaces.setdefault(sr_uuid, SrSpace(sr_uuid, physical_size, thick=thick))

    def create(self, sr_uuid: str, uuid: str, size: int) -> Volume:
        """An empty volume. SR_BACKEND_FAILURE_44 when a thick SR has no room for it."""
        space = self.spaces[sr_uuid]
        if space.thick and not space.fits(thick_bytes(size)):
            raise ApiError("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "")
        path = self._folder / f"{uuid}.raw"
        with path.open("xb") as file:
            file.truncate(size)
        return self._register(space, uuid, path, size)

    def _register(self, space: SrSpace, uuid: str, path: Path, size: int) -> Volume:
        volume = Volume(space, path, size, thick=space.thick)
        space.charge(volume.used_bytes)
        self._volumes[uuid] = volume
        return volume

    def copy(self, source: str, sr_uuid: str, uuid: str, *, shared: bool) -> Volume:
        """A volume with the content of `source`. `shared`: a snapshot or clone, whose common blocks are paid once.

        Both then own nothing until they are written again; on a thick SR each of the two takes its full size.
        """
        origin = self._volumes[source]
        if shared:
            self._chains.check(source)
        made = self.create(sr_uuid, uuid, origin.size)
        copy_data(origin, made)
        if shared:
            held = b"" if made.thick else origin.owned
            self._chains.branch(source, uuid, held)
            if not made.thick:
                made.space.charge(held.count(1) * BLOCK_BYTES)
                origin.own(b"")
        return made

    def get(self, uuid: str) -> Volume:
        return self._volumes[uuid]

    def known(self, uuid: str) -> bool:
        return uuid in self._volumes

    def delete(self, uuid: str) -> None:
        """The volume goes; what others share with it stays, in the last of them once there is just one."""
        volume = self._volumes.pop(uuid)
        volume.space.charge(-volume.used_bytes)
        sharing = self._chains.sharing(self._chains.below(uuid))
        freed, heir, owned = self._chains.remove(uuid)
        volume.space.charge(-freed.count(1) * BLOCK_BYTES)
        if heir:
            self._volumes[heir].own(joined(self._volumes[heir].owned, owned))
        for other in sharing:
            if other in self._volumes:
                self._volumes[other].unsaved = True
        self._gone.append(uuid)
        volume.close()
        volume.path.unlink(missing_ok=True)

    def close(self) -> None:
        for volume in self._volumes.values():
            volume.close()

    def unsaved(self) -> tuple[dict[str, Any], list[str]]:
        """What is to be kept of the volumes that changed since the last time, and the uuids of those that went."""
        changed = {}
        for uuid, volume in self._volumes.items():
            if volume.unsaved:
                volume.unsaved = False
                changed[uuid] = volume.to_json(self._chains.paid_by(uuid))
        gone, self._gone = self._gone, []
        return changed, gone

    def restore(self, saved: dict[str, Any]) -> list[str]:
        """Takes up kept volumes; the uuids of those whose file is gone. Files that no record knows are removed."""
        missing = []
        for uuid, item in saved.items():
            path = self._folder / f"{uuid}.raw"
            try:
                found = path.stat().st_size
            except FileNotFoundError:
                missing.append(uuid)
                continue
            if found != item["size"]:
                os.truncate(path, item["size"])
            volume = self._register(self.spaces[item["sr"]], uuid, path, item["size"])
            if item["owned"]:
                volume.own(zlib.decompress(base64.b64decode(item["owned"])))
            volume.tracking = ChangeLog.from_json(item["tracking"]) if item["tracking"] else None
            volume.unsaved = False
        for path in self._folder.glob("*.raw"):
            if path.stem not in saved:
                path.unlink()
        return missing

    def items(self) -> list[tuple[str, Volume]]:
        return list(self._volumes.items())


def copy_data(origin: Volume, made: Volume) -> None:
    """Copies the parts of `origin` that hold data; the rest of `made` stays as it is."""
    for start, length in origin.data():
        at = start
        while at < start + length:
            part = origin.read(at, min(COPY_BYTES, start + length - at))
            os.pwrite(made.fd, part, at)
            at += len(part)
