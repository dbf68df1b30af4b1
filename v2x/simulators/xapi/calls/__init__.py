# SPDX-License-Identifier: Apache-2.0
"""The calls with code of their own, one module per class. Importing this package registers them."""

from v2x.simulators.xapi.calls import (
    event,
    host,
    message,
    network,
    session,
    snapshot,
    sr,
    task,
    vbd,
    vdi,
    vif,
    vlan,
    vm,
    vm_life,
    vm_settings,
    vtpm,
)

__all__ = [
    "event",
    "host",
    "message",
    "network",
    "session",
    "snapshot",
    "sr",
    "task",
    "vbd",
    "vdi",
    "vif",
    "vlan",
    "vm",
    "vm_life",
    "vm_settings",
    "vtpm",
]
