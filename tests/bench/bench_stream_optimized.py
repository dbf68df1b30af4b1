# SPDX-License-Identifier: Apache-2.0
"""A streamOptimized VMDK to a TCP sink and to nowhere: against qemu-img, xo-vmdk-to-vhd, and inflating alone."""

import shutil
from pathlib import Path

from tests.bench.bench_to_tcp import staged, v2x_send
from tests.bench.contest import Contender, Contest, python
from tests.bench.inputs import Kind, Shape, data_bytes, image


def test_to_tcp(sink, peers, folder):
    path = image(Shape.FILLED, Kind.STREAM)
    contenders = [
        Contender(name="v2x", steps=(v2x_send(sink, Kind.STREAM, path),)),
        staged(path, Kind.STREAM, sink, folder),
    ]
    if peers is not None and shutil.which("node"):
        script = str(Path(__file__).parent / "peers" / "vmdk_to_vhd.cjs")
        contenders.append(Contender(name="xo-vmdk-to-vhd", steps=(("node", script, str(sink), str(path)),)))
    held = Contest(
        name="filled-stream-to-tcp",
        base_bytes=data_bytes(Shape.FILLED),
        sources=[path],
        contenders=contenders,
        folder=folder,
        environment={"PEERS": str(peers or "")},
    ).held()
    held.goal("stream-stage")
    held.goal("stream-xo")
    (folder / "staged.vhd").unlink(missing_ok=True)


def test_to_nowhere(folder):
    path = image(Shape.FILLED, Kind.STREAM)
    null = f"driver=null-co,size={image(Shape.FILLED, Kind.RAW).stat().st_size}"
    read = python("v2x_read.py", "vmdk", path)
    held = Contest(
        name="filled-stream-to-nowhere",
        base_bytes=data_bytes(Shape.FILLED),
        sources=[path],
        contenders=[
            Contender(name="v2x", steps=(read,)),
            Contender(name="v2x, one worker", steps=(("env", "BENCH_INFLATERS=1", *read),)),
            Contender(name="libdeflate in two threads", steps=(python("floor_inflate.py", path),)),
            Contender(
                name="qemu-img",
                steps=(("qemu-img", "convert", "-f", "vmdk", "-n", "--target-image-opts", str(path), null),),
            ),
        ],
        folder=folder,
    ).held()
    held.goal("stream-one")
