# SPDX-License-Identifier: Apache-2.0
"""Which hosts of a pool may take a new disk."""

from collections.abc import Mapping
from typing import Any

_LEAVING = {
    "evacuate": "is being evacuated",
    "shutdown": "is shutting down",
    "reboot": "is restarting",
    "apply_updates": "is being updated",
}


def obstacle(host: Mapping[str, Any], *, live: bool) -> str:
    """Why a host takes nothing new, as the end of a sentence; empty where it does (xapi: host_allowed_operations)."""
    running = host.get("current_operations")
    for operation in running.values() if isinstance(running, dict) else ():
        if operation in _LEAVING:
            return _LEAVING[operation]
    if not live:
        return "does not answer"
    return "" if host.get("enabled") else "is disabled"
