# SPDX-License-Identifier: Apache-2.0
"""A conversion without a virtual machine: some bytes of each disk are written over."""

import contextlib

from v2x.convert.guest import ConvertedDisk
from v2x.convert.interface import Conversion, Edit, Inspection, Proposal
from v2x.disks.extent import Extent

MIB = 1 << 20
PUT = b"put right for Xen"
WHERE = 7 * MIB + 4096


class Overlaid:
    """A disk with some bytes written over: `put` at `where`."""

    def __init__(self, inner, put=PUT, where=WHERE):
        self.inner, self.size, self.block = inner, inner.size, inner.block
        self.put, self.where = put, where

    def read_into(self, offset, buffer):
        self.inner.read_into(offset, buffer)
        for number, value in enumerate(self.put, self.where - offset):
            if 0 <= number < len(buffer):
                buffer[number] = value

    def extents(self, start, length):
        yield Extent(start, length, True)

    def clone(self):
        return Overlaid(self.inner.clone(), self.put, self.where)

    def close(self):
        self.inner.close()


def conversion(made, put=PUT, where=WHERE):
    """What stands in for converted_guest, and reads the end of each disk first, as tools for partitions do.

    The folder for overlays of each conversion goes to `made`.
    """

    @contextlib.contextmanager
    def convert(disks, folder, **_):
        for disk in disks:
            disk.read_into(disk.size - 512, bytearray(512))
            disk.read_into(0, bytearray(512))
        made.append(folder)
        area = Extent(where, len(put), True)
        proposal = Proposal(edits=(Edit(path="/e", before="a", after="b", why="w"),))
        readers = [Overlaid(disk.clone(), put, where) for disk in disks]
        try:
            yield (
                Conversion(inspection=Inspection(os="linux"), proposal=proposal),
                [ConvertedDisk(reader, (area,)) for reader in readers],
            )
        finally:
            for reader in readers:
                reader.close()

    return convert
