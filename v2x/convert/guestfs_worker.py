# SPDX-License-Identifier: Apache-2.0
"""A program of its own: mounts a guest with libguestfs and answers about its files over a unix socket.

It runs under the system's Python, which has libguestfs's bindings (LGPL), and imports nothing of v2x. Requests and
answers are lines of JSON: {"ask": name, …} and {"is": value} or {"failed": message}; bytes are base64.
"""

import base64
import json
import socket
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# Isolated Python leaves out the program's own folder; last, since modules there have names of the standard library.
sys.path.append(str(Path(__file__).parent))
import guestfs_hives
import guestfs_windows

LARGEST_FILE_BYTES = 8 << 20
UNREADABLE = {"crypto_LUKS", "BitLocker", "zfs_member"}
"""Kinds of what may lie on a partition, by blkid's names, that no operating system is found in as it is."""


class Refused(Exception):
    """A request that cannot be granted."""


def launch(guestfs: Any, disks: Iterable[dict[str, str]], readonly: bool) -> Any:
    """A running appliance with the disks; each is {"socket": path of an NBD export} or {"overlay": path of a QCOW2}."""
    handle = guestfs.GuestFS(python_return_dict=True)
    handle.set_network(False)
    for disk in disks:
        if "socket" in disk:
            server = ["unix:" + disk["socket"]]
            handle.add_drive_opts("", readonly=True, format="raw", protocol="nbd", server=server)
        else:
            handle.add_drive_opts(disk["overlay"], readonly=readonly, format="qcow2")
    handle.launch()
    return handle


def unlock_luks(handle: Any, keys: list[str], readonly: bool) -> dict[str, list[str]]:
    """Opens what is encrypted with LUKS, by the name that the guest's crypttab has for it.

    Only with its own name does the guest's tool for the initial RAM disk know again what is unlocked at boot.
    """
    volumes = [*handle.list_partitions(), *handle.list_devices(), *handle.lvs()]
    encrypted = [device for device in volumes if kind_of(handle, device) == "crypto_LUKS"]
    names = {device: "luks-" + handle.luks_uuid(device) for device in encrypted}
    opened = {
        device: key for device in encrypted if (key := opening_key(handle, device, keys, names[device], readonly))
    }
    if opened:
        handle.lvm_scan(True)
        wanted = {**names, **names_in_crypttab(handle, opened)}
        if any(wanted[device] != names[device] for device in opened):
            handle.vg_activate_all(False)
            for device in opened:
                handle.cryptsetup_close("/dev/mapper/" + names[device])
            for device, key in opened.items():
                handle.cryptsetup_open(device, key, wanted[device], readonly=readonly)
            handle.lvm_scan(True)
    named = {device: handle.canonical_device_name(device) for device in encrypted}
    return {
        "unlocked": [named[device] for device in opened],
        "locked": [named[device] for device in encrypted if device not in opened],
    }


def kind_of(handle: Any, device: str) -> str:
    """What lies on a device, by blkid's names; empty where that is nothing."""
    try:
        return str(handle.vfs_type(device))
    except RuntimeError:
        return ""


def opening_key(handle: Any, device: str, keys: list[str], name: str, readonly: bool) -> str | None:
    for key in keys:
        try:
            handle.cryptsetup_open(device, key, name, readonly=readonly)
        except RuntimeError:
            continue
        return key
    return None


def names_in_crypttab(handle: Any, devices: Iterable[str]) -> dict[str, str]:
    """Device to the name that the first operating system's crypttab gives it."""
    roots = sorted(handle.inspect_os())
    if not roots:
        return {}
    handle.mount_ro(roots[0], "/")
    lines = handle.read_lines("/etc/crypttab") if handle.is_file("/etc/crypttab") else []
    handle.umount_all()
    found = {}
    for fields in (line.split() for line in lines if not line.lstrip().startswith("#")):
        for device in devices:
            uuid = handle.luks_uuid(device)
            if len(fields) >= 2 and fields[1] in {"UUID=" + uuid, "/dev/disk/by-uuid/" + uuid, device}:
                found[device] = fields[0]
    return found


def mount(handle: Any, readonly: bool) -> dict[str, Any]:
    """Mounts the first operating system found; says how many were found, and which of its file systems are missing.

    `unclean`: an NTFS that could only be mounted to be read, since its journal is not empty or it is hibernated.
    """
    roots = sorted(handle.inspect_os())
    if not roots:
        return {"systems": 0, "mounted": [], "unmounted": [], "ntfs": False, "unclean": False}
    points = {**handle.inspect_get_mountpoints(roots[0]), "/": roots[0]}
    ntfs = handle.vfs_type(roots[0]) == "ntfs"
    unmounted = []
    for point in sorted(points, key=len):
        try:
            if readonly:
                handle.mount_ro(points[point], point)
            elif ntfs and point == "/":
                # ntfs-3g would throw the journal away; with this it mounts to be read only.
                handle.mount_options("norecover", points[point], point)
            else:
                handle.mount(points[point], point)
        except RuntimeError:
            if point == "/":
                raise
            unmounted.append(point)
    unclean = not readonly and guestfs_windows.is_read_only(handle)
    mounted = [point for point in points if point not in unmounted]
    return {
        "systems": len(roots),
        "mounted": mounted,
        "unmounted": unmounted,
        "ntfs": ntfs,
        "unclean": ntfs and unclean,
    }


def opened(handle: Any, readonly: bool) -> dict[str, Any]:
    """What is on the disks: the mounted system, and what lies beside file systems."""
    return {**mount(handle, readonly), **identities(handle), "dynamic": guestfs_windows.dynamic(handle)}


def identities(handle: Any) -> dict[str, dict[str, str]]:
    """Devices as libguestfs names them: the UUID of what lies on each, and the kind of what it cannot mount."""
    uuids, kinds = {}, {}
    for device in [*handle.list_partitions(), *handle.list_devices()]:
        try:
            uuid, kind = handle.vfs_uuid(device), handle.vfs_type(device)
        except RuntimeError:
            continue
        name = handle.canonical_device_name(device)
        if uuid and kind not in {"LVM2_member", "linux_raid_member", "zfs_member"}:
            uuids[name] = uuid
        if kind in UNREADABLE:
            kinds[name] = kind
    return {"identities": uuids, "kinds": kinds}


def unlock(handle: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Opens an encrypted volume with a key, then looks for systems anew."""
    handle.umount_all()
    name = "v2x" + request["device"].rpartition("/")[2]
    handle.cryptsetup_open(request["device"], request["key"], name, readonly=request["readonly"])
    return opened(handle, request["readonly"])


def read(handle: Any, request: dict[str, Any]) -> str:
    path = request["path"]
    if not handle.is_file(path, followsymlinks=True):
        raise Refused(path + " in the guest is not a file")
    if handle.filesize(path) > LARGEST_FILE_BYTES:
        raise Refused(f"{path} in the guest is larger than {LARGEST_FILE_BYTES} bytes")
    return base64.b64encode(handle.read_file(path)).decode()


def write(handle: Any, request: dict[str, Any]) -> None:
    path = request["path"]
    existed = handle.exists(path)
    handle.mkdir_p(path.rsplit("/", 1)[0] or "/")
    handle.write(path, base64.b64decode(request["data"]))
    if not existed:
        handle.chmod(request["mode"], path)


def symlink(handle: Any, request: dict[str, Any]) -> None:
    handle.mkdir_p(request["path"].rsplit("/", 1)[0] or "/")
    handle.ln_sf(request["to"], request["path"])


def copy(handle: Any, request: dict[str, Any]) -> None:
    handle.mkdir_p(request["to"].rsplit("/", 1)[0] or "/")
    handle.cp(request["path"], request["to"])


def upload(handle: Any, request: dict[str, Any]) -> None:
    handle.mkdir_p(request["to"].rsplit("/", 1)[0] or "/")
    handle.upload(request["source"], request["to"])


def free(handle: Any, request: dict[str, Any]) -> int:
    """Bytes free on a file system; libguestfs's own list of them has a device with two subvolumes once."""
    told = handle.statvfs(request["path"])
    return int(told["bavail"] * told["frsize"])


def link_of(handle: Any, request: dict[str, Any]) -> str | None:
    path = request["path"]
    return str(handle.readlink(path)) if handle.is_symlink(path) else None


def listdir(handle: Any, request: dict[str, Any]) -> list[str]:
    path = request["path"]
    return sorted(handle.ls(path)) if handle.is_dir(path, followsymlinks=True) else []


ANSWERS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "exists": lambda handle, request: handle.exists(request["path"]),
    "read": read,
    "listdir": listdir,
    "link_of": link_of,
    "write": write,
    "symlink": symlink,
    "copy": copy,
    "upload": upload,
    "size": lambda handle, request: handle.filesize(request["path"]) if handle.is_file(request["path"]) else 0,
    "free": free,
    "remove": lambda handle, request: handle.rm_f(request["path"]),
    "run": lambda handle, request: handle.command(request["argv"]),
    "unlock": unlock,
    **guestfs_windows.ANSWERS,
}
HIVES: dict[str, Callable[[guestfs_hives.OpenHive, Any, dict[str, Any]], Any]] = {
    "subkeys": guestfs_hives.subkeys,
    "values": guestfs_hives.values,
    "value": guestfs_hives.value,
    "change_hive": guestfs_hives.change,
}


def answer(handle: Any, hive: guestfs_hives.OpenHive, request: dict[str, Any]) -> Any:
    name = request["ask"]
    if name in HIVES:
        return HIVES[name](hive, handle, request)
    return ANSWERS[name](handle, request)


def serve(lines: Any, say: Callable[[dict[str, Any]], None]) -> None:
    """Opens what the first line names, then answers until told to close, which is when everything is on disk."""
    opening = json.loads(lines.readline())
    try:
        import guestfs
    except ImportError as problem:
        say({"missing": str(problem)})
        return
    try:
        handle = launch(guestfs, opening["disks"], opening["readonly"])
    except RuntimeError as problem:
        say({"unlaunched": str(problem)})
        return
    try:
        unlocked = unlock_luks(handle, opening["keys"], opening["readonly"])
        say({"is": {**opened(handle, opening["readonly"]), **unlocked}})
    except RuntimeError as problem:
        say({"failed": str(problem)})
        return
    hive = guestfs_hives.OpenHive(handle)
    for line in lines:
        request = json.loads(line)
        try:
            if request["ask"] == "close":
                hive.close()
                handle.umount_all()
                handle.shutdown()
                handle.close()
                say({"is": None})
                return
            say({"is": answer(handle, hive, request)})
        except Refused as problem:
            say({"refused": str(problem)})
        except RuntimeError as problem:
            say({"failed": str(problem)})


def main() -> None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(sys.argv[1])
    with connection, connection.makefile("r", encoding="utf-8") as lines:
        serve(lines, lambda answer: connection.sendall((json.dumps(answer) + "\n").encode()))


if __name__ == "__main__":
    main()
