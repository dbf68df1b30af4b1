# SPDX-License-Identifier: Apache-2.0
"""Clocks: who sets them once the old host does not, and what the hardware clock shows at the first boot."""

from collections.abc import Iterator

from v2x.convert.files import text_of
from v2x.convert.guest_tools import has_old_tools
from v2x.convert.interface import Edit, Facts, GuestFiles, Proposal, Remark

_CHRONY = ("/etc/chrony.conf", "/etc/chrony/chrony.conf")
_UNITS = ("chrony", "chronyd", "ntp", "ntpd", "ntpsec", "openntpd", "systemd-timesyncd")
_WANTS = tuple(f"/etc/systemd/system/{one}.target.wants" for one in ("multi-user", "sysinit", "basic", "graphical"))
_CONFIGURED = (*_CHRONY, "/etc/ntp.conf", "/etc/ntpsec/ntp.conf")
_TIMESYNCD = "systemd-timesyncd.service"
_PROGRAM = "/lib/systemd/systemd-timesyncd"
_MASK = f"/etc/systemd/system/{_TIMESYNCD}"
_ADJTIME = "/etc/adjtime"


def clocks(files: GuestFiles, facts: Facts) -> Proposal:
    """A time client that is installed is switched on where none is and the old host set the clock; a hardware clock in
    local time becomes UTC, which is what the pool's is. The rest is remarks: which server to ask, nobody knows here."""
    edits, remarks = list(_hardware_clock(files, facts)), list(_clock_remarks(files, facts))
    remarks += _only_by_host(files)
    if not _has_client(files, facts):
        switched_on = list(_timesyncd_on(files, facts))
        edits += switched_on
        if not switched_on:
            remarks.append(
                Remark(
                    text="no NTP client is switched on: the guest may have taken its time from the host",
                    remedy="install chrony, or switch systemd-timesyncd on",
                )
            )
    return Proposal(edits=tuple(edits), remarks=tuple(remarks))


def _only_by_host(files: GuestFiles) -> Iterator[Remark]:
    for path in _CHRONY:
        words = [line.split() for line in (text_of(files, path) or "").splitlines()]
        by_host = any(line[:2] == ["refclock", "PHC"] for line in words)
        if by_host and not any(line[:1] in (["server"], ["pool"], ["peer"]) for line in words):
            yield Remark(text=f"{path} takes the time from the old host only", remedy="add a server to it")


def _has_client(files: GuestFiles, facts: Facts) -> bool:
    if facts.inspection.init != "systemd":
        return any(files.exists(path) for path in _CONFIGURED)
    links = (f"{folder}/{unit}.service" for folder in _WANTS for unit in _UNITS)
    return any(files.link_of(link) is not None for link in links)


def _timesyncd_on(files: GuestFiles, facts: Facts) -> Iterator[Edit]:
    """What `systemctl enable` does; not where it was forbidden, nor where no host has ever set the clock."""
    if facts.inspection.init != "systemd" or not files.exists(_PROGRAM) or not has_old_tools(files):
        return
    if files.link_of(_MASK) is not None:
        return
    yield Edit(
        path=f"/etc/systemd/system/sysinit.target.wants/{_TIMESYNCD}",
        before=None,
        after=f"/lib/systemd/system/{_TIMESYNCD}",
        why="the old host set the clock, and no other time client is switched on",
        link=True,
    )


def _keeps_local_time(files: GuestFiles) -> bool:
    """The third line of adjtime(5) is UTC or LOCAL."""
    lines = (text_of(files, _ADJTIME) or "").splitlines()
    return len(lines) >= 3 and lines[2].strip() == "LOCAL"


def _hardware_clock(files: GuestFiles, facts: Facts) -> Iterator[Edit]:
    if _keeps_local_time(files) and facts.clock_offset_seconds == 0:
        before = text_of(files, _ADJTIME) or ""
        lines = before.splitlines(keepends=True)
        after = "".join([*lines[:2], lines[2].replace("LOCAL", "UTC"), *lines[3:]])
        why = "the machine's hardware clock starts at UTC on the pool: read as local time, it would be hours off"
        yield Edit(path=_ADJTIME, before=before, after=after, why=why)


def _clock_remarks(files: GuestFiles, facts: Facts) -> Iterator[Remark]:
    if facts.clock_offset_seconds is None:
        if _keeps_local_time(files):
            yield Remark(
                text="the guest keeps its hardware clock in local time, and the pool's starts at UTC",
                remedy="set platform:timeoffset of the new machine to its zone's seconds, or set UTC in /etc/adjtime",
            )
    elif facts.clock_offset_seconds and not _keeps_local_time(files):
        yield Remark(
            text=f"the hardware clock starts {facts.clock_offset_seconds} seconds off UTC, as at the source; the guest "
            "takes it for UTC",
            remedy="check the clock after the first start",
        )
