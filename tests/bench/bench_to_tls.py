# SPDX-License-Identifier: Apache-2.0
"""Disks as VHD streams to a TLS sink: against TLS sendall of as many bytes, and staging with qemu-img."""

import pytest

from tests.bench.bench_to_tcp import staged, v2x_send
from tests.bench.contest import Contender, Contest, python
from tests.bench.inputs import Kind, Shape, data_bytes, files, image


@pytest.mark.parametrize("kind", [Kind.MONOLITHIC, Kind.FLAT, Kind.VHDX])
def test_tls(kind, tls_sink, folder):
    path, base_bytes = image(Shape.FILLED, kind), data_bytes(Shape.FILLED)
    held = Contest(
        name=f"filled-{kind}-to-tls",
        base_bytes=base_bytes,
        sources=files(Shape.FILLED, kind),
        contenders=[
            Contender(name="v2x", steps=(v2x_send(tls_sink, kind, path),)),
            Contender(name="TLS sendall", steps=(python("floor_send.py", tls_sink, base_bytes),)),
            staged(path, kind, tls_sink, folder),
        ],
        folder=folder,
    ).held()
    held.goal("tls-floor")
    held.goal("tls-stage")
    (folder / "staged.vhd").unlink(missing_ok=True)
