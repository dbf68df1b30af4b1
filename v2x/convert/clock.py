# SPDX-License-Identifier: Apache-2.0
"""Clocks: who sets them once the old host does not, and what the hardware clock shows at the first boot."""

from collections.abc import Iterator

from v2x.convert.files import text_of
from v2x.convert.interface import Facts, GuestFiles, Proposal, Remark

_CHRONY = ("/etc/chrony.conf", "/etc/chrony/chrony.conf")
_CLIENTS = (*_CHRONY, "/etc/ntp.conf", "/etc/systemd/timesyncd.conf")


def clocks(files: GuestFiles, facts: Facts) -> Proposal:
    """Only remarks: which time server to ask, and the machine's time zone, are not in the guest's files."""
    return Proposal(remarks=(*_time_servers(files), *_hardware_clock(files)))


def _time_servers(files: GuestFiles) -> Iterator[Remark]:
    for path in _CHRONY:
        words = [line.split() for line in (text_of(files, path) or "").splitlines()]
        by_host = any(line[:2] == ["refclock", "PHC"] for line in words)
        if by_host and not any(line[:1] in (["server"], ["pool"], ["peer"]) for line in words):
            yield Remark(text=f"{path} takes the time from the old host only", remedy="add a server to it")
    if not any(files.exists(path) for path in _CLIENTS):
        yield Remark(
            text="no NTP client was found: the guest may have taken its time from the host",
            remedy="install chrony, or switch systemd-timesyncd on",
        )


def _hardware_clock(files: GuestFiles) -> Iterator[Remark]:
    """The third line of adjtime(5) is UTC or LOCAL."""
    lines = (text_of(files, "/etc/adjtime") or "").splitlines()
    if len(lines) >= 3 and lines[2].strip() == "LOCAL":
        yield Remark(
            text="the guest keeps its hardware clock in local time",
            remedy="give its time zone with --timezone, so that the first boot shows the right time",
        )
