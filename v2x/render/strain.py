# SPDX-License-Identifier: Apache-2.0
"""What is held back for a strained pool, in a sentence each; safe to show."""

from v2x.model.batch import Strain
from v2x.model.units import show_bytes
from v2x.render.words import show_time
from v2x.text import plural, printable


def held_back(one: Strain) -> str:
    """What goes slower than was set, and why; empty where nothing does."""
    if not one.halvings:
        return ""
    disks = f"{one.disks} of {one.limit} disks" if one.limit else plural(one.disks, "disk")
    rate = f", {show_bytes(one.rate_bytes)}/s" if one.rate_bytes else ""
    since = f" since {show_time(one.since)}" if one.since is not None else ""
    return f"held back{since}: {_subject(one)}: {disks} in flight{rate}: {printable(one.why, 300)}"


def not_measured(one: Strain) -> str:
    """What could not be measured, and why not; empty where all was."""
    return f"not measured: {_subject(one)}: {printable(one.missing, 500)}" if one.missing else ""


def _subject(one: Strain) -> str:
    kind, _, rest = one.key.partition(":")
    return f"{'host' if kind == 'pool-host' else 'storage'} {printable(one.name or rest, 100)}"
