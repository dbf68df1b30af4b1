# SPDX-License-Identifier: Apache-2.0
"""JSON for the nouns: strict both ways, stable order, schema checked."""

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class SchemaError(ValueError):
    """A document is not of the expected shape; the text names the place in it."""


def to_json(value: object) -> bytes:
    """`value` as indented UTF-8 JSON with a trailing newline; the same value gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2) + b"\n"


def to_plain(value: object) -> Any:
    """`value` as dicts, lists, strings, numbers and None."""
    return msgspec.to_builtins(value)


def from_json(data: bytes | str, kind: type[T], schema: str = "") -> T:
    """Reads `data` as a `kind`. SchemaError for damage, for wrong types, and for another `schema` than given."""
    try:
        if schema:
            head = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
            found = msgspec.json.decode(head["schema"]) if "schema" in head else None
            if found != schema:
                raise SchemaError(f"schema is {found!r}, expected {schema!r}")
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as problem:
        raise SchemaError(str(problem)) from None
    except UnicodeDecodeError:
        raise SchemaError("not UTF-8 text") from None
    except RecursionError:
        raise SchemaError("nested too deeply") from None
