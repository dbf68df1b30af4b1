# SPDX-License-Identifier: Apache-2.0
"""Listing a vCenter of 1,000 and of 10,000 machines: seconds, memory and round trips, in a process of its own.

The floor is taken in the same process: the time in which the pages came, and that of parsing each with ElementTree and
throwing it away. vCenter's paging tokens are good for once, so that the pages cannot be asked for again.
"""

import json
import os
import subprocess
import sys

import pytest

from tests.bench.contest import PAIRS, ROOT, written
from tests.bench.goals import reached
from v2x.simulators.vsphere import VsphereSimulator

_CLIENT = """
import json, resource, sys, time
from xml.etree import ElementTree
from v2x.model.address import parse_address
from v2x.secrets import Secret
from v2x.sources.vsphere import pages
from v2x.sources.vsphere.source import VsphereSource
from v2x.tls import Trust

address, password, pin = sys.argv[1:]
calls, fetching, parsing = [], [], []
exchanged = pages._exchanged

def watched(*given):
    began = time.perf_counter()
    status, body = exchanged(*given)
    came = time.perf_counter()
    ElementTree.fromstring(body)
    calls.append(1)
    fetching.append(came - began)
    parsing.append(time.perf_counter() - came)
    return status, body

pages._exchanged = watched
with VsphereSource.open(
    parse_address(address), password=Secret(password), trust=Trust(fingerprint=pin, option="source")
) as source:
    before, begun, cpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter(), time.process_time()
    found = source.inventory()
    print(json.dumps({
        "machines": len(found.machines),
        "seconds": round(time.perf_counter() - begun, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "calls": len(calls),
        "fetching": sum(fetching),
        "parsing": sum(parsing),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "before_mib": before // 1024,
    }))
"""


def listed(folder, machines):
    folder.mkdir()
    with VsphereSimulator(folder, estate="empty", machines=machines, password="secret") as simulator:
        ran = subprocess.run(
            [sys.executable, "-c", _CLIENT, f"vsphere://{simulator.user}@127.1:{simulator.port}", "secret",
             simulator.fingerprint],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
        )  # fmt: skip
    return json.loads(ran.stdout)


@pytest.mark.parametrize("machines", [1_000, 10_000])
def test_listing(tmp_path, machines):
    runs = [listed(tmp_path / str(turn), machines) for turn in range(PAIRS)]
    print("", *runs, sep="\n")
    name, figures = f"inventory-{machines}", runs[0]
    ratios = [(run["seconds"] - run["parsing"]) / (run["fetching"] + run["parsing"]) for run in runs]
    found = [
        reached("inventory-floor", name, ratios),
        reached("inventory-calls", name, [run["calls"] / machines * 1000 for run in runs]),
        reached("inventory-memory", name, [run["peak_mib"] for run in runs]),
    ]
    written(name, {"runs": runs}, found if machines == 10_000 else [])
    assert figures["machines"] == machines
    assert figures["peak_mib"] <= 200
    assert figures["calls"] <= 10 + machines // 250
