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
    """The file behind one VDI. `owned` has one byte per 2 MiB block, 1 where this VDI pays for it."""

    def __init__(self, space: "SrSpace", path: Path, size: int, *, thick: bool) -> None:
        self.space = space
        self.path = path
        self.size = size
        self.thick = thick
        self.base_bytes = 0
        self.owned = bytearray(-(-size // BLOCK_BYTES))
        self._fd: int | None = None
        self._lock = threading.Lock()

    @property
    def fd(self) -> int:
        with self._lock:
            if self._fd is None:
                self._fd = os.open(self.path, os.O_RDWR)
            return self._fd

    @property
    def used_bytes(self) -> int:
        if self.thick:
            return thick_bytes(self.size) + self.base_bytes
        return self.owned.count(1) * BLOCK_BYTES + self.base_bytes

    def write(self, view: memoryview, offset: int) -> None:
        """Writes `view` at `offset`. What fits is written before PastEnd or NoRoom is raised."""
        inside = min(len(view), max(self.size - offset, 0))
        room = self._take(offset, inside)
        done = 0
        while done < room:
            done += os.pwrite(self.fd, view[done:room], offset + done)
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
        first, last = offset // BLOCK_BYTES, (offset + length - 1) // BLOCK_BYTES
        for block in range(first, last + 1):
            if not self.owned[block]:
                if not self.space.take(BLOCK_BYTES):
                    return max(block * BLOCK_BYTES - offset, 0)
                self.owned[block] = 1
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
        os.truncate(self.path, size)
        self.size = size
        blocks = -(-size // BLOCK_BYTES)
        self.owned = self.owned[:blocks] + bytes(max(blocks - len(self.owned), 0))

    def close(self) -> None:
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None


class SrSpace:
    """The room of one SR. `physical_size` in bytes; volumes register themselves."""

    def __init__(self, physical_size: int, *, thick: bool) -> None:
        self.physical_size = physical_size
        self.thick = thick
        self.volumes: dict[str, Volume] = {}
        self._lock = threading.RLock()

    @property
    def used_bytes(self) -> int:
        with self._lock:
            return sum(v.used_bytes for v in self.volumes.values())

    def fits(self, size: int) -> bool:
        return self.used_bytes + size <= self.physical_size

    def take(self, size: int) -> bool:
        """Whether `size` more bytes may be used by a thin volume."""
        with self._lock:
            return self.fits(size)


class Volumes:
    """All volumes by VDI uuid, and the space of all SRs by SR uuid."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.spaces: dict[str, SrSpace] = {}
        self._volumes: dict[str, Volume] = {}

    def add_sr(self, sr_uuid: str, physical_size: int, *, thick: bool) -> SrSpace:
        return self.spaces.setdefault(sr_uuid, SrSpace(physical_size, thick=thick))

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
        self._volumes[uuid] = space.volumes[uuid] = volume
        return volume

    def copy(self, source: str, sr_uuid: str, uuid: str, *, shared: bool) -> Volume:
        """A volume with the content of `source`. `shared`: a snapshot or clone, whose common blocks are paid once.

        The parent then owns nothing until it is written again; on a thick SR each of the two takes its full size.
        """
        origin = self._volumes[source]
        made = self.create(sr_uuid, uuid, origin.size)
        copy_data(origin, made)
        if shared and not made.thick:
            origin.base_bytes, made.base_bytes = 0, origin.base_bytes
            made.owned, origin.owned = origin.owned, bytearray(len(origin.owned))
        elif not made.thick:
            made.owned[:] = origin.owned
        return made

    def get(self, uuid: str) -> Volume:
        return self._volumes[uuid]

    def known(self, uuid: str) -> bool:
        return uuid in self._volumes

    def delete(self, uuid: str) -> None:
        volume = self._volumes.pop(uuid)
        volume.space.volumes.pop(uuid, None)
        volume.close()
        volume.path.unlink(missing_ok=True)

    def close(self) -> None:
        for volume in self._volumes.values():
            volume.close()

    def dump(self) -> dict[str, Any]:
        return {
            "srs": {u: {"size": s.physical_size, "thick": s.thick} for u, s in self.spaces.items()},
            "volumes": {
                uuid: {
                    "sr": next(u for u, s in self.spaces.items() if s is v.space),
                    "size": v.size,
                    "base": v.base_bytes,
                    "owned": base64.b64encode(zlib.compress(bytes(v.owned))).decode(),
                }
                for uuid, v in self._volumes.items()
            },
        }

    def restore(self, saved: dict[str, Any]) -> None:
        for uuid, sr in saved["srs"].items():
            self.add_sr(uuid, sr["size"], thick=sr["thick"])
        for uuid, item in saved["volumes"].items():
            path = self._folder / f"{uuid}.raw"
            volume = self._register(self.spaces[item["sr"]], uuid, path, item["size"])
            volume.base_bytes = item["base"]
            volume.owned = bytearray(zlib.decompress(base64.b64decode(item["owned"])))


def copy_data(origin: Volume, made: Volume) -> None:
    """Copies the parts of `origin` that hold data; the rest of `made` stays as it is."""
    for start, length in origin.data():
        at = start
        while at < start + length:
            part = origin.read(at, min(COPY_BYTES, start + length - at))
            os.pwrite(made.fd, part, at)
            at += len(part)
