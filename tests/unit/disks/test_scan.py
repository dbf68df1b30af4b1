# SPDX-License-Identifier: Apache-2.0
from v2x.disks.bytesource import FileSource
from v2x.disks.extent import Extent
from v2x.disks.raw import RawReader
from v2x.disks.scan import ZeroScan
from v2x.model.units import MIB


def test_zeros_are_found_by_reading(tmp_path):
    file = tmp_path / "disk.raw"
    data = bytearray(9 * MIB + 512)
    data[5 * MIB] = 1
    data[-1] = 1
    file.write_bytes(data)
    scan = ZeroScan(RawReader(FileSource.open(file)))
    assert list(scan.extents(0, scan.size)) == [
        Extent(0, 4 * MIB, False),
        Extent(4 * MIB, 2 * MIB, True),
        Extent(6 * MIB, 2 * MIB, False),
        Extent(8 * MIB, MIB + 512, True),
    ]
    part = list(scan.extents(MIB, 6 * MIB))
    assert part == [Extent(MIB, 3 * MIB, False), Extent(4 * MIB, 2 * MIB, True), Extent(6 * MIB, MIB, False)]
    again = scan.clone()
    scan.close()
    buffer = bytearray(512)
    again.read_into(9 * MIB, buffer)
    assert buffer[-1] == 1
    again.close()
