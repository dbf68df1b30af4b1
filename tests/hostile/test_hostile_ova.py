# SPDX-License-Identifier: Apache-2.0
"""Archives that try to make v2x read outside of them, disagree with other tools, or run out of memory.

Each test is named after its threat: row 9 of the threat table.
"""

import importlib.util
import random
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.conftest import Watch
from v2x.errors import BadImage, InputRefused, UnsafeImage, Unsupported, V2xError
from v2x.sources import open_source
from v2x.sources.ova import OvaListing


def _kit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("appliances", Path(__file__).parents[1] / "appliances.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kit = _kit()
Fill = Callable[[tarfile.TarFile], None]


def _ova(folder: Path, fill: Fill, form: int = tarfile.USTAR_FORMAT) -> Path:
    path = folder / "t.ova"
    with tarfile.open(path, "w", format=form) as archive:
        kit.member(archive, "t.ovf", kit.ovf([("d.vmdk", 1 << 20)]).encode())
        fill(archive)
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a character device"),
        (tarfile.BLKTYPE, "a block device"),
        (tarfile.FIFOTYPE, "a pipe"),
        (b"V", "unknown kind"),
    ],
)
def test_links_devices_and_pipes_are_never_opened(kind: bytes, words: str, tmp_path: Path) -> None:
    ova = _ova(tmp_path, lambda archive: kit.member(archive, "d.vmdk", type=kind, linkname="/etc/passwd"))
    with closing(OvaListing.opened(ova)) as listing:
        assert listing.names() == ["t.ovf"]
        with pytest.raises(UnsafeImage, match=words):
            listing.open("d.vmdk")
    with open_source(ova) as source:
        assert source.inventory().machines[0].disks[0].backing == "missing"


@pytest.mark.parametrize(
    "name", ["../d.vmdk", "/etc/passwd", "a/../../d.vmdk", "sub/d.vmdk", "..", "C:d.vmdk", "a\\d.vmdk", "x" * 99 + "/y"]
)
def test_traversal_names_are_never_opened(name: str, tmp_path: Path) -> None:
    ova = _ova(tmp_path, lambda archive: kit.member(archive, name, b"x"), tarfile.GNU_FORMAT)
    with closing(OvaListing.opened(ova)) as listing:
        assert listing.names() == ["t.ovf"]
        assert list(listing.ignored) == [name]
        with pytest.raises(InputRefused):
            listing.open(name)


def test_pax_path_cannot_smuggle_a_traversal(tmp_path: Path) -> None:
    def fill(archive: tarfile.TarFile) -> None:
        kit.member(archive, "d.vmdk", b"x", pax_headers={"path": "../../d.vmdk"})

    with closing(OvaListing.opened(_ova(tmp_path, fill, tarfile.PAX_FORMAT))) as listing:
        assert listing.names() == ["t.ovf"]


def test_duplicate_names_refuse_the_archive(tmp_path: Path) -> None:
    def fill(archive: tarfile.TarFile) -> None:
        kit.member(archive, "d.vmdk", b"one")
        kit.member(archive, "./d.vmdk", b"two")

    with pytest.raises(UnsafeImage, match="two members named"):
        OvaListing.opened(_ova(tmp_path, fill))


def test_sparse_members_are_unsupported(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="sparse") as refused:
        OvaListing.opened(_ova(tmp_path, lambda archive: kit.member(archive, "d.vmdk", type=tarfile.GNUTYPE_SPARSE)))
    assert "ustar" in refused.value.hint

    def fill(archive: tarfile.TarFile) -> None:
        kit.member(archive, "d.vmdk", b"x", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})

    with pytest.raises(Unsupported, match="sparse"):
        OvaListing.opened(_ova(tmp_path, fill, tarfile.PAX_FORMAT))


@pytest.mark.parametrize("size", [2**63, 2**63 - 1, 2**64, 2**33])
def test_pax_size_beyond_the_file_is_truncation(size: int, tmp_path: Path) -> None:
    def fill(archive: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("d.vmdk")
        info.pax_headers = {"size": str(size)}
        archive.addfile(info)

    with pytest.raises(BadImage, match=r"truncated|no valid size"):
        OvaListing.opened(_ova(tmp_path, fill, tarfile.PAX_FORMAT))


@pytest.mark.parametrize("field", [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"99999999999\0", b"-0000000001\0"])
def test_impossible_size_fields_are_refused(field: bytes, tmp_path: Path) -> None:
    ova = _ova(tmp_path, lambda archive: kit.member(archive, "d.vmdk", b"x"))
    data = bytearray(ova.read_bytes())
    start = data.index(b"d.vmdk\0" + bytes(20))
    data[start + 124 : start + 136] = field
    data[start + 148 : start + 156] = b" " * 8
    data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
    ova.write_bytes(data)
    with pytest.raises(BadImage, match=r"truncated|no valid size"):
        OvaListing.opened(ova)


def test_extended_headers_are_bounded(tmp_path: Path) -> None:
    def fill(archive: tarfile.TarFile) -> None:
        kit.member(archive, "d.vmdk", b"x", pax_headers={"comment": "y" * 100_000})

    with pytest.raises(UnsafeImage, match="extended header"):
        OvaListing.opened(_ova(tmp_path, fill, tarfile.PAX_FORMAT))


def test_global_header_cannot_rename_all_members(tmp_path: Path) -> None:
    path = tmp_path / "t.ova"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, pax_headers={"path": "t.ovf"}) as archive:
        kit.member(archive, "a", b"x")
    with pytest.raises(UnsafeImage, match="to all of its members"):
        OvaListing.opened(path)


@pytest.mark.parametrize(
    "records", [b"9 a=b\n", b"x", b"0 =\n", b"99999999999999999999 a=b\n", b"6 abc\n", b"-1 a=b\n"]
)
def test_malformed_extended_headers_are_damage(records: bytes, tmp_path: Path) -> None:
    def fill(archive: tarfile.TarFile) -> None:
        kit.member(archive, "pax", records, type=tarfile.XHDTYPE)
        kit.member(archive, "d.vmdk", b"x")

    with pytest.raises(BadImage, match="extended header"):
        OvaListing.opened(_ova(tmp_path, fill))


def test_extended_header_at_the_end_is_truncation(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="has no member"):
        OvaListing.opened(_ova(tmp_path, lambda archive: kit.member(archive, "pax", b"6 a=b\n", type=tarfile.XHDTYPE)))


def test_a_flood_of_members_is_refused(tmp_path: Path) -> None:
    header = tarfile.TarInfo("t.ovf").tobuf(tarfile.USTAR_FORMAT)
    names = (b"%07d" % number for number in range(10_001))
    blocks = []
    base = sum(header) - sum(header[148:156]) + 8 * 32
    for name in names:
        block = bytearray(header)
        block[0:7] = name
        block[148:156] = b"%06o\0 " % (base - sum(header[0:7]) + sum(name))
        blocks.append(bytes(block))
    (tmp_path / "t.ova").write_bytes(b"".join(blocks) + bytes(1024))
    with pytest.raises(UnsafeImage, match="more than 10,000 members"):
        OvaListing.opened(tmp_path / "t.ova")


def test_the_archive_itself_may_not_be_a_link_or_device(tmp_path: Path, watched: Watch) -> None:
    watched.allow("/dev/zero")
    real = _ova(tmp_path, lambda archive: None)
    (tmp_path / "link.ova").symlink_to(real)
    with pytest.raises(UnsafeImage, match="symbolic link"):
        OvaListing.opened(tmp_path / "link.ova")
    with pytest.raises(UnsafeImage, match="not a regular file"):
        OvaListing.opened("/dev/zero")


def test_names_that_are_no_text_are_never_opened(tmp_path: Path) -> None:
    ova = _ova(tmp_path, lambda archive: kit.member(archive, "d\udcff.vmdk", b"x"))
    with closing(OvaListing.opened(ova)) as listing:
        for name in [*listing.names(), *listing.ignored]:
            name.encode("utf-8")


def test_manifest_of_a_hostile_archive_cannot_name_files_outside(tmp_path: Path) -> None:
    ova = _ova(tmp_path, lambda archive: kit.member(archive, "t.mf", b"SHA1(../../etc/passwd)= " + b"0" * 40))
    with pytest.raises(UnsafeImage, match="not a plain file name"):
        open_source(ova)


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    def fill(archive: tarfile.TarFile) -> None:
        kit.member(archive, "d.vmdk", random.Random(7).randbytes(2000))
        kit.member(archive, "n" * 150 + ".mf", b"")

    return _ova(tmp_path_factory.mktemp("golden"), fill, tarfile.PAX_FORMAT).read_bytes()


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    changes=st.lists(st.tuples(st.integers(0, 8191), st.integers(0, 255)), min_size=1, max_size=12),
    cut=st.integers(0, 9000),
)
def test_mutated_archives_raise_nothing_but_refusals(
    changes: list[tuple[int, int]], cut: int, golden: bytes, tmp_path: Path
) -> None:
    data = bytearray(golden)
    for position, value in changes:
        data[position % len(data)] = value
    # A header's checksum is made right again, so that the damage reaches what lies behind it.
    for start in range(0, len(data) - 512, 512):
        if data[start + 257 : start + 262] == b"ustar":
            data[start + 148 : start + 156] = b" " * 8
            data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
    path = tmp_path / "m.ova"
    path.write_bytes(bytes(data[: cut if cut < 8000 and changes[0][1] < 64 else len(data)]))
    try:
        with open_source(path) as source:
            source.inventory()
    except V2xError as refused:
        assert refused.exit_code == 6
