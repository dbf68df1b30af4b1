# SPDX-License-Identifier: Apache-2.0
"""Tags of machines and datastores, which only vCenter's REST interface tells: one call for all associations.

Paths are those of the vSphere Automation API from 6.5 on (/rest/com/vmware/cis/…), which 7.0 and 8.0 still answer.
"""

import http.client
import json
import ssl
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from v2x.errors import ConnectError, PermissionRefused, SourceError
from v2x.sources.vsphere.session import VsphereSession
from v2x.tls import PinRefused, pin_refused, split_proxy

_SESSION = "/rest/com/vmware/cis/session"
_TAGGING = "/rest/com/vmware/cis/tagging"
_ATTACHED = f"{_TAGGING}/tag-association?~action=list-attached-tags-on-objects"
_MOST_BYTES = 64 << 20
_MOST_OBJECTS = 2_000


class _Rest:
    """One connection to vCenter's REST interface, on the session's own terms of trust."""

    def __init__(self, session: VsphereSession) -> None:
        self._session = session
        place = split_proxy(session.proxy) if session.proxy else (session.host, session.port)
        self._connection = http.client.HTTPSConnection(*place, timeout=60, context=session.tls)
        if session.proxy:
            self._connection.set_tunnel(session.host, session.port)
        self._token = ""  # nosec B105  # none yet

    def __enter__(self) -> "_Rest":
        answer = self._call("POST", _SESSION, authorization=self._session.basic_authorization())
        self._token = str(answer) if isinstance(answer, str) else ""
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._call("DELETE", _SESSION)
        except (SourceError, ConnectError, PermissionRefused):
            pass  # it ends by itself
        finally:
            self._connection.close()

    def _call(self, method: str, path: str, content: Any = None, authorization: str = "") -> Any:
        headers = {"Accept": "application/json", "User-Agent": "v2x"}
        if authorization:
            headers["Authorization"] = authorization
        elif self._token:
            headers["vmware-api-session-id"] = self._token
        body = None if content is None else json.dumps(content).encode()
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            data = answer.read(_MOST_BYTES)
        except PinRefused as problem:
            raise pin_refused(f"{self._session.host}:{self._session.port}", self._session.trust, problem) from None
        except (OSError, ssl.SSLError, http.client.HTTPException) as problem:
            raise ConnectError(f"vCenter's REST interface: {problem.__class__.__name__}") from None
        if answer.status in {401, 403}:
            raise PermissionRefused(f"vCenter's REST interface answers HTTP {answer.status}")
        if answer.status not in {200, 201, 204}:
            raise SourceError(f"vCenter's REST interface answers HTTP {answer.status}")
        try:
            held = json.loads(data) if data else None
        except (ValueError, RecursionError):
            raise SourceError("vCenter's REST interface answers no JSON") from None
        return held.get("value", held) if isinstance(held, dict) else held

    def get(self, path: str) -> Any:
        return self._call("GET", path)

    def post(self, path: str, content: Any) -> Any:
        return self._call("POST", path, content)


SITE_RECOVERY = "SRM-com.vmware.vcDr:::"
"""Begins the categories of tags that Site Recovery Manager gives to datastores of replicated arrays: their status,
consistency group and protection group (Broadcom knowledge base, article 312732)."""


def replicated_datastores(tags: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """The morefs of datastores whose tags say that their array replicates them."""
    return frozenset(
        moref
        for moref, names in tags.items()
        for name in names
        if name.startswith(SITE_RECOVERY) and not name.casefold().endswith("/non-replicated")
    )


def read_tags(
    session: VsphereSession, machines: Iterable[str], datastores: Iterable[str] = ()
) -> dict[str, tuple[str, ...]]:
    """`category/tag` of objects by moref. One call for the tags of 2,000 objects, one per tag for its name.

    PermissionRefused, ConnectError or SourceError say why there are none; a host without a vCenter has no tags.
    """
    wanted = [*(("VirtualMachine", one) for one in machines), *(("Datastore", one) for one in datastores)]
    if not session.about.is_vcenter or not wanted:
        return {}
    attached: dict[str, list[str]] = {}
    with _Rest(session) as rest:
        for first in range(0, len(wanted), _MOST_OBJECTS):
            objects = [{"type": kind, "id": one} for kind, one in wanted[first : first + _MOST_OBJECTS]]
            for entry in _list(rest.post(_ATTACHED, {"object_ids": objects})):
                holder = entry.get("object_id")
                moref = str(holder.get("id", "")) if isinstance(holder, dict) else ""
                tags = [one for one in entry.get("tag_ids") or [] if isinstance(one, str)]
                attached.setdefault(moref, []).extend(tags)
        names = {tag: _name(rest, tag) for tag in dict.fromkeys(tag for tags in attached.values() for tag in tags)}
    return {moref: tuple(names[tag] for tag in tags) for moref, tags in attached.items() if tags}


def _list(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _name(rest: _Rest, tag: str) -> str:
    held = rest.get(f"{_TAGGING}/tag/id:{quote(tag, safe='')}")
    if not isinstance(held, dict):
        return tag
    name, category = str(held.get("name", tag)), str(held.get("category_id", ""))
    of = rest.get(f"{_TAGGING}/category/id:{quote(category, safe='')}") if category else None
    return f"{of['name']}/{name}" if isinstance(of, dict) and of.get("name") else name
