# SPDX-License-Identifier: Apache-2.0
"""The document that collect.ps1 writes, schema v2x.hyperv/1: from bytes to `Fields`."""

import json
import re
from typing import Any

from v2x.errors import BadImage, UnsafeImage
from v2x.model.units import MIB
from v2x.sources.hyperv.fields import Fields

SCHEMA = "v2x.hyperv/1"
MOST_BYTES = 512 * MIB
# Inside a text of the document the quotation marks would be escaped.
_NAMED = re.compile(r'"schema"\s*:\s*"v2x\.hyperv/')
_AGAIN = "collect again with the script that v2x inventory --collector writes"


def decode(data: bytes, name: str) -> str:
    """Text of UTF-8 or UTF-16, with or without a byte order mark: `>` of Windows PowerShell writes UTF-16."""
    encoding = "utf-8-sig"
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        encoding = "utf-16"
    elif data[:2] == b"{\0":
        encoding = "utf-16-le"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise BadImage(f"{name} is neither UTF-8 nor UTF-16", hint=_AGAIN) from None


def is_collected(text: str) -> bool:
    """Whether a JSON text names the schema, of any version, wherever: PowerShell does not keep the order of keys."""
    return _NAMED.search(text) is not None


def read_document(text: str, name: str) -> Fields:
    """The document in `text`. BadImage for other JSON, another schema, or a host without Hyper-V."""
    if len(text) > MOST_BYTES:
        raise UnsafeImage(f"{name} has {len(text):,} characters, what is collected from a host has far less")
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as problem:
        said = problem.__class__.__name__ if isinstance(problem, RecursionError) else problem
        raise BadImage(f"{name} is not JSON: {said}", hint=_AGAIN) from None
    document = Fields(content)
    schema = document.text("schema")
    if schema != SCHEMA:
        raise BadImage(f"{name} has the schema {schema or 'of something else'!r}, expected {SCHEMA}", hint=_AGAIN)
    return document
