# SPDX-License-Identifier: Apache-2.0
"""How much a migration may ask of its source while the machine there is in use."""

from dataclasses import dataclass
from typing import Final

HOUR_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLimits:
    """`least_free_percent` is what a datastore must have free while a snapshot of ours is on it, `snapshot_seconds`
    how old that snapshot may grow (0: no limit, for both); `backup_wait_seconds` is how long a backup is waited for.
    """

    least_free_percent: float = 15.0
    snapshot_seconds: float = 24 * HOUR_SECONDS
    backup_wait_seconds: float = HOUR_SECONDS
