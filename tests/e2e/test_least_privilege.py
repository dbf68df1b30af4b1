# SPDX-License-Identifier: Apache-2.0
"""Each command with an account that has exactly what docs/privileges.md names for it; doctor names what is missing."""

import re
from pathlib import Path

import pytest

from tests.e2e.test_warm import drafted, process, wait_for
from v2x.model.units import MIB
from v2x.simulators.appliance import ApplianceSpec, DiskSpec, write_ova
from v2x.simulators.vsphere import READ_ONLY, Account
from v2x.simulators.xapi import Account as PoolAccount
from v2x.simulators.xapi.roles import permissions_of
from v2x.sources.vsphere.privileges import EVERY, PURPOSES, WISHES
from v2x.target.xapi.permissions import NEEDS

DOCUMENT = (Path(__file__).parents[2] / "docs/privileges.md").read_text("utf-8")
OWN_WORDS = {"System.Anonymous"}
WARM = ("snapshots", "power", "change tracking", "staying off", "transport https")
CASES = {
    "off, over https": (("transport https",), {}, ()),
    "off, over nfc": (("transport nfc",), {}, ("--transport", "nfc")),
    "through a snapshot, over nfc": (
        ("snapshots", "transport nfc"),
        {"power": "poweredOn"},
        ("--running", "snapshot", "--transport", "nfc"),
    ),
    "shut down": (("power", "transport https"), {"power": "poweredOn"}, ("--running", "shutdown")),
    "switched off": (("power", "transport https"), {"power": "poweredOn"}, ("--running", "power-off")),
    "marked": (("marks", "transport https"), {}, ("--mark-source", "both")),
    "kept off": (("staying off", "transport https"), {}, ("--keep-source-off",)),
    "warm": (WARM, {"power": "poweredOn", "tracking": False}, ("--warm", "--enable-cbt")),
}
"""What is done: the purposes it takes, the machine, the options."""


def names(*purposes):
    return frozenset(one for purpose in purposes for one in PURPOSES[purpose].privileges)


class Mover:
    """The vCenter with a second account, whose privileges are set as wished."""

    def __init__(self, site):
        self.site, self.vcenter, self.bench = site, site.vcenter, site.bench
        self.address = f"vsphere://mover@vsphere.local@127.1:{site.vcenter.port}"
        self.pin = ("--source-fingerprint", site.vcenter.fingerprint)

    def may(self, privileges, granted=None):
        """`granted` are more of them by the id of an object, there and below."""
        accounts = self.vcenter.state.sessions._accounts
        account = Account("mover@vsphere.local", "secret", frozenset(privileges), granted=granted or {})
        accounts["mover@vsphere.local"] = account

    def migrate(self, *words):
        return self.bench.migrate(self.address, "web01", *self.pin, "--shutdown-minutes", "1", *words)

    def doctor(self, *words):
        words = ("--source", self.address, *(words or ("--machine", "web01")), "--json")
        ran = self.bench.v2x("doctor", *words, *self.pin, pool=False)
        return {one["check"]: one for one in ran.json["checks"]}


@pytest.fixture
def mover(site):
    return Mover(site)


@pytest.mark.parametrize("case", CASES)
def test_exactly_the_privileges_of_a_purpose_suffice(mover, case):
    purposes, machine, words = CASES[case]
    mover.site.add("web01", MIB, **{"power": "poweredOff", **machine})
    mover.may(READ_ONLY | names(*purposes))
    told = mover.doctor()
    assert all(told[name]["ok"] for name in ("the inventory", *purposes))
    ran = mover.migrate(*words)
    assert ran.code == 0, ran.err
    # Without the datastores' privileges, files cannot be looked at, which is said; nothing else is missing.
    assert ran.err.count("lacks") == (case == "off, over nfc"), ran.err


@pytest.mark.parametrize(
    ("case", "missing"),
    [
        ("off, over nfc", "VApp.Export"),
        ("through a snapshot, over nfc", "VirtualMachine.State.CreateSnapshot"),
        ("shut down", "VirtualMachine.Interact.PowerOff"),
        ("warm", "VirtualMachine.Config.ChangeTracking"),
        ("warm", "VirtualMachine.State.CreateSnapshot"),
        ("warm", "VirtualMachine.Config.EditDevice"),
    ],
)
def test_without_one_the_command_ends_with_its_name(mover, case, missing):
    purposes, machine, words = CASES[case]
    mover.site.add("web01", MIB, **{"power": "poweredOff", **machine})
    mover.may((READ_ONLY | names(*purposes)) - {missing})
    ran = mover.migrate(*words)
    assert ran.code == 5 and missing in ran.err, (ran.code, ran.err)


def test_doctor_names_each_privilege_that_is_missing_and_what_it_is_for(mover):
    mover.site.add("web01", MIB, power="poweredOff")
    every = READ_ONLY | names(*PURPOSES)
    for missing in sorted(every - READ_ONLY):
        mover.may(every - {missing})
        told = mover.doctor()
        lacking = {name for name, purpose in PURPOSES.items() if missing in purpose.privileges}
        assert {name for name in PURPOSES if not told[name]["ok"]} == lacking, missing
        for name in lacking:
            assert told[name]["found"] == f"lacks {missing}, for {PURPOSES[name].uses}"
            assert "docs/privileges.md" in told[name]["remedy"]
    mover.may(every)
    assert all(told["ok"] for name, told in mover.doctor().items() if name in PURPOSES)


@pytest.mark.timeout(300)
def test_a_batch_is_cut_over_and_goes_back_with_the_accounts_of_warm_and_vm_admin(mover):
    """Both sides at once: XAPI's vm-admin, and at the source what a warm migration takes; and the marks come and go."""
    mover.site.add("web01", MIB, power="poweredOn", tracking=True)
    mover.may(READ_ONLY | names(*WARM, "marks"))
    pool = mover.bench.pool
    pool.state.sessions.accounts["mover"] = PoolAccount("mover", pool.password, "vm-admin")
    mover.site.address, mover.bench.target = mover.address, f"xapi://mover@{pool.address}"
    pins = (*mover.pin, "--target-fingerprint", pool.fingerprint)
    drafted(mover.site, *pins)
    running = process(mover.site, "batch", "run", "plan.csv", *pins, "--mark-source", "both", "--quiet")
    v2x = mover.bench.v2x
    wait_for(lambda: v2x("batch", "status", pool=False).code == 0)
    assert v2x("batch", "cutover", "--all", pool=False).code == 0
    _, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    for words in ((), ("--discard",)):
        ran = v2x("batch", "rollback", "--machine", "web01", *pins, *words, pool=False)
        assert ran.code == 0, ran.err
    assert mover.bench.leftovers() == []
    assert pool.state.sessions.asked["mover"] <= permissions_of(pool.state.model, "vm-admin")
    assert [one for one in mover.vcenter.ledger.calls if one.call == "PowerOnVM_Task" and not one.fault]


def test_a_role_may_be_granted_on_the_machine_its_datastore_and_its_host_alone(mover):
    machine = mover.site.add("web01", MIB, power="poweredOn", tracking=True)
    mover.site.add("other", MIB, power="poweredOff")
    (store,) = {ref._moId for ref in machine.values["datastore"]}
    host = machine.values["runtime"].host._moId
    on_machine = frozenset(one for one in names(*WARM) if one.startswith("VirtualMachine."))
    where = {machine.moid: on_machine, store: names("transport https"), host: frozenset({"Host.Config.AutoStart"})}
    mover.may(READ_ONLY, where)
    told = mover.doctor()
    assert [name for name in PURPOSES if not told[name]["ok"]] == [
        "transport nfc",
        "transport vddk",
        "tracking left on",
        "marks",
    ]
    assert not mover.doctor("--quiet")["transport https"]["ok"], "nothing is granted at the root"
    ran = mover.migrate("--warm")
    assert ran.code == 0, ran.err
    mover.may(READ_ONLY, {**where, store: frozenset({"Datastore.Browse"})})
    assert mover.doctor()["transport https"]["found"].startswith("lacks Datastore.FileManagement,")


def test_a_report_takes_accounts_that_only_read_on_both_sides(mover, monkeypatch):
    mover.site.add("web01", MIB, power="poweredOff")
    mover.may(READ_ONLY)
    pool = mover.bench.pool
    pool.state.sessions.accounts["reader"] = PoolAccount("reader", pool.password, "read-only")
    target = f"xapi://reader@{pool.address}"
    before = len(mover.vcenter.ledger.calls)
    ran = mover.bench.v2x("assess", mover.address, "--target", target, "-o", "report.html", *mover.pin)
    assert ran.code == 0, ran.err
    ran = mover.bench.v2x("plan", "draft", mover.address, "--target", target, "-o", "plan.csv", *mover.pin)
    assert ran.code == 0, ran.err
    ran = mover.bench.v2x("plan", "check", "plan.csv")
    assert "[PERMISSION]" not in ran.err, ran.err
    assert not [call for call in mover.vcenter.ledger.calls[before:] if call.call not in ("Login", "Logout")]
    told = mover.bench.v2x("doctor", "--target", target, "--json").json["checks"]
    checks = {one["check"]: one for one in told}
    assert checks["reading"]["ok"] and not checks["moving machines"]["ok"]
    assert "VM.create" in checks["moving machines"]["found"] and "vm-admin" in checks["moving machines"]["remedy"]


def test_a_role_of_the_pool_that_is_too_low_is_named(bench, raw):
    write_ova(bench.folder / "web.ova", ApplianceSpec(name="web", disks=(DiskSpec(raw=raw("odd")),)))
    bench.pool.state.sessions.accounts["op"] = PoolAccount("op", bench.pool.password, "vm-operator")
    bench.target = f"xapi://op@{bench.pool.address}"
    ran = bench.migrate(bench.folder / "web.ova")
    assert ran.code == 5 and "[PERMISSION]" in ran.err and "vm.create" in ran.err.lower()
    bench.pool.state.sessions.accounts["op"] = PoolAccount("op", bench.pool.password, "vm-admin")
    ran = bench.migrate(bench.folder / "web.ova", "--verify", "full")
    assert ran.code == 0, ran.err
    assert bench.v2x("verify", "report.json", "--target", bench.target).code == 0


def test_the_document_names_every_privilege_permission_and_role():
    named = set(re.findall(r"`([A-Za-z]+(?:\.[A-Za-z]+)+)`", DOCUMENT))
    assert {*EVERY, *WISHES} <= named
    assert {one for one in named if re.match(r"(VirtualMachine|Datastore|Host|System|VApp)\.", one)} <= {
        *EVERY,
        *WISHES,
    }
    for name, need in NEEDS.items():
        (row,) = [line for line in DOCUMENT.splitlines() if line.startswith(f"| {name} |")]
        assert f"`{need.role}`" in row
        assert set(re.findall(r"`([A-Za-z_]+\.[A-Za-z_]+|http/\w+)`", row)) == set(need.calls), name
