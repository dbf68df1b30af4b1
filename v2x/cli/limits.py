# SPDX-License-Identifier: Apache-2.0
"""Limits as a person writes them: total=8, rate=200M, rate=50M@08:00-18:00,200M, source-host:esx1=2, strain.cpu=90."""

from collections.abc import Mapping

from v2x.errors import UsageError
from v2x.plan import parse_size

_UNITS = {"strain.cpu": "percent", "strain.latency": "milliseconds", "strain.chains": "elements of chains"}


def parsed_limit(text: str) -> tuple[str, str]:
    """Key and value of `KEY=N`; the value is decimal text, empty for the default. UsageError for anything else."""
    key, sign, value = text.partition("=")
    if not sign:
        raise UsageError(f"{text} is no limit", hint="for example total=8, rate=200M, source-host:esx1=2")
    value = value.strip()
    if not value:
        return key, ""
    if key == "rate":
        from v2x.engine.rates import parse_rate

        return key, parse_rate(value, parse_size)
    if not (value.isascii() and value.isdecimal() and len(value) < 10):
        what = _UNITS.get(key, "disks")
        raise UsageError(
            f"{key}: {value} is no number of {what}", hint="0 stands for no limit, an empty value for the default"
        )
    if key == "strain.cpu" and int(value) > 100:
        raise UsageError(f"{key}: {value} is above 100 percent", hint="85 is the default, 0 switches it off")
    return key, str(int(value))


def configured(path: str, limits: Mapping[str, str]) -> dict[str, str]:
    """The limits of a v2x.toml, as they are stored. UsageError names the one that is none."""
    from v2x.engine.slots import limit_key

    found = {}
    for key, text in limits.items():
        try:
            _, found[limit_key(key)] = parsed_limit(f"{key}={text}")
        except UsageError as wrong:
            raise UsageError(f"{path}: [limits]: {wrong.message}", hint=wrong.hint) from None
    return found
