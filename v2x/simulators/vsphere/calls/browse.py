# SPDX-License-Identifier: Apache-2.0
"""Looking at the files of datastores: names, sizes and times of last modification, of one folder or all below it."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pyVmomi import vim

from v2x.simulators.vsphere import tasks
from v2x.simulators.vsphere.dispatch import method
from v2x.simulators.vsphere.state import Context, State
from v2x.simulators.vsphere.store import Entity, computed

_BEFORE = "datastoreBrowser-"


@computed("Datastore", "browser")
def _browser(state: State, datastore: Entity) -> Any:
    moid = _BEFORE + datastore.moid
    known = state.store.find(moid)
    if known is None:
        known = state.store.add(vim.host.DatastoreBrowser, moid, datastore=[datastore.ref], supportedType=[])
    return known.ref


@method("HostDatastoreBrowser", "SearchDatastore_Task")
def search(context: Context, browser: Entity, datastorePath: str, searchSpec: Any) -> Any:
    state, datastore = context.state, browser.moid.removeprefix(_BEFORE)
    account = context.session.account
    if account is None or not account.may("Datastore.Browse"):
        raise vim.fault.NoPermission(object=vim.Datastore(datastore), privilegeId="Datastore.Browse", msg="")
    root, folder = state.places.root(datastore), _folder(datastorePath)

    def work(_running: tasks.Running) -> Any:
        place = (root / folder).resolve()
        if root.resolve() not in (place, *place.parents) or not place.is_dir():
            raise vim.fault.FileNotFound(file=datastorePath, msg=f"File {datastorePath} was not found")
        return vim.host.DatastoreBrowser.SearchResults(
            datastore=vim.Datastore(datastore), folderPath=datastorePath, file=list(_files(place, searchSpec))
        )

    return tasks.start(context, browser, "SearchDatastore_Task", work)


def _folder(name: str) -> str:
    """What stands behind the datastore's name in brackets."""
    if not name.startswith("[") or "]" not in name:
        raise vim.fault.InvalidDatastorePath(datastorePath=name, msg=f"Invalid datastore path '{name}'.")
    return name.partition("]")[2].strip()


def _files(place: Path, spec: Any) -> Iterator[Any]:
    patterns = list(spec.matchPattern or ["*"]) if spec is not None else ["*"]
    details = spec.details if spec is not None else None
    for entry in sorted(os.scandir(place), key=lambda found: found.name):
        if not entry.is_file() or not any(fnmatchcase(entry.name, pattern) for pattern in patterns):
            continue
        found, facts = vim.host.DatastoreBrowser.FileInfo(path=entry.name), entry.stat()
        if details is not None and details.fileSize:
            found.fileSize = facts.st_size
        if details is not None and details.modification:
            found.modification = datetime.fromtimestamp(facts.st_mtime, UTC)
        yield found
