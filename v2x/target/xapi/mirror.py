# SPDX-License-Identifier: Apache-2.0
"""Which VMs and VDIs of the pool carry tags of ours: listed once, then kept current by events.

A run of a thousand machines asks for them some thousand times, and a pool of ten thousand VMs takes seconds for each
list. So the list is read whole once, and what changed since is fetched before each answer, which is therefore as new as
a list would be: event.from tells all that was done before it was called (xapi: xapi_event.ml).
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from v2x.errors import TargetError
from v2x.target.xapi import tags
from v2x.target.xapi.client import Client
from v2x.target.xapi.listing import records

_KINDS = {"vm": "VM", "vdi": "VDI"}
_TRUSTED_SECONDS = 900.0
"""After this time the list is read whole again, come what may."""


class Mirror:
    """The tagged objects of one pool. Any thread may ask.

    Another coordinator counts its changes anew, and so may one that was restarted: after a new login everything is
    listed again. A pool that gives no events is listed for each answer.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._held: dict[str, dict[str, Mapping[str, Any]]] = {kind: {} for kind in _KINDS.values()}
        self._token, self._stand, self._listed_at = "", ("", "", 0), 0.0

    def of(self, kind: str, tag: str) -> list[str]:
        """References of the VMs or VDIs (`kind`) that belong to the migration `tag`, unfinished or sealed."""
        with self._lock:
            self._refresh()
            return [reference for reference, record in self._held[kind].items() if tags.is_of(record, tag)]

    def tests(self, kind: str, tag: str = "") -> list[str]:
        """References of VMs or VDIs of test copies, of one migration or of all; also of what users copied of them."""
        with self._lock:
            self._refresh()
            held = ((reference, tags.config(record)) for reference, record in self._held[kind].items())
            return [one for one, own in held if tags.TEST in own and tag in ("", own.get(tags.TEST_OF))]

    def those(self, kind: str, wanted: Callable[[tags.Record], bool]) -> list[str]:
        """References of the tagged VMs or VDIs, also of what users copied of them, that are `wanted` by their tags."""
        with self._lock:
            self._refresh()
            return [reference for reference, record in self._held[kind].items() if wanted(record)]

    def _now(self) -> tuple[str, str, int]:
        return self._client.reference, self._client.host, self._client.port

    def _refresh(self) -> None:
        old = self._client.now() - self._listed_at > _TRUSTED_SECONDS
        if not self._token or old or self._stand != self._now() or not self._follow():
            self._list()

    def _list(self) -> None:
        self._token = ""  # nosec B105  # a place in the events, no secret
        token, self._stand, self._listed_at = self._barrier(), self._now(), self._client.now()
        for kind in _KINDS.values():
            listed = records(self._client, kind, *tags.LISTED)
            self._held[kind] = {reference: record for reference, record in listed.items() if tags.is_tagged(record)}
        # Only now is there something that changes can be added to.
        self._token = token
        if token and not self._follow():
            self._token = ""  # nosec B105  # a place in the events, no secret

    def _barrier(self) -> str:
        """A token behind all changes so far, so that none gets lost beside the lists; empty without events."""
        try:
            pool = self._client.call("pool.get_all")[0]
            return str(self._client.call("event.inject", "pool", pool))
        except (TargetError, LookupError, TypeError):
            return ""

    def _follow(self) -> bool:
        """Takes in what changed since the token. False where that is not to be had, or from another coordinator."""
        try:
            told = self._client.watch(list(_KINDS), self._token, 0.0)
            token, events = str(told["token"]), told["events"]
            for event in events:
                self._take(event)
        except (TargetError, LookupError, TypeError, AttributeError):
            return False
        self._token = token
        return self._stand == self._now()

    def _take(self, event: Mapping[str, Any]) -> None:
        kind, reference = _KINDS.get(str(event["class"]).lower()), str(event["ref"])
        if kind is None:
            return
        record = event.get("snapshot")
        if event["operation"] != "del" and isinstance(record, dict) and tags.is_tagged(record):
            self._held[kind][reference] = {name: record.get(name) for name in tags.LISTED}
        else:
            self._held[kind].pop(reference, None)
