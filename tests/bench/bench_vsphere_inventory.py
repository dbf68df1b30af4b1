# SPDX-License-Identifier: Apache-2.0
"""Listing a vCenter of 1,000 and of 10,000 machines: seconds, memory and round trips, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from v2x.simulators.vsphere import VsphereSimulator

ROOT = Path(__file__).parents[2]
_CLIENT = """
import json, resource, sys, time
from v2x.model.address import parse_address
from v2x.secrets import Secret
from v2x.sources.vsphere import pages
from v2x.sources.vsphere.source import VsphereSource
from v2x.tls import Trust

address, password, pin = sys.argv[1:]
calls = []
exchanged = pages._exchanged
pages._exchanged = lambda *given: (calls.append(1), exchanged(*given))[1]
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
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "before_mib": before // 1024,
    }))
"""


@pytest.mark.parametrize("machines", [1_000, 10_000])
def test_listing(tmp_path, machines):
    with VsphereSimulator(tmp_path, estate="empty", machines=machines, password="secret") as simulator:
        ran = subprocess.run(
            [sys.executable, "-c", _CLIENT, f"vsphere://{simulator.user}@127.1:{simulator.port}", "secret",
             simulator.fingerprint],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
        )  # fmt: skip
    figures = json.loads(ran.stdout)
    print(figures)
    assert figures["machines"] == machines
    assert figures["peak_mib"] <= 200
    assert figures["calls"] <= 10 + machines // 250
