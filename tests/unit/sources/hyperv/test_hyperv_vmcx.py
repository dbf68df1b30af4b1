# SPDX-License-Identifier: Apache-2.0
"""The reader of .vmcx files, over files written by an independent writer and over one that Hyper-V wrote."""

import struct
import zlib

import pytest

from tests.hyperv_exports import Stored, Vmcx
from tests.hyperv_samples import sample
from v2x.errors import BadImage, Unsupported
from v2x.sources.hyperv.config_vmcx import read_vmcx
from v2x.sources.hyperv.config_xml import read_xml


def test_all_values_come_back_in_all_types() -> None:
    values = {
        "a/integer": -5,
        "a/large": 1 << 62,
        "a/text": "Ünïcode ☃ \U0001f600",
        "a/empty": "",
        "a/yes": True,
        "a/no": False,
        "a/real": 2.5,
        "b/c/d/e/bytes": bytes(range(40)),
        "b/c/long": "x" * 900,
    }
    assert dict(read_vmcx(Vmcx(values).packed(), "x.vmcx").walk()) == values


def test_settings_that_fill_several_tables_keep_their_parents() -> None:
    values = {f"node{number % 7}/deeper{number % 3}/value{number}": "y" * 60 for number in range(400)}
    assert dict(read_vmcx(Vmcx(values).packed(), "x.vmcx").walk()) == values


@pytest.mark.parametrize("generation", [1, 2])
def test_xml_and_vmcx_of_one_machine_are_the_same_tree(generation: int) -> None:
    stored = Stored(generation=generation, scsi={(0, 1): r"D:\a.vhdx"}, extra={"properties/version": 0x900})
    from_xml, from_vmcx = read_xml(stored.xml(), "x.xml"), read_vmcx(stored.vmcx(), "x.vmcx")
    assert sorted(from_xml.walk()) == sorted(from_vmcx.walk())


def test_a_file_that_hyper_v_wrote() -> None:
    settings = read_vmcx(sample("test.vmcx"), "test.vmcx")
    values = dict(settings.walk())
    assert len(values) == 303
    assert settings.text("properties/name") == "Other Location"
    assert settings.number("settings/memory/bank/limit") == 1048576
    assert settings.flag("settings/memory/bank/dynamic_memory_enabled") is False
    assert settings.data("properties/creation_time").hex() == "a76e45669e97d701"
    assert settings.text("manifest/vdev007/name") == "Microsoft Virtual BIOS"
    assert len(settings.at("manifest").children) == 39
    # The runtime state has the same form, ends before its log does, and refers to data elsewhere.
    assert dict(read_vmcx(sample("test.VMRS"), "test.VMRS").walk())["properties/version"] == 2304


def test_the_valid_header_with_the_higher_number_counts() -> None:
    file = bytearray(Stored().vmcx())
    file[8] ^= 0xFF  # the first header is damaged, the second one older but whole
    assert read_vmcx(bytes(file), "x.vmcx").text("properties/name") == "web"
    file[0x1008] ^= 0xFF
    with pytest.raises(BadImage, match="both its headers"):
        read_vmcx(bytes(file), "x.vmcx")


def test_another_version_is_unsupported() -> None:
    file = bytearray(Stored().vmcx())
    for at in (0, 0x1000):
        header = bytearray(file[at : at + 46])
        struct.pack_into("<I", header, 10, 0x500)
        header[4:8] = bytes(4)
        struct.pack_into("<I", header, 4, zlib.crc32(bytes(header)))
        file[at : at + 46] = header
    with pytest.raises(Unsupported, match="version 0x500"):
        read_vmcx(bytes(file), "x.vmcx")


def test_a_file_that_was_not_closed_is_unsupported() -> None:
    file = bytearray(Stored().vmcx())
    head = bytearray(file[0x3000 : 0x3000 + 34])
    struct.pack_into("<I", head, 8, 3)
    head[4:8] = bytes(4)
    struct.pack_into("<I", head, 4, zlib.crc32(bytes(head)))
    file[0x3000 : 0x3000 + 34] = head
    with pytest.raises(Unsupported, match="was not closed") as refused:
        read_vmcx(bytes(file), "x.vmcx")
    assert "export it again" in refused.value.hint


def test_of_two_tables_with_one_number_the_later_counts() -> None:
    """As after a table was written anew elsewhere and the old one not yet given back."""
    old, new = Stored(name="old").vmcx(), Stored(name="new").vmcx()
    first = struct.unpack_from("<Q", old, 0x2008 + 5)[0]
    file = bytearray(old) + new[first : first + 4096]
    place = len(old)
    table = bytearray(file[place : place + 10])
    struct.pack_into("<H", table, 4, 9)
    table[6:10] = bytes(4)
    struct.pack_into("<I", table, 6, zlib.crc32(bytes(table)))
    file[place : place + 10] = table
    free = 0x2008 + 18 * 20
    entry = bytearray(struct.pack("<BIQIB", 2, 0, place, 4096, 1))
    struct.pack_into("<I", entry, 1, zlib.crc32(bytes(entry)))
    file[free : free + 18] = entry
    assert read_vmcx(bytes(file), "x.vmcx").text("properties/name") == "new"


def test_what_stands_elsewhere_or_is_of_an_unknown_type_is_not_told() -> None:
    for at, value in ((1, 1), (0, 12)):
        file = bytearray(Vmcx({"a": 1, "b": 7}).packed())
        place = file.index(b"b\0" + struct.pack("<q", 7)) - 21
        file[place + at] = value
        file[place + 12 : place + 16] = bytes(4)
        struct.pack_into("<I", file, place + 12, zlib.crc32(bytes(file[place : place + 31])))
        assert dict(read_vmcx(bytes(file), "x.vmcx").walk()) == {"a": 1}


@pytest.mark.parametrize("content", [b"", b"\0" * 46, b"MZ" * 5000, Stored().vmcx()[:0x2800], Stored().vmcx()[:0x3010]])
def test_what_is_no_such_file_is_refused(content: bytes) -> None:
    with pytest.raises(BadImage):
        read_vmcx(content, "x.vmcx")
