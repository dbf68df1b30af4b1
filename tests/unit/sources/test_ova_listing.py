# SPDX-License-Identifier: Apache-2.0
import tarfile
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from v2x.errors import BadImage, InputRefused, Unsupported
from v2x.sources.ova import OvaListing


def _read(listing: OvaListing, name: str) -> bytes:
    with closing(listing.open(name)) as source:
        data = bytearray(source.size)
        source.read_into(0, data)
    return bytes(data)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_read_in_place_are_those_that_tar_wrote(form: int, tmp_path: Path, kit: ModuleType) -> None:
    long_name = "x" * 180 + ".vmdk" if form != tarfile.USTAR_FORMAT else "x" * 90 + ".vmdk"
    expected = {"a.ovf": b"<Envelope/>", "empty.mf": b"", long_name: bytes(range(256)) * 9, "ä.vmdk": b"umlaut"}
    for name, data in expected.items():
        (tmp_path / name).write_bytes(data)
    ova = kit.pack(tmp_path / "t.ova", tmp_path, expected, form)
    with closing(OvaListing.opened(ova)) as listing:
        assert listing.names() == list(expected)
        assert {name: _read(listing, name) for name in expected} == expected


def test_leading_dot_slash_and_folders_are_no_obstacle(tmp_path: Path, kit: ModuleType) -> None:
    with tarfile.open(tmp_path / "t.ova", "w") as archive:
        kit.member(archive, "./", type=tarfile.DIRTYPE)
        kit.member(archive, "./a.ovf", b"one")
    with closing(OvaListing.opened(tmp_path / "t.ova")) as listing:
        assert listing.names() == ["a.ovf"]


def test_sizes_in_base_256_are_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a.ovf")
    info.size = 5
    header = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = b"\x80" + (5).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "t.ova").write_bytes(bytes(header) + b"hello" + bytes(507) + bytes(1024))
    with closing(OvaListing.opened(tmp_path / "t.ova")) as listing:
        assert _read(listing, "a.ovf") == b"hello"


def test_member_clone_outlives_its_listing(tmp_path: Path, kit: ModuleType) -> None:
    (tmp_path / "a.ovf").write_bytes(b"kept")
    listing = OvaListing.opened(kit.pack(tmp_path / "t.ova", tmp_path, ["a.ovf"]))
    with closing(listing.open("a.ovf")) as member:
        listing.close()
        data = bytearray(4)
        member.read_into(0, data)
    assert data == b"kept"


def test_absent_member_is_named(tmp_path: Path, kit: ModuleType) -> None:
    (tmp_path / "a.ovf").write_bytes(b"")
    with (
        closing(OvaListing.opened(kit.pack(tmp_path / "t.ova", tmp_path, ["a.ovf"]))) as listing,
        pytest.raises(InputRefused, match=r"b\.vmdk is missing in t\.ova") as refused,
    ):
        listing.open("b.vmdk")
    assert refused.value.code == "MISSING-FILE"


@pytest.mark.parametrize("text", [b"", b"short", b"this is text\n" * 100, bytes(2048), b"\x7fELF" + bytes(2000)])
def test_other_files_are_not_an_ova(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.ova").write_bytes(text)
    with pytest.raises(InputRefused, match="is not an OVA"):
        OvaListing.opened(tmp_path / "t.ova")


def test_compressed_archive_gets_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "t.ova").write_bytes(b"\x1f\x8b\x08" + bytes(2000))
    with pytest.raises(Unsupported, match="gzip") as refused:
        OvaListing.opened(tmp_path / "t.ova")
    assert "unpack" in refused.value.hint


@pytest.mark.parametrize("cut", [513, 700, 1024 + 512 + 100, 1024 + 511])
def test_truncation_says_where(cut: int, tmp_path: Path, kit: ModuleType) -> None:
    (tmp_path / "a.ovf").write_bytes(b"x" * 300)
    (tmp_path / "b.vmdk").write_bytes(b"y" * 5000)
    ova = kit.pack(tmp_path / "t.ova", tmp_path, ["a.ovf", "b.vmdk"])
    ova.write_bytes(ova.read_bytes()[:cut])
    with pytest.raises(BadImage, match=r"t\.ova is truncated: .* byte [0-9,]+"):
        OvaListing.opened(ova)


def test_damaged_header_says_where(tmp_path: Path, kit: ModuleType) -> None:
    (tmp_path / "a.ovf").write_bytes(b"x" * 300)
    (tmp_path / "b.vmdk").write_bytes(b"y" * 5000)
    ova = kit.pack(tmp_path / "t.ova", tmp_path, ["a.ovf", "b.vmdk"])
    data = bytearray(ova.read_bytes())
    data[1024 + 3] ^= 0xFF
    ova.write_bytes(data)
    with pytest.raises(BadImage, match="no member header at byte 1,024"):
        OvaListing.opened(ova)
