# SPDX-License-Identifier: Apache-2.0
"""Invariant 22 of the simulated pool: what a VHD stream must be."""

import os
import struct
import subprocess

import pytest

MIB = 1024 * 1024
BLOCK = 2 * MIB


def test_invariant_22_vhd_blocks_land_where_the_table_says(client, content_of, make_vhd):
    one, two = os.urandom(BLOCK), os.urandom(BLOCK)
    vdi = client.vdi(5 * BLOCK)
    stream = make_vhd({1: one, 4: two}, 5 * BLOCK, order=[4, 1])
    record = client.upload(vdi, stream, format="vhd")
    assert record["status"] == "success", record["error_info"]
    assert content_of(vdi) == bytes(BLOCK) + one + bytes(2 * BLOCK) + two


def test_invariant_22_a_vhd_of_qemu_img_without_bitmap_padding_is_taken(client, content_of, tmp_path):
    raw = tmp_path / "in.raw"
    raw.write_bytes(os.urandom(3 * MIB) + bytes(5 * MIB))
    vhd = tmp_path / "out.vhd"
    subprocess.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "force_size=on", str(raw), str(vhd)], check=True
    )
    vdi = client.vdi(8 * MIB)
    assert client.upload(vdi, vhd.read_bytes(), format="vhd")["status"] == "success"
    assert content_of(vdi) == raw.read_bytes()


def test_invariant_22_only_sectors_with_a_bit_are_written(client, content_of, make_vhd):
    old, new = os.urandom(BLOCK), os.urandom(BLOCK)
    vdi = client.vdi(BLOCK)
    client.upload(vdi, old)
    bitmap = bytes([0b01000001]) + bytes(510) + b"\x01"
    stream = make_vhd({0: new}, BLOCK, bitmaps={0: bitmap})
    assert client.upload(vdi, stream, format="vhd")["status"] == "success"
    expected = bytearray(old)
    for sector in (1, 7, 4095):
        expected[sector * 512 : sector * 512 + 512] = new[sector * 512 : sector * 512 + 512]
    assert content_of(vdi) == bytes(expected)


def damaged(stream: bytes, at: int, value: bytes) -> bytes:
    return stream[:at] + value + stream[at + len(value) :]


def mended(stream: bytes) -> bytes:
    """The checksums of footer copy, header and footer made right again, so that only the damage itself is wrong."""
    out = bytearray(stream)
    for start, length, at in ((0, 512, 64), (512, 1024, 36), (len(out) - 512, 512, 64)):
        total = sum(out[start : start + length]) - sum(out[start + at : start + at + 4])
        struct.pack_into(">I", out, start + at, ~total & 0xFFFFFFFF)
    return bytes(out)


@pytest.mark.parametrize(
    ("at", "value", "named"),
    [
        (0, b"donectix", "footer: bad cookie"),
        (12, b"\0\x02\0\0", "footer: bad file format version"),
        (60, b"\0\0\0\x05", "footer: bad disk type"),
        (64, b"\0\0\0\0", "footer: bad checksum"),
        (512, b"cxsparsf", "header: bad cookie"),
        (512 + 8, b"\0\0\0\0\0\0\0\0", "header: bad data offset"),
        (512 + 24, b"\0\x02\0\0", "header: bad version"),
        (512 + 28, b"\0\0\0\0", "header: max_table_entries"),
        (512 + 32, b"\0\x20\0\x01", "header: block size"),
        (512 + 36, b"\0\0\0\0", "header: bad checksum"),
        (512 + 64, b"\xd8\0", "UTF-16"),
        (512 + 576, b"ABCD", "platform code"),
        (1536, b"\0\0\0\x01", "is not ahead of"),
        (-512, b"x", "footer: bad cookie"),
    ],
)
def test_invariant_22_every_check_of_the_vhd_fails_the_task(client, make_vhd, at, value, named):
    stream = make_vhd({0: b"a" * BLOCK, 1: b"b" * BLOCK}, 2 * BLOCK)
    broken = damaged(stream, at if at >= 0 else len(stream) + at, value)
    record = client.upload(client.vdi(2 * BLOCK), broken if "checksum" in named else mended(broken), format="vhd")
    assert (record["status"], record["error_info"][0]) == ("failure", "VDI_IO_ERROR")
    assert named in record["error_info"][1]


def test_invariant_22_the_length_must_be_there_and_exact(client, make_vhd):
    stream = make_vhd({0: b"a" * BLOCK}, BLOCK)
    vdi = client.vdi(BLOCK)
    for body, more in ((stream, {"length": False}), (stream + bytes(1024), {}), (stream[:-512], {})):
        record = client.upload(vdi, body, format="vhd", **more)
        assert record["error_info"][0] == "VDI_IO_ERROR"
    assert client.upload(vdi, stream, format="vhd")["status"] == "success"


def test_invariant_22_sizes_and_parents_are_never_compared(client, content_of, make_vhd):
    vdi = client.vdi(2 * BLOCK)
    small = make_vhd({0: b"a" * BLOCK}, 700 * BLOCK, disk_type=4)
    assert client.upload(vdi, small, format="vhd")["status"] == "success"
    assert content_of(vdi)[:BLOCK] == b"a" * BLOCK
    assert client.upload(vdi, make_vhd({0: b"b" * BLOCK}, BLOCK, disk_type=2), format="vhd")["status"] == "success"


def test_invariant_22_data_beyond_the_end_fails_late(client, content_of, make_vhd):
    vdi = client.vdi(2 * BLOCK + 64 * 1024, sm_config={"image-format": "qcow2"})
    blocks = {0: b"a" * BLOCK, 2: b"c" * BLOCK}
    record = client.upload(vdi, make_vhd(blocks, 3 * BLOCK), format="vhd")
    assert record["error_info"][0] == "VDI_IO_ERROR"
    assert content_of(vdi) == b"a" * BLOCK + bytes(BLOCK) + b"c" * 64 * 1024
    fitting = make_vhd(blocks, 3 * BLOCK, bitmaps={2: b"\xff" * 16 + bytes(496)})
    assert client.upload(vdi, fitting, format="vhd")["status"] == "success"


def test_invariant_22_other_block_sizes_have_their_natural_bitmap(client, content_of, make_vhd):
    vdi = client.vdi(BLOCK)
    data = os.urandom(512 * 1024)
    stream = make_vhd({3: data}, BLOCK, block_size=512 * 1024)
    assert client.upload(vdi, stream, format="vhd")["status"] == "success"
    assert content_of(vdi) == bytes(3 * 512 * 1024) + data
