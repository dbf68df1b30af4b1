# SPDX-License-Identifier: Apache-2.0
"""A .json file as a source: told by its schema, an inventory of v2x or what was collected on a Hyper-V host."""

from pathlib import Path
from typing import TYPE_CHECKING

from v2x.errors import BadImage
from v2x.sources.hyperv.collected import CollectedFileSource, read_file
from v2x.sources.hyperv.document import is_collected
from v2x.sources.inventory_file import InventoryFileSource
from v2x.sources.local_files import Clock, utc_now

if TYPE_CHECKING:
    from v2x.sources.interface import Source


class JsonFile:
    """Opens the source that a .json file is."""

    @staticmethod
    def open(path: str | Path, address: str = "", clock: Clock | None = None) -> "Source":
        """BadImage for a file of neither schema."""
        try:
            text = read_file(path)
        except BadImage:  # in no encoding that a host writes, and so for the other kind to refuse
            text = ""
        if is_collected(text):
            return CollectedFileSource(path, text, address or str(path), clock or utc_now)
        return InventoryFileSource.open(path, address, clock)
