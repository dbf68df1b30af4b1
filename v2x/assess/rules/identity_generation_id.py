# SPDX-License-Identifier: Apache-2.0
"""A new generation ID."""

from collections.abc import Iterator

from v2x.assess.context import Context
from v2x.assess.rule import MachineRule, Remark, Said
from v2x.assess.unknowns import SYSTEM
from v2x.model.finding import Severity


def check(context: Context) -> Iterator[Said]:
    if context.family == "windows":
        yield Remark("It changes with the first start.")
    elif not context.family:
        yield SYSTEM


RULE = MachineRule(
    id="identity.generation-id",
    severity=Severity.INFO,
    label="Windows sees a new generation ID and takes itself for a copy",
    remedy="Nothing for most servers; domain controllers and clustered databases then resynchronise, which is right.",
    source="XAPI: VM.generation_id; Microsoft: VM-GenerationID",
    check=check,
)
