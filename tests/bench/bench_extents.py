# SPDX-License-Identifier: Apache-2.0
"""The map of a disk of 2 TiB with 16,384 islands: read from its tables by v2x, qemu-img map, and through qemu-nbd."""

import json
import subprocess

import pytest

from tests.bench.bench_to_tcp import V2X_FORMATS
from tests.bench.contest import Contender, Contest, python
from tests.bench.inputs import BLOCK_BYTES, ISLANDS, Kind, Shape, data_bytes, files, image
from v2x.model.units import TIB

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
    if kind is Kind.VHDX:  # of which QEMU tells no map: all of it is data, without a look at its table
        told = subprocess.run(held.contenders[1].steps[0], check=True, capture_output=True).stdout
        assert [one["length"] for one in json.loads(told)] == [2 * TIB]
        return
    # By the programs' own clocks: a map of a tenth of a second is not told by how long an interpreter takes to start.
    held.goal("maps-qemu", "v2x", "qemu-img map", clock="work_s", share=True)
    if kind in {Kind.MONOLITHIC, Kind.QCOW2}:
        held.goal("maps-nbd", "v2x", "through qemu-nbd", clock="work_s")


def test_blocks_of_a_vhdx(folder):
    """What is known of its blocks before the first is sent; who goes by QEMU's map reads all of the disk for that."""
    path = image(Shape.FILLED, Kind.VHDX)
    held = Contest(
        name="filled-vhdx-blocks",
        base_bytes=1_000_000_000,
        sources=files(Shape.FILLED, Kind.VHDX),
        contenders=[
            Contender(name="v2x", steps=(python("known_blocks.py", "vhdx", path),)),
            Contender(name="through qemu-nbd", steps=(python("known_blocks.py", "vhdx", path, "qemu"),)),
        ],
        folder=folder,
    ).held()
    found, *others = {run.told["blocks"] for runs in held.runs.values() for run in runs}
    assert not others and found == data_bytes(Shape.FILLED) // BLOCK_BYTES
    held.goal("maps-nbd", "v2x", "through qemu-nbd", clock="work_s")
