# SPDX-License-Identifier: Apache-2.0
"""A simulated vCenter or ESXi host with real disk bytes: `VsphereSimulator` in-process."""

from v2x.simulators.vsphere.estate.specs import DiskSpec, MachineSpec, NicSpec, SnapshotSpec
from v2x.simulators.vsphere.faults import Settings
from v2x.simulators.vsphere.profiles import PROFILES
from v2x.simulators.vsphere.sessions import MIGRATION, READ_ONLY, Account
from v2x.simulators.vsphere.simulator import VsphereSimulator

__all__ = [
    "MIGRATION",
    "PROFILES",
    "READ_ONLY",
    "Account",
    "DiskSpec",
    "MachineSpec",
    "NicSpec",
    "Settings",
    "SnapshotSpec",
    "VsphereSimulator",
]
