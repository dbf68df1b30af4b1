# SPDX-License-Identifier: Apache-2.0
"""JSON that keeps every character and is still harmless on a terminal."""

import json
import re
from typing import Any

from v2x.model.codec import to_plain

# Control, format, surrogate, private and unassigned characters, as in v2x.text; found through str.isprintable, which
# is false for exactly these and for separators other than the space.
_LONG = re.compile(r"[^\x20-\x7e\n]")


def dump(value: object) -> bytes:
    """`value` as indented UTF-8 JSON with a trailing newline.

    Characters that a terminal would obey, and halves of surrogate pairs as undecodable file names have them, are
    written as JSON escapes, so that reading the document back gives the same text.
    """
    return dump_plain(to_plain(value))


def dump_plain(plain: Any) -> bytes:
    """As `dump`, for what is made of dicts, lists, strings, numbers and None already."""
    text = json.dumps(plain, ensure_ascii=False, indent=2)
    return (_LONG.sub(_escape, text) + "\n").encode()


def _escape(found: re.Match[str]) -> str:
    char = found.group()
    if char.isprintable():
        return char
    point = ord(char)
    if point < 0x10000:
        return f"\\u{point:04x}"
    point -= 0x10000
    return f"\\u{0xD800 + (point >> 10):04x}\\u{0xDC00 + (point & 0x3FF):04x}"
