# SPDX-License-Identifier: Apache-2.0
"""What comes before the first byte of a copy: the map, the blocks, the stream's table. `v2x_plan.py FORMAT IMAGE`.

`v2x_plan.py full` plans a disk of 2040 GiB of which every block holds data, the largest that a VHD takes.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from v2x.disks.extent import Extent
from v2x.disks.listing import FolderListing
from v2x.disks.stored import LocalDisk, stored_blocks
from v2x.disks.stream.feed import data_blocks
from v2x.disks.stream.vhd import MAX_BYTES
from v2x.migrate.digests import DigestTable, digest_of
from v2x.model.machine import DiskFormat
from v2x.sources.images import open_image
from v2x.target.xapi.streams import Qcow2, Vhd


class Full:
    """A disk without a hole."""

    size, block = MAX_BYTES, 65536

    def extents(self, start: int, length: int) -> Iterator[Extent]:
        yield Extent(start, length, True)

    def close(self) -> None: ...


began = time.monotonic()
if sys.argv[1] == "full":
    reader = Full()
else:
    image = Path(sys.argv[2])
    reader = LocalDisk(open_image(FolderListing(image.parent), [image.name], DiskFormat(sys.argv[1])))
blocks = stored_blocks(reader, data_blocks(reader))
if reader.size > MAX_BYTES:
    stream = Qcow2(reader.size, blocks)
else:
    stream = Vhd(reader.size, blocks, uuid=UUID(int=1), timestamp=0)
count = sum(len(piece) for piece in stream.head())
digests, digest = DigestTable(), digest_of(b"")
for number in blocks:
    digests.add(number, digest)
digests.record(2 << 20, reader.size)
reader.close()
print(
    json.dumps(
        {"bytes": count, "length": stream.content_length, "blocks": len(blocks), "work_s": time.monotonic() - began}
    )
)
