# SPDX-License-Identifier: Apache-2.0
"""All records of a class in one call, and the numbers in them.

XAPI returns whole records only, some kilobytes for a VM. Where a few fields of perhaps ten thousand objects are wanted
the list comes over JSON-RPC, and all other fields are skipped while it is parsed.
"""

from collections.abc import Callable
from typing import Any, TypedDict

import msgspec

from v2x.target.xapi.client import Client
from v2x.target.xapi.connection import NoJson


def records(client: Client, kind: str, *fields: str) -> dict[str, dict[str, Any]]:
    """All records of a class by reference, whole or with `fields` alone; what is no record is left out.

    An int is a number or a string of digits, see `number`. A field that the pool does not know is missing.
    """
    method = f"{kind}.get_all_records"
    if fields:
        try:
            return client.read(method, _decoder(fields))
        except (NoJson, msgspec.MsgspecError, UnicodeDecodeError):
            # Something between us and the pool spoils JSON; the slower way says the same.
            pass
    found = client.call(method)
    if not isinstance(found, dict):
        return {}
    return {str(reference): record for reference, record in found.items() if isinstance(record, dict)}


def _decoder(fields: tuple[str, ...]) -> Callable[[bytes], dict[str, dict[str, Any]]]:
    record = TypedDict("record", dict.fromkeys(fields, Any), total=False)  # type: ignore[misc]  # those of this call
    answer: Any = msgspec.defstruct("answer", [("result", dict[str, record])])
    decode = msgspec.json.Decoder(answer).decode
    return lambda body: decode(body).result


def number(value: object) -> int:
    """An int of the wire, which XML-RPC sends as a string of digits; 0 for what is none."""
    try:
        return int(str(value))
    except ValueError:
        return 0
