# SPDX-License-Identifier: Apache-2.0
"""The part of guestfs_worker.py that reads and writes a Windows guest's registry, inside libguestfs's appliance.

As that program, it imports nothing of v2x. A handle has at most one hive open; `OpenHive` remembers which.
"""

import base64
from typing import Any


class OpenHive:
    """The hive that was asked for last, kept open for reading until another one is, or it is written.

    Each step on the way to a key is a question to the appliance, so that nodes are remembered.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._path = ""
        self._nodes: dict[str, int] = {}

    def close(self) -> None:
        if self._path:
            self._path = ""
            self._handle.hivex_close()

    def node(self, path: str, key: str) -> int:
        """The node of a key below the root; 0 where there is none."""
        if path != self._path:
            self.close()
            self._handle.hivex_open(path)
            self._path = path
            self._nodes = {"": self._handle.hivex_root()}
        return self._known(key.strip("\\"))

    def _known(self, key: str) -> int:
        if key not in self._nodes:
            above, _, name = key.rpartition("\\")
            parent = self._known(above)
            self._nodes[key] = self._handle.hivex_node_get_child(parent, name) if parent else 0
        return self._nodes[key]

    def change(self, path: str, edits: list[dict[str, Any]]) -> None:
        """Sets values and removes keys, and writes the hive once, at the end."""
        self.close()
        self._handle.hivex_open(path, write=True)
        try:
            for edit in edits:
                if edit.get("remove"):
                    node = walked(self._handle, self._handle.hivex_root(), edit["key"])
                    if node:
                        self._handle.hivex_node_delete_child(node)
                    continue
                node = made(self._handle, self._handle.hivex_root(), edit["key"])
                data = base64.b64decode(edit["data"])
                self._handle.hivex_node_set_value(node, edit["name"], edit["kind"], data)
            self._handle.hivex_commit(None)
        finally:
            self._handle.hivex_close()


def walked(handle: Any, node: int, key: str) -> int:
    for part in filter(None, key.split("\\")):
        node = handle.hivex_node_get_child(node, part)
        if not node:
            return 0
    return node


def made(handle: Any, node: int, key: str) -> int:
    for part in filter(None, key.split("\\")):
        node = handle.hivex_node_get_child(node, part) or handle.hivex_node_add_child(node, part)
    return node


def described(handle: Any, value: int) -> list[Any]:
    """A value's name, type and bytes."""
    data = base64.b64encode(handle.hivex_value_value(value)).decode()
    return [handle.hivex_value_key(value), handle.hivex_value_type(value), data]


def subkeys(hive: OpenHive, handle: Any, request: dict[str, Any]) -> list[str]:
    node = hive.node(request["hive"], request["key"])
    if not node:
        return []
    return sorted(handle.hivex_node_name(child["hivex_node_h"]) for child in handle.hivex_node_children(node))


def values(hive: OpenHive, handle: Any, request: dict[str, Any]) -> list[list[Any]] | None:
    node = hive.node(request["hive"], request["key"])
    if not node:
        return None
    return [described(handle, one["hivex_value_h"]) for one in handle.hivex_node_values(node)]


def value(hive: OpenHive, handle: Any, request: dict[str, Any]) -> list[Any] | None:
    node = hive.node(request["hive"], request["key"])
    found = handle.hivex_node_get_value(node, request["name"]) if node else 0
    return described(handle, found) if found else None


def change(hive: OpenHive, handle: Any, request: dict[str, Any]) -> None:
    hive.change(request["hive"], request["edits"])
