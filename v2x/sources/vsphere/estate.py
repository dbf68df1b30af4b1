# SPDX-License-Identifier: Apache-2.0
"""Machines that are not simply somebody's server: the platform's own, appliances, placeholders, replicas, proxies.

What is recognised, and by what: vSphere Cluster Services by their manager or name (VMware KB 80472); agents of the ESX
Agent Manager and Site Recovery Manager placeholders by `config.managedBy`; appliances by the vendor and product that
their OVF descriptor states; replicas by the annotation, name or snapshots that backup products give them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from v2x.model.machine import Disk, Estate, Machine
from v2x.sources.vsphere.names import folder_of
from v2x.sources.vsphere.pages import Plain, dicts, text

_CLUSTER_SERVICE = re.compile(r"vCLS(-[0-9a-fA-F-]{36}| ?\([0-9]+\))?")
_MANAGERS: Sequence[tuple[str, str, Estate, str]] = (
    ("com.vmware.vim.eam", "cluster-agent", Estate.CLUSTER_SERVICE, "vSphere Cluster Services keep it"),
    ("com.vmware.vim.eam", "", Estate.APPLIANCE, "an agent that the ESX Agent Manager keeps on its host"),
    ("com.vmware.vcDr", "placeholderVm", Estate.PLACEHOLDER, "stands for a machine of another site (SRM)"),
    ("com.vmware.vcDr", "", Estate.PLACEHOLDER, "Site Recovery Manager manages it"),
    ("com.vmware.vcHms", "", Estate.PLACEHOLDER, "vSphere Replication manages it"),
    ("com.vmware.nsx", "", Estate.APPLIANCE, "NSX manages it"),
    ("com.vmware.vcIntegrity", "", Estate.APPLIANCE, "Update Manager manages it"),
)
_VENDORS = re.compile(
    r"\b(vmware|broadcom|zerto|veeam|nutanix|netapp|rubrik|cohesity|commvault|nakivo)\b", re.IGNORECASE
)
_REPLICA_NOTES = re.compile(r"veeam replica|<veeam backup>.*replica|nakivo.*replica|zerto.*recovery", re.IGNORECASE)
_REPLICA_NAME = re.compile(r".+(_replica|-replica)")
_RESTORE_POINT = re.compile(r"restore point \d", re.IGNORECASE)


def estate_of(values: Plain, extra: Mapping[str, str]) -> tuple[Estate | None, str]:
    """What the machine of a row is, with the reason in words."""
    name, notes = text(values, "name"), text(values, "config.annotation")
    key, kind = text(values, "config.managedBy", "extensionKey"), text(values, "config.managedBy", "type")
    if _CLUSTER_SERVICE.fullmatch(name) or extra.get("HDCS.agent", "").lower() == "true":
        return Estate.CLUSTER_SERVICE, "the cluster makes it for itself (vCLS)"
    for manager, wanted, estate, reason in _MANAGERS:
        if key.startswith(manager) and (not wanted or wanted == kind):
            return estate, reason
    for product in dicts(values.get("config.vAppConfig.product")):
        words = f"{text(product, 'vendor')} {text(product, 'name')}".strip()
        if _VENDORS.search(words):
            return Estate.APPLIANCE, f"its descriptor names the product {words}"
    if _REPLICA_NOTES.search(notes):
        return Estate.BACKUP_REPLICA, "its notes say that a backup product keeps it as a replica"
    taken = [text(one, "name") for one in dicts(_roots(values))]
    if _REPLICA_NAME.fullmatch(name) and any(_RESTORE_POINT.match(one) for one in taken):
        return Estate.BACKUP_REPLICA, "its name and restore points are those of a replica"
    return None, ""


def _roots(values: Plain) -> object:
    held = values.get("snapshot")
    return held.get("rootSnapshotList") if isinstance(held, dict) else None


@dataclass(slots=True)
class Files:
    """Whose files are whose. A datastore's name is unique within its datacenter only, so that counts as well."""

    owners: dict[tuple[str, str], str] = field(default_factory=dict)
    """Machine ids by datacenter and the folder of their configuration."""
    held: dict[str, frozenset[str]] = field(default_factory=dict)
    """The disk files of machines by id."""

    def add(self, machine: Machine, datacenter: str) -> None:
        home = folder_of(machine.attributes.get("vsphere.path", ""))
        if home:
            self.owners[datacenter, home] = machine.id
        self.held[machine.id] = frozenset(file for disk in machine.disks for file in disk.files)

    def strange_folders(self, machine: Machine) -> set[str]:
        """The folders other than its own in which files of a machine lie."""
        home = folder_of(machine.attributes.get("vsphere.path", ""))
        return {folder_of(file) for disk in machine.disks for file in disk.files} - {home, ""}

    def with_borrowed(self, machine: Machine, datacenter: str) -> Machine:
        """The machine with its borrowed disks marked.

        A disk is borrowed where its files lie in the folder of another machine which has them too: a backup proxy
        that hot-added it.
        """
        disks = tuple(replace(disk, lent_by=self._lender(machine, disk, datacenter)) for disk in machine.disks)
        if not any(disk.lent_by for disk in disks):
            return machine
        reason = "it holds disks of other machines, as a backup proxy does while it reads them"
        told = machine.estate_reason
        return replace(
            machine,
            disks=disks,
            estate=Estate.BACKUP_PROXY,
            estate_reason=f"{reason}; {told}" if told else reason,
        )

    def _lender(self, machine: Machine, disk: Disk, datacenter: str) -> str:
        for file in disk.files:
            owner = self.owners.get((datacenter, folder_of(file)), "")
            known = self.held.get(owner, frozenset())
            if owner and owner != machine.id and not disk.shared and not known.isdisjoint(disk.files):
                return owner
        return ""
