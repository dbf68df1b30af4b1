# SPDX-License-Identifier: Apache-2.0
"""What a pool offers, from a dozen calls whatever its size."""

import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from v2x.model.machine import Firmware
from v2x.model.target import (
    ImageFormat,
    Migrated,
    StorageRepository,
    TargetFacts,
    TargetHost,
    TargetNetwork,
    Template,
    UsedMac,
)
from v2x.target.xapi import tags
from v2x.target.xapi.client import Client
from v2x.target.xapi.hosts import obstacle
from v2x.target.xapi.listing import number, records

Records = Mapping[str, Mapping[str, Any]]

_VM_FIELDS = (
    *("uuid", "name_label", "is_a_template", "is_a_snapshot", "is_control_domain", "other_config", "reference_label"),
    *("HVM_boot_policy", "HVM_boot_params", "platform", "recommendations", "memory_static_min"),
)
# A pool of 64 hosts with 800 VLANs has 51,200 PIFs.
_PIF_FIELDS = (
    *("network", "host", "device", "VLAN", "VLAN_master_of", "physical", "bond_master_of", "bond_slave_of"),
    *("currently_attached", "management"),
)
_PBD_FIELDS = ("SR", "host", "currently_attached", "device_config")

_LVM = frozenset({"lvm", "lvmoiscsi", "lvmohba"})
_THIN = frozenset(
    {"ext", "nfs", "smb", "file", "xfs", "zfs", "cephfs", "glusterfs", "linstor", "moosefs", "largeblock"}
)
# SR types on which QCOW2 VDIs are supported (XCP-ng documentation, storage/qcow2_faq).
_QCOW2 = frozenset({"ext", "nfs", "lvm", "lvmoiscsi", "lvmohba"})
_QCOW2_IMPORT = (25, 27)
_VTPM = (22,)
_VIF_TRUNKS = (26, 17)
_WORD = re.compile(r"[A-Za-z0-9]+")


def version_of(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: `26.1.3-1.6` is (26, 1, 3)."""
    match = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in match[0].split(".")[:4]) if match else ()


def _text(mapping: object, *keys: str) -> str:
    if isinstance(mapping, dict):
        for key in keys:
            if mapping.get(key):
                return str(mapping[key])
    return ""


def takes_qcow2(software: object) -> bool:
    """Whether a host with this software_version imports QCOW2 streams."""
    return version_of(_text(software, "xapi_build", "xapi")) >= _QCOW2_IMPORT


def takes_vtpm(software: object) -> bool:
    """Whether a host with this software_version makes vTPMs: the class of xapi 1.249 (XCP-ng 8.2) cannot."""
    return version_of(_text(software, "xapi_build", "xapi")) >= _VTPM


def takes_trunks(software: object) -> bool:
    """Whether VIFs of a host with this software_version have the field trunks (first in xapi 26.17)."""
    return version_of(_text(software, "xapi_build", "xapi")) >= _VIF_TRUNKS


def prezeroed(sr: Mapping[str, Any]) -> bool:
    """Whether a fresh VDI on this SR takes a VHD stream (rules of xapi's sparse writer)."""
    kind, config = str(sr.get("type", "")), sr.get("sm_config")
    if kind in _LVM:
        return _text(config, "use_vhd") == "true"
    if kind == "equal":
        return _text(config, "allocation") != "thick"
    return kind != "cslg"


def is_thin(sr: Mapping[str, Any], driver: Mapping[str, Any]) -> bool:
    kind = str(sr.get("type", ""))
    if kind in _LVM:
        return _text(sr.get("sm_config"), "allocation") == "xlvhd"
    features = driver.get("features")
    return kind in _THIN or (isinstance(features, dict) and "THIN_PROVISIONING" in features)


def _formats(
    sr: Mapping[str, Any], driver: Mapping[str, Any], pbds: list[Mapping[str, Any]]
) -> tuple[ImageFormat, ...]:
    """The formats the SR can make, the one it prefers first."""
    if str(sr.get("type", "")) not in _QCOW2:
        return (ImageFormat.VHD,)
    told, options = driver.get("supported_image_formats"), driver.get("configuration")
    known = [str(item).lower() for item in told] if isinstance(told, list) else []
    if not known and isinstance(options, dict) and "preferred-image-formats" in options:
        # The driver describes an option of this name, so it knows both formats.
        known = ["vhd", "qcow2"]
    chosen = [
        word
        for pbd in pbds
        for word in _WORD.findall(_text(pbd.get("device_config"), "preferred-image-formats").lower())
    ]
    wanted = [name for name in chosen if name in known] or known
    made = [ImageFormat(name) for name in dict.fromkeys(wanted) if name in ("vhd", "qcow2")]
    return tuple(made) or (ImageFormat.VHD,)


def _storage(
    srs: Records, pbds: Records, drivers: Records, hosts: Records, default: str
) -> tuple[StorageRepository, ...]:
    by_sr: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for pbd in pbds.values():
        by_sr[str(pbd.get("SR"))].append(pbd)
    by_type = {str(driver.get("type")): driver for driver in drivers.values()}
    found = []
    for reference, sr in srs.items():
        driver, own = by_type.get(str(sr.get("type")), {}), by_sr[reference]
        found.append(
            StorageRepository(
                uuid=str(sr.get("uuid", "")),
                name=str(sr.get("name_label", "")),
                kind=str(sr.get("type", "")),
                content_type=str(sr.get("content_type", "")),
                shared=bool(sr.get("shared")),
                is_default=reference == default,
                size_bytes=max(0, number(sr.get("physical_size"))),
                used_bytes=max(0, number(sr.get("physical_utilisation"))),
                thin=is_thin(sr, driver),
                prezeroed=prezeroed(sr),
                image_formats=_formats(sr, driver, own),
                hosts=tuple(
                    sorted(
                        str(hosts[str(pbd.get("host"))].get("uuid", ""))
                        for pbd in own
                        if pbd.get("currently_attached") and str(pbd.get("host")) in hosts
                    )
                ),
            )
        )
    return tuple(sorted(found, key=lambda sr: (not sr.is_default, sr.name, sr.uuid)))


def _carries(pif: Mapping[str, Any]) -> bool:
    """Whether VLANs can go over a PIF: a physical interface or a bond, no VLAN, tunnel or SR-IOV function."""
    return str(pif.get("VLAN", "-1")) == "-1" and bool(pif.get("physical") or pif.get("bond_master_of"))


def _in_bond(pif: Mapping[str, Any]) -> bool:
    return str(pif.get("bond_slave_of") or "OpaqueRef:NULL") != "OpaqueRef:NULL"


def _carriers(own: list[Mapping[str, Any]], pifs: Records, vlans: Records) -> set[str]:
    """References of the untagged networks of the interfaces below `own`; one, unless the hosts are wired unlike."""
    below = (
        pif if _carries(pif) else pifs.get(str(vlans.get(str(pif.get("VLAN_master_of")), {}).get("tagged_PIF")))
        for pif in own
    )
    return {str(pif.get("network")) for pif in below if pif is not None}


def networks_of(networks: Records, pifs: Records, vlans: Records, hosts: Records) -> tuple[TargetNetwork, ...]:
    """The networks of a pool with what carries each, without the hosts' own management network and test cutovers'."""
    by_network: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for pif in pifs.values():
        by_network[str(pif.get("network"))].append(pif)
    found = []
    for reference, network in networks.items():
        own_config = tags.config(network)
        if own_config.get("is_host_internal_management_network") == "true" or tags.TEST in own_config:
            continue
        own = by_network[reference]
        ids = {number(pif.get("VLAN")) for pif in own if str(pif.get("VLAN", "-1")) != "-1"}
        carriers = _carriers(own, pifs, vlans)
        carrier = next(iter(carriers)) if len(carriers) == 1 else ""
        on_hosts = [
            (str(hosts[str(pif.get("host"))].get("uuid", "")), pif) for pif in own if str(pif.get("host")) in hosts
        ]
        found.append(
            TargetNetwork(
                uuid=str(network.get("uuid", "")),
                name=str(network.get("name_label", "")),
                bridge=str(network.get("bridge", "")),
                vlan=min(ids) if ids else None,
                mtu=number(network.get("MTU")) or 1500,
                hosts=tuple(sorted({host for host, pif in on_hosts if pif.get("currently_attached")})),
                is_management=any(pif.get("management") for pif in own),
                devices={host: str(pif.get("device", "")) for host, pif in sorted(on_hosts, key=lambda one: one[0])},
                carrier=str(networks.get(carrier, {}).get("uuid", "")),
                is_bond=any(pif.get("bond_master_of") for pif in by_network[carrier]) if carrier else False,
                in_bond=bool(own) and all(_in_bond(pif) for pif in own),
            )
        )
    return tuple(sorted(found, key=lambda network: (network.name, network.uuid)))


def _templates(vms: Records) -> tuple[Template, ...]:
    found = []
    for vm in vms.values():
        if not vm.get("is_a_template") or vm.get("is_a_snapshot") or not vm.get("HVM_boot_policy"):
            continue
        boot = vm.get("HVM_boot_params")
        platform = vm.get("platform")
        found.append(
            Template(
                reference_label=str(vm.get("reference_label", "")),
                name=str(vm.get("name_label", "")),
                uuid=str(vm.get("uuid", "")),
                firmware=Firmware.UEFI if _text(boot, "firmware").lower() == "uefi" else Firmware.BIOS,
                boot_order=_text(boot, "order") or "cd",
                platform={str(key): str(value) for key, value in platform.items()}
                if isinstance(platform, dict)
                else {},
                recommendations=str(vm.get("recommendations", "")),
                memory_static_min_bytes=number(vm.get("memory_static_min")),
            )
        )
    return tuple(sorted(found, key=lambda template: (template.reference_label, template.name, template.uuid)))


def in_use(vm: Mapping[str, Any]) -> bool:
    """A VM whose name and addresses count; not a template, snapshot, control domain, claim under way or test copy.

    A claim's own name and addresses, and those of its test copy, must not stand in the way of its continuation.
    """
    if vm.get("is_a_template") or vm.get("is_a_snapshot") or vm.get("is_control_domain"):
        return False
    own = tags.config(vm)
    under_way = (tags.MIGRATION in own and tags.SEALED not in own) or tags.TEST in own
    return not (under_way and tags.is_own(vm))


def _macs(vms: Records, vifs: Records) -> tuple[UsedMac, ...]:
    found = []
    for vif in vifs.values():
        vm = vms.get(str(vif.get("VM")))
        if vm is not None and in_use(vm) and vif.get("MAC"):
            found.append(UsedMac(mac=str(vif["MAC"]).lower(), machine=str(vm.get("name_label", ""))))
    return tuple(sorted(found, key=lambda used: (used.mac, used.machine)))


def _migrated(vms: Records) -> tuple[Migrated, ...]:
    found = []
    for vm in vms.values():
        tag = tags.config(vm).get(tags.SEALED, "")
        if tag and tags.sealed_by(vm, tag):
            found.append(Migrated(tag=tag, machine=str(vm.get("name_label", "")), uuid=str(vm.get("uuid", ""))))
    return tuple(sorted(found, key=lambda one: (one.machine, one.uuid)))


def _mhz(text: str) -> int:
    """The speed in cpu_info, as `2593.904`; 0 where it is none."""
    match = re.match(r"\d{1,6}", text)
    return int(match[0]) if match else 0


def _hosts(hosts: Records, metrics: Records) -> tuple[TargetHost, ...]:
    found = []
    for host in hosts.values():
        memory = metrics.get(str(host.get("metrics")), {})
        found.append(
            TargetHost(
                uuid=str(host.get("uuid", "")),
                name=str(host.get("name_label", "")),
                address=str(host.get("address", "")),
                enabled=not obstacle(host, live=bool(memory.get("live", True))),
                cpu_count=number(_text(host.get("cpu_info"), "cpu_count")),
                cpu_mhz=_mhz(_text(host.get("cpu_info"), "speed")),
                memory_total_bytes=number(memory.get("memory_total")),
                memory_free_bytes=number(memory.get("memory_free")),
            )
        )
    return tuple(sorted(found, key=lambda host: (host.name, host.uuid)))


def take(client: Client, taken_at: datetime) -> TargetFacts:
    """The facts of the pool, read now. `taken_at` is aware, UTC."""
    pool: Mapping[str, Any] = next(iter(records(client, "pool").values()), {})
    hosts, vms = records(client, "host"), records(client, "VM", *_VM_FIELDS)
    master = hosts.get(str(pool.get("master")), {})
    software = master.get("software_version")
    return TargetFacts(
        kind="xapi",
        address=client.host,
        taken_at=taken_at,
        product=_text(software, "product_brand", "platform_name"),
        version=_text(software, "product_version_text", "product_version", "platform_version"),
        xapi_version=_text(software, "xapi_build", "xapi"),
        pool_uuid=str(pool.get("uuid", "")),
        pool_name=str(pool.get("name_label", "")) or str(master.get("name_label", "")),
        hosts=_hosts(hosts, records(client, "host_metrics")),
        storage=_storage(
            records(client, "SR"),
            records(client, "PBD", *_PBD_FIELDS),
            records(client, "SM"),
            hosts,
            str(pool.get("default_SR")),
        ),
        networks=networks_of(
            records(client, "network"),
            records(client, "PIF", *_PIF_FIELDS),
            records(client, "VLAN", "tagged_PIF"),
            hosts,
        ),
        templates=_templates(vms),
        machine_names=tuple(sorted(str(vm.get("name_label", "")) for vm in vms.values() if in_use(vm))),
        macs=_macs(vms, records(client, "VIF", "VM", "MAC")),
        migrated=_migrated(vms),
        secure_boot_certificates=bool(pool.get("uefi_certificates") or pool.get("custom_uefi_certificates")),
        vtpm_supported=_text(pool.get("restrictions"), "restrict_vtpm") == "false" and takes_vtpm(software),
        qcow2_import=takes_qcow2(software),
        vif_trunks=takes_trunks(software),
    )
