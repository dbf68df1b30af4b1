# SPDX-License-Identifier: Apache-2.0
"""Windows that were missed, and what may be retired at a simulated vCenter, through the command line."""

from pathlib import Path

import pytest

from tests.planning import edit_plan
from tests.vsphere_estate import patterned
from v2x.model.units import MIB
from v2x.simulators.vsphere import DiskSpec, MachineSpec, NicSpec

NETWORK = "Pool-wide network associated with eth0"


@pytest.fixture
def site(bench, simulated_vsphere, monkeypatch):
    """Two machines that are off, and the plan of their move."""
    vcenter = simulated_vsphere(estate="empty", password="secret")
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", "secret")
    pins = ("--source-fingerprint", vcenter.fingerprint, "--target-fingerprint", bench.pool.fingerprint)
    for number, name in enumerate(("web01", "db01")):
        image = patterned(bench.folder / f"{name}.raw", 4 * MIB, seed=number)
        disk = DiskSpec(image=image, size_bytes=512)
        vcenter.add_vm(MachineSpec(name=name, disks=(disk,), nics=(NicSpec(network="VM Network"),)))
    ran = bench.v2x(
        "plan", "draft", f"vsphere://{vcenter.user}@127.1:{vcenter.port}", "--target", bench.target, "-o", "plan.csv",
        "--network", f"*={NETWORK}", *pins, pool=False,
    )  # fmt: skip
    assert ran.code == 0, ran.err

    class Site:
        def v2x(self, *words):
            return bench.v2x(*words, *pins, pool=False)

        def batch(self, *words):
            return bench.v2x("batch", *words, pool=False)

        def edit(self, machine, **changes):
            edit_plan(machine, **changes)

    made = Site()
    made.vcenter = vcenter
    return made


def test_what_may_be_retired_after_a_batch(site):
    site.edit("web01", retire="DHCP reservation; licence 17", checks="login page answers", note="ask Ada")
    assert site.v2x("batch", "run", "plan.csv").code == 0
    early = site.batch("report", "--decommission")
    assert early.code == 0, early.err
    assert "No machine is finalized yet" in early.out
    assert "web01: not finalized: v2x batch finalize" in " ".join(early.out.split())
    assert site.v2x("batch", "finalize", "--machine", "web01").code == 0
    found = site.batch("report", "--decommission", "--json").json
    assert found["schema"] == "v2x.decommission/1"
    (one,) = found["machines"]
    assert (one["name"], one["todos"]) == ("web01", ["DHCP reservation", "licence 17"])
    assert (one["checks"], one["note"]) == ("login page answers", "ask Ada")
    assert any(path.endswith("web01.vmdk") for path in one["files"]) and one["host"]
    assert [(store["holders"], store["machines"]) for store in found["datastores"]] == [(["db01"], ["web01"])]
    assert [left["name"] for left in found["not_yet"]] == ["db01"]
    assert site.v2x("batch", "finalize", "--machine", "db01").code == 0
    ran = site.batch("report", "--decommission", "-o", "retire.txt")
    assert ran.code == 0, ran.err
    text = Path("retire.txt").read_text()
    assert "v2x never deletes a source" in text and "[ ] retire: licence 17" in text
    assert "nothing else of the inventory; empty once web01, db01" in " ".join(
        text.replace("db01, web01", "web01, db01").split()
    )
    assert max(map(len, text.splitlines())) <= 80
    assert [str(vm) for vm in site.vcenter.ledger.calls_of("Destroy_Task")] == []
    # Without the plan's other half nothing is said of datastores.
    Path("plan.json").unlink()
    assert site.batch("report", "--decommission", "--json").json["datastores"] == []


def test_a_window_that_is_over_or_too_short_is_missed_and_nothing_is_taken_out_of_service(site, bench):
    site.edit("web01", window="2020-01-01 20:00-23:00 UTC")
    ran = site.v2x("batch", "run", "plan.csv")
    assert ran.code == 2 and "[plan.window]" in ran.err
    site.edit("web01", window="daily 20:00-20:05 UTC", change="CHG-7")
    checked = site.v2x("plan", "check", "plan.csv", "--json")
    assert checked.code == 0, checked.err
    (short,) = [one for one in checked.json["findings"] if one["rule"] == "plan.window-short"]
    assert "open for 5 minutes at most; 6 minutes are foretold" in short["text"]
    ran = site.v2x("batch", "run", "plan.csv", "--json")
    assert ran.code == 4, ran.err
    done = {one["machine_name"]: one for one in ran.json["migrations"]}
    assert {name: one["outcome"] for name, one in done.items()} == {"web01": "missed-window", "db01": "migrated"}
    assert done["web01"]["failure"]["code"] == "MISSED-WINDOW"
    assert "is as long as the 6 minutes foretold" in done["web01"]["failure"]["message"]
    assert not bench.leftovers() and not site.vcenter.ledger.calls_of("CreateSnapshot_Task")
