# SPDX-License-Identifier: Apache-2.0
"""One to eight disks at once in one process, to a TLS sink and a plain one: what they reach together, how evenly."""

import statistics

import pytest

from tests.bench.bench_to_tcp import v2x_send
from tests.bench.contest import Contender, Contest
from tests.bench.goals import reached
from tests.bench.inputs import Kind, Shape, data_bytes, files, image

COUNTS = (1, 2, 3, 4, 8)


@pytest.mark.parametrize("kind", [Kind.MONOLITHIC, Kind.VHDX])
@pytest.mark.parametrize("way", ["tcp", "tls"])
def test_many(kind, way, sink, tls_sink, folder):
    path, place = image(Shape.THIN, kind), sink if way == "tcp" else tls_sink
    held = Contest(
        name=f"many-thin-{kind}-to-{way}",
        base_bytes=data_bytes(Shape.THIN),
        sources=files(Shape.THIN, kind),
        contenders=[
            Contender(name=f"v2x {count}", steps=(v2x_send(place, kind, *[path] * count),)) for count in COUNTS
        ],
        folder=folder,
    ).held()
    rates = {count: [count / run.wall_s for run in held.runs[f"v2x {count}"]] for count in COUNTS}
    best = max((2, 3, 4), key=lambda count: statistics.median(rates[count]))
    shares = [eight / other for eight, other in zip(rates[8], rates[best], strict=True)]
    held.note(reached("many-aggregate", f"{kind} to {way}", shares))
    times = [run.told["seconds"] for run in held.runs["v2x 8"]]
    held.note(reached("many-fair", f"{kind} to {way}", [max(one) / min(one) for one in times]))
