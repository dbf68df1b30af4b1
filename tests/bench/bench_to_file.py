# SPDX-License-Identifier: Apache-2.0
"""A VHDX to a VHD file: `v2x convert` against qemu-img convert, and against writing as many bytes into a file.

In memory where there is /dev/shm: on a disk its speed would be all that is seen, and v2x waits until the file is safely
there while qemu-img does not.
"""

import sys
import tempfile
from pathlib import Path

from tests.bench.contest import Contender, Contest, python
from tests.bench.inputs import Kind, Shape, data_bytes, image


def test_vhdx_to_vhd(folder):
    path, base_bytes = image(Shape.FILLED, Kind.VHDX), data_bytes(Shape.FILLED)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="v2x-bench-", dir=memory if memory.is_dir() else folder) as made:
        out = Path(made) / "out.vhd"
        qemu = ("qemu-img", "convert", "-f", "vhdx", "-O", "vpc", "-o", "subformat=dynamic,force_size=on")
        steps = {
            "v2x": (sys.executable, "-m", "v2x", "convert", str(path), str(out), "--quiet"),
            "write": python("floor_write.py", out, base_bytes),
            "qemu-img": (*qemu, str(path), str(out)),
        }
        held = Contest(
            name="filled-vhdx-to-vhd",
            base_bytes=base_bytes,
            sources=[path],
            contenders=[
                Contender(name=name, steps=(step,), before=lambda: out.unlink(missing_ok=True))
                for name, step in steps.items()
            ],
            folder=folder,
        ).held()
    held.goal("file-qemu", "v2x", "qemu-img")
