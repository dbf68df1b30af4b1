# SPDX-License-Identifier: Apache-2.0
"""All data of a disk through v2x's reader and pump, then thrown away. `v2x_read.py FORMAT IMAGE`.

With BENCH_INFLATERS, that many threads inflate.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from v2x.disks import inflate
from v2x.disks.listing import FolderListing
from v2x.disks.stream.feed import BLOCK_BYTES, data_blocks
from v2x.migrate.pump import pumped
from v2x.model.machine import DiskFormat
from v2x.sources.images import open_image

began = time.monotonic()
if wanted := os.environ.get("BENCH_INFLATERS"):
    inflate.WORKERS._pool = ThreadPoolExecutor(int(wanted))
image = Path(sys.argv[2])
reader = open_image(FolderListing(image.parent), [image.name], DiskFormat(sys.argv[1]))
count = 0
with pumped(reader, data_blocks(reader), BLOCK_BYTES) as pump:
    for block in pump:
        count += len(block.data)
reader.close()
print(json.dumps({"bytes": count, "work_s": time.monotonic() - began}))
