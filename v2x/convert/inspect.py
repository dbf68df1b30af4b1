# SPDX-License-Identifier: Apache-2.0
"""What a Linux guest is, from its own files: nothing is run, and nothing is believed beyond its configuration."""

import re
from typing import TypeVar

from v2x.convert.files import text_of
from v2x.convert.interface import BootLoader, Family, GuestFiles, Initramfs, Inspection, Kernel

T = TypeVar("T")

DRIVERS = ("xen-blkfront", "xen-netfront", "nvme", "ahci", "ata_piix")
"""Disks and adapters of the pool's machines: paravirtual, and those emulated for the first boot (NVMe under UEFI,
AHCI and IDE under BIOS)."""

_FAMILIES = {
    Family.DEBIAN: {"debian", "ubuntu", "linuxmint", "raspbian"},
    Family.RHEL: {"rhel", "fedora", "centos", "rocky", "almalinux", "ol", "oracle", "amzn"},
    Family.SUSE: {"suse", "opensuse", "sles", "sled", "sles_sap", "opensuse-leap", "opensuse-tumbleweed"},
    Family.ARCH: {"arch", "archlinux", "manjaro"},
}
_PACKAGES = {
    "/usr/bin/dpkg": "apt",
    "/usr/bin/dnf": "dnf",
    "/usr/bin/zypper": "zypper",
    "/usr/bin/pacman": "pacman",
    "/usr/bin/yum": "yum",
    "/usr/bin/rpm": "rpm",
}
_BUILDERS = (
    (Initramfs.INITRAMFS_TOOLS, ("/usr/sbin/update-initramfs", "/etc/initramfs-tools/initramfs.conf")),
    (Initramfs.MKINITCPIO, ("/usr/bin/mkinitcpio", "/etc/mkinitcpio.conf")),
    (Initramfs.DRACUT, ("/usr/bin/dracut", "/usr/sbin/dracut", "/etc/dracut.conf")),
)
_LOADERS = (
    (BootLoader.GRUB, ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/etc/default/grub")),
    (BootLoader.SYSTEMD_BOOT, ("/boot/loader/loader.conf", "/boot/efi/loader/loader.conf")),
    (BootLoader.GRUB_LEGACY, ("/boot/grub/menu.lst", "/boot/grub/grub.conf")),
)


def inspect(files: GuestFiles) -> Inspection:
    """Never fails for a guest that is no Linux, or none that is known: `os` and `family` say so."""
    release = _release(files)
    if not release and not files.exists("/etc/fstab"):
        return Inspection()
    mounts = [line.split() for line in (text_of(files, "/etc/fstab") or "").splitlines() if not line.startswith("#")]
    mounts = [fields for fields in mounts if len(fields) >= 3]
    crypttab = text_of(files, "/etc/crypttab") or ""
    return Inspection(
        os="linux",
        distro=release.get("ID", ""),
        version=release.get("VERSION_ID", ""),
        name=release.get("PRETTY_NAME", ""),
        family=_family(release),
        init=_init(files),
        package_manager=next((name for path, name in _PACKAGES.items() if files.exists(path)), ""),
        boot_loader=_first(files, _LOADERS) or BootLoader.UNKNOWN,
        initramfs=_first(files, _BUILDERS) or Initramfs.UNKNOWN,
        kernels=_kernels(files),
        root_device=next((fields[0] for fields in mounts if fields[1] == "/"), ""),
        efi=files.exists("/boot/efi/EFI") or files.exists("/efi/EFI") or files.exists("/boot/EFI"),
        lvm=bool(files.listdir("/etc/lvm/backup")) or any(one[0].startswith("/dev/mapper/") for one in mounts),
        luks=any(line.strip() and not line.lstrip().startswith("#") for line in crypttab.splitlines()),
        btrfs=any(fields[2] == "btrfs" for fields in mounts),
        zfs=files.exists("/etc/zfs/zpool.cache"),
        selinux=_selinux(files),
    )


def _release(files: GuestFiles) -> dict[str, str]:
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        text = text_of(files, path)
        if text is not None:
            pairs = re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE)
            return {key: value.strip().strip("\"'") for key, value in pairs}
    return {}


def _family(release: dict[str, str]) -> Family:
    names = [release.get("ID", "").lower(), *release.get("ID_LIKE", "").lower().split()]
    return next((family for name in names for family, known in _FAMILIES.items() if name in known), Family.UNKNOWN)


def _init(files: GuestFiles) -> str:
    if files.exists("/usr/lib/systemd/systemd") or files.exists("/lib/systemd/systemd"):
        return "systemd"
    return "sysvinit" if files.exists("/etc/inittab") else ""


def _first(files: GuestFiles, ways: tuple[tuple[T, tuple[str, ...]], ...]) -> T | None:
    return next((value for value, paths in ways if any(files.exists(path) for path in paths)), None)


def _selinux(files: GuestFiles) -> bool:
    setting = re.search(r"^\s*SELINUX\s*=\s*(\w+)", text_of(files, "/etc/selinux/config") or "", re.MULTILINE)
    return setting is not None and setting[1].lower() != "disabled"


def _kernels(files: GuestFiles) -> tuple[Kernel, ...]:
    """Kernels whose modules are installed; a folder without a list of modules is a rest of a removed one."""
    found = []
    for version in files.listdir("/lib/modules"):
        folder = f"/lib/modules/{version}"
        loadable = text_of(files, f"{folder}/modules.dep")
        if loadable is not None:
            built_in = text_of(files, f"{folder}/modules.builtin") or ""
            found.append(Kernel(version=version, modules=_drivers(loadable), built_in=_drivers(built_in)))
    return tuple(found)


def _drivers(listing: str) -> frozenset[str]:
    """Which of DRIVERS are listed; a module's file may have either dash, and may be compressed."""
    names = re.findall(r"^(?:[^:\n]*/)?([\w-]+)\.ko(?:\.\w+)?(?::|$)", listing, re.MULTILINE)
    present = {name.replace("_", "-") for name in names}
    return frozenset(name for name in DRIVERS if name.replace("_", "-") in present)
