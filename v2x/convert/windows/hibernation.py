# SPDX-License-Identifier: Apache-2.0
"""A Windows that did not really shut down: hibernated, also by Fast Startup, or stopped while it ran."""

import struct

from v2x.convert.interface import Proposal, Refusal, Remark, Removal
from v2x.convert.registry import Hive, dword
from v2x.convert.windows.view import WindowsDisk, WindowsView, find

_FILE = "/hiberfil.sys"
_HIBERNATED = {b"hibr", b"HIBR"}
_RESUMED = {b"wake", b"WAKE", b"RSTR", b"rstr"}
_POWER = "Control\\Session Manager\\Power"


def hibernated(disk: WindowsDisk) -> str | None:
    """The file with the system's state where there is one to wake up from; None after a real shutdown.

    Its first bytes are `hibr`; once the system has woken up, `wake`, and zeros if it was never used.
    """
    path = find(disk, _FILE)
    if path is None:
        return None
    return path if disk.head(path, 4) in _HIBERNATED else None


def sleeps(disk: WindowsDisk, cleaned: str | None) -> Proposal:
    """Refuses what is hibernated; `cleaned` is the file with its state where that is to be thrown away, or was."""
    if cleaned is not None:
        why = "the state in memory of a hibernated system, which cannot wake up on other hardware"
        return Proposal(removals=(Removal(path=cleaned, why=why),))
    if hibernated(disk) is None:
        return Proposal()
    return Proposal(
        refusals=(
            Refusal(
                code="WINDOWS-HIBERNATED",
                text="this Windows is hibernated (Fast Startup does that too) and would wake up on other hardware",
                remedy="start it at the source and run shutdown /s /t 0, or throw its state away "
                "(--clean-hibernation, or clean-hibernation in a plan's column guest)",
            ),
        )
    )


def unclean(disk: WindowsDisk, hives: dict[Hive, str], *, volume: bool) -> Proposal:
    """Refuses what was not shut down: Windows would play its logs over what is edited. `volume`: its NTFS says so.

    A hive's two sequence numbers (at 4 and 8 of its header) differ while it is being written.
    """
    behind = []
    for hive, path in hives.items():
        header = disk.head(path, 12)
        if len(header) < 12 or header[:4] != b"regf":
            behind.append(f"{hive.value} is no registry hive")
        elif len(set(struct.unpack("<II", header[4:12]))) > 1:
            behind.append(f"{hive.value} was being written")
    if volume:
        behind.insert(0, "its NTFS has a journal that was not played back")
    if not behind:
        return Proposal()
    return Proposal(
        refusals=(
            Refusal(
                code="WINDOWS-UNCLEAN",
                text=f"this Windows was not shut down: {', '.join(behind)}",
                remedy="shut it down in the guest, then run again; a snapshot of a running one cannot be converted",
            ),
        )
    )


def fast_startup(view: WindowsView) -> Proposal:
    """Only a remark: it is the guest's own setting, and does no harm once it runs on the pool."""
    on = view.setting(_POWER, "HiberbootEnabled")
    if on is None or on != dword(1) or view.facts.is_server:
        return Proposal()
    return Proposal(
        remarks=(
            Remark(
                text="Fast Startup is on: a shutdown from the menu hibernates, which no tool can read afterwards",
                remedy="before a final shutdown run shutdown /s /t 0, or powercfg /h off",
            ),
        )
    )
