# SPDX-License-Identifier: Apache-2.0
"""The methods of the API, by what they are about; importing this registers them all."""

from v2x.simulators.vsphere import collector, tasks
from v2x.simulators.vsphere.calls import browse, changed, export, power, reconfigure, search, service, snapshots, views

__all__ = [
    "browse",
    "changed",
    "collector",
    "export",
    "power",
    "reconfigure",
    "search",
    "service",
    "snapshots",
    "tasks",
    "views",
]
