# SPDX-License-Identifier: Apache-2.0
"""The rules of `plan check`: label, remedy and severity of each, and how a finding is made of one."""

from dataclasses import dataclass

from v2x.model.finding import Finding, Severity
from v2x.model.plan import PlanRow


@dataclass(frozen=True, slots=True)
class Rule:
    """`label` and `remedy` are the same for all rows; what differs goes into a finding's text."""

    id: str
    severity: Severity
    label: str
    remedy: str

    def finding(self, text: str, row: PlanRow | None = None, subject: str = "") -> Finding:
        return Finding(
            rule=self.id,
            severity=self.severity,
            label=self.label,
            text=text,
            remedy=self.remedy,
            subject=subject or (row.machine_name if row is not None else ""),
            machine_id=row.machine_id if row is not None else "",
            machine_name=row.machine_name if row is not None else "",
            source=row.source if row is not None else "",
        )


_B, _W = Severity.BLOCKER, Severity.WARNING

EMPTY = Rule("plan.empty", _B, "The plan has no machine to migrate", "Set exclude to no in at least one row.")
UNKNOWN_SOURCE = Rule(
    "plan.unknown-source", _B, "The source is not in the plan", "Use an alias of plan.json, or draft the plan again."
)
UNKNOWN_TARGET = Rule(
    "plan.unknown-target", _B, "The target is not in the plan", "Use an alias of plan.json, or draft the plan again."
)
UNKNOWN_MACHINE = Rule(
    "plan.unknown-machine",
    _B,
    "The machine is not on the source",
    "Restore machine_id as the draft had it, or draft the plan again.",
)
DUPLICATE_MACHINE = Rule(
    "plan.duplicate-machine", _B, "A machine stands in two rows", "Remove or exclude all rows of it but one."
)
UNKNOWN_DISK = Rule(
    "plan.unknown-disk",
    _B,
    "The storage column names a disk the machine lacks",
    "Use the disk ids of the inventory, or *.",
)
UNKNOWN_NIC = Rule(
    "plan.unknown-nic",
    _B,
    "The networks column names an adapter the machine lacks",
    "Use the adapter positions of the inventory, from 0, or *.",
)
STORAGE = Rule("plan.storage", _B, "The storage does not resolve", "Name a storage repository of the pool for disks.")
NETWORK = Rule("plan.network", _B, "The network does not resolve", "Name a network of the pool.")
NETWORK_UNRESOLVED = Rule(
    "plan.network-unresolved",
    _B,
    "The network of an adapter is not certain",
    "Name it in the networks column, or by a [[network]] or [[uplink]] rule in v2x.toml and draft the plan again.",
)
NETWORK_MADE = Rule(
    "plan.network-made",
    Severity.INFO,
    "A network was made on the pool",
    "Nothing; it stays when the machine goes.",
)
UNMAPPABLE = Rule(
    "plan.unmappable", _B, "The machine cannot be made as the row says", "Change the row as the text says."
)
RUNNING = Rule(
    "plan.running",
    _W,
    "A machine runs, and its row says to refuse that",
    "Set running to shutdown, snapshot or power-off, or shut the machine down before the batch.",
)
CONVERT = Rule(
    "plan.convert",
    Severity.INFO,
    "Guests are put right on their way",
    "v2x doctor says, on each machine that runs the batch, whether libguestfs is there.",
)
CONVERT_TOOLS = Rule(
    "plan.convert-tools",
    _W,
    "Guests cannot be put right on this machine",
    "apt install python3-guestfs linux-image-amd64, run the batch elsewhere, or set convert to off.",
)
GUEST = Rule(
    "plan.guest",
    _W,
    "The column guest asks for something that only a conversion does",
    "Set convert to auto, or empty the cell.",
)
BITLOCKER = Rule(
    "plan.bitlocker",
    _W,
    "BitLocker may keep a Windows from being converted",
    "Suspend protection in the guest before the batch (manage-bde -protectors -disable C: -rc 0) and write "
    "bitlocker-suspended into the column guest, or name its recovery key under bitlocker_key_files in [guest] of "
    "v2x.toml on each machine that runs the batch.",
)
BITLOCKER_FIRST = Rule(
    "plan.bitlocker-unconfirmed",
    _B,
    "A Windows would be shut down, and BitLocker may keep it from being converted then",
    "Suspend protection in the running guest (manage-bde -protectors -disable C: -rc 0), or see that it has none, and "
    "write bitlocker-suspended into the column guest; or name its recovery key under bitlocker_key_files in [guest] of "
    "v2x.toml; or set transfer to warm, which looks into it first.",
)
WARM = Rule(
    "plan.warm", _B, "Warm transfer is not available for this source", "Set transfer to cold, or use the live source."
)
NO_SNAPSHOT = Rule(
    "plan.no-snapshot",
    _B,
    "The source takes no snapshot to copy a running machine from",
    "Set running to shutdown, or transfer to warm.",
)
DUPLICATE_NAME = Rule(
    "plan.duplicate-name", _B, "Two machines of the plan get the same name", "Give one another target_name."
)
NAME_ON_TARGET = Rule(
    "plan.name-on-target",
    _B,
    "The target has a machine of this name",
    "Choose another target_name, or remove that machine.",
)
DUPLICATE_MAC = Rule(
    "plan.duplicate-mac",
    _B,
    "Two adapters of the plan get the same MAC address",
    "Set mac to new for one of the machines.",
)
MAC_ON_TARGET = Rule(
    "plan.mac-on-target",
    _B,
    "The target has an adapter with this MAC address",
    "Set mac to new, or remove that adapter.",
)
SPACE = Rule(
    "plan.space",
    _B,
    "The storage has no room for what the plan puts there",
    "Spread the machines over more storage, exclude some, or free room.",
)
SPACE_UNSURE = Rule(
    "plan.space-unsure",
    _W,
    "The storage may run out of room: the source does not tell how much of some disks is used",
    "Spread the machines over more storage, or make sure that the disks are sparse enough.",
)
NO_HOST = Rule(
    "plan.no-host",
    _W,
    "No host that sees the storage takes new disks now",
    "Enable one of the hosts before the plan runs (xe host-enable), or name another storage repository.",
)
VCPUS = Rule("plan.vcpus", _B, "More vCPUs than the target allows", "Lower vcpus.")
VCPUS_SUPPORT = Rule(
    "plan.vcpus-support", _W, "More vCPUs than have security support", "Lower vcpus unless the guest is trusted."
)
VCPUS_HOST = Rule(
    "plan.vcpus-host", _W, "More vCPUs than any host has CPUs", "Lower vcpus, or the machine will not start."
)
MEMORY = Rule("plan.memory", _B, "More memory than the target allows", "Lower memory.")
MEMORY_HOST = Rule(
    "plan.memory-host", _W, "More memory than any host has", "Lower memory, or the machine will not start."
)
DISKS = Rule("plan.disks", _B, "More disks than the target allows", "Merge disks, or leave some on the source.")
NICS = Rule("plan.nics", _B, "More adapters than the target allows", "Remove adapters on the source.")
AFTER_UNKNOWN = Rule(
    "plan.after-unknown",
    _B,
    "The column after names no machine of the plan, or several",
    "Use the machine_id of a row, or a name that only one row has.",
)
AFTER_LEFT_OUT = Rule(
    "plan.after-left-out",
    _W,
    "The column after names a machine that is left out",
    "Nothing is waited for unless an earlier run of this plan has the machine; make sure that it is through.",
)
AFTER_LATER = Rule(
    "plan.after-later",
    _B,
    "A machine would wait for one that goes later",
    "Give the one that is waited for the same or an earlier wave and order.",
)
AFTER_CIRCLE = Rule(
    "plan.after-circle", _B, "Machines wait for each other", "Take one of them out of the column after."
)
GROUP_SPLIT = Rule(
    "plan.group-split",
    _W,
    "A group goes in several waves",
    "Give its rows one wave, or take the group out of the column where it does not matter.",
)
SHARED_SPLIT = Rule(
    "plan.shared-disk-split",
    _B,
    "Machines that share a disk do not go together",
    "Give all of them one wave, or take the group out of their cells if the disk is not shared any more.",
)
PARTNERS = Rule(
    "plan.partners",
    _W,
    "Redundant partners go at once",
    "Give them different values of order, or different waves, so that the service stays up.",
)
WINDOW = Rule(
    "plan.window", _B, "The window for the cutover does not come", "Write a window that has times ahead, or none."
)
WINDOW_SHORT = Rule(
    "plan.window-short",
    _W,
    "The window is shorter than the outage is foretold to be",
    "Write a longer window, copy the machine warm, or verify a sample; --throughput and --measured say a known speed.",
)
ON_FAIL = Rule(
    "plan.on-fail",
    _W,
    "on_fail rollback will not do what it says",
    "Let v2x start the machine (start yes), or set on_fail to keep.",
)
CHANGED = Rule(
    "plan.changed",
    _B,
    "The machine is not as it was when the plan was drafted",
    "Look at its row again, then v2x plan check --accept-changes takes the machine as it is now; a batch leaves this "
    "one row out meanwhile.",
)
NOT_LIVE = Rule(
    "plan.not-live",
    _W,
    "The plan was drafted from an export without disks",
    "Name the live source to run it: --source ALIAS=ADDRESS, or the alias in v2x.toml.",
)


def find_plan_rule(rule_id: str) -> Rule | None:
    """The rule with this id, or None."""
    return next((one for one in plan_rules() if one.id == rule_id), None)


def plan_rules() -> list[Rule]:
    """Every rule of v2x plan check."""
    return [one for one in globals().values() if isinstance(one, Rule)]
