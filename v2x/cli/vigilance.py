# SPDX-License-Identifier: Apache-2.0
"""What a look at stopped sources ends with."""

from typing import TYPE_CHECKING

from v2x.cli import show
from v2x.errors import MachinesFailed, SourceError
from v2x.text import plural, printable

if TYPE_CHECKING:
    from v2x.engine.vigil import Looked


def conclude_look(looked: "Looked", *, quiet: bool) -> None:
    """MachinesFailed SOURCE-RESTARTED where a source runs again; SourceError where one could not be asked."""
    if looked.alarms:
        for alarm in looked.alarms[:20]:
            show.note(printable(alarm, 1000))
        raise MachinesFailed(
            f"{plural(len(looked.alarms), 'source')} of migrated machines run again",
            code="SOURCE-RESTARTED",
            hint="shut them down there, or take the machines back: v2x batch rollback",
        )
    if looked.problems:
        raise SourceError(
            f"stopped sources could not be looked at: {looked.problems[0]}",
            code="NOT-LOOKED-AT",
            hint="see that the source answers and the password is right, then ask again",
        )
    show.note(f"{plural(looked.machines, 'stopped source')} looked at: all are off", quiet=quiet)
