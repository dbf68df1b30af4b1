# SPDX-License-Identifier: Apache-2.0
"""What other tools check, what is known to go wrong, and every limit; with the rule that asks for it, or why none does.

    PYTHONPATH=. python -m tests.unit.assess.coverage > docs/rules-coverage.md

A value that begins with "—" is a reason; anything else is ids of rules. `plan.*` are the checks of `v2x plan check`.
"""

import sys

FORKLIFT_VSPHERE = {
    "changed_block_tracking": "machine.change-tracking-off machine.change-tracking-unsupported",
    "changed_block_tracking_per_disk": "disk.change-tracking-off",
    "consolidation_needed": "machine.consolidation-needed",
    "cpu_affinity": "cpu.scheduling-not-carried",
    "cpu_memory_hotplug": "hardware.hot-add",
    "datastore": "disk.no-datastore disk.datastore-unreachable disk.datastore-maintenance",
    "disk_count": "disk.too-many disk.over-documented disk.hidden-at-first-boot",
    "disk_mode": "disk.independent",
    "disk_serial_numbers": "disk.serial-numbers",
    "disk_size": "disk.size-invalid disk.too-large disk.too-large-for-vhd disk.rounded-up",
    "dpm_enabled": "source.dpm",
    "drs_enabled": "source.drs",
    "fault_tolerance": "machine.fault-tolerance",
    "filesystem_size": "guest.volume-nearly-full",
    "guest_disk_mapping": "guest.drive-letters guest.many-windows-disks",
    "host_affinity": "together.host-affinity",
    "hostname": "guest.hostname-missing guest.hostname-default",
    "ip_state": "guest.address-unknown guest.static-address",
    "name": "machine.name-encoded machine.name-unusual machine.name-twice machine.name-case machine.name-on-pool",
    "numa_affinity": "cpu.numa-affinity",
    "passthrough_device": "device.passthrough",
    "rdm_disk": "disk.raw-device",
    "shared_disk": "disk.shared together.shared-disk",
    "snapshot": "machine.snapshots machine.snapshots-before-tracking",
    "sriov_device": "nic.sriov",
    "tpm_enabled": "vtpm.content-not-moved vtpm.needs-uefi vtpm.not-on-pool",
    "usb_controller": "device.usb device.usb-too-many",
    "vm_os": "guest.unknown-os guest.generic-template guest.out-of-support guest.unsupported-system guest.macos",
}
FORKLIFT_HYPERV = {
    "checkpoint": "machine.snapshots disk.base-elsewhere",
    "cluster_role": "machine.not-clustered",
    "disk_count": "disk.too-many disk.over-documented",
    "disk_size": "disk.size-invalid",
    "disk_smb_path": "disk.missing inventory.incomplete",
    "integration_services": "guest.tools-not-running guest.integration-services",
    "ip_state": "guest.address-unknown",
    "name": "machine.name-twice",
    "nic_unresolved_network": "nic.no-network",
    "secure_boot": "firmware.secure-boot firmware.secure-boot-template",
    "tpm_enabled": "vtpm.content-not-moved machine.shielded",
    "vm_os": "guest.unknown-os",
}
FORKLIFT_OVA = {
    "cpu_affinity": "cpu.scheduling-not-carried",
    "cpu_memory_hotplug": "hardware.hot-add",
    "disk_count": "disk.too-many",
    "disk_size": "disk.size-invalid",
    "export_source": "machine.exporter firmware.not-stated",
    "name": "machine.name-twice",
}
FORKLIFT_OTHERS = {
    "ballooning": "memory.dynamic-not-carried memory.limit-not-carried",
    "BIOS boot menu": "firmware.boot-from-network",
    "custom CPU model": "— guests see the processors of the pool, levelled over its hosts; no source tells a "
    "model that XAPI could set",
    "CPU shares": "cpu.shares-not-carried",
    "CPU tuning, pinning": "cpu.scheduling-not-carried cpu.numa-affinity machine.latency-sensitive",
    "HA enabled": "machine.ha-priority",
    "HA reservation": "memory.pool-total",
    "host devices": "device.passthrough device.other device.fibre-channel",
    "illegal or locked image or disk status": "machine.locked machine.not-connected",
    "disk storage type": "disk.unknown-backing disk.raw-device",
    "disk or NIC interface type": "disk.unknown-bus nic.model-changes nic.legacy",
    "NIC unplugged": "nic.disconnected",
    "NIC QoS": "nic.bandwidth-limit",
    "port mirroring": "nic.promiscuous",
    "network filter": "nic.forged-transmits nic.mac-learning nic.mac-spoofing",
    "NIC passthrough": "nic.sriov",
    "watchdog": "device.watchdog",
    "IO threads": "— a setting of QEMU under KVM; Xen's disk backends have their own process per disk",
    "memory snapshot": "machine.snapshots memory.no-memory-snapshot",
    "KSM": "— a setting of oVirt hosts; XCP-ng gives each machine its own memory",
    "SCSI reservation": "disk.shared",
    "secure boot": "firmware.secure-boot",
    "VM status neither up nor down": "machine.state-in-between machine.suspended",
    "SPICE": "— a display of oVirt; XAPI serves every console over VNC, and nothing is lost at the source",
    "floating IP": "— an address of OpenStack's router; vSphere and Hyper-V have none",
    "resume behaviour": "machine.starts-again",
    "custom properties": "— vSphere's custom attributes become custom fields of XCP-ng; nothing is lost",
    "disk IO limits": "disk.iops-limit disk.io-filters",
}
PLAN_LEVEL = {
    "VM not found": "plan.unknown-machine",
    "duplicate or ambiguous VM": "plan.duplicate-machine machine.name-twice",
    "target VM exists": "machine.name-on-pool plan.name-on-target",
    "duplicate or invalid target name": "plan.duplicate-name machine.name-case",
    "unmapped network": "nic.network-not-on-pool plan.network-unresolved",
    "unmapped or unsupported storage": "plan.storage target.no-storage",
    "warm without change tracking": "machine.change-tracking-off plan.warm",
    "warm with an existing snapshot": "machine.snapshots-before-tracking",
    "power state incompatible": "machine.running machine.suspended machine.state-in-between",
    "guest tools unknown or not running": "guest.tools-not-running",
    "invalid disk sizes": "disk.size-invalid",
    "MAC conflict on the destination": "nic.mac-on-pool plan.mac-on-target",
    "MAC twice in the plan": "nic.mac-twice plan.duplicate-mac",
    "running VMs that share a disk": "together.shared-disk disk.shared",
    "any critical concern": "— blockers exclude a machine from the drafted plan",
    "hook not ready": "— v2x has no hooks yet",
    "transfer network not valid": "— --target-network is checked before anything is written",
    "VDDK invalid": "— v2x doctor checks it; the assessment reads nothing of the local machine",
    "host in maintenance": "host.in-maintenance host.not-connected",
    "static IP asked, addresses missing": "guest.address-unknown",
    "LUKS and Clevis": "guest.disk-encryption",
    "templates": "machine.template",
    "missing privileges": "source.missing-privileges",
    "space for the plan": "plan.space plan.space-unsure storage.no-room",
}
NO_PEER = {
    "UEFI without PV drivers, more than 2 NICs or 4 disks": "nic.hidden-at-first-boot disk.hidden-at-first-boot",
    "UEFI needs an NVMe driver": "firmware.uefi-needs-nvme",
    "free ESXi licence": "host.free-licence",
    "SR free space against provisioned and used": "storage.no-room storage.overcommitted storage.no-room-thick "
    "storage.disk-does-not-fit storage.machine-on-several",
    "SR type and disks above 2040 GiB": "disk.pool-without-qcow2 disk.too-large-for-vhd disk.too-large-to-send",
    "vCPU or RAM above any host": "cpu.more-than-any-host memory.more-than-any-host memory.more-than-free",
    "steps of 32, 64, 128 vCPUs": "cpu.over-supported cpu.over-windows-limit cpu.over-limit",
    "more than 16 NICs": "nic.too-many nic.more-than-seven",
    "more than 1 CD": "cd.more-than-one cd.image-not-moved",
    "NVMe or PVSCSI boot disk, no xen-blkfront": "guest.linux-initrd",
    "Windows Fast Startup and hibernation": "guest.fast-startup",
    "BitLocker": "guest.bitlocker vtpm.content-not-moved",
    "LDM dynamic disks": "guest.spanned-volume",
    "4Kn and 512e": "disk.sector-size",
    "UEFI boot entry in NVRAM only": "firmware.nvram-not-carried firmware.no-fallback-loader",
    "nested virtualisation": "cpu.nested-virtualization guest.hypervisor",
    "VBS, HVCI, Credential Guard": "guest.virtualization-based-security",
    "vGPU": "device.vgpu device.vgpu-too-many",
    "serial, parallel, floppy": "device.port device.floppy",
    "encrypted VM": "machine.encrypted disk.encrypted",
    "linked clone": "disk.base-elsewhere disk.long-chain",
    "vApp with start order": "machine.start-order together.vapp",
    "vCenter, NSX, vCLS, the host's own DC": "estate.appliance estate.cluster-service identity.domain-controller",
    "Hyper-V dynamic memory": "memory.dynamic-not-carried memory.startup-below-demand",
    "Hyper-V generations": "disk.generation-one-boot guest.needs-uefi",
    "pass-through disk": "disk.raw-device",
    "VHD Set": "disk.shared disk.unknown-format",
    "VLAN trunk": "nic.trunk",
    "Replica": "machine.replicated estate.backup-replica",
    "saved state": "machine.suspended",
    "DDA, GPU-P": "device.passthrough device.vgpu",
    "dynamic MAC": "nic.mac-dynamic nic.mac-missing",
    "legacy NIC": "nic.legacy",
    "NIC teaming": "nic.teaming",
    "storage QoS": "disk.iops-limit",
    "MTU or VLAN absent on the pool": "nic.vlan-not-on-pool nic.vlan-invalid — no source of v2x tells the MTU yet",
    "same MAC twice": "nic.mac-twice",
    "XAPI's 24 h task limit": "disk.copy-over-task-limit machine.long-copy",
}
HYPERV_TRAPS = {
    "saved, paused, critical, transitional state": "machine.suspended machine.state-in-between",
    "checkpoints, avhdx leaf, missing parent": "machine.snapshots disk.missing",
    "merge pending": "machine.locked",
    "dirty VHDX log": "— read with its log replayed in memory; a machine that is not off is machine.state-in-between",
    "4Kn": "disk.sector-size",
    "shared VHDX, VHD Set, pass-through, Fibre Channel, PMem": "disk.shared disk.raw-device device.fibre-channel "
    "device.persistent-memory disk.unknown-format",
    "disk above 2040 GiB": "disk.too-large-for-vhd disk.pool-without-qcow2",
    "VHD size not a multiple of 2 MiB": "disk.rounded-up",
    "generation 2: UEFI, SCSI boot": "firmware.nvram-not-carried firmware.boot-from-network",
    "generation 1: BIOS, IDE 0:0": "disk.generation-one-boot",
    "Secure Boot templates": "firmware.secure-boot firmware.secure-boot-template",
    "NVRAM not moved": "firmware.nvram-not-carried",
    "vTPM, BitLocker, LUKS with TPM": "vtpm.content-not-moved guest.bitlocker guest.disk-encryption",
    "shielded, encrypted state": "machine.shielded machine.encrypted",
    "dynamic memory": "memory.dynamic-not-carried memory.startup-below-demand",
    "nested virtualisation": "cpu.nested-virtualization",
    "DDA, GPU-P, SR-IOV": "device.passthrough device.vgpu nic.sriov",
    "legacy NIC": "nic.legacy",
    "MAC zeros or dynamic": "nic.mac-invalid nic.mac-dynamic",
    "VLAN trunk, private VLAN, private or internal switch": "nic.trunk nic.private-vlan nic.internal-switch",
    "renamed interface, static IP kept by a hidden adapter": "guest.linux-interface-names guest.static-address",
    "initramfs without Xen drivers": "guest.linux-initrd",
    "/dev/sdX names": "guest.linux-device-names",
    "hyperv-daemons, LIS": "guest.integration-services",
    "StartOverride of Windows boot drivers": "— seen inside the guest's registry only; the guest fix-ups clear it",
    "integration services in the box, time sync gone": "guest.integration-services identity.time-sync",
    "AVMA": "identity.automatic-activation",
    "SMBIOS UUID and serial": "identity.uuid-changes identity.serial-number",
    "VM-GenerationID": "identity.generation-id identity.domain-controller",
    "Replica, backup, cluster role, start action": "machine.replicated machine.not-clustered machine.starts-again "
    "backup.temporary-snapshot",
    "duplicate names, odd characters": "machine.name-twice machine.name-unusual",
    "Viridian": "— the platform of Windows guests sets it, by mappings/platform.toml",
    "resource pool, QoS, NUMA, COM ports, floppy": "machine.resource-pool disk.iops-limit nic.bandwidth-limit "
    "cpu.numa-affinity device.port device.floppy",
}
LIMITS = {
    "vhd_max_bytes": "disk.too-large-for-vhd disk.too-large-for-xva",
    "vhd_min_bytes": "— smaller disks are made 2 MiB large, with a note in the plan",
    "vhd_step_bytes": "disk.rounded-up",
    "qcow2_max_bytes": "disk.too-large",
    "qcow2_min_bytes": "— smaller disks are VHDs",
    "qcow2_step_bytes": "— sizes above 2040 GiB are whole multiples of it by the VHD step",
    "qcow2_stream_max_bytes": "disk.too-large-to-send",
    "chain_max": "— a moved disk has no chain; disk.long-chain speaks of the source's",
    "vcpus_max": "cpu.over-limit",
    "vcpus_supported_max": "cpu.over-supported",
    "vcpus_windows_max": "cpu.over-windows-limit",
    "memory_max_bytes": "memory.over-limit",
    "memory_snapshot_max_bytes": "memory.no-memory-snapshot",
    "disks_max": "disk.over-documented",
    "vbd_devices_max": "disk.too-many",
    "cd_drives_max": "cd.more-than-one",
    "emulated_vbd_positions": "disk.hidden-at-first-boot",
    "nics_max": "nic.too-many",
    "usb_devices_max": "device.usb-too-many",
    "vgpus_max": "device.vgpu-too-many",
    "host_nics_max": "nic.pool-total",
    "vlans_max": "nic.vlans-total",
    "vlan_tag_max": "nic.vlan-invalid",
    "pool_hosts_max": "target.too-many-hosts",
    "task_seconds_max": "disk.copy-over-task-limit",
    "bios_string_length_max": "— longer strings are left out when the machine is made, with a note in the plan",
}
CAPACITY = {
    "SR free space, thin": "storage.no-room storage.overcommitted storage.disk-does-not-fit",
    "SR free space, thick": "storage.thick storage.no-room-thick",
    "shared and default storage": "storage.local-only storage.no-default storage.machine-on-several storage.not-zeroed",
    "memory of hosts": "memory.more-than-any-host memory.more-than-free memory.pool-total target.mixed-processors",
    "processors of hosts": "cpu.more-than-any-host cpu.pool-total",
    "networks on all hosts": "nic.network-not-on-all-hosts",
    "templates": "guest.template-not-on-pool target.no-template memory.below-template",
    "certificates for Secure Boot": "firmware.secure-boot",
    "vTPM": "vtpm.not-on-pool",
    "hosts that are enabled": "target.no-host target.host-disabled",
    "release": "target.old-release",
}
BELONGING = {
    "shared disks": "together.shared-disk disk.shared",
    "failover clusters": "together.failover-cluster",
    "anti-affinity partners": "together.anti-affinity",
    "affinity partners": "together.affinity",
    "hosts": "together.host-affinity",
    "domain controllers": "identity.domain-controller",
    "vApps": "together.vapp machine.start-order",
    "partners that are not in the inventory": "together.partner-not-listed",
}
IDENTITY = {
    "OEM": "identity.oem-licence",
    "AVMA": "identity.automatic-activation",
    "KMS, MAK": "identity.windows-activation",
    "licences bound to UUID or serial number": "identity.uuid-changes identity.serial-number identity.licence-server",
    "licences bound to a MAC address or dongle": "nic.mac-missing nic.mac-invalid identity.licence-server device.usb",
    "cloud-init instance id": "identity.cloud-init",
    "host time sync": "identity.time-sync",
    "generation ID": "identity.generation-id",
}
NOISE = {
    "cluster services": "estate.cluster-service",
    "appliances of the vendor": "estate.appliance",
    "placeholders": "estate.placeholder",
    "replicas of backup products": "estate.backup-replica",
    "backup proxies": "estate.backup-proxy backup.borrowed-disk",
    "temporary snapshots": "backup.temporary-snapshot",
    "jobs to pause": "backup.jobs",
    "templates": "machine.template",
}
SOURCE_RISKS = {
    "DRS": "source.drs",
    "DPM": "source.dpm",
    "snapshots": "machine.snapshots disk.long-chain",
    "consolidation": "machine.consolidation-needed",
    "host in maintenance or lost": "host.in-maintenance host.not-connected",
    "old release": "host.old-release",
    "free ESXi licence": "host.free-licence",
    "missing privileges": "source.missing-privileges",
    "running tasks": "machine.locked",
    "vSAN": "disk.on-vsan",
    "an inventory that is old, partial or an export": "inventory.old inventory.incomplete inventory.from-export",
}
TABLES: dict[str, dict[str, str]] = {
    "Forklift, rules for vSphere": FORKLIFT_VSPHERE,
    "Forklift, rules for Hyper-V": FORKLIFT_HYPERV,
    "Forklift, rules for OVA": FORKLIFT_OVA,
    "Forklift, rules for oVirt and OpenStack": FORKLIFT_OTHERS,
    "Forklift, checks of a plan": PLAN_LEVEL,
    "Checks that XCP-ng needs and no other tool has": NO_PEER,
    "Traps between Hyper-V and XCP-ng": HYPERV_TRAPS,
    "Limits of XCP-ng (mappings/limits.toml)": LIMITS,
    "Capacity of the pool": CAPACITY,
    "Machines that belong together": BELONGING,
    "Activation and identity": IDENTITY,
    "What should not be moved, and backup products at work": NOISE,
    "Risks of the source": SOURCE_RISKS,
}

_HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
<!-- Made by `python -m tests.unit.assess.coverage`; a test keeps it in step with the rules. -->
# What the rules cover

Every check of [Forklift](https://github.com/kubev2v/forklift) for vSphere, Hyper-V and OVA ({forklift} in all), what is
known to go wrong between Hyper-V and XCP-ng, and every limit of XCP-ng that v2x knows, with the [rules](rules.md) that
ask for it. Where no rule does, the reason stands instead. `plan.*` are checks of `v2x plan check`.
"""


def cell(value: str) -> str:
    """Rules as links; what begins with a dash is a reason."""
    ids, dash, reason = value.partition("—")
    links = ", ".join(
        f"`{rule}`" if rule.startswith("plan.") else f"[{rule}](rules.md#{rule.replace('.', '-')})"
        for rule in ids.split()
    )
    told = f"no rule: {reason.strip()}" if not links else f"{links}; {reason.strip()}"
    return told if dash else links


def coverage_page() -> str:
    """docs/rules-coverage.md."""
    count = sum(map(len, (FORKLIFT_VSPHERE, FORKLIFT_HYPERV, FORKLIFT_OVA)))
    parts = [_HEAD.format(forklift=count)]
    for title, rows in TABLES.items():
        lines = [f"| {name} | {cell(value)} |" for name, value in rows.items()]
        parts.append("\n".join([f"\n## {title}\n", "| Check | Rules |", "|---|---|", *lines]) + "\n")
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(coverage_page())
