# SPDX-License-Identifier: Apache-2.0
"""The stand-in for vSphere as govmomi sees it: a client in Go that shares no code with pyVmomi."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.vsphere_estate import MIB, Factory, patterned
from v2x.simulators.vsphere import VsphereSimulator

PROGRAM = Path(__file__).resolve().parents[2] / ".setup-vcsim" / "client"


def told(simulator: VsphereSimulator, **options: object) -> dict[str, Any]:
    """What the client of tests/vcsim/client prints."""
    if not PROGRAM.exists():
        raise RuntimeError("the client is not built: make .setup-vcsim/.complete")
    address = f"https://{simulator.user.replace('@', '%40')}:{simulator.password}@127.0.0.1:{simulator.port}/sdk"
    argv = [str(PROGRAM), f"-url={address}", f"-thumbprint={simulator.thumbprint}"]
    argv += [f"-{name}={value}" for name, value in options.items()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("profile", ["vcenter-8.0", "vcenter-7.0", "vcenter-6.7", "esxi-8.0", "esxi-6.7"])
def test_lists_the_standard_estate(simulated_vsphere: Factory, profile: str) -> None:
    simulator = simulated_vsphere(profile=profile)
    found = told(simulator)
    assert simulator.profile.version in found["Product"]
    names = {m["Name"]: m for m in found["Machines"]}
    assert len(found["Machines"]) == (50 if simulator.profile.vcenter else 4)
    assert names["web01"]["Devices"] > 10
    if simulator.profile.vcenter:
        assert sorted(names["web02"]["Tags"]) == ["Gold", "Production"]
        assert names["app%2fone 50%25"]["Power"] == "poweredOff"
    assert simulator.state.sessions.count() == 0, "it has logged out"


@pytest.mark.parametrize("profile", ["vcenter-8.0", "esxi-8.0"])
def test_snapshots_exports_and_downloads(simulated_vsphere: Factory, tmp_path: Path, profile: str) -> None:
    simulator = simulated_vsphere(profile=profile, estate="empty")
    image = patterned(tmp_path / "image.raw", 4 * MIB)
    simulator.add_vm("one", image, tracking=True)
    home = "/Europe/DC 1" if simulator.profile.vcenter else "/ha-datacenter"
    found = told(simulator, machine=f"{home}/vm/one", folder=tmp_path)
    assert found["Path"] == f"{home}/vm/one"
    assert found["Disks"] == ["disk-1000-0"]
    assert len(found["Changed"]) == 16
    assert found["Changed"][1] == {"Start": 4 * 65536, "Length": 65536}
    [disk] = [path for name, path in found["Downloads"].items() if name.endswith(".vmdk")]
    subprocess.run(["qemu-img", "convert", "-O", "raw", disk, str(tmp_path / "got.raw")], check=True)
    assert (tmp_path / "got.raw").read_bytes() == image.read_bytes()
    assert b'displayName = "one"' in Path(found["Downloads"]["one/one.vmx"]).read_bytes()
    assert [e.says["outcome"] for e in simulator.ledger.effects_of("lease ended")] == ["done"]
    assert simulator.untouched() == []
