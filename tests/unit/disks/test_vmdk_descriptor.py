# SPDX-License-Identifier: Apache-2.0
"""The descriptor parser: what products write is read, and what contradicts itself is refused."""

import pytest

from v2x.disks.vmdk.descriptor import ExtentLine, parse_descriptor
from v2x.errors import BadImage, Unsupported

ESXI = """# Disk DescriptorFile
version=1
encoding="UTF-8"
CID=b9807598
parentCID=984805a6
isNativeSnapshot="no"
createType="vmfsSparse"
parentFileNameHint="/vmfs/volumes/501d996c-86c66169/sql/sql.vmdk"
# Extent description
RW 20971520 VMFSSPARSE "sql-000001-delta.vmdk"

# Change Tracking File
changeTrackPath="sql-000001-ctk.vmdk"

# The Disk Data Base
#DDB

ddb.longContentID = "7dfbf361d1fbbf2082b192cffffffffe"
ddb.thinProvisioned = "1"
"""

WORKSTATION = """# Disk DescriptorFile\r
version=1\r
encoding="windows-1252"\r
CID=fffffffe\r
parentCID=ffffffff\r
createType="twoGbMaxExtentFlat"\r
\r
# Extent description\r
RW 4192256 FLAT "caf\xe9-f001.vmdk" 0\r
RDONLY 4192256 FLAT "caf\xe9-f002.vmdk" 63\r
RW 100 ZERO\r
\r
ddb.adapterType = "buslogic"\r
"""


def changed(old: str, new: str) -> bytes:
    assert old in ESXI
    return ESXI.replace(old, new).encode()


def test_an_esxi_delta() -> None:
    found = parse_descriptor(ESXI.encode(), "x.vmdk")
    assert (found.cid, found.parent_cid) == (0xB9807598, 0x984805A6)
    assert found.parent_hint == "/vmfs/volumes/501d996c-86c66169/sql/sql.vmdk"
    assert found.extents == (ExtentLine("RW", 20971520, "VMFSSPARSE", "sql-000001-delta.vmdk", 0),)
    assert found.capacity_bytes == 10 << 30
    assert found.settings["ddb.thinprovisioned"] == "1"
    found.require_readable("x.vmdk")


def test_line_ends_encodings_offsets_and_zero_extents_of_workstation() -> None:
    found = parse_descriptor(WORKSTATION.encode("cp1252"), "x.vmdk")
    assert found.parent_cid is None
    assert found.extents == (
        ExtentLine("RW", 4192256, "FLAT", "café-f001.vmdk", 0),
        ExtentLine("RDONLY", 4192256, "FLAT", "café-f002.vmdk", 63),
        ExtentLine("RW", 100, "ZERO"),
    )
    assert found.adapter_type == "buslogic"
    assert found.capacity_bytes == (2 * 4192256 + 100) * 512


def test_an_eastern_encoding_is_used_when_it_is_named() -> None:
    text = WORKSTATION.replace("windows-1252", "Shift_JIS").replace("café", "仮想")
    assert parse_descriptor(text.encode("shift_jis"), "x").extents[0].file == "仮想-f001.vmdk"


def test_an_unknown_encoding_never_names_a_codec_to_run() -> None:
    text = WORKSTATION.replace("windows-1252", "idna").replace("café", "caf\xe9")
    assert parse_descriptor(text.encode("latin-1"), "x").extents[0].file == "café-f001.vmdk"


def test_padding_that_qemu_leaves_behind_is_ignored() -> None:
    assert parse_descriptor(ESXI.encode() + b"\n\0\n" + bytes(100), "x").cid == 0xB9807598


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "neither a known header"),
        (b"MZ\x90", "neither a known header"),
        (ESXI.encode() + b"\0CID=1", "NUL"),
        (ESXI.encode().ljust((1 << 20) + 1), "too long"),
        (changed("RW 20971520 ", "RW -1 "), "not a valid extent"),
        (changed("RW 20971520 ", "RW 99999999999999999999 "), "not a valid extent"),
        (changed("RW 20971520 ", "RW 9999999999999999999 "), "larger than 64 TiB"),
        (changed(' "sql-000001-delta.vmdk"', ""), "names no file"),
        (changed("RW 20971520 VMFSSPARSE", "# "), "lists no extents"),
        (changed('createType="vmfsSparse"', ""), "createType"),
        (changed("CID=b9807598", "CID=xyz"), "CID"),
        (changed("CID=b9807598\n", ""), "CID"),
        (changed("parentCID=984805a6", "parentCID=1ffffffff"), "parentCID"),
        (changed("version=1", "version=1\nwhat is this"), "line 3: neither"),
        (changed("version=1", "version=1\nCID=00000001"), "second, different value"),
        (changed("version=1", 'version=1\nparentFileNameHint="other.vmdk"'), "second, different value"),
    ],
)
def test_what_is_no_descriptor_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(BadImage, match=reason):
        parse_descriptor(raw, "x.vmdk")


def test_many_extents_may_not_add_up_to_more_than_a_disk_can_be() -> None:
    lines = "\n".join(["RW 100000000000 ZERO"] * 2)
    with pytest.raises(BadImage, match="64 TiB"):
        parse_descriptor(changed("RW 20971520", lines + "\nRW 20971520"), "x.vmdk")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (changed("vmfsSparse", "vmfsRawDeviceMap"), "raw device mapping"),
        (changed("vmfsSparse", "vmfsPassthroughRawDeviceMap"), "raw device mapping"),
        (changed("vmfsSparse", "fullDevice"), "raw device mapping"),
        (changed("VMFSSPARSE", "VMFSRDM"), "raw device mapping"),
        (changed("VMFSSPARSE", "VMFSRAW"), "raw device mapping"),
        (changed("vmfsSparse", "somethingNew"), "unknown kind 'somethingNew'"),
        (changed("VMFSSPARSE", "NOVEL"), "unknown type NOVEL"),
        (changed("RW 20971520", "NOACCESS 20971520"), "NOACCESS"),
        (changed('isNativeSnapshot="no"', 'isNativeSnapshot="yes"'), "storage array"),
        (ESXI.encode() + b'ddb.iofilters = "vmwarevmcrypt"\n', "encrypted"),
        (changed("version=1", 'version=1\nkeyID=abc\nencryptionKeys="vmware:key/list/(x)"'), "encrypted"),
    ],
)
def test_what_cannot_be_read_says_why(raw: bytes, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        parse_descriptor(raw, "x.vmdk").require_readable("x.vmdk")


def test_a_replication_filter_is_not_encryption() -> None:
    parse_descriptor(ESXI.encode() + b'ddb.iofilters = "vmwarelwd"\n', "x").require_readable("x")
