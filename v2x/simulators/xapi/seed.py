# SPDX-License-Identifier: Apache-2.0
"""What a fresh pool holds: hosts, storage, networks, drivers, templates.

Facts: xapi, guest-templates-json, xapi_sr.ml, xapi_network.ml, xapi_vlan.ml.
"""

import uuid as uuid_module
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import quoteattr

from v2x.simulators.xapi import cabling
from v2x.simulators.xapi.datamodel import NULL
from v2x.simulators.xapi.state import PoolState

GIB = 1024**3
FEATURES = (
    *("SR_PROBE", "SR_UPDATE", "VDI_CREATE", "VDI_DELETE", "VDI_ATTACH", "VDI_DETACH", "VDI_RESIZE", "VDI_CLONE"),
    *("VDI_SNAPSHOT", "VDI_UPDATE", "VDI_MIRROR", "VDI_GENERATE_CONFIG", "VDI_RESET_ON_BOOT", "VDI_CONFIG_CBT"),
)
DRIVERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ext": ("Local EXT3 VHD", (*FEATURES, "THIN_PROVISIONING")),
    "nfs": ("NFS VHD", (*FEATURES, "THIN_PROVISIONING")),
    "smb": ("SMB", (*FEATURES, "THIN_PROVISIONING")),
    "lvm": ("Local VHD on LVM", FEATURES),
    "lvmoiscsi": ("VHD over iSCSI", FEATURES),
    "lvmohba": ("VHD over HBA", FEATURES),
    "iso": ("ISO", ("VDI_ATTACH", "VDI_DETACH", "SR_SCAN", "SR_ATTACH", "SR_DETACH")),
    "udev": ("udev", ("VDI_ATTACH", "VDI_DETACH", "VDI_UPDATE", "VDI_INTRODUCE")),
}
THICK_TYPES = frozenset({"lvm", "lvmoiscsi", "lvmohba"})
_IMAGE_FORMATS = frozenset({"ext", "nfs", "lvm", "lvmoiscsi", "lvmohba"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How big the pool is. `raw_lvm` adds an SR whose volumes are neither VHD nor zeroed.

    `sr_bytes` are physical sizes by SR name: local, nfs, lvm, rawlvm. Each host has `nics` interfaces, of which eth0
    manages it; `kernel_vlans` are tags that its kernel uses for itself; without `hvm` its processors lack
    virtualisation.
    """

    hosts: int = 1
    host_memory_bytes: int = 64 * GIB
    host_cpus: int = 16
    sr_bytes: dict[str, int] = field(default_factory=dict)
    nics: int = 1
    kernel_vlans: tuple[int, ...] = ()
    hvm: bool = True
    raw_lvm: bool = False
    pv_templates: bool = False

    def size_of(self, name: str) -> int:
        return self.sr_bytes.get(name, {"local": 2048, "nfs": 4096, "lvm": 1024}.get(name, 512) * GIB)


def seed(state: PoolState, layout: Layout) -> None:
    """Fills an empty store."""
    hosts = [_host(state, layout, number) for number in range(layout.hosts)]
    state.store.add(
        "pool",
        {
            "name_label": "simulated-pool",
            "master": hosts[0],
            "default_SR": NULL,
            "suspend_image_SR": NULL,
            "crash_dump_SR": NULL,
            "other_config": {"memory-ratio-hvm": "0.25", "memory-ratio-pv": "0.25"},
            "restrictions": _restrictions_of_features(state),
            "cpu_info": {"cpu_count": str(layout.host_cpus * layout.hosts), "vendor": "GenuineIntel"},
            "tls_verification_enabled": True,
        },
    )
    _drivers(state)
    _storage(state, layout, hosts)
    cabling.seed(state, hosts, nics=layout.nics)
    _roles(state)
    for template in state.model.templates:
        if layout.pv_templates or not template["pv_package_only"]:
            _template(state, template)


def _restrictions_of_features(state: PoolState) -> dict[str, str]:
    """What the licence holds back: nothing. A version without the vTPM feature has no word for it."""
    known = ("restrict_dmc", "restrict_nested_virt", *(["restrict_vtpm"] if state.profile.vtpm else []))
    return dict.fromkeys(known, "false")


def _software(state: PoolState, name: str) -> dict[str, str]:
    profile = state.profile
    return {
        "product_version": profile.product_version,
        "product_version_text": profile.product_version_text,
        "product_version_text_short": profile.product_version_text,
        "product_brand": profile.brand,
        "build_number": "cloud",
        "platform_name": "XCP",
        "platform_version": profile.platform_version,
        "xapi": profile.xapi,
        "xapi_build": profile.xapi_build,
        "xen": "4.13.5" if profile.product_version_text == "8.2" else "4.17.5-13",
        "linux": "4.19.0+1",
        "network_backend": "openvswitch",
        "db_schema": "5.786",
        "hostname": name,
        "date": "2026-05-05",
    }


def _host(state: PoolState, layout: Layout, number: int) -> str:
    store, name = state.store, f"xcp-host-{number + 1}"
    metrics = store.add(
        "host_metrics",
        {"memory_total": layout.host_memory_bytes, "live": True, "last_updated": state.now()},
    )
    cpus = str(layout.host_cpus)
    host = store.add(
        "host",
        {
            "name_label": name,
            "hostname": name,
            "name_description": "Default install",
            "API_version_major": state.model.api[0],
            "API_version_minor": state.model.api[1],
            "API_version_vendor": "XenSource",
            "enabled": True,
            "software_version": _software(state, name),
            "other_config": {"iscsi_iqn": f"iqn.2026-01.example:{name}"},
            "capabilities": ["xen-3.0-x86_64", *(["hvm-3.0-x86_32", "hvm-3.0-x86_64"] if layout.hvm else []), ""],
            "cpu_info": {
                "cpu_count": cpus,
                "socket_count": "1",
                "vendor": "GenuineIntel",
                "modelname": "Simulated",
                "speed": "2400.038",
            },
            "cpu_configuration": {},
            "memory_overhead": 1 * GIB,
            "sched_policy": "credit",
            "address": "",
            "metrics": metrics,
            "suspend_image_sr": NULL,
            "crash_dump_sr": NULL,
            "edition": "xcp-ng" if state.profile.brand == "XCP-ng" else "premium",
            "virtual_hardware_platform_versions": [0, 1, 2],
            "bios_strings": {"bios-vendor": "Simulated", "system-manufacturer": "Simulated"},
        },
    )
    domain = store.add("VM", _dom0(state, host, name, number))
    store.set("host", host, control_domain=domain)
    return host


def _dom0(state: PoolState, host: str, name: str, number: int) -> dict[str, Any]:
    memory = 4 * GIB
    metrics = state.store.add("VM_metrics", {"memory_actual": memory, "VCPUs_number": 8})
    return {
        "name_label": f"Control domain on host: {name}",
        "name_description": "The domain which manages physical devices and manages other domains",
        "power_state": "Running",
        "is_control_domain": True,
        "domid": 0,
        "resident_on": host,
        "affinity": host,
        "memory_static_max": memory,
        "memory_static_min": memory,
        "memory_dynamic_max": memory,
        "memory_dynamic_min": memory,
        "memory_target": memory,
        "VCPUs_max": 8,
        "VCPUs_at_startup": 8,
        "actions_after_shutdown": "destroy",
        "actions_after_reboot": "destroy",
        "actions_after_crash": "destroy",
        "domain_type": "pv",
        "metrics": metrics,
        "guest_metrics": NULL,
        "other_config": {"storage_driver_domain": "OpaqueRef:NULL", "is_system_domain": "true"},
        "has_vendor_device": False,
        "order": number,
    }


def _drivers(state: PoolState) -> None:
    for kind, (label, features) in DRIVERS.items():
        configuration = {"device": "local device path"} if kind not in ("nfs", "iso", "smb") else {"location": "path"}
        formats: list[str] = []
        if state.profile.qcow2 and kind in _IMAGE_FORMATS:
            configuration["preferred-image-formats"] = "comma separated list of image formats, first is the default"
            formats = ["vhd", "qcow2"]
        state.store.add(
            "SM",
            {
                "name_label": label,
                "type": kind,
                "vendor": "Citrix Systems Inc",
                "version": "1.0",
                "required_api_version": "1.0",
                "configuration": configuration,
                "capabilities": list(features),
                "features": dict.fromkeys(features, 1),
                "supported_image_formats": formats,
            },
        )


def add_sr(
    state: PoolState,
    hosts: list[str],
    *,
    name: str,
    kind: str,
    size: int,
    sm_config: dict[str, str] | None = None,
    content_type: str = "user",
    device_config: dict[str, str] | None = None,
    is_tools_sr: bool = False,
) -> str:
    """An SR with a plugged PBD on each of `hosts`; shared when the driver reaches it from all."""
    shared = kind in ("nfs", "smb", "iso", "lvmoiscsi", "lvmohba")
    uuid = str(uuid_module.uuid4())
    state.volumes.add_sr(uuid, size, thick=kind in THICK_TYPES)
    sr = state.store.add(
        "SR",
        {
            "uuid": uuid,
            "name_label": name,
            "physical_size": size,
            "type": kind,
            "content_type": content_type,
            "shared": shared,
            "sm_config": sm_config or {},
            "is_tools_sr": is_tools_sr,
        },
    )
    for host in hosts:
        state.store.add(
            "PBD",
            {"host": host, "SR": sr, "device_config": device_config or {}, "currently_attached": True},
        )
    return sr


def _storage(state: PoolState, layout: Layout, hosts: list[str]) -> None:
    local = [
        add_sr(
            state,
            [host],
            name="Local storage" if number == 0 else f"Local storage {number + 1}",
            kind="ext",
            size=layout.size_of("local"),
            device_config={"device": "/dev/sda3"},
        )
        for number, host in enumerate(hosts)
    ]
    state.store.set("pool", state.pool_ref, default_SR=local[0], suspend_image_SR=local[0])
    nfs = {"server": "192.0.2.10", "serverpath": "/export/vms"}
    add_sr(state, hosts, name="NFS storage", kind="nfs", size=layout.size_of("nfs"), device_config=nfs)
    lvm = {"allocation": "thick", "use_vhd": "true", "devserial": "scsi-simulated"}
    add_sr(state, hosts[:1], name="LVM storage", kind="lvm", size=layout.size_of("lvm"), sm_config=lvm)
    if layout.raw_lvm:
        raw = {"allocation": "thick"}
        add_sr(state, hosts[:1], name="Raw LVM storage", kind="lvm", size=layout.size_of("rawlvm"), sm_config=raw)
    iso = {"location": "192.0.2.10:/export/iso"}
    add_sr(state, hosts, name="ISO library", kind="iso", size=0, content_type="iso", device_config=iso)
    tools = add_sr(state, hosts, name="XCP-ng Tools", kind="iso", size=0, content_type="iso", is_tools_sr=True)
    _iso(state, tools, "guest-tools.iso", 66 * 1024 * 1024, tools=True)
    for host in hosts:
        add_sr(state, [host], name="DVD drives", kind="udev", size=0, content_type="iso")
        add_sr(state, [host], name="Removable storage", kind="udev", size=0, content_type="disk")


def _iso(state: PoolState, sr: str, name: str, size: int, *, tools: bool) -> None:
    state.store.add(
        "VDI",
        {
            "name_label": name,
            "SR": sr,
            "virtual_size": size,
            "physical_utilisation": size,
            "type": "user",
            "read_only": True,
            "location": name,
            "managed": True,
            "parent": NULL,
            "is_tools_iso": tools,
        },
    )


def _roles(state: PoolState) -> None:
    """One record for each. That of the strongest has a fixed reference, which the datamodel gives to new subjects."""
    fixed = state.model.classes["subject"].fields["roles"].default or []
    for number, name in enumerate(state.model.roles):
        values = {"name_label": name, "name_description": f"The role {name}"}
        state.store.add("role", values, fixed[0] if fixed and number == 0 else None)


def _restrictions(recommendations: dict[str, dict[str, str]]) -> str:
    parts = []
    for name, limits in recommendations.items():
        key = "property" if name.startswith("number-of-") else "field"
        shown = "".join(f" {k}={quoteattr(v)}" for k, v in limits.items())
        parts.append(f"<restriction {key}={quoteattr(name)}{shown}/>")
    return f"<restrictions>{''.join(parts)}</restrictions>"


def _provision(sizes: list[int]) -> str:
    disks = "".join(
        f'<disk device="{n}" size="{size}" sr="" bootable="{str(n == 0).lower()}" type="system"/>'
        for n, size in enumerate(sizes)
    )
    return f"<provision>{disks}</provision>"


def _template(state: PoolState, template: dict[str, Any]) -> None:
    copied = (
        *("name_label", "reference_label", "uuid", "HVM_boot_policy", "HVM_boot_params", "PV_bootloader"),
        *("VCPUs_max", "VCPUs_at_startup", "memory_static_min", "memory_static_max", "memory_dynamic_min"),
        *("memory_dynamic_max", "has_vendor_device", "platform"),
    )
    values = {name: template[name] for name in copied}
    other_config = dict(template["other_config"])
    if template["provision_disk_sizes"]:
        other_config["disks"] = _provision(template["provision_disk_sizes"])
    values |= {
        "name_description": f"Template that allows VM installation from media: {template['name_label']}",
        "user_version": 1,
        "is_a_template": True,
        "is_default_template": True,
        "affinity": NULL,
        "actions_after_shutdown": "destroy",
        "actions_after_reboot": "restart",
        "actions_after_crash": "restart",
        "domid": -1,
        "resident_on": NULL,
        "guest_metrics": NULL,
        "metrics": state.store.add("VM_metrics", {}),
        "domain_type": "hvm" if template["HVM_boot_policy"] else "pv",
        "other_config": other_config | {"default_template": "true"},
        "recommendations": _restrictions(template["recommendations"]),
    }
    state.store.add("VM", values)
