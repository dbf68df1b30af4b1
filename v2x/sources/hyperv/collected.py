# SPDX-License-Identifier: Apache-2.0
"""A file that collect.ps1 wrote, as a source: to assess and plan with, and to migrate from where its disks lie beside.

A folder that holds the collected .json and the machine's .vhdx files, however they were copied there, is as good as
an export: of the paths in the file only the base names count.
"""

import ntpath
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import TracebackType

from v2x.disks.bytesource import FileSource
from v2x.disks.interface import DiskReader
from v2x.disks.listing import FolderListing
from v2x.errors import BadImage, InputRefused, SourceError, UnsafeImage, Unsupported
from v2x.model.inventory import Inventory
from v2x.model.machine import Disk, Machine, PowerState
from v2x.sources.hyperv.document import MOST_BYTES, decode, read_document
from v2x.sources.hyperv.estate import collected_at, read_estate
from v2x.sources.images import open_image
from v2x.sources.interface import Checkpoint
from v2x.sources.local_files import Clock, file_checkpoint, utc_now


def read_file(path: str | Path) -> str:
    """The text of a collected file. BadImage, UnsafeImage or SourceError when it cannot be read."""
    name = Path(path).name
    with closing(FileSource.open(path)) as source:
        if source.size > MOST_BYTES:
            raise UnsafeImage(f"{name} has {source.size:,} bytes, what is collected from a host has far less")
        data = bytearray(source.size)
        source.read_into(0, data)
    return decode(bytes(data), name)
