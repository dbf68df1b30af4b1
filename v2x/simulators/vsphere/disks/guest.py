# SPDX-License-Identifier: Apache-2.0
"""A machine's disk with real bytes: a chain of files, the history of its changes, and the guest that writes to it."""

import hashlib
import re
import threading
import uuid as uuid_module
from collections.abc import Callable, Iterator
from pathlib import Path

from v2x.simulators.vsphere.disks.cowd import Cowd
from v2x.simulators.vsphere.disks.descriptor import NO_PARENT, descriptor, new_cid
from v2x.simulators.vsphere.disks.layer import SECTOR, Flat, Layer, is_zero
from v2x.simulators.vsphere.disks.sesparse import SeSparse
from v2x.simulators.vsphere.disks.tracking import BLOCK_BYTES, Tracker

SESPARSE_FROM_BYTES = 2 * 1024**4
"""Above this a delta is seSparse on every kind of datastore."""
_COPY_BYTES = 1 << 20
_NUMBERED = re.compile(r"^(?P<stem>.*?)(?:-(?P<number>\d{6}))?$")


class GuestDisk:
    """One virtual disk. Every public method may be called from any thread.

    `path` is where the first descriptor is or shall be, e.g. …/web01/web01.vmdk; `root` is its datastore's folder.
    `owner` is the machine that it is of, which others may borrow it from. With `objects`, a folder, the bytes are kept
    there and not in the datastore, as vSAN does: a descriptor names an object, and there is no -flat file.
    """

    def __init__(
        self,
        path: Path,
        root: Path,
        size_bytes: int,
        *,
        thin: bool,
        sparse: bool,
        adapter: str,
        owner: str = "",
        objects: Path | None = None,
    ) -> None:
        if size_bytes <= 0 or size_bytes % SECTOR:
            raise ValueError(f"a disk of {size_bytes} bytes is no whole number of sectors")
        self.root = root
        self.owner = owner
        self._objects = objects
        self.lock = threading.RLock()
        self.tracker = Tracker()
        self.uuid = f"6000c29{uuid_module.uuid4().hex[7:]}"
        self._adapter = adapter
        self._sparse = sparse
        self._thin = thin
        path.parent.mkdir(parents=True, exist_ok=True)
        self.top: Layer = Flat(path, self._extent(path, "flat"), size_bytes, new_cid(), thin=thin)
        self.layers: list[Layer] = [self.top]
        self.guest_writes = 0
        """How often the guest has written, zeroed, trimmed or grown: anything else that changes a byte is a bug."""
        self.describe(self.top)
        self._sealed: tuple[int, str] = (-1, "")

    @property
    def size_bytes(self) -> int:
        return self.top.size_bytes

    def shown(self, layer: Layer) -> str:
        """The descriptor's path below its datastore."""
        return layer.path.relative_to(self.root).as_posix()

    def shown_extent(self, layer: Layer) -> str:
        """The path of the file with the bytes below its datastore, or its object's address."""
        if self._objects is not None:
            return f"vsan://{layer.extent.name}"
        return layer.extent.relative_to(self.root).as_posix()

    def delta_format(self, layer: Layer) -> str:
        """What a backing calls the kind of a delta."""
        if self._objects is not None:
            return "vsanSparseFormat"
        return {"vmfsSparse": "redoLogFormat", "seSparse": "seSparseFormat"}[layer.kind]

    def _extent(self, path: Path, suffix: str) -> Path:
        if self._objects is None:
            return path.with_name(f"{path.stem}-{suffix}.vmdk")
        self._objects.mkdir(parents=True, exist_ok=True)
        return self._objects / str(uuid_module.uuid4())

    def describe(self, layer: Layer) -> None:
        """Writes the descriptor of a layer."""
        parent = layer.parent
        tracking = f"{layer.path.stem}-ctk.vmdk" if self.tracker.active else ""
        delta = parent is not None
        text = descriptor(
            "vsanSparse" if self._objects is not None and delta else layer.kind,
            layer.size_bytes,
            self.shown_extent(layer) if self._objects is not None else layer.extent.name,
            cid=layer.cid,
            uuid=self.uuid,
            thin=self._thin,
            parent_cid=parent.cid if parent is not None else NO_PARENT,
            parent=parent.path.name if parent is not None else "",
            tracking=tracking,
            adapter=self._adapter,
        )
        layer.path.write_text(text, encoding="utf-8")
        if tracking:
            layer.path.with_name(tracking).touch()

    # reading

    def read(self, offset: int, length: int, layer: Layer | None = None) -> bytes:
        """Bytes as the guest sees them, at `layer` or now."""
        with self.lock:
            return (layer or self.top).read(offset, length)

    def allocated(self, layer: Layer | None = None) -> list[tuple[int, int]]:
        """Start and length of what any layer down from `layer` holds, in whole blocks of 64 KiB, ascending."""
        return self._blocks(layer or self.top, lambda at: at.areas())

    def _blocks(self, layer: Layer, held: Callable[[Layer], Iterator[tuple[int, int]]]) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = []
        with self.lock:
            at: Layer | None = layer
            while at is not None:
                for start, length in held(at):
                    first = start // BLOCK_BYTES * BLOCK_BYTES
                    spans.append((first, min(-(-(start + length) // BLOCK_BYTES) * BLOCK_BYTES, self.size_bytes)))
                at = at.parent
        found: list[tuple[int, int]] = []
        for start, end in sorted(spans):
            if found and start <= sum(found[-1]):
                first, length = found[-1]
                found[-1] = (first, max(length, end - first))
            elif end > start:
                found.append((start, end - start))
        return found

    def pieces(self, layer: Layer | None = None, step: int = _COPY_BYTES) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) of all that may hold data, cut at multiples of `step`."""
        for start, length in self._blocks(layer or self.top, lambda at: at.data()):
            at, end = start, start + length
            while at < end:
                size = min(step - at % step, end - at)
                yield at, self.read(at, size, layer)
                at += size

    def digest(self, layer: Layer | None = None) -> str:
        """SHA-256 over the content: the size, and every block of 64 KiB that is not all zeros with its offset."""
        made = hashlib.sha256(str(self.size_bytes).encode())
        for offset, data in self.pieces(layer):
            for at in range(0, len(data), BLOCK_BYTES):
                block = data[at : at + BLOCK_BYTES]
                if not is_zero(block):
                    made.update((offset + at).to_bytes(8, "little"))
                    made.update(block)
        return made.hexdigest()

    def seal(self) -> None:
        """Remembers the content as it is, as what the guest left."""
        with self.lock:
            self._sealed = (self.guest_writes, self.digest())

    def facts(self) -> dict[str, object]:
        """The content's digest, how often the guest wrote, and whether nobody else changed a byte since it did."""
        with self.lock:
            writes, known = self._sealed
            now = self.digest()
            untouched = writes != self.guest_writes or known == now
            self._sealed = (self.guest_writes, now if untouched else known)
            return {"digest": now, "guest_writes": self.guest_writes, "untouched": untouched}

    # what the guest does

    def write(self, offset: int, data: bytes) -> None:
        """The guest writes whole sectors."""
        self._check(offset, len(data))
        with self.lock:
            self._touched(offset, len(data))
            self.top.write(offset, data)

    def zero(self, offset: int, length: int) -> None:
        """The guest writes zeros, or trims: the block reads as zeros afterwards."""
        self._check(offset, length)
        with self.lock:
            self._touched(offset, length)
            self.top.zero(offset, length)

    trim = zero

    def grow(self, size_bytes: int) -> None:
        """The disk becomes longer; what is new reads as zeros. ValueError with a snapshot, as the server refuses it."""
        with self.lock:
            top = self.top
            if not isinstance(top, Flat):
                raise ValueError("a disk with a snapshot cannot grow")
            if size_bytes <= top.size_bytes or size_bytes % SECTOR:
                raise ValueError(f"a disk of {top.size_bytes} bytes cannot grow to {size_bytes}")
            before = top.size_bytes
            top.grow(size_bytes)
            self.guest_writes += 1
            self.tracker.wrote(before, size_bytes - before)
            self.describe(top)

    def fill(self, image: Path, offset: int = 0) -> None:
        """Takes the bytes of a raw image before the machine is there: not a write of the guest."""
        with self.lock, image.open("rb") as file:
            while data := file.read(BLOCK_BYTES):
                if not is_zero(data):
                    self.top.write(offset, data + bytes(-len(data) % SECTOR))
                offset += len(data)

    def _check(self, offset: int, length: int) -> None:
        if offset % SECTOR or length % SECTOR or offset < 0 or offset + length > self.size_bytes:
            raise ValueError(f"{length} bytes at {offset} are no sectors of a disk of {self.size_bytes} bytes")

    def _touched(self, offset: int, length: int) -> None:
        parent = self.top.parent
        if parent is not None and self.top.cid == parent.cid:
            self.top.cid = new_cid()  # a delta has its parent's until something is written to it
            self.describe(self.top)
        self.guest_writes += 1
        self.tracker.wrote(offset, length)

    # snapshots

    def freeze(self) -> Layer:
        """Ends the present layer, which a snapshot keeps, and begins a delta on it. Returns the kept layer."""
        with self.lock:
            frozen = self.top
            path = self._next_path()
            if self._sparse or frozen.size_bytes > SESPARSE_FROM_BYTES:
                self.top = SeSparse(path, self._extent(path, "sesparse"), frozen, frozen.cid)
            else:
                self.top = Cowd(path, self._extent(path, "delta"), frozen, frozen.cid)
            self.layers.append(self.top)
            self.tracker.stun()
            self.describe(self.top)
            return frozen

    def _next_path(self) -> Path:
        stem = _stem(self.layers[0].path)
        number = 1
        while (path := self.layers[0].path.with_name(f"{stem}-{number:06d}.vmdk")).exists():
            number += 1
        return path

    def children(self, layer: Layer) -> list[Layer]:
        return [each for each in self.layers if each.parent is layer]

    def merge(self, child: Layer) -> Layer:
        """Writes what a delta holds into its parent and removes the delta; the parent takes its place."""
        with self.lock:
            parent = child.parent
            if parent is None:
                raise ValueError("a base has nothing to be merged into")
            for start, length in child.areas():
                at, end = start, start + length
                while at < end:
                    data = child.read(at, min(_COPY_BYTES, end - at))
                    if not is_zero(data):
                        parent.write(at, data)
                    else:
                        parent.zero(at, len(data))
                    at += len(data)
            parent.cid = child.cid
            self.describe(parent)
            for below in self.children(child):
                below.parent = parent
                self.describe(below)
            if self.top is child:
                self.top = parent
            self._remove(child)
            return parent

    def drop(self, layer: Layer) -> None:
        """Removes a layer that nothing stands on."""
        with self.lock:
            if self.children(layer) or layer is self.top:
                raise ValueError("the layer is in use")
            self._remove(layer)

    def branch(self, layer: Layer) -> None:
        """The machine goes back to a kept layer: its present delta is dropped and a new one begun there."""
        with self.lock:
            left, self.top = self.top, layer
            self.freeze()
            if not self.children(left) and left is not layer:
                self._remove(left)
            self.tracker.reset()

    def _remove(self, layer: Layer) -> None:
        self.layers.remove(layer)
        layer.close()
        for path in (layer.path, layer.extent, layer.path.with_name(f"{layer.path.stem}-ctk.vmdk")):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        with self.lock:
            for layer in self.layers:
                layer.close()


def _stem(path: Path) -> str:
    found = _NUMBERED.match(path.stem)
    return found["stem"] if found else path.stem
