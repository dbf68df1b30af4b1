# SPDX-License-Identifier: Apache-2.0
"""What becomes of a machine that runs: nothing unless asked for, and back up if it was for nothing."""

from dataclasses import replace

import pytest

from tests.following import follow
from v2x.errors import SourceError
from v2x.migrate import power
from v2x.model.machine import PowerState
from v2x.model.plan import Running


class Live:
    """A source that can tell and change the power state, over the one of `world`."""

    def __init__(self, inner, state, *, listens=True):
        self._inner, self.now, self.listens, self.did = inner, state, listens, []

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def state(self, machine):
        return self.now

    def shutdown(self, machine, deadline_seconds):
        self.did.append(f"shutdown {deadline_seconds:g}")
        if not self.listens:
            raise SourceError("web is not off in time", code="GUEST-STILL-ON")
        self.now = PowerState.OFF

    def power_on(self, machine):
        self.did.append("on")
        self.now = PowerState.ON

    def power_off(self, machine):
        self.did.append("off")
        self.now = PowerState.OFF

    def notes(self, machine):
        return ("a note of the source",)

    def confirm(self, machine, at):
        self.did.append("confirm")
        if getattr(self, "moved", False):
            raise SourceError("it was started", code="SOURCE-CHANGED")


class Heard:
    def __init__(self):
        self.warnings = []

    def phase(self, phase): ...

    def disk(self, *_): ...

    def progress(self, *_): ...

    def warning(self, text):
        self.warnings.append(text)


@pytest.fixture
def live(world):
    def make(state=PowerState.ON, running=Running.REFUSE, **options):
        source = Live(world.source, state, **options)
        work = world.work(running=running, observer=Heard(), shutdown_seconds=60)
        work.source = source
        return source, work

    return make


def test_a_running_machine_is_refused_before_anything_is_written(live, world):
    source, work = live()
    with pytest.raises(SourceError) as caught:
        follow(work)
    assert caught.value.code == "POWERED-ON" and "--running shutdown" in caught.value.hint
    assert source.did == [] and not world.target.vdis


@pytest.mark.parametrize("running", list(Running))
def test_a_suspended_machine_is_refused_whatever_the_row_says(live, running):
    source, work = live(PowerState.SUSPENDED, running)
    with pytest.raises(SourceError) as caught:
        follow(work)
    assert caught.value.code == "SUSPENDED" and source.did == []


def test_what_the_inventory_said_of_a_machine_that_is_off_by_now_does_not_count(live, world):
    source, work = live(PowerState.OFF)
    work.machine = replace(work.machine, power_state=PowerState.ON)
    follow(work)
    assert source.did == ["confirm"]
    world.identical()


def test_a_file_source_goes_by_its_inventory(world):
    work = world.work()
    work.machine = replace(work.machine, power_state=PowerState.ON)
    with pytest.raises(SourceError) as caught:
        follow(work)
    assert caught.value.code == "POWERED-ON"


def test_a_snapshot_is_told_before_it_is_taken(live):
    source, work = live(running=Running.SNAPSHOT)
    follow(work)
    assert source.did == ["confirm"]
    assert "goes" in work.observer.warnings[0] or "through a snapshot" in work.observer.warnings[0]
    told = work.observer.warnings
    assert told[1] == told[-1] == "a note of the source", "after the checkpoint and after the release"


def test_a_guest_that_shuts_down(live):
    source, work = live(running=Running.SHUTDOWN)
    follow(work)
    assert source.did == ["shutdown 60", "confirm"] and source.now is PowerState.OFF


def test_hard_only_when_allowed(live):
    source, work = live(running=Running.SHUTDOWN, listens=False)
    with pytest.raises(SourceError):
        follow(work)
    assert "off" not in source.did
    source, work = live(running=Running.POWER_OFF, listens=False)
    follow(work)
    assert source.did[:2] == ["shutdown 60", "off"]


def test_brought_down_for_nothing_is_brought_back(live, world):
    source, work = live(running=Running.SHUTDOWN)
    source.moved = True
    with pytest.raises(SourceError):
        follow(work)
    assert source.did == ["shutdown 60", "confirm", "on"]
    assert any("switched on again" in told for told in work.observer.warnings)


def test_never_beside_its_copy(live):
    """A machine that is whole on the target must not run at the source as well."""
    source, work = live(running=Running.SHUTDOWN)
    follow(work)
    work.brought_down = True
    power.bring_back(work)
    assert "on" not in source.did


def test_a_copy_of_no_one_moment_is_never_sealed(live, world):
    source, work = live(PowerState.OFF)
    source.moved = True
    with pytest.raises(SourceError) as caught:
        follow(work)
    assert caught.value.code == "SOURCE-CHANGED"
    assert not world.target.find(work.tag).sealed
