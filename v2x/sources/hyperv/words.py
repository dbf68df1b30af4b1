# SPDX-License-Identifier: Apache-2.0
"""The enumerations of the Hyper-V module, by name or by number.

Windows PowerShell writes them as numbers, version 7.5 large ones as numbers and small ones as names, and an object
that came through Invoke-Command as {"value": 2, "Value": "Running"}. Numbers: Hyper-V module 2.0 and the documentation
of Msvm_ComputerSystem; those of checkpoints and VLAN modes are from the module's reference.
"""

from collections.abc import Mapping
from typing import Any

STATES: Mapping[int, str] = {
    1: "Other",
    2: "Running",
    3: "Off",
    4: "Stopping",
    6: "Saved",
    9: "Paused",
    10: "Starting",
    11: "Reset",
    32773: "Saving",
    32776: "Pausing",
    32777: "Resuming",
    32779: "FastSaved",
    32780: "FastSaving",
    32781: "ForceShutdown",
    32782: "ForceReboot",
    32783: "RunningCritical",
    32784: "OffCritical",
    32785: "StoppingCritical",
    32786: "SavedCritical",
    32787: "PausedCritical",
    32788: "StartingCritical",
    32789: "ResetCritical",
    32790: "SavingCritical",
    32791: "PausingCritical",
    32792: "ResumingCritical",
    32793: "FastSavedCritical",
    32794: "FastSavingCritical",
}
STATUSES: Mapping[int, str] = {
    2: "Ok",
    3: "Degraded",
    5: "PredictiveFailure",
    11: "InService",
    15: "Dormant",
    32768: "CreatingSnapshot",
    32769: "ApplyingSnapshot",
    32770: "DeletingSnapshot",
    32771: "WaitingToStart",
    32772: "MergingDisks",
    32773: "ExportingVirtualMachine",
    32774: "MigratingVirtualMachine",
    32776: "BackingUpVirtualMachine",
    32777: "ModifyingUpVirtualMachine",
    32778: "StorageMigrationPhaseOne",
    32779: "StorageMigrationPhaseTwo",
    32780: "MigratingPlannedVm",
}
ON_OFF: Mapping[int, str] = {0: "On", 1: "Off"}
"""OnOffState: `"SecureBoot": 1` means that it is off."""
CONTROLLERS: Mapping[int, str] = {0: "IDE", 1: "SCSI", 2: "PMEM"}
VHD_FORMATS: Mapping[int, str] = {2: "VHD", 3: "VHDX", 4: "VHDSet"}
VHD_TYPES: Mapping[int, str] = {2: "Fixed", 3: "Dynamic", 4: "Differencing"}
DVD_MEDIA: Mapping[int, str] = {0: "None", 1: "ISO", 2: "Physical"}
VLAN_MODES: Mapping[int, str] = {0: "Untagged", 1: "Access", 2: "Trunk", 3: "Private"}
PRIVATE_MODES: Mapping[int, str] = {0: "None", 1: "Isolated", 2: "Community", 3: "Promiscuous"}
ISOLATION_MODES: Mapping[int, str] = {0: "None", 1: "NativeVirtualSubnet", 2: "ExternalVirtualSubnet", 3: "Vlan"}
SWITCHES: Mapping[int, str] = {0: "Private", 1: "Internal", 2: "External"}
CHECKPOINTS: Mapping[int, str] = {
    0: "Standard",
    1: "Recovery",
    2: "Planned",
    3: "Missing",
    4: "Replica",
    5: "AppConsistentReplica",
    6: "SyncedReplica",
}
CHECKPOINT_TYPES: Mapping[int, str] = {2: "Disabled", 3: "Production", 4: "ProductionOnly", 5: "Standard"}
START_ACTIONS: Mapping[int, str] = {2: "Nothing", 3: "StartIfRunning", 4: "Start"}
STOP_ACTIONS: Mapping[int, str] = {2: "TurnOff", 3: "Save", 4: "ShutDown"}
BOOT_TYPES: Mapping[int, str] = {0: "Unknown", 1: "Drive", 2: "Network", 3: "File"}
BIOS_DEVICES: Mapping[int, str] = {0: "Floppy", 1: "CD", 2: "IDE", 3: "LegacyNetworkAdapter", 4: "NetworkAdapter"}
REPLICATION_STATES: Mapping[int, str] = {0: "Disabled"}
REPLICATION_MODES: Mapping[int, str] = {0: "None", 1: "Primary", 2: "Replica", 3: "TestReplica", 4: "ExtendedReplica"}
NODE_STATES: Mapping[int, str] = {0: "Up", 1: "Down", 2: "Paused", 3: "Joining"}


def word(value: Any, table: Mapping[int, str]) -> str:
    """The name of an enumeration's value, given by name in any case, by number, or as an object of both."""
    if isinstance(value, Mapping):
        folded = {str(key).casefold(): one for key, one in value.items()}
        return word(value.get("Value", folded.get("value")), table)
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return table.get(value, str(value))
    text = str(value).strip()
    if text.isdecimal():
        return table.get(int(text), text)
    same = {name.casefold(): name for name in table.values()}
    return same.get(text.casefold(), text)
