# SPDX-License-Identifier: Apache-2.0
"""Raw disks whose guests wrote the head of another format into their first bytes: row 3 of the threat table.

Whoever probes would open the host's file that the head names. What the format is comes from the descriptor or the
person, so the bytes come out as they are, and the named file is looked at by nobody.
"""

import json
import struct
import subprocess
from pathlib import Path

import pytest

from tests.hostile.conftest import Watch
from v2x.disks.probe import check_image
from v2x.disks.qemu_img import checked_image
from v2x.disks.vmdk import open_vmdk
from v2x.errors import InputRefused
from v2x.model.machine import DiskFormat

KIB, MIB = 1024, 1 << 20
SECRET = b"the host's own words\n"


def qcow2_head(folder: Path, named: Path) -> bytes:
    path = folder / "head.qcow2"
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", str(named), "-F", "raw", str(path), "1M"]
    subprocess.run(argv, check=True)
    return path.read_bytes()


def qcow2_data_head(folder: Path, named: Path) -> bytes:
    path = folder / "data.qcow2"
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={folder / 'd.raw'},data_file_raw=on"]
    subprocess.run([*argv, str(path), "1M"], check=True)
    return path.read_bytes().replace(str(folder / "d.raw").encode(), str(named).encode()[: len(str(folder / "d.raw"))])


def vmdk_head(folder: Path, named: Path) -> bytes:
    return (
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
        f'createType="monolithicFlat"\nRW 2048 FLAT "{named}" 0\n'
    ).encode()


def sparse_head(folder: Path, named: Path) -> bytes:
    header = struct.pack("<4sIIQQQQIQQQ", b"KDMV", 1, 3, 2048, 128, 1, 20, 512, 0, 26, 128)
    return header.ljust(512, b"\0") + vmdk_head(folder, named)


def vhdx_head(folder: Path, named: Path) -> bytes:
    path = folder / "head.vhdx"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vhdx", str(path), "1M"], check=True)
    return path.read_bytes()[: 320 * KIB]


def vhd_head(folder: Path, named: Path) -> bytes:
    path = folder / "head.vhd"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vpc", str(path), "1M"], check=True)
    return path.read_bytes()[: 16 * KIB]


HEADS = [qcow2_head, qcow2_data_head, vmdk_head, sparse_head, vhdx_head, vhd_head]


@pytest.fixture
def disk(images, tmp_path, request):
    """A raw disk that begins with the head, and the host's file that the head names."""
    named = tmp_path / "host-file"
    named.write_bytes(SECRET * 60_000)
    head = request.param(tmp_path, named)
    content = head.ljust(2 * MIB, b"\xa5")
    images.path("disk-flat.vmdk").write_bytes(content)
    images.descriptor("disk.vmdk", [f'RW {len(content) // 512} FLAT "disk-flat.vmdk" 0'], kind="monolithicFlat")
    return content


each_head = pytest.mark.parametrize("disk", HEADS, indirect=True, ids=lambda one: one.__name__.removesuffix("_head"))


@each_head
def test_a_flat_disk_with_the_head_of_another_format_is_its_bytes(images, disk):
    reader = open_vmdk(images.listing, "disk.vmdk")
    try:
        held = bytearray(reader.size)
        reader.read_into(0, held)
        assert bytes(held) == disk
        assert SECRET not in held
    finally:
        reader.close()


@each_head
def test_the_gate_takes_a_raw_disk_as_raw_whatever_it_begins_with(images, disk):
    source = images.listing.open("disk-flat.vmdk")
    try:
        assert check_image(source, DiskFormat.RAW).size_bytes == len(disk)
    finally:
        source.close()


@each_head
def test_qemu_is_told_raw_and_reads_the_bytes(images, disk, tmp_path, watched: Watch):
    watched.allow_program("qemu-img")
    with checked_image(images.path("disk-flat.vmdk"), DiskFormat.RAW) as (fd, described):
        told = json.loads(described.removeprefix("json:"))
        assert told["driver"] == "raw"
        out = tmp_path / "out.raw"
        subprocess.run(["qemu-img", "convert", "-O", "raw", described, str(out)], check=True, pass_fds=[fd], timeout=60)
    assert out.read_bytes() == disk


@each_head
@pytest.mark.parametrize("claimed", [DiskFormat.QCOW2, DiskFormat.VMDK])
def test_who_claims_the_other_format_is_refused_where_it_names_a_file(images, disk, claimed):
    source = images.listing.open("disk-flat.vmdk")
    try:
        with pytest.raises(InputRefused):
            check_image(source, claimed)
    finally:
        source.close()
