# SPDX-License-Identifier: Apache-2.0
"""The REST API: sessions and tags, under /rest with wrapped values and, since 7.0 U2, under /api without.

A lone ESXi host has neither.
"""

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from pyVmomi import vim

from v2x.simulators.vsphere.sessions import Session

if TYPE_CHECKING:
    from v2x.simulators.vsphere.web.connection import Connection

_HEADER = "vmware-api-session-id"
_OLD = "/rest/com/vmware/cis/"
_NEW = {"/api/session": "session", "/api/cis/": ""}
_ERRORS = {400: "invalid_argument", 401: "unauthenticated", 403: "unauthorized", 404: "not_found"}


class Refused(Exception):
    """An HTTP status of an error."""

    @property
    def status(self) -> int:
        return int(self.args[0])


def serve(connection: "Connection") -> None:
    """One request to /rest or /api."""
    if connection.troubled("rest"):
        return
    profile = connection.state.profile
    split = urlsplit(connection.path)
    old = split.path.startswith(_OLD)
    if not profile.vcenter or (not old and not profile.newer_rest):
        connection.page(404, "404 Not Found")
        return
    what = split.path.removeprefix(_OLD) if old else _shortened(split.path)
    query = {k.lstrip("~"): v[0] for k, v in parse_qs(split.query).items()}
    try:
        body = connection.body()
        given = json.loads(body) if body else {}
        status, told = _answer(connection, unquote(what), query, given)
    except Refused as refused:
        status, told = refused.status, None
    except (ValueError, TypeError, KeyError):
        status, told = 400, None
    if status >= 400:
        _error(connection, status, old)
        return
    if old and told is not None:
        status, told = 200, {"value": told}
    connection.send(status, b"" if told is None else json.dumps(told).encode(), "application/json")


def _shortened(path: str) -> str:
    for start, instead in _NEW.items():
        if path.startswith(start):
            return instead + path.removeprefix(start)
    return ""


def _error(connection: "Connection", status: int, old: bool) -> None:
    name = _ERRORS[status]
    told: dict[str, Any] = {"error_type": name.upper(), "messages": []}
    if old:
        told = {"type": f"com.vmware.vapi.std.errors.{name}", "value": {"messages": []}}
    connection.send(status, json.dumps(told).encode(), "application/json")


def _answer(connection: "Connection", what: str, query: dict[str, str], given: dict[str, Any]) -> tuple[int, Any]:
    if what == "session" and connection.command == "POST":
        return 201, _log_in(connection).token
    session = _session(connection)
    if what == "session":
        if connection.command == "DELETE":
            connection.state.sessions.end(session)
            return 204, None
        return 200, {"user": session.account.user if session.account else "", "created_time": str(session.login_time)}
    if not what.startswith("tagging/"):
        raise Refused(404)
    return 200, _tagging(connection, what.removeprefix("tagging/"), query.get("action", ""), given)


def _log_in(connection: "Connection") -> Session:
    kind, _, given = connection.headers.get("authorization", "").partition(" ")
    try:
        user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        if kind.lower() != "basic":
            raise Refused(401)
        return connection.state.sessions.by_password(user, password)
    except (binascii.Error, UnicodeDecodeError, vim.fault.InvalidLogin):
        raise Refused(401) from None


def _session(connection: "Connection") -> Session:
    token = connection.headers.get(_HEADER, "")
    found = connection.state.sessions.known(token)
    if found is None or found.account is None:
        raise Refused(401)
    if not found.account.may("System.Read"):
        raise Refused(403)
    return found


def _tagging(connection: "Connection", what: str, action: str, given: dict[str, Any]) -> Any:
    tags = connection.state.tags
    name, _, key = what.partition("/")
    key = key.removeprefix("id:")
    if name in ("tag", "category"):
        known = tags.tags if name == "tag" else tags.categories
        if action == "list-tags-for-category":
            return [i for i, t in tags.tags.items() if t["category_id"] == (key or given["category_id"])]
        if not key:
            return list(known)
        if key not in known:
            raise Refused(404)
        return known[key]
    if name != "tag-association" or connection.command != "POST":
        raise Refused(404)
    if action == "list-attached-tags-on-objects":
        return [
            {"object_id": o, "tag_ids": tags.attached[o["type"], o["id"]]}
            for o in given["object_ids"]
            if (o["type"], o["id"]) in tags.attached
        ]
    if action == "list-attached-tags":
        return tags.attached.get((given["object_id"]["type"], given["object_id"]["id"]), [])
    if action == "list-attached-objects-on-tags":
        return [
            {"tag_id": t, "object_ids": [{"type": k, "id": i} for (k, i), a in tags.attached.items() if t in a]}
            for t in given["tag_ids"]
        ]
    raise Refused(404)
