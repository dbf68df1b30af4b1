# SPDX-License-Identifier: Apache-2.0
"""After the start: what was recorded is looked for, a machine that is not well goes back where its row says so, a
source that was stopped stays so, and the outage is as long as it was said to be."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.vsphere_estate import patterned
from tests.warming import wait_for
from v2x.model.units import MIB
from v2x.simulators.vsphere import DiskSpec, MachineSpec, NicSpec
from v2x.simulators.vsphere.events import set_power
from v2x.simulators.xapi import guest_agent

ROOT = Path(__file__).parents[2]
NETWORK = "Pool-wide network associated with eth0"


@pytest.fixture
def listening():
    """A port that answers, on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp:{server.getsockname()[1]}@127.0.0.1"


@pytest.fixture
def site(bench, simulated_vsphere, monkeypatch):
    vcenter = simulated_vsphere(estate="empty", password="secret")
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", "secret")

    class Site:
        def __init__(self):
            self.bench, self.vcenter, self.pool = bench, vcenter, bench.pool
            self.address = f"vsphere://{vcenter.user}@127.1:{vcenter.port}"
            self.pins = (
                "--source-fingerprint", vcenter.fingerprint, "--target-fingerprint", bench.pool.fingerprint,
            )  # fmt: skip

        def add(self, name, size=4 * MIB, *, address="192.0.2.7", **more):
            image = patterned(bench.folder / f"{name}.raw", size, seed=len(name))
            settings = {
                "power": "poweredOn", "tracking": True, "addresses": (address,), "gateway": "192.0.2.1",
                "nics": (NicSpec(network="VM Network"),), "filesystems": {"/": size}, **more,
            }  # fmt: skip
            return vcenter.add_vm(MachineSpec(name=name, disks=(DiskSpec(image=image, size_bytes=512),), **settings))

        def agent(self, name, **words):
            """What the agent in the guest of that name will say on the pool."""
            guest_agent.describe(self.pool.state, {name: {"addresses": {"0": ["192.0.2.7"]}, **words}})

        def migrate(self, name, *words):
            return bench.migrate(
                self.address, name, "--warm", "--start", "--source-fingerprint", vcenter.fingerprint, *words
            )

        def report(self):
            return json.loads((bench.folder / "report.json").read_bytes())["migrations"][0]

        def power(self, machine):
            return str(machine.values["runtime"].powerState)

    return Site()


def verdicts(migration):
    return {f"{one['name']} {one['subject']}".strip(): one["verdict"] for one in migration["health"]["checks"]}


def test_a_machine_that_is_well_says_so(site, listening):
    site.add("web01")
    site.agent("web01", delay=0.3, drivers_version={"major": "9", "minor": "4"})
    ran = site.migrate("web01", "--check", listening, "--mark-source", "both")
    assert ran.code == 0, ran.err
    found = site.report()
    passed = {"power", "disks", "agent", "PV drivers", "address 192.0.2.7", f"port {listening}"}
    told = verdicts(found)
    assert {label for label, verdict in told.items() if verdict == "pass"} == passed
    assert told["gateway 192.0.2.1"] == told["mount points"] == told["clock"] == "not checked"
    before = found["health"]["before"]
    assert before["running"] and before["addresses"][0]["gateways"] == ["192.0.2.1"]
    assert [one["path"] for one in before["volumes"]] == ["/"]
    assert before["ports"][0]["answered"] == ["127.0.0.1"]
    assert "Health  passed: 6 passed, 3 not checked" in ran.out
    assert "guest shutdown: predicted 30 s, was" in ran.out


def test_one_whose_address_is_lost_stays_and_says_so(site):
    site.add("web01")
    site.agent("web01", addresses={"0": ["192.0.2.99"]})
    ran = site.migrate("web01", "--health-minutes", "0.02")
    assert ran.code == 0, ran.err
    assert "health check failed: address 192.0.2.7" in ran.err
    assert "Health  FAILED: 1 of" in ran.out
    assert site.bench.vm("web01")["power_state"] == "Running"


def test_it_goes_back_by_itself_only_where_it_is_told_to(site):
    machine = site.add("web01", annotation="Front end")
    site.agent("web01", addresses={"0": ["192.0.2.99"]})
    ran = site.migrate("web01", "--health-minutes", "0.02", "--on-fail", "rollback", "--mark-source", "both")
    assert ran.code == 4 and "[HEALTH]" in ran.err, ran.err
    assert site.report()["outcome"] == "rolled back"
    assert site.power(machine) == "poweredOn"
    cards = [one for one in machine.values["config"].hardware.device if hasattr(one, "macAddress")]
    assert [card.connectable.startConnected for card in cards] == [True]
    vm = site.bench.vm("web01")
    assert vm["power_state"] == "Halted" and "rolled back" in vm["blocked_operations"]["start"]
    assert len(site.bench.vdis_of(vm)) == 1, "its disks stay"
    assert machine.values["name"] == "web01" and machine.values["config"].annotation == "Front end"


def test_a_start_that_is_refused_sends_it_back_where_it_may(site):
    machine = site.add("web01", memory_mib=1024 * 1024)  # more than the pool has
    ran = site.migrate("web01", "--on-fail", "rollback")
    assert ran.code == 4, ran.err
    assert site.report()["outcome"] == "rolled back"
    assert site.power(machine) == "poweredOn"
    assert site.bench.vm("web01")["power_state"] == "Halted"


def test_a_start_that_is_refused_stays_where_it_may_not(site):
    machine = site.add("web01", memory_mib=1024 * 1024)
    ran = site.migrate("web01")
    assert ran.code == 4, ran.err
    assert site.report()["outcome"] == "failed" and site.report()["phase"] == "start"
    assert site.power(machine) == "poweredOff", "its machine is on the pool, whole"
    cards = [one for one in machine.values["config"].hardware.device if hasattr(one, "macAddress")]
    assert [card.connectable.startConnected for card in cards] == [False]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--check", "https"), "--check https is not tcp:PORT"),
        (("--check", "tcp:99999"), "--check tcp:99999 is not tcp:PORT"),
        (("--on-fail", "explode"), "--on-fail"),
    ],
)
def test_what_is_not_understood_is_refused_at_once(site, words, says):
    site.add("web01")
    ran = site.migrate("web01", *words)
    assert ran.code == 2 and says in ran.err


def drafted(site, *edits):
    ran = site.bench.v2x(
        "plan", "draft", site.address, "--target", site.bench.target, "-o", "plan.csv", "--network", f"*={NETWORK}",
        *site.pins, pool=False,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    plan = site.bench.folder / "plan.csv"
    text = plan.read_bytes()
    for before, after in edits:
        assert before in text, before
        text = text.replace(before, after)
    plan.write_bytes(text)


WARM = ((b",cold,", b",warm,"), (b",warm,off,,refuse,auto,no,", b",warm,off,,refuse,full,yes,"))


def process(site, *words):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "v2x", *map(str, words)], env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, cwd=site.bench.folder,
    )  # fmt: skip


def status(site):
    ran = site.bench.v2x("batch", "status", "--json", pool=False)
    return {row["migration"]["machine_name"]: row for row in ran.json["rows"]} if ran.code == 0 else {}


def test_a_source_that_is_started_again_is_an_alarm_until_it_is_off(site):
    machine = site.add("web01", annotation="Front end")
    site.agent("web01")
    told = site.bench.folder / "told"
    (site.bench.folder / "v2x.toml").write_text(
        f'[hook.call]\nat = ["alarm"]\ncommand = ["/usr/bin/tee", "{told}"]\n', encoding="utf-8"
    )
    (site.bench.folder / "v2x.toml").chmod(0o600)
    drafted(site, *WARM, (b",keep,,,,no,", b",keep,,call,,no,"))
    running = process(site, "batch", "run", "plan.csv", *site.pins, "--quiet")
    wait_for(lambda: status(site).get("web01", {}).get("migration", {}).get("phase") == "ready", 60, every=0.02)
    foretold = site.bench.v2x("batch", "status", pool=False).out
    assert "its outage is predicted to last" in foretold.replace("\n ", "")
    assert site.bench.v2x("batch", "cutover", "--all", pool=False).code == 0
    _, err = running.communicate(timeout=90)
    assert running.returncode == 0, err

    def check():
        return site.bench.v2x("batch", "status", "--check", *site.pins[:2], pool=False)

    ran = check()
    assert ran.code == 0 and "1 stopped source looked at: all are off" in ran.err
    set_power(site.vcenter.state, machine, "poweredOn", "somebody")
    ran = check()
    assert ran.code == 4 and "[SOURCE-RESTARTED]" in ran.err
    assert "ALARM: its source was started again" in ran.out
    assert json.loads(told.read_text())["alarm"] == "SOURCE-RESTARTED"
    told.unlink()
    assert check().code == 4
    assert not told.exists(), "people are told once"
    assert "ALARM" in site.bench.v2x("batch", "report", pool=False).out
    csv = site.bench.v2x("batch", "report", "--format", "csv", pool=False).out
    assert "its source was started again" in csv
    assert site.power(machine) == "poweredOn", "nothing was switched off"
    set_power(site.vcenter.state, machine, "poweredOff", "somebody")
    assert check().code == 0
    assert "ALARM" not in site.bench.v2x("batch", "status", pool=False).out

    done = site.bench.v2x("batch", "finalize", "--wave", 1, "--mark-source", "both", *site.pins, pool=False)
    assert done.code == 0, done.err
    assert machine.values["name"].startswith("web01 (migrated to XCP-ng 20")
    assert machine.values["config"].annotation.startswith("Front end\nMigrated by v2x: it runs as web01 on ")
    set_power(site.vcenter.state, machine, "poweredOn", "somebody")
    assert check().code == 0, "what is finalized is nobody's business any more"


def test_a_mark_is_undone_by_a_rollback(site):
    machine = site.add("web01", annotation="Front end")
    drafted(site, (b",cold,", b",warm,"))
    running = process(site, "batch", "run", "plan.csv", *site.pins, "--quiet", "--mark-source", "both")
    wait_for(lambda: status(site).get("web01", {}).get("migration", {}).get("phase") == "ready", 60, every=0.02)
    assert site.bench.v2x("batch", "cutover", "--all", pool=False).code == 0
    _, err = running.communicate(timeout=90)
    assert running.returncode == 0, err
    assert "migrated to XCP-ng" in machine.values["name"]
    assert site.bench.v2x("batch", "rollback", "--machine", "web01", *site.pins, pool=False).code == 0
    assert machine.values["name"] == "web01" and machine.values["config"].annotation == "Front end"
    assert site.power(machine) == "poweredOn"


class Writer(threading.Thread):
    """Rewrites the same part of a disk while its machine runs, so that each pass finds as much as the last."""

    def __init__(self, vcenter, machine, size):
        super().__init__(daemon=True)
        self.vcenter, self.machine, self.size = vcenter, machine, size
        self.ended = threading.Event()

    def run(self):
        (disk,) = self.vcenter.disks(self.machine).values()
        number = 0
        while not self.ended.wait(0.05):
            if str(self.machine.values["runtime"].powerState) == "poweredOn":
                disk.write(number % self.size // MIB * MIB, bytes([number // MIB % 255 + 1]) * MIB)
                number += MIB


def outage_of(site, name):
    """Predicted and real seconds of a machine's outage, after it was cut over by itself."""
    assert site.bench.v2x("batch", "cutover", "--machine", name, pool=False).code == 0
    wait_for(lambda: status(site)[name]["state"] == "ended", 120, every=0.02)
    spans = status(site)[name]["migration"]["outage"]["spans"]
    return spans, sum(one["predicted"] or 0 for one in spans), sum(one["real"] or 0 for one in spans)


@pytest.mark.parametrize(
    ("delay", "within"), [(1.0, 0.6), pytest.param(4.0, 0.3, marks=(pytest.mark.slow, pytest.mark.timeout(240)))]
)
def test_the_outage_is_as_long_as_it_was_predicted(site, delay, within):
    """After one machine of the batch has shown what a shutdown, a start and a first boot take here."""
    site.vcenter.settings.shutdown_delay = delay
    site.vcenter.settings.consolidate_delay = delay / 4
    site.pool.settings.read_rate = 8 * MIB
    names = ("web01", "web02")
    writers = [Writer(site.vcenter, site.add(name, 12 * MIB), 6 * MIB) for name in names]
    for name in names:
        site.agent(name, delay=delay)
    drafted(site, *WARM)
    for writer in writers:
        writer.start()
    words = ("--health-minutes", "0.3", "--sync-every", "60", "--quiet", "--outage", "2")
    running = process(site, "batch", "run", "plan.csv", *site.pins, *words)
    try:
        wait_for(
            lambda: [one["migration"]["phase"] for one in status(site).values()] == ["ready", "ready"], 120, every=0.02
        )
        outage_of(site, "web01")
        spans, predicted, real = outage_of(site, "web02")
        _, err = running.communicate(timeout=90)
        assert running.returncode == 0, err
    finally:
        running.kill()
        for writer in writers:
            writer.ended.set()
            writer.join()
    told = {one["part"]: one for one in spans}
    assert told["guest shutdown"]["why"] == "as other machines of this run needed"
    assert told["guest shutdown"]["real"] >= delay and told["health check"]["real"] >= delay
    assert abs(predicted - real) <= within * real, spans
