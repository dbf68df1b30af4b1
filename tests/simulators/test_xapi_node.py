# SPDX-License-Identifier: Apache-2.0
"""The connector of Xen Orchestra (npm: xen-api), in Node.js over JSON-RPC: a client that shares nothing with ours."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from v2x.simulators.xapi import PROFILES
from v2x.simulators.xapi.datamodel import load

ROOT = Path(__file__).parents[2]
MODULES = ROOT / ".setup-clients" / "node_modules"


@pytest.mark.parametrize("profile", ["xcp-ng-8.3", "xcp-ng-8.2", "xenserver-9"])
def test_xen_orchestras_connector_does_everything(simulated_pool, profile):
    if not MODULES.is_dir():
        pytest.fail("the clients are not here: make .setup-clients/.complete")
    pool = simulated_pool(profile=profile)
    done = subprocess.run(
        ["node", ROOT / "tests" / "clients" / "orchestra.mjs", MODULES, pool.address],
        env={**os.environ, "XAPI_PASSWORD": pool.password},
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    labels = {t["reference_label"] for t in load(PROFILES[profile].datamodel).templates if not t["pv_package_only"]}
    assert set(told["templates"]) == labels
    assert {"SR", "VM", "host", "network", "pool", "PBD", "PIF"} <= set(told["classes"])
    assert told["pool"] == "simulated-pool"
    assert told["cached"] == {"description": "seen", "vifs": 1, "sizeType": "number"}
    assert told["sameDisk"] is told["sameXva"] is told["removed"] is True
    assert told["copy"] == "orchestrated"
    assert told["error"] == ["HANDLE_INVALID", "VM", "OpaqueRef:none"]
    moved = [i for i in pool.ledger.imports if i.outcome == "success"]
    assert [i.kind for i in moved] == ["vdi", "xva"]
