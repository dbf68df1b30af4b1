# SPDX-License-Identifier: Apache-2.0
"""Disks as VHD streams to the sink, copied as a migration copies them. `v2x_send.py [tls:]PORT [nbd:]FORMAT IMAGE…`.

All images at once, each in a thread of its own; with `nbd:`, through a qemu-nbd. Between reader and socket stands what
stands there in a migration: the map, the blocks read ahead, their digests, the stream's own checks. Only the pool is
missing: what a segment would cost in calls and waits for its task. With BENCH_NO_DIGEST the digests are left out.
"""

import itertools
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

from tests.bench.programs.outlet import outlet
from v2x.disks.interface import Buffer
from v2x.disks.listing import FolderListing
from v2x.disks.nbd import open_through_qemu
from v2x.disks.stored import LocalDisk
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.disks.stream.vhd import MAX_BYTES
from v2x.migrate import copy
from v2x.migrate.observe import Silent
from v2x.model.machine import DiskFormat
from v2x.sources.images import open_image
from v2x.target.interface import Claim, ClaimedDisk
from v2x.target.xapi.streams import Piece, Qcow2, Vhd


class SinkWriter:
    """A DiskWriter whose whole disk is one stream."""

    block = BLOCK_BYTES

    def __init__(self, place: str, size_bytes: int, blocks: Sequence[int]) -> None:
        self._stream = (
            Vhd(size_bytes, blocks, uuid=UUID(int=1), timestamp=0)
            if size_bytes <= MAX_BYTES
            else Qcow2(size_bytes, blocks)
        )
        self._open = ExitStack()
        self._connection = self._open.enter_context(outlet(place, self._stream.content_length))
        self.sent_bytes = self.segments = 0
        self._send(self._stream.head())

    def _send(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            self._connection.sendall(piece)
            self.sent_bytes += len(piece)

    def write(self, number: int, data: Buffer) -> None:
        self._send(self._stream.block(number, data))

    def leave_out(self, number: int, data: Buffer) -> None:
        told = self._stream.blank if isinstance(self._stream, Vhd) else self._stream.block
        self._send(told(number, data))

    def commit(self) -> int:
        self._send(self._stream.foot())
        self._open.close()
        assert self.sent_bytes == self._stream.content_length
        return self.sent_bytes

    def abort(self) -> None:
        self._open.pop_all()


class Sink:
    """As much of a Target as copying asks of it."""

    def __init__(self, place: str) -> None:
        self._place = place

    def writer(self, claim: Claim, disk: ClaimedDisk, blocks: Sequence[int], point: str) -> SinkWriter:
        return SinkWriter(self._place, disk.size_bytes, blocks)


def copied(place: str, kind: DiskFormat, image: Path) -> tuple[int, int, float]:
    """Bytes sent, blocks of data among them, seconds from the common start."""
    if by_nbd:
        reader = open_through_qemu(image, kind)
    else:  # as sources of local files do it
        reader = LocalDisk(open_image(FolderListing(image.parent), [image.name], kind))
    disk = ClaimedDisk(source_disk=str(image), id="d", size_bytes=reader.size, mark_bytes=0, point="p")
    done = copy.copy_disk(reader, Sink(place), Claim(tag="t", id="c", name="n", disks=(disk,)), disk, "p", Silent())
    reader.close()
    return done.sent_bytes, len(done.blocks) - done.empty, time.monotonic() - began


began = time.monotonic()
place, by_nbd, kind = sys.argv[1], sys.argv[2].startswith("nbd:"), DiskFormat(sys.argv[2].removeprefix("nbd:"))
images = [Path(one) for one in sys.argv[3:]]
if os.environ.get("BENCH_NO_DIGEST"):
    numbers = itertools.count()
    copy.digest_of = lambda _: next(numbers).to_bytes(16, "big")
if len(images) == 1:
    done = [copied(place, kind, images[0])]
else:
    with ThreadPoolExecutor(len(images)) as pool:
        done = list(pool.map(copied, itertools.repeat(place), itertools.repeat(kind), images))
print(json.dumps({
    "bytes": sum(sent for sent, _, _ in done),
    "blocks": sum(blocks for _, blocks, _ in done),
    "seconds": [round(seconds, 4) for _, _, seconds in done],
    "work_s": time.monotonic() - began,
}))  # fmt: skip
