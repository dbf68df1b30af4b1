# SPDX-License-Identifier: Apache-2.0
"""Limits as a person writes them: total=8, rate=200M, rate=50M@08:00-18:00,200M, source-host:esx1=2."""

from v2x.errors import UsageError
from v2x.plan import parse_size


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
    if not value.isdecimal():
        raise UsageError(f"{value} is no number of disks", hint="0 stands for no limit, an empty value for the default")
    return key, str(int(value))
