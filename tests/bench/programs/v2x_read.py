# SPDX-License-Identifier: Apache-2.0
"""All data of a VMDK through v2x's reader and pump, then thrown away. `v2x_read.py VMDK`."""

import json
import sys
import time
from pathlib import Path

from v2x.disks.extent import touched_blocks
from v2x.disks.listing import FolderListing
from v2x.disks.stream.feed import BLOCK_BYTES
from v2x.disks.vmdk import open_vmdk
from v2x.migrate.pump import pumped

began = time.monotonic()
image = Path(sys.argv[1])
reader = open_vmdk(FolderListing(image.parent), image.name)
blocks = touched_blocks(reader.extents(0, reader.size), BLOCK_BYTES)
count = 0
with pumped(reader, blocks, BLOCK_BYTES) as pump:
    for block in pump:
        count += len(block.data)
print(json.dumps({"bytes": count, "work_s": time.monotonic() - began}))
