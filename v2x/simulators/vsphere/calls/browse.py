# SPDX-License-Identifier: Apache-2.0
"""Looking into datastores."""

import fnmatch
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyVmomi import vim

from v2x.simulators.vsphere import tasks
from v2x.simulators.vsphere.dispatch import method, require
from v2x.simulators.vsphere.estate.files import split
from v2x.simulators.vsphere.state import Context
from v2x.simulators.vsphere.store import Entity, computed

_Browser = vim.host.DatastoreBrowser


@computed("Datastore", "browser")
def _browser(state: Any, datastore: Entity) -> Any:
    moid = f"datastoreBrowser-{datastore.moid}"
    found = state.store.find(moid)
    made = found if found is not None else state.store.add(_Browser, moid, _datastore=datastore)
    return made.ref


@method("HostDatastoreBrowser", "SearchDatastore_Task")
def search(context: Context, browser: Entity, datastorePath: str, searchSpec: Any) -> Any:
    return tasks.start(
        context, browser, "SearchDatastore_Task", lambda _running: _folder(context, browser, datastorePath, searchSpec)
    )


@method("HostDatastoreBrowser", "SearchDatastoreSubFolders_Task")
def search_below(context: Context, browser: Entity, datastorePath: str, searchSpec: Any) -> Any:
    def work(_running: tasks.Running) -> Any:
        root, name, top = _place(context, browser, datastorePath)
        folders = [top, *(p for p in sorted(top.rglob("*")) if p.is_dir())]
        found = [
            _folder(context, browser, f"[{name}] {p.relative_to(root).as_posix() if p != root else ''}", searchSpec)
            for p in folders
        ]
        return _Browser.SearchResults.Array(found)

    return tasks.start(context, browser, "SearchDatastoreSubFolders_Task", work)


def _place(context: Context, browser: Entity, path: str) -> tuple[Path, str, Path]:
    """The datastore's folder, its name, and the folder asked for. Raises FileNotFound or InvalidDatastorePath."""
    datastore = browser.values["_datastore"]
    require(context, datastore, "Datastore.Browse")
    root = context.state.places.root(datastore.moid)
    try:
        name, inside = split(path)
    except ValueError:
        raise vim.fault.InvalidDatastorePath(datastorePath=path, msg=f"Invalid datastore path '{path}'.") from None
    if name != datastore.values["summary"].name:
        raise vim.fault.InvalidDatastorePath(datastorePath=path, msg=f"Invalid datastore path '{path}'.")
    folder = (root / inside).resolve()
    if (folder != root.resolve() and root.resolve() not in folder.parents) or not folder.is_dir():
        raise vim.fault.FileNotFound(file=path, msg=f"File {path} was not found")
    return root, name, folder


def _folder(context: Context, browser: Entity, path: str, spec: Any) -> Any:
    _root, _name, folder = _place(context, browser, path)
    patterns = list(spec.matchPattern) if spec is not None and spec.matchPattern else ["*"]
    found = _Browser.SearchResults(datastore=browser.values["_datastore"].ref, folderPath=path)
    for each in sorted(folder.iterdir()):
        if not any(fnmatch.fnmatch(each.name, pattern) for pattern in patterns):
            continue
        kind = _Browser.FolderInfo if each.is_dir() else _Browser.FileInfo
        if each.suffix == ".vmdk" and not each.stem.endswith(("-flat", "-delta", "-sesparse", "-ctk", "-rdmp", "-rdm")):
            kind = _Browser.VmDiskInfo
        status = each.stat()
        found.file.append(
            kind(path=each.name, fileSize=status.st_size, modification=datetime.fromtimestamp(status.st_mtime, UTC))
        )
    return found
