# SPDX-License-Identifier: Apache-2.0
"""What digests cost: a copy with them and without, to a plain sink and to a TLS one."""

import pytest

from tests.bench.bench_to_tcp import v2x_send
from tests.bench.contest import PAIRS, Contender, Contest
from tests.bench.inputs import Kind, Shape, data_bytes, files, image


@pytest.mark.parametrize("way", ["tcp", "tls"])
def test_digest(way, sink, tls_sink, folder):
    kind = Kind.MONOLITHIC
    step = v2x_send(sink if way == "tcp" else tls_sink, kind, image(Shape.FILLED, kind))
    held = Contest(
        name=f"digest-{way}",
        base_bytes=data_bytes(Shape.FILLED),
        sources=files(Shape.FILLED, kind),
        contenders=[
            Contender(name="v2x", steps=(step,)),
            Contender(name="v2x without digests", steps=(("env", "BENCH_NO_DIGEST=1", *step),)),
        ],
        folder=folder,
    ).held(pairs=3 * PAIRS)  # two runs differ by more than digests cost
    held.goal("digest", "v2x", "v2x without digests", share=True)
