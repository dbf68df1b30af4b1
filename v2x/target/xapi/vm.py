# SPDX-License-Identifier: Apache-2.0
"""The VM record, its drives and what else hangs on it. Each part is looked for before it is made."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from v2x.errors import Conflict, Unsupported, V2xError
from v2x.model.target import TargetDisk, TargetMachine
from v2x.target.xapi import tags
from v2x.target.xapi.client import Client
from v2x.target.xapi.failures import passing_gone, xapi_code

NULL = "OpaqueRef:NULL"
HIDDEN = "HideFromXenCenter"
OWNED = "owner"
"""A key of a VBD: xe and XenCenter remove its disk together with the VM."""
_NAME_CHARS = 255
_NOTES_CHARS = 64 * 1024
_NO_VTPM = frozenset(
    {"MESSAGE_METHOD_UNKNOWN", "MESSAGE_PARAMETER_COUNT_MISMATCH", "NOT_IMPLEMENTED", "FEATURE_RESTRICTED"}
)


def claim_name(spec: TargetMachine, tag: str) -> str:
    """The name while the migration runs: it says at a glance that this is not a VM to use."""
    return f"[v2x {tag[:12]}] {spec.name}"[:_NAME_CHARS]


def fingerprint(spec: TargetMachine) -> str:
    """A digest of all that makes the machine what it is; remarks on how it was planned do not count."""
    planned = asdict(replace(spec, notes=(), rows=()))
    return hashlib.sha256(json.dumps(planned, sort_keys=True).encode()).hexdigest()[:32]


def record_of(spec: TargetMachine, tag: str) -> dict[str, Any]:
    """The complete VM.create record (xapi: xapi_vm.ml, datamodel_vm.ml)."""
    platform = dict(spec.platform)
    platform.setdefault("secureboot", spec.secure_boot.value)
    if spec.cores_per_socket is not None:
        platform.setdefault("cores-per-socket", str(spec.cores_per_socket))
    other = {"base_template_name": spec.template_name or spec.template, **spec.other_config}
    if spec.auto_start:
        other["auto_poweron"] = "true"
    # Last, so that nothing in the machine's own settings can stand in for a tag.
    other = {key: value for key, value in other.items() if not tags.is_reserved(key)}
    other |= {tags.MIGRATION: tag, tags.SPEC: fingerprint(spec), HIDDEN: "true"}
    return {
        "name_label": claim_name(spec, tag),
        "name_description": spec.description[:_NOTES_CHARS],
        "user_version": 1,
        # It becomes a template, and gets tags, vApp, HA priority and host, only when it is whole (finishing.py).
        "is_a_template": False,
        "affinity": NULL,
        "memory_static_max": spec.memory_bytes,
        "memory_dynamic_max": spec.memory_bytes,
        "memory_dynamic_min": spec.memory_bytes,
        "memory_static_min": spec.memory_static_min_bytes or spec.memory_bytes,
        "VCPUs_params": dict(spec.vcpus_params),
        "VCPUs_max": spec.vcpus,
        "VCPUs_at_startup": spec.vcpus,
        "actions_after_shutdown": "destroy",
        "actions_after_reboot": "restart",
        "actions_after_crash": "restart",
        "PV_bootloader": "",
        "PV_kernel": "",
        "PV_ramdisk": "",
        "PV_args": "",
        "PV_bootloader_args": "",
        "PV_legacy_args": "",
        "HVM_boot_policy": "BIOS order",
        "HVM_boot_params": {"firmware": spec.firmware.value, "order": spec.boot_order},
        "HVM_shadow_multiplier": 1.0,
        "platform": platform,
        "PCI_bus": "",
        "other_config": other,
        "recommendations": spec.recommendations,
        "tags": [],
        "generation_id": spec.generation_id,
        "has_vendor_device": False,
        "domain_type": "hvm",
    }


def make(client: Client, spec: TargetMachine, tag: str) -> tuple[str, Mapping[str, Any]]:
    reference = str(client.call("VM.create", record_of(spec, tag)))
    return reference, client.call("VM.get_record", reference)


def vbds(client: Client, reference: str) -> list[Mapping[str, Any]]:
    """The VBD records of a VM; one that goes away meanwhile is left out."""
    found = []
    for vbd in client.call("VM.get_VBDs", reference):
        with passing_gone():
            found.append(client.call("VBD.get_record", vbd))
    return found


def attach(
    client: Client, vm: str, vdi: str, disk: TargetDisk, present: list[Mapping[str, Any]], *, owned: bool = True
) -> None:
    """Makes the disk's VBD unless one of `present` is it. Conflict when its slot holds something else."""
    if any(str(vbd.get("VDI")) == vdi for vbd in present):
        return
    taken = [vbd for vbd in present if str(vbd.get("userdevice")) == disk.device]
    if taken:
        raise Conflict(f"slot {disk.device} of the VM holds another disk than {disk.name}", hint="run v2x cleanup")
    mode = "RO" if disk.read_only else "RW"
    create_vbd(client, vm, vdi, device=disk.device, bootable=disk.bootable, mode=mode, owned=owned)


def create_vbd(
    client: Client, vm: str, vdi: str, *, device: str, bootable: bool, mode: str, owned: bool = True
) -> None:
    client.call(
        "VBD.create",
        {
            "VM": vm,
            "VDI": vdi,
            "userdevice": device,
            "bootable": bootable,
            "mode": mode,
            "type": "CD" if vdi == NULL else "Disk",
            "unpluggable": True,
            "empty": vdi == NULL,
            "other_config": {} if vdi == NULL or not owned else {OWNED: ""},
            "qos_algorithm_type": "",
            "qos_algorithm_params": {},
        },
    )


def create_vbd_like(client: Client, vm: str, vdi: str, vbd: Mapping[str, Any]) -> None:
    """Attaches a disk at the place, and in the way, of the VBD with this record."""
    device, mode = str(vbd.get("userdevice")), str(vbd.get("mode"))
    create_vbd(client, vm, vdi, device=device, bootable=bool(vbd.get("bootable")), mode=mode)


def add_cd(client: Client, vm: str, device: str, present: list[Mapping[str, Any]]) -> None:
    """An empty CD drive in the given slot, unless the VM has one."""
    if device and not any(vbd.get("type") == "CD" for vbd in present):
        create_vbd(client, vm, NULL, device=device, bootable=False, mode="RO")


def add_vtpm(client: Client, vm: str, record: Mapping[str, Any]) -> None:
    """A virtual TPM, unless the VM has one. Unsupported where the pool makes none."""
    if record.get("VTPMs"):
        return
    try:
        client.call("VTPM.create", vm, False)
    except V2xError as error:
        if xapi_code(error) in _NO_VTPM:
            raise Unsupported(
                "this pool makes no virtual TPM", hint="XCP-ng 8.3 does; or turn vtpm off in the plan"
            ) from error
        if xapi_code(error) != "VTPM_MAX_AMOUNT_REACHED":
            raise


def set_bios_strings(client: Client, vm: str, record: Mapping[str, Any], strings: Mapping[str, str]) -> None:
    """Can be set once only, which a continued run finds done."""
    if strings and not record.get("bios_strings"):
        try:
            client.call("VM.set_bios_strings", vm, dict(strings))
        except V2xError as error:
            if xapi_code(error) != "VM_BIOS_STRINGS_ALREADY_SET":
                raise
