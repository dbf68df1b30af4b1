# SPDX-License-Identifier: Apache-2.0
"""ova.xml, the first member of an XVA: the records of one machine as one XML-RPC value (xapi: import.ml).

Written for all versions from 8.2 on: members that a version does not know are ignored. Read back only as far as v2x
wrote it, to recognise its own files.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from v2x.errors import BadImage
from v2x.model.target import TargetMachine, TargetNic
from v2x.target.interface import RESOURCE_SET

MIGRATION = "v2x-sealed"
SELF = "v2x-self"
DISK = "v2x-disk"
_NULL = "OpaqueRef:NULL"
_VERSION = {
    "hostname": "v2x",
    "date": "1970-01-01",
    "product_version": "8.2.0",
    "product_brand": "XCP-ng",
    "build_number": "v2x",
    "xapi_major": 1,
    "xapi_minor": 20,
    "export_vsn": 2,
}
_FORBIDDEN = dict.fromkeys([*range(9), 11, 12, *range(14, 32), *range(0x7F, 0xA0), 0xFFFE, 0xFFFF])
_MOST_NESTED = 12
_QOS: dict[str, Any] = {
    "qos_algorithm_type": "",
    "qos_algorithm_params": {},
    "qos_supported_algorithms": [],
    "status_code": 0,
    "status_detail": "",
    "runtime_properties": {},
    "currently_attached": False,
    "metrics": _NULL,
    "other_config": {},
}


def reference(number: int) -> str:
    """An object's id. Padded with zeros, because readers order disks by id as text."""
    return f"Ref:{number:04d}"


def derived_mac(mac_seed: str, device: int) -> str:
    """The address that XAPI derives for a VIF without one (xapi: xapi_vif.ml, xapi_vif_helpers.ml)."""
    first = mac_seed.encode("ascii")
    for _ in range(2 * device + 1):
        first = hashlib.md5(first, usedforsecurity=False).digest()
    second = hashlib.md5(first, usedforsecurity=False).digest()
    octets = [(first[0] | 2) & ~1, first[1], first[2], first[3], second[1], second[2]]
    return ":".join(f"{octet:02x}" for octet in octets)


def _xml(value: object, out: list[str]) -> None:
    if isinstance(value, bool):
        out.append(f"<value><boolean>{value:d}</boolean></value>")
    elif isinstance(value, float):
        out.append(f"<value><double>{value!r}</double></value>")
    elif isinstance(value, dict):
        out.append("<value><struct>")
        for name, item in value.items():
            out.append(f"<member><name>{_text(name)}</name>")
            _xml(item, out)
            out.append("</member>\n")
        out.append("</struct></value>")
    elif isinstance(value, list | tuple):
        out.append("<value><array><data>")
        for item in value:
            _xml(item, out)
        out.append("</data></array></value>")
    else:
        out.append(f"<value>{_text(str(value))}</value>")


def _text(text: str) -> str:
    return escape(text.translate(_FORBIDDEN).encode("utf-8", "replace").decode())


def write(
    spec: TargetMachine, tag: str, disks: Mapping[str, tuple[str, int]], *, vm_uuid: UUID, new_uuid: Any
) -> bytes:
    """The XML of `spec`. `disks` maps source disk ids to (object id, size in bytes); `new_uuid()` gives a uuid.

    The drives come in the order of `spec.disks`, each with the id that its data has in the archive.
    """
    objects: list[dict[str, Any]] = []
    numbers = iter(range(len(disks) + 2, 10_000))
    vm, sr = reference(0), reference(1)

    def add(kind: str, identity: str, snapshot: dict[str, Any]) -> None:
        objects.append({"class": kind, "id": identity, "snapshot": {"uuid": str(new_uuid()), **snapshot}})

    mac_seed = str(new_uuid())
    add("SR", sr, _sr(sum(size for _, size in disks.values())))
    for disk in spec.disks:
        identity, size = disks[disk.source_disk]
        add("VDI", identity, _vdi(disk.name, disk.description, sr, size, disk.source_disk))
    vm_object = {"class": "VM", "id": vm, "snapshot": _vm(spec, tag, str(vm_uuid), mac_seed)}
    objects.append(vm_object)
    networks: dict[str, str] = {}
    for nic in spec.nics:
        name = nic.network_name or nic.network
        if name not in networks:
            networks[name] = reference(next(numbers))
            add("network", networks[name], _network(name, len(networks) - 1, nic.mtu))
    drives = []
    for disk in spec.disks:
        drives.append(reference(next(numbers)))
        mode = "RO" if disk.read_only else "RW"
        add("VBD", drives[-1], _vbd(vm, disks[disk.source_disk][0], disk.device, disk.bootable, mode))
    if spec.cd_device:
        drives.append(reference(next(numbers)))
        add("VBD", drives[-1], _vbd(vm, _NULL, spec.cd_device, False, "RO"))
    cards = []
    for nic in spec.nics:
        cards.append(reference(next(numbers)))
        add("VIF", cards[-1], _vif(vm, networks[nic.network_name or nic.network], nic, mac_seed))
    vm_object["snapshot"] |= {"VBDs": drives, "VIFs": cards}  # type: ignore[operator]
    out = ["<?xml version='1.0' encoding='UTF-8'?>\n"]
    _xml({"version": _VERSION, "objects": objects}, out)
    return "".join(out).encode()


def _sr(size_bytes: int) -> dict[str, Any]:
    return {
        "name_label": "v2x",
        "name_description": "",
        "virtual_allocation": size_bytes,
        "physical_utilisation": size_bytes,
        "physical_size": size_bytes,
        "type": "ext",
        "content_type": "user",
        "shared": False,
        "other_config": {},
        "sm_config": {},
    }


def _vdi(name: str, description: str, sr: str, size_bytes: int, source_disk: str) -> dict[str, Any]:
    return {
        "name_label": name,
        "name_description": description,
        "SR": sr,
        "virtual_size": size_bytes,
        "physical_utilisation": 0,
        "type": "user",
        "sharable": False,
        "read_only": False,
        "other_config": {DISK: source_disk},
        "storage_lock": False,
        "managed": True,
        "missing": False,
        "parent": _NULL,
        "sm_config": {},
        "is_a_snapshot": False,
        "snapshot_of": _NULL,
    }


def _network(name: str, number: int, mtu: int) -> dict[str, Any]:
    return {
        "name_label": name,
        "name_description": "",
        # Pools look for the name first and then for the bridge, which must therefore not be one of theirs.
        "bridge": f"v2x{number}",
        "MTU": mtu,
        "other_config": {},
    }


def _vbd(vm: str, vdi: str, device: str, bootable: bool, mode: str) -> dict[str, Any]:
    return {
        **_QOS,
        "VM": vm,
        "VDI": vdi,
        "device": "",
        "userdevice": device,
        "bootable": bootable,
        "mode": mode,
        "type": "CD" if vdi == _NULL else "Disk",
        "unpluggable": True,
        "storage_lock": False,
        "empty": vdi == _NULL,
        "other_config": {} if vdi == _NULL else {"owner": ""},
    }


def _vif(vm: str, network: str, nic: TargetNic, mac_seed: str) -> dict[str, Any]:
    return {
        **_QOS,
        "device": nic.device,
        "network": network,
        "VM": vm,
        "MAC": nic.mac or derived_mac(mac_seed, int(nic.device)),
        "MAC_autogenerated": not nic.mac,
        "MTU": nic.mtu,
        "locking_mode": nic.locking.value,
        "ipv4_allowed": [],
        "ipv6_allowed": [],
    }


def _vm(spec: TargetMachine, tag: str, uuid: str, mac_seed: str) -> dict[str, Any]:
    platform = dict(spec.platform)
    platform.setdefault("secureboot", spec.secure_boot.value)
    if spec.cores_per_socket is not None:
        platform.setdefault("cores-per-socket", str(spec.cores_per_socket))
    if spec.vtpm:
        # A vTPM object would need content; with this key the pool makes one at the first start.
        platform["vtpm"] = "true"
    # What tells of the source may stay; nothing may stand in for a tag.
    other = {
        key: value
        for key, value in spec.other_config.items()
        if key.startswith("v2x-source") or not key.startswith("v2x-")
    }
    other |= {"base_template_name": spec.template_name or spec.template, "mac_seed": mac_seed}
    if spec.auto_start:
        other["auto_poweron"] = "true"
    if spec.resource_set and not spec.is_template:
        other[RESOURCE_SET] = json.dumps(spec.resource_set)
    memory = dict.fromkeys(("memory_static_max", "memory_dynamic_max", "memory_dynamic_min"), spec.memory_bytes) | {
        "memory_static_min": spec.memory_static_min_bytes or spec.memory_bytes
    }
    nulls = dict.fromkeys(
        (
            *("resident_on", "affinity", "metrics", "guest_metrics", "suspend_VDI", "suspend_SR"),
            *("snapshot_of", "parent", "appliance"),
        ),
        _NULL,
    )
    empty = dict.fromkeys(
        (
            *("PV_bootloader", "PV_kernel", "PV_ramdisk", "PV_args", "PV_bootloader_args", "PV_legacy_args"),
            *("PCI_bus", "domarch", "last_booted_record"),
        ),
        "",
    )
    return {
        "uuid": uuid,
        "name_label": spec.name,
        "name_description": spec.description,
        "power_state": "Halted",
        "user_version": 1,
        "is_a_template": spec.is_template,
        "is_a_snapshot": False,
        "is_control_domain": False,
        **nulls,
        **memory,
        "memory_target": 0,
        "VCPUs_params": dict(spec.vcpus_params),
        "VCPUs_max": spec.vcpus,
        "VCPUs_at_startup": spec.vcpus,
        "actions_after_shutdown": "destroy",
        "actions_after_reboot": "restart",
        "actions_after_crash": "restart",
        **empty,
        "HVM_boot_policy": "BIOS order",
        "HVM_boot_params": {"firmware": spec.firmware.value, "order": spec.boot_order},
        "HVM_shadow_multiplier": 1.0,
        "platform": platform,
        "other_config": other | {MIGRATION: tag, SELF: uuid},
        "domid": -1,
        "last_boot_CPU_flags": {},
        "recommendations": spec.recommendations,
        "xenstore_data": {},
        "ha_always_run": False,
        "ha_restart_priority": spec.ha_priority.value,
        "blocked_operations": {},
        "tags": list(spec.tags),
        "generation_id": spec.generation_id,
        "hardware_platform_version": 0,
        "has_vendor_device": False,
        "domain_type": "hvm",
        "NVRAM": {},
        "bios_strings": dict(spec.bios_strings),
        "version": 0,
        "order": 0,
        "start_delay": 0,
        "shutdown_delay": 0,
    }


def _decoded(value: Element, depth: int = 0) -> Any:
    if depth > _MOST_NESTED:
        raise BadImage("ova.xml is nested too deeply")
    inner = value[0] if len(value) else None
    if inner is None:
        return value.text or ""
    if inner.tag == "struct":
        found = {}
        for member in inner.findall("member"):
            item = member.find("value")
            if item is not None:
                found[member.findtext("name", "")] = _decoded(item, depth + 1)
        return found
    if inner.tag == "array":
        return [_decoded(item, depth + 1) for item in inner.findall("data/value")]
    return inner.text or ""


def read(data: bytes) -> dict[str, list[dict[str, Any]]]:
    """The objects by class, each with its `id` added to its record. BadImage for what is no ova.xml."""
    try:
        root = defusedxml.ElementTree.fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise BadImage("ova.xml is damaged") from None
    whole = _decoded(root)
    objects = whole.get("objects") if isinstance(whole, dict) else None
    if not isinstance(objects, list):
        raise BadImage("ova.xml holds no objects")
    found: dict[str, list[dict[str, Any]]] = {}
    for item in objects:
        if isinstance(item, dict) and isinstance(item.get("snapshot"), dict):
            found.setdefault(str(item.get("class", "")), []).append({**item["snapshot"], "id": str(item.get("id", ""))})
    return found
