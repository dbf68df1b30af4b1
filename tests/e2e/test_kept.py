# SPDX-License-Identifier: Apache-2.0
"""Snapshots of ours on the pool: killed around them, used for a conversion that is made again, and gone at the end."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_warm import called, drafted
from tests.pretended import conversion
from tests.vsphere_estate import patterned
from tests.warming import NETWORK, wait_for
from v2x.model.units import MIB
from v2x.simulators.appliance import ApplianceSpec, DiskSpec, write_ova
from v2x.target.xapi.pool import XapiTarget

ROOT = Path(__file__).parents[2]
SIZE = 48 * MIB
BLOCK = 2 * MIB
FIRST, SECOND = (b"first" * 50, 5 * MIB + 512), (b"second" * 50, 9 * MIB)
PROGRAM = """
import os, signal, sys
from tests.pretended import conversion
from v2x.cli import run
from v2x.migrate import guest, steps
from v2x.target.xapi.pool import XapiTarget

steps.require_libguestfs = lambda: None
guest.converted_guest = conversion([], *eval(os.environ["PUT"]))
method, when, number = os.environ["KILL"].split(":")
if method:
    inner, done = getattr(XapiTarget, method), []

    def watched(*words):
        done.append(method)
        if when == "before" and len(done) == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        answer = inner(*words)
        if len(done) == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(XapiTarget, method, watched)
sys.exit(run(sys.argv[1:]))
"""


def begun(bench, *words, put=FIRST, kill="::"):
    """The program by itself, with a conversion that writes `put`; killed with signal 9 at a call of the target."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PUT": repr(put), "KILL": kill}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, words)], env=environment, cwd=bench.folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def run(bench, *words, put=FIRST, kill="::"):
    ended(begun(bench, *words, put=put, kill=kill), -signal.SIGKILL if kill != "::" else 0)


def ended(running, code):
    _, err = running.communicate(timeout=120)
    assert running.returncode == code, err


def words_of(bench, *words, network=NETWORK):
    pins = ("--target", bench.target, "--target-fingerprint", bench.pool.fingerprint)
    report = ("--report", bench.folder / "report.json")
    return ("migrate", *words, *pins, "--network", f"*={network}", *report, "--quiet")


@pytest.fixture
def warm(site):
    """A factory: a machine, and the words of its warm migration with a conversion."""

    def factory(pause=3600, sizes=(SIZE,), **more):
        machine = site.add("web01", *sizes, pause=pause, **more)
        pins = ("--source-fingerprint", site.vcenter.fingerprint)
        return machine, words_of(
            site.bench, site.address, "web01", "--warm", "--verify", "full", "--convert", "auto", "--outage", "9", *pins
        )

    return factory


def is_converted(site, machine, put, name="web01"):
    held = site.bench.vdis_of(site.bench.vm(name))
    for path, disk in zip(held, site.vcenter.disks(machine).values(), strict=True):
        wanted = bytearray(disk.read(0, disk.size_bytes))
        wanted[put[1] : put[1] + len(put[0])] = put[0]
        assert path.read_bytes()[: len(wanted)] == wanted


def snapshots(bench):
    return [one for one in bench.pool.records("VDI").values() if one["is_a_snapshot"]]


def received(bench):
    return sum(one.received_bytes for one in bench.pool.ledger.imports)


def users_snapshots(bench):
    """One of each disk of ours, and of each snapshot, by somebody who never asks v2x; their references."""
    ours = [ref for ref, one in bench.pool.records("VDI").items() if "v2x-disk" in one["other_config"]]
    return {called(bench.pool, "VDI.snapshot", ref) for ref in ours}


def are_left(bench, theirs):
    """Nothing of ours is left but what is sealed, and all of theirs."""
    vdis = bench.pool.records("VDI")
    assert theirs <= vdis.keys()
    ours = [ref for ref, one in vdis.items() if "v2x-migration" in one["other_config"] and ref not in theirs]
    assert not ours, [vdis[ref]["name_label"] for ref in ours]
    assert not [ref for ref, one in vdis.items() if one["is_a_snapshot"] and ref not in theirs]


def moments(*wanted, quick):
    return [pytest.param(one, marks=() if one in quick else pytest.mark.slow) for one in wanted]


MOMENTS = [
    f"{method}:{when}:{number}"
    for method in ("remember", "advance")
    for when in ("before", "after")
    for number in (1, 2)
]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("moment", moments(*MOMENTS, "seal:before:1", quick=("remember:after:1", "advance:after:2")))
def test_killed_around_a_snapshot_the_same_command_goes_on_with_other_wishes(site, warm, moment):
    machine, words = warm(sizes=(16 * MIB, 10 * MIB))
    run(site.bench, *words, kill=moment)
    theirs = users_snapshots(site.bench)
    before = received(site.bench)
    run(site.bench, *words, put=SECOND)
    is_converted(site, machine, SECOND)
    assert received(site.bench) - before <= 2 * 2 * (BLOCK + 4096), "the blocks of both conversions, at most"
    are_left(site.bench, theirs)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "moment",
    moments("remember:after:1", "remember:after:2", "keep:after:1", "advance:after:2", quick=("remember:after:2",)),
)
def test_killed_among_deltas_the_same_command_goes_on(site, warm, moment):
    machine, words = warm(pause=0.05, sizes=(16 * MIB, 10 * MIB))
    run(site.bench, *words, kill=moment)
    theirs = users_snapshots(site.bench)
    run(site.bench, *words, put=SECOND)
    is_converted(site, machine, SECOND)
    are_left(site.bench, theirs)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("moment", moments("go_back:before:1", "go_back:after:1", quick=("go_back:after:1",)))
def test_killed_around_the_way_back_to_it_too(site, warm, moment):
    machine, words = warm(sizes=(16 * MIB, 10 * MIB))
    run(site.bench, *words, kill="seal:before:1")
    run(site.bench, *words, put=SECOND, kill=moment)
    before = received(site.bench)
    run(site.bench, *words, put=SECOND)
    assert received(site.bench) - before <= 2 * (BLOCK + 4096), "the blocks of the second conversion"
    is_converted(site, machine, SECOND)
    are_left(site.bench, set())


@pytest.mark.timeout(180)
def test_a_warm_conversion_that_is_repeated_is_not_copied_again(site, warm):
    machine, words = warm()
    run(site.bench, *words, kill="seal:before:1")
    first = received(site.bench)
    assert first > SIZE
    run(site.bench, *words, put=SECOND)
    is_converted(site, machine, SECOND)
    assert received(site.bench) - first < BLOCK + 64 * 1024, "the one block that the second conversion wrote"
    assert len(site.bench.pool.ledger.calls_of("VDI.clone")) == 1
    are_left(site.bench, set())


@pytest.fixture
def cold(bench):
    """An appliance, the words of its cold migration with a conversion, and its disk."""
    image = patterned(bench.folder / "web.raw", SIZE)
    ova = write_ova(bench.folder / "web.ova", ApplianceSpec(name="web", disks=(DiskSpec(raw=image),))).path
    return image, words_of(bench, ova, network=NETWORK)


def holds(bench, image, put=None):
    (path,) = bench.vdis_of(bench.vm("web"))
    wanted = bytearray(image.read_bytes())
    if put is not None:
        wanted[put[1] : put[1] + len(put[0])] = put[0]
    assert path.read_bytes()[: len(wanted)] == wanted


@pytest.mark.timeout(180)
@pytest.mark.parametrize("wanted", [SECOND, None], ids=["converted otherwise", "as it is"])
def test_a_cold_conversion_that_is_repeated_is_not_copied_again(bench, cold, wanted):
    image, words = cold
    run(bench, *words, "--convert", "auto", kill="seal:before:1")
    first = received(bench)
    theirs = users_snapshots(bench)
    run(bench, *words, *(["--convert", "auto"] if wanted else []), put=wanted or FIRST)
    holds(bench, image, wanted)
    assert first > SIZE and received(bench) - first < BLOCK + 64 * 1024
    are_left(bench, theirs)


@pytest.mark.timeout(180)
def test_a_converted_disk_that_differs_on_the_pool_is_put_back_in_the_outage(site, warm, monkeypatch):
    machine, words = warm()
    monkeypatch.setattr("v2x.migrate.steps.require_libguestfs", lambda: None)
    monkeypatch.setattr("v2x.migrate.guest.converted_guest", conversion([], *FIRST))
    inner, sent = XapiTarget.written, []

    def spoiled(target, claim, disk):
        if not sent:
            sent.append(received(site.bench))
            with site.bench.pool.vdi_path(disk.id).open("r+b") as file:
                file.seek(FIRST[1])
                file.write(b"bad")
        return inner(target, claim, disk)

    monkeypatch.setattr(XapiTarget, "written", spoiled)
    ran = site.bench.v2x(*(word for word in words if word != "--quiet"), pin=False)
    assert ran.code == 0, ran.err
    assert "what came after its snapshot is sent once more" in ran.err and "copied once more" not in ran.err
    is_converted(site, machine, FIRST)
    assert received(site.bench) - sent[0] < 2 * (BLOCK + 64 * 1024)
    are_left(site.bench, set())


@pytest.mark.timeout(180)
def test_thick_storage_takes_none_and_says_so(site, warm):
    machine, words = warm(pause=0.05)
    run(site.bench, *words, "--sr", "LVM storage", kill="seal:before:1")
    assert not site.bench.pool.ledger.calls_of("VDI.snapshot")
    run(site.bench, *words, "--sr", "LVM storage", put=SECOND)
    is_converted(site, machine, SECOND)
    assert not site.bench.pool.ledger.calls_of("VDI.snapshot")
    (migration,) = json.loads((site.bench.folder / "report.json").read_text())["migrations"]
    assert any("its storage is not thin" in text for text in migration["warnings"])
    are_left(site.bench, set())


@pytest.mark.timeout(180)
def test_cleanup_removes_them(site, warm):
    _, words = warm(pause=0.05)
    run(site.bench, *words, kill="seal:before:1")
    theirs = users_snapshots(site.bench)
    assert len(snapshots(site.bench)) > len(theirs)
    assert site.bench.v2x("cleanup", "--target", site.bench.target, "--yes").code == 0
    are_left(site.bench, theirs)


@pytest.mark.timeout(180)
def test_cleanup_finds_those_whose_disks_somebody_removed(site, warm):
    _, words = warm()
    run(site.bench, *words, kill="seal:before:1")
    (machine,) = [ref for ref, one in site.bench.pool.records("VM").items() if "v2x-migration" in one["other_config"]]
    called(site.bench.pool, "VM.set_blocked_operations", machine, {})
    called(site.bench.pool, "VM.destroy", machine)
    for ref, one in site.bench.pool.records("VDI").items():
        if "v2x-disk" in one["other_config"] and not one["is_a_snapshot"]:
            called(site.bench.pool, "VDI.destroy", ref)
    ran = site.bench.v2x("cleanup", "--target", site.bench.target, "--yes")
    assert ran.code == 0 and "snapshots of disks that are gone" in ran.out
    are_left(site.bench, set())


@pytest.mark.timeout(240)
@pytest.mark.parametrize("words", [("cancel",), ("rollback", "--discard")], ids=["cancel", "rollback"])
def test_cancel_and_rollback_leave_none(site, words):
    site.add("web01", SIZE, pause=0.05)
    pins = ("--source-fingerprint", site.vcenter.fingerprint, "--target-fingerprint", site.bench.pool.fingerprint)
    drafted(site, *pins)
    plan = site.bench.folder / "plan.csv"
    plan.write_bytes(plan.read_bytes().replace(b",warm,off,", b",warm,auto,"))
    running = begun(site.bench, "batch", "run", "plan.csv", *pins, "--quiet", kill="seal:before:1")
    wait_for(lambda: site.bench.v2x("batch", "status", pool=False).code == 0 or running.poll() is not None, 60)
    assert site.bench.v2x("batch", "cutover", "--all", pool=False).code == 0
    ended(running, -signal.SIGKILL)
    assert snapshots(site.bench)
    name = ("--machine", "web01")
    ran = site.bench.v2x("batch", words[0], *name, *words[1:], *(pins if len(words) > 1 else ()), pool=False)
    assert ran.code == 0, ran.err
    if words == ("cancel",):
        site.bench.v2x("batch", "resume", *pins, "--quiet", pool=False)
    are_left(site.bench, set())
    assert not snapshots(site.bench)
