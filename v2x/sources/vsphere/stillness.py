# SPDX-License-Identifier: Apache-2.0
"""Whether the disks of a machine that is off lie still: a stamp of its files that changes when one is written to.

Nothing is changed at the source for a machine that is off, not even by a snapshot, so its point in time is what the
datastore says of its files: sizes and times of last modification.
"""

import hashlib
import re
import secrets
from typing import Any

from pyVmomi import vim

from v2x.errors import PermissionRefused, SourceError, Unsupported
from v2x.sources.vsphere.failures import error_from
from v2x.sources.vsphere.present import Present, virtual_disks
from v2x.sources.vsphere.session import VsphereSession

PATHS = ("config.hardware.device",)
_SEARCH_SECONDS = 600.0
_EXTENT = r"(-(flat|delta|sesparse|[sf][0-9]{3,}))?\.vmdk"
_THIS_RUN = secrets.token_hex(8)


def stamps(session: VsphereSession, now: Present, subject: str) -> tuple[dict[str, str], str]:
    """A stamp of each disk by device key, and a note where the datastore could not be asked.

    The configuration's own version does not count: notes and names may be edited while a machine is copied.
    Without the privilege Datastore.Browse nothing proves that two runs see the same disk, so that the stamp is good
    for this run of the program alone; the next one copies anew.
    """
    note = ""
    made: dict[str, str] = {}
    seen: dict[tuple[str, str], list[str]] = {}
    for key, device in virtual_disks(now).items():
        lines: list[str] = []
        for store, file in _files(device.backing):
            folder, _, name = file.rpartition("/")
            place = (folder, name.removesuffix(".vmdk"))
            try:
                if place not in seen:
                    seen[place] = _listed(session, store, *place, subject)
            except (PermissionRefused, SourceError, Unsupported) as problem:
                why = "it lacks Datastore.Browse" if isinstance(problem, PermissionRefused) else problem.message
                note = (
                    f"{subject}: the datastore does not tell when its files were written to ({why}); "
                    "if this run is stopped, the next one copies from the start"
                )
                seen[place] = [f"unknown in run {_THIS_RUN}"]
            lines += seen[place]
        made[key] = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]
    return made, note


def _files(backing: Any) -> list[tuple[Any, str]]:
    found = []
    while backing is not None:
        if getattr(backing, "fileName", None) and getattr(backing, "datastore", None) is not None:
            found.append((backing.datastore, str(backing.fileName)))
        backing = getattr(backing, "parent", None)
    return found


def _listed(session: VsphereSession, store: Any, folder: str, stem: str, subject: str) -> list[str]:
    """Name, size and modification time of the disk's descriptor and extents.

    Not of everything whose name begins alike: deltas of other machines may stand on the same base.
    """
    (found,) = session.retrieve(vim.Datastore, ["browser"], objects=[store])
    browser = found.values.get("browser")
    if browser is None:
        raise error_from(vim.fault.NoPermission(privilegeId="Datastore.Browse"), "look at its files", subject)
    details = vim.host.DatastoreBrowser.FileInfo.Details(
        fileSize=True, modification=True, fileType=False, fileOwner=False
    )
    spec = vim.host.DatastoreBrowser.SearchSpec(matchPattern=[f"{_literal(stem)}*.vmdk"], details=details)
    task = session.call(browser.SearchDatastore_Task, folder, spec, doing="look at its files", subject=subject)
    result = session.wait_task(task, doing="look at its files", subject=subject, timeout=_SEARCH_SECONDS)
    own = re.compile(re.escape(stem) + _EXTENT)
    files = [one for one in result.file or [] if own.fullmatch(one.path)]
    if not files:
        raise SourceError(f"{subject}: {folder} shows no file of {stem}", code="MISSING-DISK")
    return sorted(f"{one.path} {one.fileSize} {one.modification}" for one in files)


def _literal(name: str) -> str:
    """`name` as a pattern; `?` stands for the signs that have a meaning in one."""
    return "".join("?" if sign in "*?[]" else sign for sign in name)
