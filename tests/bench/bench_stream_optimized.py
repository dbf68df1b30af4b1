# SPDX-License-Identifier: Apache-2.0
"""A streamOptimized VMDK read and thrown away, against qemu-img and against inflating alone."""

from tests.bench.contest import Contender, Contest, python
from tests.bench.inputs import data_bytes


def test_stream_optimized_to_null(stream_vmdk, disk, folder):
    size = disk.raw.stat().st_size
    null = f"driver=null-co,size={size}"
    held = Contest(
        name="stream-optimized-to-null",
        base_bytes=data_bytes(stream_vmdk),
        sources=[stream_vmdk],
        contenders=[
            Contender(name="v2x", steps=(python("v2x_read.py", stream_vmdk),)),
            Contender(name="isal in two threads", steps=(python("floor_inflate.py", stream_vmdk),)),
            Contender(
                name="qemu-img",
                steps=(("qemu-img", "convert", "-f", "vmdk", "-n", "--target-image-opts", str(stream_vmdk), null),),
            ),
        ],
        folder=folder,
        facts={"folders": disk.folders, "file_bytes": stream_vmdk.stat().st_size},
    ).held()
    assert held.faster("v2x", "qemu-img")[0] > 1
