# SPDX-License-Identifier: Apache-2.0
"""Small real appliances for tests: disks written by qemu-img, descriptors, manifests and archives around them."""

import hashlib
import io
import random
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

MIB = 1 << 20
NAMESPACES = (
    'xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" '
    'xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" '
    'xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" '
    'xmlns:vmw="http://www.vmware.com/schema/ovf"'
)
VMDK_URI = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
QCOW2_URI = "http://www.gnome.org/~markmc/qcow-image-format.html"
RAW_URI = "urn:raw"


def content(size: int, seed: int = 1) -> bytes:
    """`size` bytes: data, a hole, half-empty blocks, and data at the very end."""
    chance = random.Random(seed)
    data = bytearray(size)
    data[: size // 4] = chance.randbytes(size // 4)
    data[size // 2 : size // 2 + 70_000] = chance.randbytes(70_000)
    data[-512:] = chance.randbytes(512)
    return bytes(data)


def convert(raw: Path, out: Path, form: str, options: str = "") -> Path:
    extra = ["-o", options] if options else []
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", form, *extra, str(raw), str(out)], check=True)
    return out


def stream_vmdk(folder: Path, name: str, data: bytes) -> Path:
    raw = folder / f".{name}.raw"
    raw.write_bytes(data)
    convert(raw, folder / name, "vmdk", "subformat=streamOptimized")
    raw.unlink()
    return folder / name


def item(kind: int, instance: int, *fields: str) -> str:
    return f"<Item>{field('InstanceID', instance)}{field('ResourceType', kind)}{''.join(fields)}</Item>"


def field(name: str, value: object) -> str:
    return f"<rasd:{name}>{value}</rasd:{name}>"


def ovf(
    disks: Iterable[tuple[str, int]] = (),
    *,
    name: str = "tiny",
    uri: str = VMDK_URI,
    file_attributes: str = "",
    items: str = "",
    sections: str = "",
    cpus: object = 2,
    memory: object = 512,
    capacity: object = None,
) -> str:
    """A descriptor of one machine with `disks` (file, bytes) on a SCSI controller and whatever else is given."""
    disks = list(disks)
    files = "".join(
        f'<File ovf:id="f{number}" ovf:href="{file}" {file_attributes}/>' for number, (file, _) in enumerate(disks)
    )
    described = "".join(
        f'<Disk ovf:diskId="d{number}" ovf:fileRef="f{number}" ovf:capacity="{capacity or size}" ovf:format="{uri}"/>'
        for number, (_, size) in enumerate(disks)
    )
    attached = "".join(
        item(17, 10 + number, field("HostResource", f"ovf:/disk/d{number}"), field("Parent", 3))
        for number in range(len(disks))
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Envelope {NAMESPACES}>
<References>{files}</References>
<DiskSection><Info/>{described}</DiskSection>
<VirtualSystem ovf:id="{name}"><Info/><Name>{name}</Name>
<VirtualHardwareSection><Info/>
{item(3, 1, field("VirtualQuantity", cpus))}
{item(4, 2, field("AllocationUnits", "byte * 2^20"), field("VirtualQuantity", memory))}
{item(6, 3, field("Address", 0), field("ResourceSubType", "lsilogic"))}
{attached}{items}
</VirtualHardwareSection>{sections}
</VirtualSystem></Envelope>
"""


def manifest(folder: Path, names: Iterable[str], algorithm: str = "SHA256") -> str:
    lines = [
        f"{algorithm}({name})= {hashlib.new(algorithm.lower(), (folder / name).read_bytes()).hexdigest()}"
        for name in names
    ]
    return "\n".join(lines) + "\n"


def pack(path: Path, folder: Path, names: Iterable[str], form: int = tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as archive:
        for name in names:
            archive.add(folder / name, arcname=name)
    return path


def member(archive: tarfile.TarFile, name: str, data: bytes = b"", **fields: object) -> None:
    """Adds a member with header fields as given, `type=tarfile.SYMTYPE` for instance."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    archive.addfile(info, io.BytesIO(data) if data else None)


def vmx(lines: dict[str, object], name: str = "tiny") -> str:
    base: dict[str, object] = {
        ".encoding": "UTF-8",
        "config.version": 8,
        "virtualHW.version": 19,
        "displayName": name,
        "guestOS": "debian12-64",
        "numvcpus": 2,
        "memsize": 1024,
        "uuid.bios": "56 4d 00 00 00 00 00 00-00 00 00 00 00 00 00 01",
    }
    return "".join(f'{key} = "{value}"\n' for key, value in (base | lines).items())
