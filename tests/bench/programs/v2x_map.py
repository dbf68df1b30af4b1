# SPDX-License-Identifier: Apache-2.0
"""The map of a disk, by its own tables or, with `qemu`, through a qemu-nbd: `v2x_map.py FORMAT IMAGE [qemu]`."""

import json
import sys
import time
from pathlib import Path

from v2x.disks.listing import FolderListing
from v2x.disks.nbd import open_through_qemu
from v2x.disks.stream.feed import data_blocks
from v2x.model.machine import DiskFormat
from v2x.sources.images import open_image

began = time.monotonic()
kind, image = DiskFormat(sys.argv[1]), Path(sys.argv[2])
if len(sys.argv) > 3:
    reader = open_through_qemu(image, kind)
else:
    reader = open_image(FolderListing(image.parent), [image.name], kind)
blocks = len(data_blocks(reader))
reader.close()
print(json.dumps({"bytes": 0, "blocks": blocks, "work_s": time.monotonic() - began}))
