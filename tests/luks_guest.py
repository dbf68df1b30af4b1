# SPDX-License-Identifier: Apache-2.0
"""The real Debian of the tests with its root on LUKS, made by cryptsetup and qemu-img and without root's rights."""

import subprocess
from pathlib import Path

from tests import debian_guest
from tests.debian_guest import write_at, write_file

MIB = 1 << 20
PASSPHRASE = "correct horse battery staple"
LUKS_UUID = "99e7a9fd-e675-47be-b29c-5f39970ee7d7"
FIRST = 1 * MIB
"""Where the partition begins."""


def partitioned(disk: Path, content: Path, kind: str = "83") -> None:
    """One partition with the content, after 1 MiB."""
    sectors = content.stat().st_size // 512
    with disk.open("wb") as out:
        out.truncate(content.stat().st_size + 2 * MIB)
    table = f"start=2048, size={sectors}, type={kind}\n"
    subprocess.run(["/usr/sbin/sfdisk", "-q", disk], input=table, text=True, check=True)
    write_at(disk, FIRST, content)


def qemu_img(folder: Path, command: str, *arguments: object) -> None:
    """qemu-img with the passphrase, which it takes to be the whole of a file."""
    key = folder / "key.qemu"
    key.write_text(PASSPHRASE)
    secret = f"secret,id=key,file={key}"
    subprocess.run(["qemu-img", command, "--object", secret, *map(str, arguments)], check=True, capture_output=True)


def luks_options(path: Path) -> str:
    return f"driver=luks,key-secret=key,file.filename={path}"


def encrypted_disk(folder: Path) -> Path:
    """A disk whose root is opened as vault_crypt at boot."""
    plain, sealed, disk = folder / "plain.raw", folder / "sealed.luks", folder / "disk.raw"
    with plain.open("wb") as out:
        out.truncate((debian_guest.FOLDER / "root.ext4").stat().st_size)
    write_at(plain, 0, debian_guest.FOLDER / "root.ext4")
    with sealed.open("wb") as out:
        out.truncate(plain.stat().st_size + 2 * MIB)
    # QEMU's own would measure the processor for its iterations, which fails on a busy machine.
    form = ["/usr/sbin/cryptsetup", "luksFormat", "-q", "--type", "luks1", "--pbkdf-force-iterations", "1000"]
    subprocess.run([*form, "--uuid", LUKS_UUID, sealed], input=PASSPHRASE.encode(), check=True)
    write_file(plain, 0, "/etc/fstab", "/dev/mapper/vault_crypt / ext4 errors=remount-ro 0 1\n")
    write_file(plain, 0, "/etc/crypttab", "vault_crypt /dev/sda1 none luks\n")
    qemu_img(folder, "convert", "-n", "-f", "raw", "--target-image-opts", plain, luks_options(sealed))
    partitioned(disk, sealed)
    return disk
