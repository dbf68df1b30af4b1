# SPDX-License-Identifier: Apache-2.0
"""`/folder`: the files of datastores over HTTPS, with ranges, as vCenter and ESXi serve them.

`/folder/<path>?dcPath=<inventory path of the datacenter>&dsName=<datastore>`; each is decoded once. A name that holds a
slash is shown by the inventory with %2f and is therefore %252f in the address: what was decoded once too often, or too
seldom, names nothing and is 404. A lone ESXi host takes ha-datacenter, or no dcPath.
"""

import base64
import binascii
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, unquote, urlsplit

from pyVmomi import vim

from v2x.simulators.vsphere import traversal
from v2x.simulators.vsphere.sessions import Account, Session
from v2x.simulators.vsphere.store import ABSENT, Entity
from v2x.simulators.vsphere.web.sending import pour

if TYPE_CHECKING:
    from v2x.simulators.vsphere.web.connection import Connection

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_PIECE_BYTES = 256 * 1024
_REALM = {"WWW-Authenticate": 'Basic realm="VMware HTTP server"'}


def serve(connection: "Connection") -> None:
    """One request to `/folder`."""
    if connection.troubled("folder"):
        return
    if connection.command not in ("GET", "HEAD"):
        _refuse_change(connection)
        return
    session, headers = _session(connection)
    if session is None or session.account is None:
        connection.page(401, "401 Unauthorized", _REALM)
        return
    split = urlsplit(connection.path)
    query = {name: values[0] for name, values in parse_qs(split.query, keep_blank_values=True).items()}
    path = unquote(split.path.removeprefix("/folder").removeprefix("/"))
    datacenter = _datacenter(connection, query.get("dcPath"))
    name = query.get("dsName", "")
    datastore = _datastore(connection, datacenter, name)
    if not _permitted(connection, session.account, datastore or datacenter):
        connection.page(403, "403 Forbidden")
        return
    if "dsName" not in query and not path:
        _list_above(connection, datacenter, query, headers)
        return
    if datastore is None or datastore.values["summary"].accessible is False:
        connection.page(404, "404 Not Found", headers)
        return
    root = connection.state.places.root(datastore.moid)
    target = (root / path).resolve()
    if target != root.resolve() and root.resolve() not in target.parents:
        connection.page(400, "400 Bad Request", headers)
    elif target.is_dir():
        _list(connection, target, path, split.query, headers)
    elif not target.is_file():
        connection.page(404, "404 Not Found", headers)
    elif connection.state.places.locked(target):
        # a running machine holds the file it writes to; below a snapshot it may be read
        connection.page(500, "500 Internal Server Error: the file is locked", headers)
    else:
        _file(connection, target, f"[{query.get('dsName', '')}] {path}", session, headers)


def _permitted(connection: "Connection", account: Account, place: Entity | None) -> bool:
    """Whether the account may look into and take files of the datastore, or of all in the datacenter."""
    store = connection.state.store
    places = [each.moid for each in traversal.lineage(store, place)] if place is not None else []
    return all(account.may(one, places) for one in ("Datastore.Browse", "Datastore.FileManagement"))


def _session(connection: "Connection") -> tuple[Session | None, dict[str, str]]:
    """The session of the cookie, or one made from a Basic header, with the cookie to set for it."""
    sessions = connection.state.sessions
    found = sessions.for_files(connection.cookie())
    if found is not None:
        return found, {}
    kind, _, given = connection.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None, {}
    try:
        user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        made = sessions.by_password(user, password)
    except (binascii.Error, UnicodeDecodeError, vim.fault.InvalidLogin):
        return None, {}
    return made, connection.set_cookie(made.token)


def _datacenter(connection: "Connection", path: str | None) -> Entity | None:
    store, profile = connection.state.store, connection.state.profile
    path = path.removeprefix("/") if path else path  # govmomi writes the path with a slash before it
    for each in store.all(vim.Datacenter):
        names = {traversal.inventory_path(store, each)} | ({None, ""} if not profile.vcenter else set())
        if path in names:
            return each
    return None


def _datastore(connection: "Connection", datacenter: Entity | None, name: str) -> Entity | None:
    if datacenter is None:
        return None
    store = connection.state.store
    for ref in store.value(datacenter, "datastore") or ():
        each = store.get(ref)
        if store.value(each, "name") == name:
            return each
    return None


def _refuse_change(connection: "Connection") -> None:
    """The stand-in takes no uploads and deletes nothing: what wants to is written down."""
    connection.body()
    transfer = connection.state.ledger.open_transfer(f"folder {connection.command}", connection.path, "")
    connection.state.ledger.close_transfer(transfer, "refused")
    connection.page(403, "403 Forbidden")


def _file(connection: "Connection", path: Path, shown: str, session: Session, headers: dict[str, str]) -> None:
    size = path.stat().st_size
    given = connection.headers.get("range")
    span = _span(given, size)
    if span is None:
        connection.page(416, "416 Requested Range Not Satisfiable", {"Content-Range": f"bytes */{size}", **headers})
        return
    start, end = span
    lines = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(end - start),
        "Accept-Ranges": "bytes",
        **headers,
    }
    if given is not None:
        lines["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    connection.head(200 if given is None else 206, lines)
    if connection.command == "HEAD":
        return
    user = session.account.user if session.account else ""
    transfer = connection.state.ledger.open_transfer("folder", shown, user, start)
    pour(connection, _pieces(path, start, end), transfer, rate=connection.state.settings.folder_rate)


def _span(given: str | None, size: int) -> tuple[int, int] | None:
    """Start and end of what is to be sent, the end clamped; None for a range that cannot be met."""
    if given is None:
        return 0, size
    found = _RANGE.fullmatch(given.strip())
    if found is None or found[1] == found[2] == "":
        return 0, size
    if not found[1]:
        length = min(int(found[2]), size)
        return (size - length, size) if length else None
    start = int(found[1])
    end = min(int(found[2]) + 1, size) if found[2] else size
    return (start, end) if start < end else None


def _pieces(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while start < end:
            piece = file.read(min(_PIECE_BYTES, end - start))
            if not piece:
                return
            start += len(piece)
            yield piece


# listings


def _list_above(
    connection: "Connection", datacenter: Entity | None, query: dict[str, str], headers: dict[str, str]
) -> None:
    store = connection.state.store
    if datacenter is None and "dcPath" in query:
        connection.page(404, "404 Not Found", headers)
        return
    if datacenter is None:
        paths = [traversal.inventory_path(store, e) for e in store.all(vim.Datacenter)]
        rows = [(f"/folder?dcPath={quote(p, safe='')}", p) for p in paths]
    else:
        path = quote(traversal.inventory_path(store, datacenter), safe="")
        found = store.value(datacenter, "datastore")
        names = [store.value(store.get(ref), "name") for ref in (found if found is not ABSENT else ())]
        rows = [(f"/folder?dcPath={path}&dsName={quote(n, safe='')}", n) for n in names]
    _index(connection, rows, headers)


def _list(connection: "Connection", folder: Path, path: str, query: str, headers: dict[str, str]) -> None:
    rows = []
    for each in sorted(folder.iterdir()):
        name = each.name + ("/" if each.is_dir() else "")
        inside = "/".join(part for part in (path.strip("/"), name) if part)
        rows.append((f"/folder/{quote(inside)}?{query}", name))
    _index(connection, rows, headers)


def _index(connection: "Connection", rows: list[tuple[str, str]], headers: dict[str, str]) -> None:
    lines = "".join(f'<tr><td><a href="{html.escape(at)}">{html.escape(name)}</a></td></tr>' for at, name in rows)
    text = f"<html><head><title>Index of</title></head><body><h1>Index of</h1><table>{lines}</table></body></html>"
    connection.send(200, text.encode(), "text/html", headers)
