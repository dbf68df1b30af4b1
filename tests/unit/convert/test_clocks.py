# SPDX-License-Identifier: Apache-2.0
"""Clocks: a time client where the host was the only one, and a hardware clock that is read as it is set."""

from pathlib import Path

import pytest

from tests.guests import SYSTEMD, lay
from v2x.convert.clock import clocks
from v2x.convert.inspect import inspect
from v2x.convert.interface import Facts, Proposal

TIMESYNCD = {"/lib/systemd/systemd-timesyncd": "", "/lib/systemd/system/systemd-timesyncd.service": ""}
VMWARE = {"/usr/bin/vmtoolsd": ""}
WANTED = "/etc/systemd/system/sysinit.target.wants/systemd-timesyncd.service"
LOCAL = {"/etc/adjtime": "0.0 0 0.0\n0\nLOCAL\n"}


def asked(root: Path, files: dict[str, str], offset: int | None = 0) -> Proposal:
    laid = lay(root, {**SYSTEMD, "/etc/fstab": "", **files})
    return clocks(laid, Facts(inspection=inspect(laid), clock_offset_seconds=offset))


def test_where_the_host_set_the_clock_timesyncd_is_switched_on(tmp_path: Path) -> None:
    found = asked(tmp_path, {**TIMESYNCD, **VMWARE})
    (edit,) = found.edits
    assert (edit.path, edit.after, edit.link) == (WANTED, "/lib/systemd/system/systemd-timesyncd.service", True)
    assert found.remarks == ()


@pytest.mark.parametrize("unit", ["chrony", "chronyd", "ntp", "ntpd", "ntpsec", "systemd-timesyncd"])
def test_a_client_that_is_on_is_enough(unit: str, tmp_path: Path) -> None:
    link = {f"/etc/systemd/system/multi-user.target.wants/{unit}.service": "->/lib/systemd/system/x.service"}
    assert asked(tmp_path, {**TIMESYNCD, **VMWARE, **link}) == Proposal()


@pytest.mark.parametrize(
    "files",
    [
        TIMESYNCD,  # nothing says that a host has ever set the clock
        VMWARE,
        {**TIMESYNCD, **VMWARE, "/etc/systemd/system/systemd-timesyncd.service": "->/dev/null"},
    ],
)
def test_otherwise_it_is_only_told(files: dict[str, str], tmp_path: Path) -> None:
    found = asked(tmp_path, files)
    assert found.edits == ()
    assert "no NTP client" in found.remarks[0].text


def test_a_clock_in_local_time_becomes_utc_where_the_pools_is(tmp_path: Path) -> None:
    edits = [one for one in asked(tmp_path, {**LOCAL, **TIMESYNCD}).edits if one.path == "/etc/adjtime"]
    assert [one.after for one in edits] == ["0.0 0 0.0\n0\nUTC\n"]


def test_a_clock_in_local_time_stays_where_the_machines_is_set_so(tmp_path: Path) -> None:
    found = asked(tmp_path, LOCAL, offset=-14400)
    assert not [one for one in found.edits if one.path == "/etc/adjtime"]
    assert not [one for one in found.remarks if "hardware clock" in one.text]


def test_where_the_machines_clock_is_not_known_it_is_told(tmp_path: Path) -> None:
    found = asked(tmp_path, LOCAL, offset=None)
    assert not [one for one in found.edits if one.path == "/etc/adjtime"]
    assert any("hardware clock in local time" in one.text for one in found.remarks)


def test_a_machines_clock_off_utc_is_told_to_a_guest_that_takes_it_for_utc(tmp_path: Path) -> None:
    found = asked(tmp_path, {}, offset=3600)
    assert any("3600 seconds off UTC" in one.text for one in found.remarks)
