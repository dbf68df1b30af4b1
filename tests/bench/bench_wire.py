# SPDX-License-Identifier: Apache-2.0
"""How many bytes travel for a disk: held against its blocks of 2 MiB that hold anything but zeros."""

import json
import os
import subprocess

import pytest

from tests.bench.bench_to_tcp import V2X_FORMATS, v2x_send
from tests.bench.contest import ROOT, python, written
from tests.bench.goals import reached
from tests.bench.inputs import IMPOSSIBLE, Kind, Shape, data_bytes, discard, image
from v2x.model.units import MIB


@pytest.mark.parametrize("shape", list(Shape))
def test_wire(shape, sink, folder):
    base_bytes, found, sent = data_bytes(shape), [], {}
    for kind in Kind:
        if (shape, kind) in IMPOSSIBLE:
            continue
        step = v2x_send(sink, kind, image(shape, kind))
        if shape is Shape.SPARSE:  # 16,384 blocks of which 4 KiB hold data: 34 GB that need not be sent to be counted
            step = python("v2x_plan.py", V2X_FORMATS.get(kind, "vmdk"), image(shape, kind))
        ran = subprocess.run(
            step,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        told = json.loads(ran.stdout)
        sent[kind.value] = told.get("length", told["bytes"])
        over = (sent[kind.value] - 1.01 * base_bytes) / MIB
        print(f"\n{shape:8}{kind:12}{sent[kind.value] / 1e6:10.1f} MB, {over:8.2f} MiB over", end="")
        found.append(reached("wire", f"{shape} as {kind}", [over]))
        if shape is Shape.RANDOM and kind is not Kind.RAW:
            discard(shape, kind)
    written(f"wire-{shape}", {"base_bytes": base_bytes, "sent_bytes": sent}, found, {"impossible": _impossible(shape)})


def _impossible(shape: Shape) -> dict[str, str]:
    return {kind.value: why for (one, kind), why in IMPOSSIBLE.items() if one is shape}
