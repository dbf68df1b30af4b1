# SPDX-License-Identifier: Apache-2.0
"""The log of a VHDX, replayed in memory: against what qemu-img reads from a copy after its own repair."""

import shutil
import subprocess
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.hyperv_images import BAT_AT, FULL, LOG_AT, METADATA_AT, LogEntry, Vhdx, header, put_log, write_sparse
from v2x.disks.probe import check_image
from v2x.disks.vhdx import describe_vhdx, open_vhdx
from v2x.errors import BadImage, Unsupported
from v2x.model.machine import DiskFormat

MIB = 1 << 20
LOG = bytes(range(1, 17))


def content(images: Any, name: str = "x.vhdx") -> bytes:
    reader = open_vhdx(images.listing, name)
    buffer = bytearray(b"\xee" * reader.size)
    reader.read_into(0, buffer)
    reader.close()
    return bytes(buffer)


def after_qemus_repair(images: Any) -> bytes:
    shutil.copyfile(images.path("x.vhdx"), images.path("copy.vhdx"))
    command = ["qemu-img", "check", "-q", "-f", "vhdx", "-r", "all", images.path("copy.vhdx")]
    subprocess.run(command, check=True, capture_output=True)
    return bytes(images.read_by_qemu("copy.vhdx", "vhdx"))


@pytest.fixture
def raw(pattern: Callable[..., bytes]) -> bytes:
    return pattern(6 * MIB, [(0, 6 * MIB)])


@pytest.fixture
def file(raw: bytes) -> bytearray:
    """A VHDX as it should be, from which a test moves something into the log."""
    return Vhdx(raw=raw, shuffle=3).packed()


def table_of(file: bytearray) -> bytes:
    """The first sector of the table, which is emptied where it lies."""
    sector = bytes(file[BAT_AT : BAT_AT + 4096])
    file[BAT_AT : BAT_AT + 4096] = bytes(4096)
    return sector


def entry(sequence: int, tail: int, *changes: tuple[int, bytes | int], file: bytearray, grow: int = 0) -> LogEntry:
    size = len(file)
    return LogEntry(sequence=sequence, tail=tail, changes=changes, flushed=size, last=size + grow)


def test_changed_sectors_of_the_table_count(images: Any, raw: bytes, file: bytearray) -> None:
    sector = table_of(file)
    put_log(file, [(0, entry(7, 0, (BAT_AT, sector), file=file))], LOG)
    write_sparse(images.path("x.vhdx"), file)
    before = images.path("x.vhdx").read_bytes()
    assert content(images) == raw == after_qemus_repair(images)
    assert images.path("x.vhdx").read_bytes() == before
    assert describe_vhdx(images.listing, "x.vhdx").allocated_bytes == 6 * MIB


def test_zeroed_sectors_and_later_changes_count(images: Any, raw: bytes, file: bytearray) -> None:
    """A zero descriptor over the whole table, then its first sector again with one block missing, then with all."""
    sector = table_of(file)
    entries = [
        (0, entry(1, 0, (BAT_AT, MIB), file=file)),
        (4096, entry(2, 0, (BAT_AT, bytes(8) + sector[8:]), (BAT_AT + 8192, 8192), file=file)),
    ]
    put_log(file, entries, LOG)
    file[BAT_AT + 8 : BAT_AT + 16] = b"\xff" * 8
    write_sparse(images.path("x.vhdx"), file)
    assert content(images) == bytes(MIB) + raw[MIB:] == after_qemus_repair(images)
    put_log(file, [(16384 - 4096, entry(3, 0, (BAT_AT, sector), file=file))], LOG)
    write_sparse(images.path("x.vhdx"), file)
    assert content(images) == raw == after_qemus_repair(images)


def test_a_sequence_goes_around_the_end_of_the_log(images: Any, raw: bytes, file: bytearray) -> None:
    sector = table_of(file)
    first = MIB - 4096
    entries = [
        (first, entry(8, first, (BAT_AT, bytes(4096)), file=file)),
        (4096, entry(9, first, (BAT_AT, sector), file=file)),
    ]
    put_log(file, entries, LOG)
    write_sparse(images.path("x.vhdx"), file)
    assert content(images) == raw == after_qemus_repair(images)


def test_the_newest_complete_sequence_counts_and_no_other(images: Any, raw: bytes, file: bytearray) -> None:
    """Older sequences, entries of another log, and a newer sequence whose beginning was overwritten."""
    sector = table_of(file)
    put_log(file, [(40 * 4096, entry(99, 40 * 4096, (BAT_AT, b"\x11" * 4096), file=file))], b"\x77" * 16)
    entries = [
        (0, entry(3, 0, (BAT_AT, b"\x22" * 4096), file=file)),
        (20 * 4096, entry(5, 20 * 4096, (BAT_AT, sector), file=file)),
        (60 * 4096, entry(7, 58 * 4096, (BAT_AT, b"\x33" * 4096), file=file)),
    ]
    put_log(file, entries, LOG)
    write_sparse(images.path("x.vhdx"), file)
    assert content(images) == raw


def test_entries_before_the_tail_were_written_already(images: Any, raw: bytes, file: bytearray) -> None:
    sector = table_of(file)
    wrong = b"\x44" * 4096  # would be seen if it were applied: nothing after it writes there
    entries = [
        (0, entry(3, 0, (METADATA_AT, wrong), file=file)),
        (8192, entry(4, 8192, (BAT_AT, sector), file=file)),
    ]
    put_log(file, entries, LOG)
    write_sparse(images.path("x.vhdx"), file)
    assert content(images) == raw


def test_a_sequence_ends_at_a_torn_entry(images: Any, raw: bytes, file: bytearray) -> None:
    sector = table_of(file)
    entries = [
        (0, entry(3, 0, (BAT_AT, sector), file=file)),
        (8192, entry(4, 0, (BAT_AT, b"\x55" * 4096), file=file)),
    ]
    put_log(file, entries, LOG)
    file[LOG_AT + 8192 + 5000] ^= 1
    write_sparse(images.path("x.vhdx"), file)
    assert content(images) == raw == after_qemus_repair(images)


def test_the_log_makes_the_file_longer(images: Any, raw: bytes, file: bytearray) -> None:
    """The last block was allocated and never written: the file ends before it, and it reads as zeros."""
    sector = table_of(file)
    last = max(int.from_bytes(sector[at : at + 8], "little") >> 20 for at in range(0, 48, 8)) * MIB
    del file[last:]
    number = next(at for at in range(6) if int.from_bytes(sector[at * 8 : at * 8 + 8], "little") == last | FULL)
    put_log(file, [(0, entry(7, 0, (BAT_AT, sector), file=file, grow=MIB))], LOG)
    write_sparse(images.path("x.vhdx"), file)
    expected = raw[: number * MIB] + bytes(MIB) + raw[(number + 1) * MIB :]
    # qemu-img 7.2 leaves the file as short as it is and then calls it damaged; [MS-VHDX] 2.3.3 has it extended.
    assert content(images) == expected


def test_clones_see_the_replayed_log(images: Any, raw: bytes, file: bytearray) -> None:
    sector = table_of(file)
    put_log(file, [(0, entry(7, 0, (BAT_AT, sector), file=file))], LOG)
    write_sparse(images.path("x.vhdx"), file)
    reader = open_vhdx(images.listing, "x.vhdx")
    clone = reader.clone()
    reader.close()
    buffer = bytearray(6 * MIB)
    clone.read_into(0, buffer)
    assert buffer == raw
    assert all(extent.data for extent in clone.extents(0, clone.size))
    clone.close()


def test_other_tools_are_not_given_such_a_file(images: Any, file: bytearray) -> None:
    put_log(file, [(0, entry(7, 0, (BAT_AT, table_of(file)), file=file))], LOG)
    write_sparse(images.path("x.vhdx"), file)
    source = images.listing.open("x.vhdx")
    with pytest.raises(Unsupported, match="not closed cleanly"):
        check_image(source, DiskFormat.VHDX)
    source.close()


def damaged(file: bytearray, damage: str) -> None:
    sector = table_of(file)
    good = entry(7, 0, (BAT_AT, sector), file=file)
    place = 0
    match damage:
        case "truncated":
            good = LogEntry(sequence=7, tail=0, changes=[(BAT_AT, sector)], flushed=len(file) + MIB)
        case "writes over the header":
            good = entry(7, 0, (64 << 10, sector), file=file)
        case "far beyond any file":
            good = entry(7, 0, (1 << 62, sector), file=file)
        case "zeros without end":
            good = entry(7, 0, (BAT_AT, (1 << 64) - 4096), file=file)
        case "grows without end":
            good = LogEntry(sequence=7, tail=0, last=1 << 62)
        case "tail elsewhere":
            good = entry(7, 4096, (BAT_AT, sector), file=file)
        case "number zero":
            good = entry(0, 0, (BAT_AT, sector), file=file)
        case "unaligned change":
            good = entry(7, 0, (BAT_AT + 512, sector), file=file)
    put_log(file, [(place, good)], LOG)
    match damage:
        case "checksum":
            file[LOG_AT + 4] ^= 1
        case "a bit of the data":
            file[LOG_AT + 4096 + 2000] ^= 1
        case "no entry at all":
            file[LOG_AT : LOG_AT + MIB] = bytes(MIB)
        case "version":
            for at in (64 << 10, 128 << 10):
                file[at : at + 4096] = header(at, data_write=uuid.UUID(int=3), log=LOG, versions=(1, 1))


DAMAGES = {
    "truncated": BadImage,
    "writes over the header": BadImage,
    "far beyond any file": BadImage,
    "zeros without end": BadImage,
    "grows without end": BadImage,
    "tail elsewhere": BadImage,
    "number zero": BadImage,
    "unaligned change": BadImage,
    "checksum": BadImage,
    "a bit of the data": BadImage,
    "no entry at all": BadImage,
    "version": Unsupported,
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_log_that_cannot_be_replayed_refuses_the_disk(images: Any, file: bytearray, damage: str) -> None:
    damaged(file, damage)
    write_sparse(images.path("x.vhdx"), file)
    with pytest.raises(DAMAGES[damage]):
        open_vhdx(images.listing, "x.vhdx")
