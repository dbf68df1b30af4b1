# SPDX-License-Identifier: Apache-2.0
"""Packs machines as an appliance: one .ova file, or a folder with .ovf, manifest and disks."""

import gzip
import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from v2x.errors import V2xError
from v2x.simulators import programs
from v2x.simulators.appliance import rawdisk
from v2x.simulators.appliance.envelope import vmware_envelope
from v2x.simulators.appliance.envelope_open import ovirt_envelope, xenserver_envelope
from v2x.simulators.appliance.envelope_virtualbox import virtualbox_envelope
from v2x.simulators.appliance.spec import ApplianceSpec, Digest, DiskSpec, Exporter, PackedDisk
from v2x.simulators.appliance.stream import write_stream_optimized

BUILD_TIME = programs.BUILD_TIME
_USUAL_DIGEST = {
    Exporter.VMWARE: Digest.SHA256,
    Exporter.VIRTUALBOX: Digest.SHA1,
    Exporter.OVIRT: Digest.NONE,
    Exporter.XENSERVER: Digest.SHA1,
}
_SUFFIX = {
    Exporter.VMWARE: ".vmdk",
    Exporter.VIRTUALBOX: ".vmdk",
    Exporter.OVIRT: "",
    Exporter.XENSERVER: ".vhd",
}


@dataclass(frozen=True, slots=True)
class Appliance:
    """What was written: `members` are the names of its files in their order."""

    path: Path
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Style:
    exporter: Exporter
    digest: Digest
    ovf_version: str


def write_ova(
    path: Path,
    vm: ApplianceSpec | Sequence[ApplianceSpec],
    *,
    exporter: Exporter = Exporter.VMWARE,
    digest: Digest = Digest.EXPORTER,
    ovf_version: str = "1.0",
) -> Appliance:
    """Write one OVA: a ustar archive with the .ovf first, each file padded to 512 bytes.

    VMware and XenServer put the manifest second, VirtualBox last, oVirt writes none. Disks are streamOptimized VMDKs,
    for oVirt QCOW2 and for XenServer VHD (both by qemu-img). Several machines fit VMware and VirtualBox only, OVF 2.0
    VirtualBox only. The same input gives the same bytes, as far as qemu-img's files do.
    """
    with tempfile.TemporaryDirectory(prefix=".v2x-ova-", dir=path.parent) as work:
        files = _write_files(Path(work) / path.stem, vm, _Style(exporter, digest, ovf_version))
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
            for file in files:
                archive.add(file, file.name, filter=_owner(exporter))
    return Appliance(path, tuple(file.name for file in files))


def write_ovf_folder(
    folder: Path,
    vm: ApplianceSpec | Sequence[ApplianceSpec],
    *,
    exporter: Exporter = Exporter.VMWARE,
    digest: Digest = Digest.EXPORTER,
    ovf_version: str = "1.0",
) -> Appliance:
    """Write the same files side by side into the new or empty `folder`; `path` is the .ovf."""
    folder.mkdir(exist_ok=True)
    files = _write_files(folder / folder.name, vm, _Style(exporter, digest, ovf_version))
    return Appliance(files[0], tuple(file.name for file in files))


def _owner(exporter: Exporter) -> Callable[[tarfile.TarInfo], tarfile.TarInfo]:
    name = "vboxovf" if exporter is Exporter.VIRTUALBOX else "someone"

    def owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 64
        member.uname = member.gname = name
        member.mode = 0o644
        member.mtime = BUILD_TIME
        return member

    return owned


def _write_files(base: Path, vm: ApplianceSpec | Sequence[ApplianceSpec], style: _Style) -> list[Path]:
    """Every file of the appliance in the exporter's order; their names begin with `base`."""
    vms = [vm] if isinstance(vm, ApplianceSpec) else list(vm)
    exporter = style.exporter
    _check(vms, exporter, style.ovf_version)
    folder, stem = base.parent, "vm" if exporter is Exporter.OVIRT else base.name
    packed: list[list[PackedDisk]] = []
    count = 0
    for machine in vms:
        packed.append([])
        for disk in machine.disks:
            count += 1
            packed[-1].append(_pack_disk(folder, stem, count, disk, exporter))
    envelope = folder / f"{stem}.ovf"
    envelope.write_bytes(_envelope(vms, packed, exporter, style.ovf_version))
    disks = [folder / disk.href for of_vm in packed for disk in of_vm]
    chosen = _USUAL_DIGEST[exporter] if style.digest is Digest.EXPORTER else style.digest
    if chosen is Digest.NONE:
        return [envelope, *disks]
    manifest = folder / f"{stem}.mf"
    manifest.write_text(_manifest([envelope, *disks], chosen, exporter), "utf-8", newline="\n")
    if exporter is Exporter.VIRTUALBOX:
        return [envelope, *disks, manifest]
    return [envelope, manifest, *disks]


def _check(vms: Sequence[ApplianceSpec], exporter: Exporter, ovf_version: str) -> None:
    if len(vms) != 1 and exporter not in (Exporter.VMWARE, Exporter.VIRTUALBOX):
        raise V2xError(f"{exporter.value} exports one machine at a time, not {len(vms)}")
    if ovf_version not in ("1.0", "2.0") or (ovf_version == "2.0" and exporter is not Exporter.VIRTUALBOX):
        raise V2xError(f"{exporter.value} does not write OVF {ovf_version}")


def _pack_disk(folder: Path, stem: str, number: int, disk: DiskSpec, exporter: Exporter) -> PackedDisk:
    """Write the disk's file as the exporter would; ids and names in its style."""
    capacity = rawdisk.size_of(disk.raw)
    names = {
        Exporter.VMWARE: (f"file{number}", f"vmdisk{number}", f"{stem}-disk{number}"),
        Exporter.VIRTUALBOX: (f"file{number}", f"vmdisk{number}", f"{stem}-disk{number:03d}"),
        Exporter.OVIRT: (_guid("image", number), _guid("disk", number), _guid("image", number)),
        Exporter.XENSERVER: (_guid("vdi", number), _guid("vdi", number), _guid("file", number)),
    }
    file_id, disk_id, base = names[exporter]
    file = folder / f"{base}{_SUFFIX[exporter]}"
    populated = capacity
    if exporter in (Exporter.VMWARE, Exporter.VIRTUALBOX):
        version = 3 if exporter is Exporter.VMWARE else 1
        populated = write_stream_optimized(disk.raw, file, version=version).populated_bytes
    else:
        _convert(disk.raw, file, "qcow2" if exporter is Exporter.OVIRT else "vpc")
    if disk.compression:
        file = _compress(file)
    return PackedDisk(
        spec=disk,
        file_id=file_id,
        disk_id=disk_id,
        href=file.name,
        size_bytes=file.stat().st_size,
        capacity_bytes=capacity,
        populated_bytes=populated,
        compression=disk.compression,
    )


def _guid(kind: str, number: int) -> str:
    text = hashlib.sha256(f"{kind}/{number}".encode()).hexdigest()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:32]}"


def _convert(raw: Path, out: Path, driver: str) -> None:
    options = "subformat=dynamic,force_size=on" if driver == "vpc" else "compat=1.1"
    programs.run(
        ["qemu-img", "convert", "-f", "raw", "-O", driver, "-o", options, str(raw.absolute()), out.name],
        cwd=out.parent,
        timeout=600,
    )


def _compress(file: Path) -> Path:
    packed = file.with_name(f"{file.name}.gz")
    with file.open("rb") as plain, packed.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as out:
        shutil.copyfileobj(plain, out, 1 << 20)
    file.unlink()
    return packed


def _envelope(
    vms: Sequence[ApplianceSpec], packed: Sequence[Sequence[PackedDisk]], exporter: Exporter, ovf_version: str
) -> bytes:
    if exporter is Exporter.VMWARE:
        return vmware_envelope(vms, packed)
    if exporter is Exporter.VIRTUALBOX:
        return virtualbox_envelope(vms, packed, version=ovf_version)
    if exporter is Exporter.OVIRT:
        return ovirt_envelope(vms[0], packed[0])
    return xenserver_envelope(vms[0], packed[0])


def _manifest(files: Sequence[Path], digest: Digest, exporter: Exporter) -> str:
    """One line per file; VirtualBox has spaces around the name and the sign where the others have none."""
    form = "{} ({}) = {}\n" if exporter is Exporter.VIRTUALBOX else "{}({})= {}\n"
    lines = []
    for file in files:
        with file.open("rb") as opened:
            value = hashlib.file_digest(opened, digest.value.lower()).hexdigest()
        lines.append(form.format(digest.value, file.name, value))
    return "".join(lines)
