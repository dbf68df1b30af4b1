# SPDX-License-Identifier: Apache-2.0
"""A guest whose initial RAM disk is built by its own initramfs-tools: packages of this machine on a disk."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests import guests

MIB = 1 << 20
DISK_MIB = 512
_ROOTS = (
    "initramfs-tools",
    "bash",
    "dash",
    "coreutils",
    "grep",
    "sed",
    "findutils",
    "util-linux",
    "zstd",
    "gzip",
    "libc-bin",
)
_MODULES = re.compile(
    r"/(ext4|jbd2|mbcache|crc\w+|nvme\S*|ahci|libahci|ata_\w+|libata|scsi_\w+|sd_mod|virtio\S*|xen\S*)\.ko"
)


def real_guest(folder: Path) -> tuple[Path, str]:
    """The disk, and the version of its kernel. Its kernel's modules are those for disks and file systems."""
    tree = folder / "real"
    _linked(tree)
    for path in sorted({one for package in _closure() for one in _files(package)}):
        _copied(Path(path), tree)
    (version,) = (one.name for one in Path("/lib/modules").iterdir() if (one / "modules.dep").is_file())
    _kernel(tree, version)
    guests.lay(
        tree,
        {
            "/etc/fstab": "/dev/sda1 / ext4 errors=remount-ro 0 1\n",
            "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
            "/etc/network/interfaces": "auto lo\niface lo inet loopback\nauto ens192\niface ens192 inet dhcp\n",
            "/usr/lib/systemd/systemd": "",
        },
    )
    for name in ("proc", "dev", "sys", "tmp", "var/tmp", "run", "root"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    part, whole = folder / "part.raw", folder / "real.raw"
    for path, size in ((part, (DISK_MIB - 2) * MIB), (whole, DISK_MIB * MIB)):
        with open(path, "wb") as out:
            out.truncate(size)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-F", "-d", tree, part], check=True)
    table = f"start=2048, size={(DISK_MIB - 2) * 2048}, type=83\n"
    subprocess.run(["sfdisk", "-q", whole], input=table, text=True, check=True)
    subprocess.run(
        ["dd", f"if={part}", f"of={whole}", "bs=1M", "seek=1", "conv=notrunc,sparse", "status=none"], check=True
    )
    shutil.rmtree(tree)
    part.unlink()
    return whole, version


def _closure() -> set[str]:
    """What these packages depend on, as far as it is installed."""
    found: set[str] = set()
    waiting = list(_ROOTS)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        asked = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Pre-Depends},${Depends};${Status}", name],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.stdout.endswith(" installed"):
            found.add(name)
            waiting += re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9.+-]*)", asked.stdout.partition(";")[0])
    return found


def _files(package: str) -> Iterator[str]:
    listed = subprocess.run(["dpkg-query", "-L", package], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        if line.startswith("/") and not line.startswith(("/usr/share/doc", "/usr/share/man", "/usr/share/locale")):
            yield line


def _linked(tree: Path) -> None:
    """/bin, /lib and /sbin lead into /usr, where they do so here."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / "usr" / name).mkdir(parents=True, exist_ok=True)
        if Path("/", name).is_symlink():
            (tree / name).symlink_to(f"usr/{name}")


def _copied(path: Path, tree: Path) -> None:
    place = tree / str(path.parent.resolve() / path.name).lstrip("/")
    if path.is_symlink() and len(path.parts) > 2:
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_symlink():
            place.symlink_to(path.readlink())
    elif path.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place)
    elif path.is_dir() and not path.is_symlink():
        place.mkdir(parents=True, exist_ok=True)


def _kernel(tree: Path, version: str) -> None:
    source, place = Path("/lib/modules") / version, tree / "usr/lib/modules" / version
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, place)
    for module in source.rglob("*.ko*"):
        if _MODULES.search(str(module)):
            copied = place / module.relative_to(source)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(module, copied)
    (tree / "boot").mkdir(parents=True, exist_ok=True)
    shutil.copy2(Path("/boot") / f"config-{version}", tree / "boot")
    (tree / "boot" / f"initrd.img-{version}").write_bytes(b"the old one")
    subprocess.run(["depmod", "-b", tree, version], check=True)
