# SPDX-License-Identifier: Apache-2.0
"""What is inside the guest: its root file system and its initramfs, as lists of entries.

The guest is Debian's kernel with a busybox userland: small enough to build in seconds, real enough that a partition
table, a boot loader, a kernel, an initramfs and a journalled file system must all have survived for it to speak.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from v2x.simulators.guest.kernel import Kernel, Module

Drivers = Literal["full", "vmware"]

_FILES = Path(__file__).parent / "files"

STORAGE_VMWARE = ("vmw_pvscsi", "mptspi", "mptsas", "ahci", "ata_piix", "nvme", "sd_mod")
STORAGE_ELSEWHERE = ("xen-blkfront", "virtio_blk", "virtio_scsi", "virtio_pci", "hv_storvsc")
NETWORK = ("vmxnet3", "e1000", "e1000e", "8139cp", "xen-netfront", "virtio_net", "hv_netvsc")
ROOT_FILE_SYSTEM = ("ext4", "crc32c_generic")

_APPLETS = (
    "awk basename cat cp cut dd df dmesg echo findfs getty grep head ip login ls lsmod md5sum mkdir modprobe mount "
    "poweroff reboot rm sh sha256sum sleep sync tail tr umount uname wc"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a tree: a directory (`data` and `target` None), a file (`data`) or a symbolic link (`target`).

    `path` is relative to the root of the tree; a directory comes before what it holds. Everything belongs to root.
    """

    path: str
    mode: int = 0o755
    data: bytes | None = None
    target: str | None = None


def storage_drivers(drivers: Drivers) -> tuple[str, ...]:
    """What the initramfs can find its root on: everything, or the buses of VMware only (it then fails on Xen)."""
    extra = STORAGE_ELSEWHERE if drivers == "full" else ()
    return (*STORAGE_VMWARE, *extra, *ROOT_FILE_SYSTEM)


def initramfs(busybox: bytes, modules: Iterable[Module], release: str) -> bytes:
    """A gzip-compressed newc archive that loads `modules` in their order and switches to the root file system."""
    modules = list(modules)
    places = [f"lib/modules/{release}/{module.path}" for module in modules]
    entries = [
        *_folders(["bin", "dev", "proc", "root", "sys"], places),
        Entry("bin/busybox", data=busybox),
        Entry("init", data=(_FILES / "initramfs-init").read_bytes()),
        Entry("modules", 0o644, "".join(f"/{place}\n" for place in places).encode()),
        *(Entry(place, 0o644, module.data) for place, module in zip(places, modules, strict=True)),
    ]
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(_newc(entries)) + packer.flush()


def root_tree(
    *,
    kernel: Kernel,
    modules: list[Module],
    busybox: bytes,
    initrd: bytes,
    payload: bytes,
    root_uuid: str,
    arguments: str,
) -> list[Entry]:
    """The root file system; `payload` becomes /payload.bin, which the guest checks at every boot."""
    release = kernel.release
    library = f"lib/modules/{release}"
    texts = _settings(root_uuid, release, arguments)
    module_files = {f"{library}/{module.path}": module.data for module in modules}
    files = {
        **{path: text.encode() for path, text in texts.items()},
        **module_files,
        **_module_lists(kernel, modules),
        f"boot/vmlinuz-{release}": kernel.image.read_bytes(),
        f"boot/initrd.img-{release}": initrd,
        "payload.bin": payload,
    }
    if kernel.config.is_file():
        files[f"boot/config-{release}"] = kernel.config.read_bytes()
    folders = ["bin", "dev", "etc", "mnt", "proc", "root", "run", "sbin", "sys", "tmp", "var/log"]
    return [
        *_folders(folders, files),
        Entry("bin/busybox", data=busybox),
        Entry("etc/rc", data=(_FILES / "rc").read_bytes()),
        *(Entry(f"bin/{applet}", target="busybox") for applet in _APPLETS.split()),
        Entry("sbin/init", target="../bin/busybox"),
        *(Entry(path, 0o644, data) for path, data in sorted(files.items())),
    ]


def _settings(root_uuid: str, release: str, extra: str) -> dict[str, str]:
    arguments = f"root=UUID={root_uuid} ro console=tty0 console=ttyS0,115200 net.ifnames=0 {extra}".rstrip()
    return {
        "boot/grub/grub.cfg": (
            "set timeout=0\n"
            "serial --unit=0 --speed=115200\n"
            f"search --no-floppy --fs-uuid --set=root {root_uuid}\n"
            "menuentry 'v2x guest' {\n"
            f"    linux /boot/vmlinuz-{release} {arguments}\n"
            f"    initrd /boot/initrd.img-{release}\n"
            "}\n"
        ),
        "etc/os-release": (
            'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\n'
            'VERSION="12 (bookworm)"\nVERSION_CODENAME=bookworm\nID=debian\nVARIANT="v2x guest"\n'
        ),
        "etc/debian_version": "12.0\n",
        "etc/hostname": "v2x-guest\n",
        "etc/fstab": f"UUID={root_uuid} / ext4 errors=remount-ro 0 1\n",
        "etc/network/interfaces": "auto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n",
        "etc/passwd": "root::0:0:root:/root:/bin/sh\n",
        "etc/group": "root:x:0:\n",
        "etc/modules": "".join(f"{name}\n" for name in NETWORK),
        "etc/inittab": "::sysinit:/etc/rc\ntty1::respawn:/bin/getty 38400 tty1\n::ctrlaltdel:/bin/reboot\n",
        "var/log/boots": "",
    }


def _module_lists(kernel: Kernel, modules: list[Module]) -> dict[str, bytes]:
    """modules.dep for the modules of the guest, and the kernel's own lists of what is built in."""
    by_name = {module.name: module for module in modules}

    def everything_needed(module: Module, seen: list[str]) -> list[str]:
        for name in module.needs:
            if name in by_name and by_name[name].path not in seen:
                seen.append(by_name[name].path)
                everything_needed(by_name[name], seen)
        return seen

    lines = [f"{module.path}: {' '.join(everything_needed(module, []))}".rstrip() for module in modules]
    library = f"lib/modules/{kernel.release}"
    lists = {f"{library}/modules.dep": "".join(f"{line}\n" for line in lines).encode()}
    for name in ("modules.builtin", "modules.order"):
        if (kernel.modules / name).is_file():
            lists[f"{library}/{name}"] = (kernel.modules / name).read_bytes()
    return lists


def _folders(names: Iterable[str], files: Iterable[str]) -> list[Entry]:
    """Every folder of `names` and above `files`, a parent before its children."""
    wanted: set[str] = set()
    for name in (*names, *(file.rpartition("/")[0] for file in files)):
        parts = name.split("/") if name else []
        wanted.update("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    return [Entry(name, 0o1777 if name == "tmp" else 0o755) for name in sorted(wanted)]


def _newc(entries: Iterable[Entry]) -> bytes:
    """A cpio archive in the format that the kernel unpacks (Documentation/driver-api/early-userspace/buffer-format)."""
    archive = bytearray()
    for number, entry in enumerate([*entries, Entry("TRAILER!!!", 0, b"")], start=1):
        kind = 0o040000 if entry.data is None and entry.target is None else 0o100000
        data = entry.data or b""
        name = entry.path.encode() + b"\0"
        mode = 0 if entry.path == "TRAILER!!!" else kind | entry.mode
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        archive += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        archive += bytes(-len(archive) % 4) + data
        archive += bytes(-len(archive) % 4)
    return bytes(archive)
