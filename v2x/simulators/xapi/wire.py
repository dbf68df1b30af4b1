# SPDX-License-Identifier: Apache-2.0
"""From decoded wire values to typed ones: what the server takes for an int, an enum, a record.

Facts: xapi, ocaml-rpc xmlrpc.ml.

Decoders hand over str, int, float, bool, `DateTime`, `Binary`, list, dict and None. A value of the wrong type is
INTERNAL_ERROR with the text of the exception; an enum or a date that is not understood is INVALID_VALUE.
"""

import re
from collections.abc import Callable
from typing import Any

from v2x.simulators.xapi.datamodel import EPOCH, NULL, Datamodel, DateTime, Field, Type
from v2x.simulators.xapi.failure import ApiError, internal, invalid_value

BAD_TEXT = "\ufdd0"
"""Stands in a decoded string for bytes that are no UTF-8; a noncharacter, so that no client can mean it."""

_DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(Z?)")
_MAX_INT = 2**63


class Binary(bytes):
    """A base64 element; no type of the datamodel takes it."""

    __slots__ = ()


class I4(int):
    """An int that is sent as `<i4>`; only `valid_ref_counts` of event.from holds such."""

    __slots__ = ()


def date_of(text: str) -> DateTime:
    """`text` as the canonical date."""
    found = _DATE.fullmatch(text)
    if found is None:
        raise invalid_value("datetime", text)
    year, month, day, hour, minute, second, _zone = found.groups()
    return DateTime(f"{year}{month}{day}T{hour}:{minute}:{second}Z")


def check_text(value: Any) -> None:
    """The first check of all: every string in the parameters is UTF-8."""
    if isinstance(value, str):
        try:
            whole = BAD_TEXT.encode() not in value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell
            whole = False
        if not whole:
            shown = value.replace(BAD_TEXT, "?").encode("utf-8", "replace").decode()
            raise invalid_value("string", shown)
    elif isinstance(value, list):
        for item in value:
            check_text(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_text(key)
            check_text(item)


def _wrong(wanted: str, value: Any) -> ApiError:
    return internal(f"Rpc.Runtime_error({wanted} expected, got {type(value).__name__})")


def to_int(value: Any) -> int:
    if isinstance(value, str) and not isinstance(value, DateTime):
        try:
            number = int(value.encode("ascii"), 10)
        except ValueError:
            raise internal(f'Failure("Int64.of_string: {value[:40]}")') from None
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        raise _wrong("int", value)
    if not -_MAX_INT <= number < _MAX_INT:
        raise internal('Failure("Int64.of_string")')
    return number


def to_float(value: Any) -> float:
    if isinstance(value, bool):
        raise _wrong("float", value)
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str) and not isinstance(value, DateTime):
        try:
            return float(value)
        except ValueError:
            raise internal('Failure("float_of_string")') from None
    raise _wrong("float", value)


def to_string(value: Any) -> str:
    if not isinstance(value, str) or isinstance(value, DateTime):
        raise _wrong("string", value)
    return value


def to_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong("bool", value)
    return value


_SCALARS: dict[str, Callable[[Any], Any]] = {"int": to_int, "float": to_float, "bool": to_bool}


class Decoder:
    """Converts by type. `string_dates`: JSON-RPC, where a date is a plain string."""

    def __init__(self, model: Datamodel, *, string_dates: bool = False) -> None:
        self._model = model
        self._string_dates = string_dates

    def decode(self, type_: Type, value: Any) -> Any:
        """`value` as `type_`; ApiError when it is something else."""
        if type_.kind in ("set", "map", "record", "option"):
            return self._compound(type_, value)
        if type_.kind == "enum":
            return self._enum(type_.name, value)
        if type_.kind == "datetime":
            return self._date(value)
        scalar: Callable[[Any], Any] = _SCALARS.get(type_.kind, to_string)
        return scalar(value)

    def _date(self, value: Any) -> DateTime:
        if isinstance(value, DateTime) or (self._string_dates and isinstance(value, str)):
            return date_of(value)
        raise _wrong("datetime", value)

    def _enum(self, name: str, value: Any) -> str:
        text = to_string(value).lower()
        for known in self._model.enums.get(name, ()):
            if known.lower() == text:
                return known
        raise invalid_value(name, value)

    def _compound(self, type_: Type, value: Any) -> Any:
        if type_.kind == "option":
            return self.decode(type_.args[0], value)
        if type_.kind == "set":
            if not isinstance(value, list):
                raise _wrong("set", value)
            return [self.decode(type_.args[0], item) for item in value]
        if not isinstance(value, dict):
            raise _wrong(type_.kind, value)
        if type_.kind == "map":
            key, item = type_.args
            return {self.decode(key, k): self.decode(item, v) for k, v in value.items()}
        return self.members(type_.name, value)

    def members(self, cls: str, value: dict[str, Any]) -> dict[str, Any]:
        """The constructor's members of `cls` in `value`: required ones enforced, unknown ones ignored."""
        made: dict[str, Any] = {}
        for field in self._model.classes[cls].fields.values():
            if not field.ctor:
                continue
            if field.name in value:
                made[field.name] = self.decode(field.type, value[field.name])
            elif field.ctor == "required":
                raise internal(f"Server_helpers.Dispatcher_FieldNotFound({field.name})")
        return made


def plain(type_: Type, value: Any) -> Any:
    """`value` in a form JSON can hold; the reverse is `restore`."""
    if type_.kind == "map" and type_.args[0].kind == "int":
        return {str(k): v for k, v in value.items()}
    return value


def restore(type_: Type, value: Any) -> Any:
    """The reverse of `plain`. The values that most fields hold are one object each, however many records there are."""
    if type_.kind == "datetime":
        return EPOCH if value == EPOCH else DateTime(value)
    if value == NULL:
        return NULL
    if type_.kind == "float":
        return float(value)
    if type_.kind == "map" and type_.args[0].kind == "int":
        return {int(k): v for k, v in value.items()}
    return value


def field_zero(model: Datamodel, field: Field) -> Any:
    """The value of a field that nothing was given for; a fresh list or map each time."""
    if field.has_default:
        value = field.default
        if isinstance(value, list):
            return list(value)
        return dict(value) if isinstance(value, dict) else value
    if field.type.kind == "enum" and field.type.name not in model.enums:
        return ""
    return field.type.zero(model.enums)
