# SPDX-License-Identifier: Apache-2.0
"""Names as vSphere keeps them: `/`, `\\` and `%` are stored as %2f, %5c and %25 in every inventory name."""

import re

_ESCAPES = {"%2f": "/", "%5c": "\\", "%25": "%"}
_ESCAPE = re.compile("%(2f|5c|25)", re.IGNORECASE)
_FILE = re.compile(r"\[([^\]]*)\] ?(.*)", re.DOTALL)


def decoded(name: str) -> str:
    """The name as people see it. Only the three escapes that vSphere makes are undone, each once."""
    return _ESCAPE.sub(lambda match: _ESCAPES[match[0].lower()], name)


def split_file(name: str) -> tuple[str, str]:
    """Datastore and path of `[datastore] folder/file.vmdk`; an empty datastore where the name has another form."""
    match = _FILE.fullmatch(name)
    return (decoded(match[1]), match[2]) if match else ("", name)


def folder_of(name: str) -> str:
    """`[datastore] folder/` of a file's name: where the machine that it belongs to lies."""
    return name.rpartition("/")[0] + "/" if "/" in name else ""
