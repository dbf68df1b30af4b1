# SPDX-License-Identifier: Apache-2.0
"""Which blocks of 2 MiB of a disk hold more than zeros: `known_blocks.py FORMAT IMAGE [qemu]`.

As a migration finds them before it sends any or, with `qemu`, by reading all that a qemu-nbd calls data.
"""

import json
import sys
import time
from pathlib import Path

from v2x.disks.listing import FolderListing
from v2x.disks.nbd import open_through_qemu
from v2x.disks.stored import LocalDisk, stored_blocks
from v2x.disks.stream.feed import BLOCK_BYTES, data_blocks
from v2x.migrate.pump import pumped
from v2x.model.machine import DiskFormat
from v2x.sources.images import open_image

began = time.monotonic()
kind, image = DiskFormat(sys.argv[1]), Path(sys.argv[2])
if len(sys.argv) > 3:
    zeros = bytes(BLOCK_BYTES)
    reader = open_through_qemu(image, kind)
    with pumped(reader, data_blocks(reader), BLOCK_BYTES) as read:
        blocks = sum(bytes(block.data) != zeros[: len(block.data)] for block in read)
else:
    reader = LocalDisk(open_image(FolderListing(image.parent), [image.name], kind))
    blocks = len(stored_blocks(reader, data_blocks(reader)))
reader.close()
print(json.dumps({"bytes": 0, "blocks": blocks, "work_s": time.monotonic() - began}))
