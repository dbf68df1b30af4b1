# SPDX-License-Identifier: Apache-2.0
"""The map of a disk of 2 TiB with 16,384 islands: read from its tables by v2x, qemu-img map, and through qemu-nbd."""

import pytest

from tests.bench.bench_to_tcp import V2X_FORMATS
from tests.bench.contest import Contender, Contest, python
from tests.bench.inputs import ISLANDS, Kind, Shape, files, image

KINDS = [Kind.FLAT, Kind.MONOLITHIC, Kind.STREAM, Kind.VHDX, Kind.QCOW2]
"""VHD ends at 2040 GiB, and qemu reads no chain of VHDX."""


@pytest.mark.parametrize("kind", KINDS)
def test_extents(kind, folder):
    path, form = image(Shape.SPARSE, kind), V2X_FORMATS.get(kind, "vmdk")
    contenders = [
        Contender(name="v2x", steps=(python("v2x_map.py", form, path),)),
        Contender(name="qemu-img map", steps=(("qemu-img", "map", "--output=json", "-f", kind.qemu, str(path)),)),
    ]
    # The two files of a flat VMDK are not handed to a qemu-nbd.
    if kind is not Kind.FLAT:
        contenders.append(Contender(name="through qemu-nbd", steps=(python("v2x_map.py", form, path, "qemu"),)))
    held = Contest(
        name=f"sparse-{kind}-extents",
        base_bytes=1_000_000_000,
        sources=files(Shape.SPARSE, kind),
        contenders=contenders,
        folder=folder,
    ).held()
    assert held.runs["v2x"][0].told["blocks"] >= ISLANDS
    held.goal("maps-qemu", "v2x", "qemu-img map", share=True)
    if kind in {Kind.MONOLITHIC, Kind.VHDX, Kind.QCOW2}:
        held.goal("maps-nbd", "v2x", "through qemu-nbd", clock="work_s")
