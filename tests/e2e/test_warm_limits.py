# SPDX-License-Identifier: Apache-2.0
"""What a warm migration asks of its source while the machine there is in use: room, time, and patience with backups."""

import threading

import pytest
from pyVmomi import vim

from tests.vsphere_estate import patterned, service_of
from tests.warming import wait_for
from v2x.errors import Blocked, Stopped
from v2x.migrate import backup_wait, warm, watch
from v2x.migrate.pace import Pace
from v2x.model.limits import SourceLimits
from v2x.model.units import MIB
from v2x.simulators.vsphere import MachineSpec, backup, events, snapshots


def store_of(site, machine):
    return site.vcenter.state.store.get(machine.values["datastore"][0])


@pytest.fixture
def working(site):
    """A factory of works on the two stand-ins, whose steps a test runs one by one."""
    made = []

    def factory(name, **changes):
        work = site.work(name, **changes)
        made.append(work)
        return work

    yield factory
    for work in made:
        work.source.close()
        work.target.close()


class Clock:
    """A clock that a test moves, and that sleeping moves."""

    def __init__(self):
        self.now = 0.0
        self.woken = lambda: None

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.woken()


def sealed(work):
    warm.shut_down(work)
    warm.last_sync(work)
    warm.verify(work)
    work.target.seal(work.held_claim(), work.spec)


def test_a_datastore_that_fills_up_loses_the_snapshot_and_the_pass_goes_on(site, working):
    machine = site.add("web01", 24 * MIB)
    clock, blocks = Clock(), []

    def passed(count):
        """Block by block: the datastore fills up in the middle of the first pass, and is freed with the snapshot."""
        blocks.append(count)
        clock.now += 10
        if len(blocks) == 6:
            events.fill(site.vcenter.state, store_of(site, machine), 14)

    pace = Pace(lambda: 0)
    pace.passed = passed
    work = working("web01", clock=clock, sleep=clock.sleep, pace=pace)
    release = work.source.release

    def released(*words):
        release(*words)
        events.fill(site.vcenter.state, store_of(site, machine), 40)

    work.source.release = released
    warm.track(work)
    warm.sync(work)
    assert work.observer.said("(14 %) free, less than 15 %") == 1, work.observer.warnings
    assert site.calls("CreateSnapshot_Task") == site.calls("RemoveSnapshot_Task") == 2
    assert len(work.passes) == 1
    sealed(work)
    site.identical("web01", machine)


def test_what_changed_below_the_mark_is_sent_first_by_the_pass_that_goes_on(site, working):
    """The first pass breaks off with a mark; block 1, sent before, is written to; only it and the rest are sent."""
    machine = site.add("web01", 24 * MIB, pause=3600)
    disk = next(iter(site.vcenter.disks(machine).values()))
    clock, sent = Clock(), []
    work = working("web01", clock=clock, sleep=clock.sleep, pace=Pace(lambda: 0))
    work.target._segment_limits = (2 * MIB, 4 * MIB)
    progress = work.observer.progress
    work.observer.progress = lambda disk, count: (sent.append(count), progress(disk, count))

    def full():
        """After eight of twelve blocks."""
        return len(sent) >= 8 and site.calls("CreateSnapshot_Task") == 1

    release = work.source.release

    def released(*words):
        disk.write(2 * MIB + 4096, b"x" * 512)
        release(*words)

    work.source.release = released
    strain = work.source.strain

    def strained(*words):
        found = strain(*words)
        return type(found)(
            datastore=found.datastore, free_bytes=found.free_bytes, capacity_bytes=found.capacity_bytes,
            age_seconds=25 * 3600 if full() else 0,
        )  # fmt: skip

    work.source.strain = strained
    work.look_seconds = 0
    warm.sync(work)
    assert work.observer.said("older than 24 hours") == 1
    (vdi,) = work.target.find(work.tag).disks
    counts = site.bench.pool.ledger.blocks(vdi.id)
    again = {number for number, count in counts.items() if count > 1}
    assert 1 in again and again <= {1, 6, 7, 8}, f"sent twice: {again}"
    assert len(site.bench.pool.ledger.imports) > 2
    sealed(work)
    site.identical("web01", machine)


def test_without_room_no_snapshot_is_taken_and_the_same_command_continues(site):
    machine = site.add("web01", 4 * MIB)
    events.fill(site.vcenter.state, store_of(site, machine), 9.5)
    ran = site.migrate("web01")
    assert ran.code == 75, ran.err
    assert "[SNAPSHOT-ROOM]" in ran.err and "9.5 %" in ran.err and "--datastore-floor" in ran.err
    assert site.calls("CreateSnapshot_Task") == 0
    ran = site.migrate("web01", "--datastore-floor", "9")
    assert ran.code == 0, ran.err
    site.identical("web01", machine)


def test_a_pass_that_gets_nowhere_ends_without_a_snapshot(site, working):
    machine = site.add("web01", 8 * MIB)
    work = working("web01", limits=SourceLimits(snapshot_seconds=0.001), look_seconds=0)
    with pytest.raises(Blocked) as stopped:
        warm.sync(work)
    assert stopped.value.code == watch.CODE and stopped.value.exit_code == 75
    assert "--snapshot-hours" in stopped.value.hint
    assert site.calls("CreateSnapshot_Task") == site.calls("RemoveSnapshot_Task") >= watch.LEAST_PROGRESS
    assert "snapshot" not in machine.values


def test_in_the_outage_nothing_is_interrupted(site, working):
    machine = site.add("web01", 8 * MIB)
    work = working("web01", look_seconds=0)
    warm.sync(work)
    warm.shut_down(work)
    work.limits = SourceLimits(snapshot_seconds=0.001)
    events.fill(site.vcenter.state, store_of(site, machine), 1)
    backup.begin(site.vcenter.state, machine)
    warm.last_sync(work)
    warm.verify(work)
    work.target.seal(work.held_claim(), work.spec)
    site.identical("web01", machine)
    assert site.calls("CreateSnapshot_Task") == site.calls("RemoveSnapshot_Task") == 2, "the backup's is its own"


def test_datastores_that_cannot_be_seen_are_a_warning(site, working):
    site.add("web01", 4 * MIB)
    work = working("web01", look_seconds=0)

    def refused(*_):
        raise watch.SourceError("no datastores here")

    work.source.strain = refused
    warm.sync(work)
    assert work.observer.said("cannot be watched: no datastores here") == 1


# backups


@pytest.mark.parametrize("proxy", [False, True], ids=["snapshot", "hot-added"])
def test_a_backup_is_waited_for(site, working, proxy):
    machine = site.add("web01", 6 * MIB)
    other = site.vcenter.add_vm(MachineSpec(name="proxy", power="poweredOn")) if proxy else None
    state, clock = site.vcenter.state, Clock()
    work = working("web01", clock=clock, sleep=clock.sleep)
    backup.begin(state, machine, other)
    if proxy:
        # The product's snapshot is merged before its proxy lets go, as it happens when one fails.
        backup.end(state, machine)

    def woken():
        if clock.now >= 120:
            backup.end(state, machine, other)

    clock.woken = woken
    warm.track(work)
    assert clock.now >= 120
    assert work.observer.said("attached to proxy" if proxy else "VEEAM BACKUP TEMPORARY SNAPSHOT") == 1
    assert work.observer.said("waited for up to 60 minutes") == 1
    warm.sync(work)
    sealed(work)
    site.identical("web01", machine)


def test_a_task_on_snapshots_is_waited_for(site, working):
    machine = site.add("web01", 6 * MIB)
    work = working("web01", look_seconds=0.05)
    site.vcenter.settings.task_delay = 0.8
    someone = service_of(site.vcenter)
    theirs = vim.VirtualMachine(machine.moid, someone._stub)
    theirs.CreateSnapshot_Task("by hand", "", False, False)
    site.vcenter.settings.task_delay = 0
    warm.track(work)
    assert work.observer.said("the task VirtualMachine.createSnapshot is under way") == 1
    warm.sync(work)
    names = [node.name for node in machine.values["snapshot"].rootSnapshotList]
    assert names == ["by hand"], "snapshots of others stay"


def test_one_that_does_not_end_makes_the_row_resumable(site):
    machine = site.add("web01", 4 * MIB)
    backup.begin(site.vcenter.state, machine)
    for how in (("--warm",), ("--running", "shutdown")):
        words = ("--source-fingerprint", site.vcenter.fingerprint, "--backup-wait", "0.01")
        ran = site.bench.migrate(site.address, "web01", *how, *words)
        assert ran.code == 75, ran.err
        assert "[BACKUP-RUNS]" in ran.err and "keeps the snapshot" in ran.err
        assert site.calls("ShutdownGuest") == site.calls("CreateSnapshot_Task") == 0
    backup.end(site.vcenter.state, machine)
    ran = site.migrate("web01")
    assert ran.code == 0, ran.err
    site.identical("web01", machine)


def test_a_backup_snapshot_that_was_left_long_ago_is_not_waited_for(site, working):
    from v2x.simulators.vsphere import SnapshotSpec

    left = SnapshotSpec(name=backup.NAME, age_days=30)
    machine = site.add("web01", 4 * MIB, snapshots=(left,))
    work = working("web01", limits=SourceLimits(backup_wait_seconds=0))
    backup_wait.wait_for_backup(work)
    backup.begin(site.vcenter.state, machine)
    with pytest.raises(Blocked):
        backup_wait.wait_for_backup(work)


@pytest.mark.parametrize("call", ["CreateSnapshot_Task", "RemoveSnapshot_Task"])
def test_a_task_of_others_is_waited_for_where_the_snapshot_is_made_and_removed(site, working, call):
    machine = site.add("web01", 4 * MIB)
    site.vcenter.faults.arm("fail_task", target=call, name="vim.fault.TaskInProgress", times=12)
    clock = Clock()
    work = working("web01", clock=clock, sleep=clock.sleep)
    warm.track(work)
    warm.sync(work)
    assert work.observer.said("it is waited for up to 60 minutes (--backup-wait)") == 1, work.observer.warnings
    assert site.calls(call) == 13 and clock.now >= 12 * work.look_seconds
    assert "snapshot" not in machine.values


def test_a_task_that_holds_on_to_our_snapshot_leaves_a_machine_that_is_whole_and_a_word(site):
    machine = site.add("web01", 4 * MIB)
    site.guests[0].ended.set()
    site.guests[0].join()
    site.vcenter.faults.arm("fail_task", target="RemoveSnapshot_Task", name="vim.fault.TaskInProgress", times=-1)
    words = ("--source-fingerprint", site.vcenter.fingerprint, "--backup-wait", "0.01")
    ran = site.bench.migrate(site.address, "web01", "--running", "snapshot", *words)
    assert ran.code == 0, ran.err
    assert "its snapshot may still be at the source" in ran.err and "v2x cleanup --source removes it" in ran.err
    assert "snapshot" in machine.values
    site.identical("web01", machine)


def test_the_snapshot_that_turned_tracking_on_goes_with_the_next_one(site):
    """Tracking begins with a snapshot that is made and removed; where a task keeps it, all else goes on meanwhile."""
    machine = site.add("web01", 4 * MIB, tracking=False)
    site.vcenter.faults.arm("fail_task", target="RemoveSnapshot_Task", name="vim.fault.TaskInProgress")
    ran = site.migrate("web01", "--enable-cbt")
    assert ran.code == 0, ran.err
    assert "it goes with the snapshot of the first pass" in ran.err
    assert "snapshot" not in machine.values and machine.values["config"].changeTrackingEnabled is False
    site.identical("web01", machine)


def test_one_that_a_killed_run_left_goes_too(site):
    machine = site.add("web01", 4 * MIB)
    state = site.vcenter.state
    with state.store.lock:
        snapshots.take(state, machine, "v2x tracking", "", quiesced=False)
        snapshots.take(state, machine, "tracking", "somebody's own", quiesced=False)
    ran = site.migrate("web01")
    assert ran.code == 0, ran.err
    (left,) = machine.values["snapshot"].rootSnapshotList
    assert left.name == "tracking" and not left.childSnapshotList
    site.identical("web01", machine)


def test_the_wait_ends_when_the_run_is_stopped(site, working):
    machine = site.add("web01", 4 * MIB)
    backup.begin(site.vcenter.state, machine)
    stop = threading.Event()
    work = working("web01", stopping=stop.is_set)
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(Stopped) as stopped:
        warm.track(work)
    assert not isinstance(stopped.value, Blocked)


def test_a_batch_ends_the_row_and_resumes_it(site):
    from tests.e2e.test_warm import drafted, process

    machine = site.add("web01", 4 * MIB, pause=0.05)
    other = site.add("db01", 4 * MIB, pause=0.05)
    bench = site.bench
    pins = ("--source-fingerprint", site.vcenter.fingerprint, "--target-fingerprint", bench.pool.fingerprint)
    drafted(site, *pins)
    backup.begin(site.vcenter.state, machine)
    running = process(site, "batch", "run", "plan.csv", *pins, "--backup-wait", "0.01", "--quiet")

    def states():
        ran = bench.v2x("batch", "status", "--json", pool=False)
        rows = ran.json["rows"] if ran.code == 0 else []
        return {row["migration"]["machine_name"]: (row["state"], row["migration"]["outcome"]) for row in rows}

    wait_for(lambda: states().get("web01") == ("ended", "stopped"), 60)
    assert bench.v2x("batch", "cutover", "--machine", "db01", pool=False).code == 0
    _, err = running.communicate(timeout=90)
    assert running.returncode == 75, err
    site.identical("db01", other)
    backup.end(site.vcenter.state, machine)
    running = process(site, "batch", "resume", *pins, "--quiet")
    wait_for(lambda: states()["web01"][0] != "ended")
    assert bench.v2x("batch", "cutover", "--all", pool=False).code == 0
    _, err = running.communicate(timeout=90)
    assert running.returncode == 0, err
    site.identical("web01", machine)


# disks that come, go and grow


def attach(site, machine, size, *, mode="persistent", unit=5):
    """A disk is added to a running machine by its administrator; its key."""
    name = store_of(site, machine).values["summary"].name
    someone = service_of(site.vcenter)
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
        fileName=f"[{name}] web01/added-{unit}.vmdk", diskMode=mode, thinProvisioned=True,
        datastore=vim.Datastore(machine.values["datastore"][0]._moId, someone._stub),
    )  # fmt: skip
    disk = vim.vm.device.VirtualDisk(
        key=-1, controllerKey=1000, unitNumber=unit, capacityInKB=size // 1024, capacityInBytes=size, backing=backing
    )
    change = vim.vm.device.VirtualDeviceSpec(operation="add", fileOperation="create", device=disk)
    task = vim.VirtualMachine(machine.moid, someone._stub).ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[change]))
    wait_for(lambda: task.info.state in ("success", "error"))
    assert task.info.state == "success", task.info.error
    return 2000 + unit


def detach(site, machine, key):
    someone = service_of(site.vcenter)
    device = next(one for one in machine.values["config"].hardware.device if one.key == key)
    change = vim.vm.device.VirtualDeviceSpec(operation="remove", device=vim.vm.device.VirtualDisk(key=device.key))
    theirs = vim.VirtualMachine(machine.moid, someone._stub)
    wait_for(lambda: "snapshot" not in machine.values)
    task = theirs.ReconfigVM_Task(vim.vm.ConfigSpec(deviceChange=[change]))
    wait_for(lambda: task.info.state in ("success", "error"))
    assert task.info.state == "success", task.info.error


def fill(site, machine, key, folder, seed):
    image = patterned(folder / f"added-{seed}.raw", site.vcenter.disks(machine)[key].size_bytes, seed=seed)
    disk = site.vcenter.disks(machine)[key]
    data = image.read_bytes()
    for at in range(0, len(data), 64 * 1024):
        if any(data[at : at + 64 * 1024]):
            disk.write(at, data[at : at + 64 * 1024])


def test_disks_that_come_go_and_grow_between_passes(site, working, tmp_path):
    machine = site.add("web01", 8 * MIB, 4 * MIB, pause=3600)
    work = working("web01")
    warm.track(work)
    warm.sync(work)
    key = attach(site, machine, 6 * MIB)
    fill(site, machine, key, tmp_path, 9)
    events.grow(site.vcenter.state, machine, 2000, 11 * MIB)
    site.vcenter.disks(machine)[2000].write(10 * MIB, b"g" * 4096)
    warm.sync(work)
    assert work.observer.said("is new at the source: it is copied too") == 1
    assert work.observer.said("had 8 MiB at the source, now 11 MiB") == 1
    assert [disk.source_disk for disk in work.held_claim().disks] == ["2000", "2001", "2005"]
    detach(site, machine, 2001)
    warm.sync(work)
    assert work.observer.said("disk 2001 is gone from the source: its copy is removed") == 1
    assert {one.source_disk for one in work.results} == {"2000", "2005"}
    sealed(work)
    site.identical("web01", machine)
    tagged = [one for one in site.bench.pool.records("VDI").values() if "v2x-disk" in one["other_config"]]
    assert len(tagged) == 2


def test_another_life_of_the_program_that_knows_the_old_plan_ends_up_with_the_same_disks(site, working, tmp_path):
    """As a batch does: its order is of the day when the plan was made."""
    machine = site.add("web01", 4 * MIB, 2 * MIB, pause=3600)
    first, later = working("web01", enable_tracking=True), working("web01", enable_tracking=True)
    warm.track(first)
    warm.sync(first)
    fill(site, machine, attach(site, machine, 4 * MIB), tmp_path, 5)
    detach(site, machine, 2001)
    warm.sync(first)
    held = {disk.source_disk: disk.id for disk in first.held_claim().disks}
    first.source.close()
    first.target.close()
    warm.look_up(later)
    assert {disk.source_disk: disk.id for disk in later.held_claim().disks} == held
    warm.sync(later)
    assert {disk.source_disk: disk.id for disk in later.held_claim().disks} == held
    assert later.observer.said("is new") == 0, "it was told of before"
    sealed(later)
    site.identical("web01", machine)


def test_a_disk_that_is_added_before_the_outage_is_copied_before_it(site, working, tmp_path):
    machine = site.add("web01", 4 * MIB, pause=3600)
    work = working("web01")
    warm.track(work)
    warm.sync(work)
    fill(site, machine, attach(site, machine, 4 * MIB), tmp_path, 5)
    warm.shut_down(work)
    assert len(work.passes) == 2, "a pass before the guest was asked to shut down"
    assert site.calls("ShutdownGuest") == 1
    warm.last_sync(work)
    assert work.passes[-1].sent_bytes == 0
    warm.verify(work)
    work.target.seal(work.held_claim(), work.spec)
    site.identical("web01", machine)


def test_a_new_disk_that_no_snapshot_includes_stops_before_the_outage(site, working):
    machine = site.add("web01", 4 * MIB, pause=3600)
    work = working("web01")
    warm.track(work)
    warm.sync(work)
    attach(site, machine, 4 * MIB, mode="independent_persistent")
    with pytest.raises(watch.SourceError) as refused:
        warm.shut_down(work)
    assert refused.value.code == "NOT-IN-SNAPSHOT"
    assert site.calls("ShutdownGuest") == 0
    assert site.calls("CreateSnapshot_Task") == site.calls("RemoveSnapshot_Task") == 1


def test_in_a_snapshot_that_a_killed_run_left_the_new_disk_is_missing(site, working, tmp_path):
    machine = site.add("web01", 4 * MIB, pause=3600)
    work = working("web01")
    warm.track(work)
    work.source.freeze(work.machine, work.tag)
    fill(site, machine, attach(site, machine, 4 * MIB), tmp_path, 5)
    warm.sync(work)
    assert site.calls("CreateSnapshot_Task") == site.calls("RemoveSnapshot_Task") == 2
    sealed(work)
    site.identical("web01", machine)
