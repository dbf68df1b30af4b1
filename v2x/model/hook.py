# SPDX-License-Identifier: Apache-2.0
"""A hook of the operator's: what it is called, when it is due, and what it does."""

from dataclasses import dataclass

from v2x.model.migration import Phase

HOOK_SCHEMA = "v2x.hook/1"
_COLD = (Phase.CHECKPOINT, Phase.CLAIM, Phase.COPY, Phase.INTEGRITY)
_WARM = (Phase.TRACK, Phase.SYNC, Phase.SHUTDOWN, Phase.LAST_SYNC, Phase.VERIFY)
_PHASES = (Phase.PREFLIGHT, *_COLD, *_WARM, Phase.SEAL, Phase.START, Phase.RELEASE, Phase.HEALTH)
ALARM_MOMENT = "alarm"
"""When the source of a migrated machine was started again."""
MOMENTS = (*(f"{when} {phase}" for phase in _PHASES for when in ("before", "after")), ALARM_MOMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """`at` are members of MOMENTS, such as `before copy`. One of `command` and `url` is set.

    With `stops`, a failure ends the machine's migration; otherwise it is a warning.
    """

    name: str
    at: tuple[str, ...]
    command: tuple[str, ...] = ()
    url: str = ""
    seconds: float = 300.0
    stops: bool = True
