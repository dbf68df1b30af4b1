# SPDX-License-Identifier: Apache-2.0
"""The most memory that a process takes which copies: one disk, eight at once, and one of 2 TiB."""

import pytest

from tests.bench.bench_to_tcp import V2X_FORMATS, v2x_send
from tests.bench.contest import Contender, Contest, python
from tests.bench.goals import reached
from tests.bench.inputs import Kind, Shape, data_bytes, image
from v2x.model.units import TIB

EIGHT = 8


def peak(name: str, goal: str, step: tuple[str, ...], folder, base_bytes: int) -> None:
    held = Contest(
        name=name, base_bytes=base_bytes, sources=[], contenders=[Contender(name="v2x", steps=(step,))], folder=folder
    ).held(pairs=1)
    held.note(reached(goal, name, [held.runs["v2x"][0].peak_bytes / 2**20]))


@pytest.mark.parametrize("kind", [Kind.MONOLITHIC, Kind.FLAT, Kind.STREAM, Kind.VHDX, Kind.CHAIN, Kind.QCOW2])
def test_one_stream(kind, tls_sink, folder):
    step = v2x_send(tls_sink, kind, image(Shape.FILLED, kind))
    peak(f"memory-filled-{kind}", "memory-one", step, folder, data_bytes(Shape.FILLED))


def test_one_stream_by_nbd(tls_sink, folder):
    step = v2x_send(tls_sink, Kind.QCOW2, image(Shape.FILLED, Kind.QCOW2), by_nbd=True)
    peak("memory-filled-nbd", "memory-one", step, folder, data_bytes(Shape.FILLED))


@pytest.mark.parametrize("kind", [Kind.MONOLITHIC, Kind.VHDX, Kind.STREAM])
def test_eight_streams(kind, tls_sink, folder):
    step = v2x_send(tls_sink, kind, *[image(Shape.THIN, kind)] * EIGHT)
    peak(f"memory-eight-{kind}", "memory-eight", step, folder, EIGHT * data_bytes(Shape.THIN))


@pytest.mark.parametrize("kind", [Kind.FLAT, Kind.MONOLITHIC, Kind.VHDX, Kind.STREAM, Kind.QCOW2])
def test_two_tebibytes(kind, folder):
    """Every one of its blocks of 128 MiB holds an island, so that its table is as full of gaps as can be."""
    step = python("v2x_plan.py", V2X_FORMATS.get(kind, "vmdk"), image(Shape.SPARSE, kind))
    peak(f"memory-2tib-{kind}", "memory-one", step, folder, data_bytes(Shape.SPARSE))


def test_two_tebibytes_full(folder):
    """The longest list of blocks there is: all of them."""
    peak("memory-2tib-full", "memory-one", python("v2x_plan.py", "full"), folder, 2 * TIB)
