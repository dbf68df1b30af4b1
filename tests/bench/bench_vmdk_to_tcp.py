# SPDX-License-Identifier: Apache-2.0
"""Sparse and flat VMDK as a VHD stream to a TCP sink, against nbdcopy, staging with qemu-img, and sendall alone."""

import shutil
from pathlib import Path

from tests.bench.contest import Contender, Contest, python
from tests.bench.inputs import data_bytes


def contest(name: str, files: list[Path], disk, sink: int, nbd_null: int, folder: Path) -> Contest:
    image, staged = files[0], folder / "staged.vhd"
    base_bytes = data_bytes(image)
    convert = ("qemu-img", "convert", "-f", "vmdk", "-O", "vpc", "-o", "subformat=dynamic,force_size=on")
    contenders = [
        Contender(name="v2x", steps=(python("v2x_send.py", sink, image),)),
        Contender(name="sendall", steps=(python("floor_send.py", sink, base_bytes),)),
        Contender(
            name="qemu-img, then send",
            steps=((*convert, str(image), str(staged)), python("file_send.py", sink, staged)),
            before=lambda: staged.unlink(missing_ok=True),
        ),
    ]
    if shutil.which("nbdcopy") and shutil.which("nbdkit"):
        served = ("[", "qemu-nbd", "-r", "-f", "vmdk", str(image), "]")
        address = f"nbd://127.0.0.1:{nbd_null}"
        contenders.append(
            Contender(name="nbdcopy", steps=(("nbdcopy", "--destination-is-zero", "--", *served, address),))
        )
    held = Contest(
        name=name,
        base_bytes=base_bytes,
        sources=files,
        contenders=contenders,
        folder=folder,
        facts={"folders": disk.folders},
    ).held()
    staged.unlink(missing_ok=True)
    return held


def test_sparse_vmdk_to_tcp(sparse_vmdk, disk, sink, nbd_null, folder):
    held = contest("sparse-vmdk-to-tcp", [sparse_vmdk], disk, sink, nbd_null, folder)
    assert held.faster("v2x", "qemu-img, then send")[0] > 1


def test_flat_vmdk_to_tcp(flat_vmdk, disk, sink, nbd_null, folder):
    held = contest("flat-vmdk-to-tcp", flat_vmdk, disk, sink, nbd_null, folder)
    assert held.faster("v2x", "qemu-img, then send")[0] > 1
