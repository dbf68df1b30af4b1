# SPDX-License-Identifier: Apache-2.0
"""The outage of a machine in its parts, each as it was predicted and as it was."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

DEFAULT_SECONDS = 300.0
"""The outage that is aimed at where nothing is said."""


class Part(StrEnum):
    """In the order in which they happen."""

    SHUTDOWN = "guest shutdown"
    DELTA = "final delta"
    CONVERSION = "conversion"
    VERIFICATION = "verification"
    START = "seal and start"
    REBOOTS = "first-boot reboots"
    HEALTH = "health check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One part in seconds; None where it was not predicted, or has not been. `why` tells what was reckoned with."""

    part: Part
    predicted: float | None = None
    real: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """`wanted_seconds` is the target that passes go on for, `read_back_bytes` what the verification reads."""

    spans: tuple[Span, ...] = ()
    wanted_seconds: float = 0.0
    read_back_bytes: int = 0

    @property
    def predicted(self) -> float | None:
        """The sum of the parts; None where nothing was predicted."""
        told = [span.predicted for span in self.spans if span.predicted is not None]
        return sum(told) if told else None

    @property
    def real(self) -> float | None:
        """The sum of what has been so far; None before it began."""
        told = [span.real for span in self.spans if span.real is not None]
        return sum(told) if told else None

    def of(self, part: Part) -> Span:
        return next((span for span in self.spans if span.part is part), Span(part=part))


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What other machines of a run needed: seconds by part, and the rate at which they were read back, 0 if unknown."""

    seconds: Mapping[Part, float] = field(default_factory=dict)
    read_back_rate: float = 0.0
