# SPDX-License-Identifier: Apache-2.0
"""The part of guestfs_worker.py that Windows guests need beside their registry: NTFS's rights, hibernation, volumes.

As that program, it imports nothing of v2x.
"""

import base64
import io
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

LARGEST_PART_BYTES = 1 << 20
LDM_PARTITIONS = {"5808c8aa-7e8f-42e0-85d2-e1e90434cfb3", "af9b60a0-1431-4f62-bc68-3311714a69ad"}
ST_RDONLY = 1

# O:SYG:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA) as Windows stores it (MS-DTYP 2.4.6): the system and administrators may
# do everything, nobody else anything. What ntfs-3g makes by itself, everybody may write.
_SYSTEM = bytes.fromhex("010100000000000512000000")
_ADMINISTRATORS = bytes.fromhex("01020000000000052000000020020000")
_ALLOW_ALL = bytes.fromhex("ff011f00")
PRIVATE = (
    bytes.fromhex("010004901400000020000000000000002c000000")
    + _SYSTEM * 2
    + bytes.fromhex("020034000200000000031400")
    + _ALLOW_ALL
    + _SYSTEM
    + bytes.fromhex("00031800")
    + _ALLOW_ALL
    + _ADMINISTRATORS
)


def dynamic(handle: Any) -> list[str]:
    """Windows's dynamic disks: those whose partitions say that a logical disk manager has them."""
    found = []
    for disk in handle.list_devices():
        try:
            parts = handle.part_list(disk)
            gpt = handle.part_get_parttype(disk) == "gpt"
            kinds = {
                handle.part_get_gpt_type(disk, part["part_num"]).lower()
                if gpt
                else handle.part_get_mbr_id(disk, part["part_num"])
                for part in parts
            }
        except RuntimeError:
            continue
        if kinds & (LDM_PARTITIONS | {0x42}):
            found.append(handle.canonical_device_name(disk))
    return found


def is_read_only(handle: Any) -> bool:
    """Whether the root was mounted to be read only, whatever was asked for."""
    return bool(handle.statvfs("/")["flag"] & ST_RDONLY)


def clean_hibernation(handle: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Removes hiberfil.sys, with which the system's state in memory is gone, so that its volume can be written to."""
    root = handle.mountpoints()
    device = next(device for device, point in root.items() if point == "/")
    handle.umount_all()
    handle.mount_options("norecover,remove_hiberfile", device, "/")
    return {"unclean": is_read_only(handle)}


def part(handle: Any, request: dict[str, Any]) -> str:
    """Some bytes of a device, or of the beginning of a file."""
    if request["count"] > LARGEST_PART_BYTES:
        raise RuntimeError("too much is asked for")
    if "device" in request:
        data = handle.pread_device(request["device"], request["count"], request["offset"])
    else:
        data = handle.pread(request["path"], request["count"], request["offset"])
    return base64.b64encode(data).decode()


def write_part(handle: Any, request: dict[str, Any]) -> None:
    data = base64.b64decode(request["data"])
    if handle.pwrite_device(request["device"], data, request["offset"]) != len(data):
        raise RuntimeError(request["device"] + " took only a part of what was written")


def lay(handle: Any, request: dict[str, Any]) -> None:
    """A file, from `data` or from `source` here, that only the system and administrators may touch, as the folders that
    are made for it. An archive is how libguestfs sets NTFS's rights."""
    parts = request["path"].strip("/").split("/")
    folders = ["/".join(parts[:end]) for end in range(1, len(parts))]
    with tempfile.TemporaryFile() as archive:
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as made:
            for folder in folders:
                if not handle.exists("/" + folder):
                    made.addfile(entry(folder, tarfile.DIRTYPE, 0o700))
            inside = entry("/".join(parts), tarfile.REGTYPE, 0o600)
            if "source" in request:
                inside.size = Path(request["source"]).stat().st_size
                with open(request["source"], "rb") as source:
                    made.addfile(inside, source)
            else:
                data = base64.b64decode(request["data"])
                inside.size = len(data)
                made.addfile(inside, io.BytesIO(data))
        archive.flush()
        handle.tar_in(f"/proc/self/fd/{archive.fileno()}", "/", xattrs=True)


def entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.mode = kind, mode
    made.pax_headers = {"SCHILY.xattr.system.ntfs_acl": PRIVATE.decode("utf-8", "surrogateescape")}
    return made


ANSWERS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "part": part,
    "write_part": write_part,
    "digest": lambda handle, request: handle.checksum("sha256", request["path"]),
    "lay": lay,
    "clean_hibernation": clean_hibernation,
}
