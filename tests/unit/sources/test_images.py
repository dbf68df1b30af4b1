# SPDX-License-Identifier: Apache-2.0
"""VHD and VHDX disks beside a descriptor and inside an archive, chains included, and the conversion of single files."""

import tarfile
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.hyperv_images import BAT_AT, LogEntry, Vhd, Vhdx, linkage, put_log, write_sparse
from v2x.cli.converting import open_disk
from v2x.disks.interface import DiskReader
from v2x.disks.listing import FolderListing, Listing
from v2x.errors import InputRefused
from v2x.model.machine import DiskFormat
from v2x.sources.chunks import ChunkListing
from v2x.sources.images import describe_image, image_files, open_image
from v2x.sources.ova import OvaListing

MIB = 1 << 20
BASE, CHILD = uuid.UUID(int=41), uuid.UUID(int=42)
KINDS = {"vhd": DiskFormat.VHD, "vhdx": DiskFormat.VHDX}


def content(reader: DiskReader) -> bytes:
    buffer = bytearray(reader.size)
    reader.read_into(0, buffer)
    reader.close()
    return bytes(buffer)


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def chain(images: Any, pattern: Callable[..., bytes], kind: str) -> tuple[list[str], bytes]:
    """The files of a chain of two, the child first, and what it holds."""
    raw = pattern(3 * MIB + 1024, [(0, 3 * MIB + 1024)])
    names = [f"disk.a{kind}", f"base.{kind}"]
    if kind == "vhd":
        Vhd(raw=raw, sectors={0: None, 1: None}, unique=BASE).write(images.path(names[1]))
        link = (BASE, 700_000_000, "base.vhd")
        Vhd(raw=bytes(len(raw)), sectors={1: {0}}, unique=CHILD, parent=link).write(images.path(names[0]))
    else:
        Vhdx(raw=raw, data_write=BASE).write(images.path(names[1]))
        child = Vhdx(raw=bytes(len(raw)), data_write=CHILD, parent=linkage(BASE), sectors={2: {0}})
        child.write(images.path(names[0]))
    return names, raw[: 2 * MIB] + bytes(512) + raw[2 * MIB + 512 :]


@pytest.fixture(params=["folder", "archive"])
def listing(request: pytest.FixtureRequest, images: Any, chain: Any, tmp_path: Path) -> Any:
    if request.param == "folder":
        yield images.listing
        return
    with tarfile.open(tmp_path / "x.ova", "w") as archive:
        for name in images.listing.names():
            archive.add(images.path(name), name)
    with closing(OvaListing.opened(tmp_path / "x.ova")) as opened:
        yield opened


def test_a_chain_is_found_described_and_read(listing: Listing, chain: tuple[list[str], bytes], kind: str) -> None:
    names, expected = chain
    for given in (names[:1], names):
        facts = describe_image(listing, given, KINDS[kind])
        assert facts is not None
        assert (facts.capacity_bytes, facts.subformat) == (len(expected), "differencing")
        assert facts.chain == facts.files == tuple(names)
        assert facts.allocated_bytes
        assert facts.problem == ""
        assert image_files(listing, given, KINDS[kind]) == tuple(names)
        assert content(open_image(listing, given, KINDS[kind])) == expected


def test_a_missing_parent_is_told_with_its_name(images: Any, chain: tuple[list[str], bytes], kind: str) -> None:
    names, _ = chain
    images.path(names[1]).unlink()
    facts = describe_image(images.listing, names[:1], KINDS[kind])
    assert facts is not None
    assert "needs a parent" in facts.problem
    assert facts.missing == (names[1] if kind == "vhd" else "parent.vhdx",)
    with pytest.raises(InputRefused):
        open_image(images.listing, names[:1], KINDS[kind])


def test_a_disk_in_chunks_is_read(images: Any, pattern: Callable[..., bytes], kind: str) -> None:
    raw = pattern(2 * MIB, [(MIB, 5000)])
    if kind == "vhd":
        images.by_qemu("x.vhd", raw, "force_size=on", format="vpc")
    else:
        images.by_qemu("x.vhdx", raw, format="vhdx")
    whole = images.path(f"x.{kind}").read_bytes()
    images.path(f"x.{kind}").unlink()
    for number, at in enumerate(range(0, len(whole), MIB)):
        images.path(f"x.{kind}.{number:09d}").write_bytes(whole[at : at + MIB])
    listing = ChunkListing(images.listing, {f"x.{kind}": MIB})
    assert content(open_image(listing, [f"x.{kind}"], KINDS[kind])) == raw


def test_convert_opens_chains_natively(images: Any, chain: tuple[list[str], bytes], kind: str) -> None:
    names, expected = chain
    assert content(open_disk(images.path(names[0]), KINDS[kind])) == expected


def test_convert_opens_a_vhdx_that_was_not_closed_cleanly(images: Any, pattern: Callable[..., bytes]) -> None:
    raw = pattern(2 * MIB, [(0, 2 * MIB)])
    file = Vhdx(raw=raw).packed()
    table = bytes(file[BAT_AT : BAT_AT + 4096])
    file[BAT_AT : BAT_AT + 4096] = bytes(4096)
    put_log(file, [(0, LogEntry(sequence=1, tail=0, changes=[(BAT_AT, table)]))], b"\3" * 16)
    write_sparse(images.path("x.vhdx"), file)
    assert content(open_disk(images.path("x.vhdx"), DiskFormat.VHDX)) == raw


def test_reading_needs_no_other_program(
    images: Any, chain: tuple[list[str], bytes], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("v2x.disks.nbd.libnbd", None)
    names, expected = chain
    folder = FolderListing(images.folder)
    reader = open_image(folder, names[:1], KINDS[kind])
    folder.close()
    assert content(reader) == expected
