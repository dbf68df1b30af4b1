# SPDX-License-Identifier: Apache-2.0
"""A disk read back from a pool: through the VHD export at the cost of its data, through the raw one where need be."""

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from v2x.disks.extent import Extent, touched_blocks
from v2x.errors import TargetError, V2xError
from v2x.migrate.digests import DigestTable, digest_of
from v2x.migrate.observe import Silent
from v2x.migrate.verify import VerifyMismatch, verify_disk
from v2x.model.machine import Firmware
from v2x.model.migration import VerifyLevel
from v2x.model.target import SecureBoot, TargetDisk, TargetMachine
from v2x.model.units import GIB, MIB
from v2x.secrets import Secret
from v2x.simulators.xapi import Pool
from v2x.simulators.xapi.transfer import encode, export_vdi
from v2x.target import open_xapi
from v2x.target.interface import Claim
from v2x.target.xapi import readback
from v2x.target.xapi.pool import XapiTarget
from v2x.target.xapi.readback import VdiReader
from v2x.target.xapi.transfer import Transfer
from v2x.tls import Trust

BLOCK = 2 * MIB
SIZE = 64 * BLOCK
BLOCKS = [1, 2, 17, 40, 63]
OVERHEAD = 64 * 1024


def data_of(number: int) -> bytes:
    return random.Random(number).randbytes(BLOCK)


@dataclass
class Held:
    """A claimed disk of 64 blocks on a pool, with data in BLOCKS; `received` counts the bytes of all exports."""

    pool: Pool
    target: XapiTarget
    claim: Claim
    formats: list[str]
    received: int = 0

    def reader(self) -> VdiReader:
        return self.target.reader(self.claim, self.claim.disks[0])

    def poke(self, offset: int, data: bytes) -> None:
        with self.pool.vdi_path(self.claim.disks[0].id).open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def verify(self, level: VerifyLevel = VerifyLevel.FULL, blocks: list[int] = BLOCKS) -> None:
        table = DigestTable()
        for number in blocks:
            table.add(number, digest_of(bytearray(data_of(number))))
        reader = self.reader()
        try:
            verify_disk(reader, table.record(BLOCK, SIZE), level, Silent(), disk="d", label="web disk")
        finally:
            reader.close()

    def settled(self) -> None:
        """Nothing stays behind on the pool: no task, no attachment."""
        assert self.pool.records("task") == {}


@pytest.fixture
def held(simulated_pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    pool = simulated_pool()
    sr = str(pool.records("SR")[pool.ref_by_name("SR", "NFS storage")]["uuid"])
    disk = TargetDisk(source_disk="d", name="web disk", description="", sr=sr, size_bytes=SIZE, device="0")
    spec = TargetMachine(
        source_id="m", name="web", description="", firmware=Firmware.BIOS, secure_boot=SecureBoot.FALSE, vtpm=False,
        vcpus=1, memory_bytes=GIB, platform={}, boot_order="c", template="other-install-media", disks=(disk,),
    )  # fmt: skip
    host, _, port = pool.address.partition(":")
    with open_xapi(
        host, int(port), pool.user, Secret(pool.password), Trust(fingerprint=pool.fingerprint), patience_seconds=3.0
    ) as target:
        one = Held(pool, target, target.claim(spec, "tag"), [])
        for number in BLOCKS:
            one.poke(number * BLOCK, data_of(number))
        real_receive = Transfer.receive_into

        def counted(transfer: Transfer, buffer: memoryview) -> int:
            count = real_receive(transfer, buffer)
            one.received += count
            return count

        monkeypatch.setattr(Transfer, "receive_into", counted)
        for form, sender in list(export_vdi._SENDERS.items()):
            monkeypatch.setitem(export_vdi._SENDERS, form, noted(one.formats, form, sender))
        yield one


def noted(formats: list[str], form: str, sender: Callable[..., None]) -> Callable[..., None]:
    def send(volume: Any, sends: Callable[[bytes], None]) -> None:
        formats.append(form)
        sender(volume, sends)

    return send


@pytest.fixture
def sends(held: Held, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[bytearray], bytes | bytearray]], None]:
    """Makes the pool send a changed VHD: the given function makes it of the right one."""

    def change(changed: Callable[[bytearray], bytes | bytearray]) -> None:
        def send(volume: Any, sender: Callable[[bytes], None]) -> None:
            whole = bytearray()
            encode.send_vhd(volume, whole.extend)
            sender(bytes(changed(whole)))

        monkeypatch.setitem(export_vdi._SENDERS, "vhd", noted(held.formats, "vhd", send))

    return change


def summed(vhd: bytearray, at: int, length: int, check: int) -> bytearray:
    """`vhd` with the checksum at `check` of the structure at `at` made right again."""
    vhd[at + check : at + check + 4] = bytes(4)
    struct.pack_into(">I", vhd, at + check, ~sum(vhd[at : at + length]) & 0xFFFFFFFF)
    return vhd


def footer_field(vhd: bytearray, form: str, at: int, value: int) -> bytearray:
    struct.pack_into(form, vhd, at, value)
    return summed(vhd, 0, 512, 64)


def header_field(vhd: bytearray, form: str, at: int, value: int) -> bytearray:
    struct.pack_into(form, vhd, 512 + at, value)
    return summed(vhd, 512, 1024, 36)


def entry(vhd: bytearray, block: int, sector: int) -> bytearray:
    struct.pack_into(">I", vhd, 1536 + 4 * block, sector)
    return vhd


def entry_of(vhd: bytearray, block: int) -> int:
    return int(struct.unpack_from(">I", vhd, 1536 + 4 * block)[0])


def test_verifying_costs_the_data_only(held: Held) -> None:
    held.verify()
    assert held.formats == ["vhd"]
    assert len(BLOCKS) * BLOCK < held.received < len(BLOCKS) * (BLOCK + 512) + OVERHEAD
    held.settled()


def test_the_sample_ends_early(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("v2x.migrate.verify.SAMPLE_BLOCKS", 2)
    held.poke(40 * BLOCK, b"\xff")
    held.verify(VerifyLevel.SAMPLE)
    assert held.received < 4 * BLOCK
    held.settled()


def test_extents_are_the_blocks_with_data(held: Held) -> None:
    reader = held.reader()
    extents = list(reader.extents(0, reader.size))
    assert list(touched_blocks(extents, BLOCK)) == BLOCKS
    assert sum(extent.length for extent in extents) == SIZE
    assert list(reader.extents(BLOCK + 5, BLOCK)) == [Extent(BLOCK + 5, BLOCK, True)]
    assert held.received < OVERHEAD
    reader.close()
    held.settled()


@pytest.mark.parametrize(("offset", "told"), [(2 * BLOCK + 70_000, "differs"), (63 * BLOCK, "differs")])
def test_a_changed_byte_is_found(held: Held, offset: int, told: str) -> None:
    byte = data_of(offset // BLOCK)[offset % BLOCK]
    held.poke(offset, bytes([byte ^ 1]))
    with pytest.raises(VerifyMismatch, match=f"{told} in the block at byte {offset // BLOCK * BLOCK:,}"):
        held.verify()


def test_stray_data_is_found(held: Held) -> None:
    held.poke(30 * BLOCK + 12345, b"\x01")
    with pytest.raises(VerifyMismatch, match=f"holds data at byte {30 * BLOCK:,}"):
        held.verify()


def test_a_block_that_never_arrived_is_found(held: Held) -> None:
    with pytest.raises(VerifyMismatch, match=f"differs in the block at byte {29 * BLOCK:,}"):
        held.verify(blocks=[1, 2, 17, 29, 40, 63])


def test_any_order_of_reading_gives_the_same_bytes(held: Held) -> None:
    wanted = bytearray(SIZE)
    for number in BLOCKS:
        wanted[number * BLOCK : (number + 1) * BLOCK] = data_of(number)
    reader = held.reader()
    chance = random.Random(5)
    places = [(chance.randrange(SIZE - 9000), 9000) for _ in range(6)]
    places += [
        (BLOCK + 100, 50),
        (BLOCK + 200, 50),
        (BLOCK + 50, 10),
        (0, 4 * BLOCK),
        (SIZE - 512, 512),
        (16 * BLOCK, BLOCK + 1),
    ]
    for offset, length in places:
        part = bytearray(length)
        reader.read_into(offset, part)
        assert part == wanted[offset : offset + length]
    reader.close()
    reader.close()
    assert "raw" not in held.formats
    held.settled()


def test_an_empty_disk_is_its_table(held: Held) -> None:
    path = held.pool.vdi_path(held.claim.disks[0].id)
    path.write_bytes(b"")
    with path.open("r+b") as file:
        file.truncate(SIZE)
    held.verify(blocks=[])
    assert held.received < 4096
    held.settled()


def test_sectors_without_their_bit_are_zeros(held: Held, sends: Callable[..., None]) -> None:
    def change(vhd: bytearray) -> bytearray:
        at = entry_of(vhd, 2) * 512
        vhd[at] = 0b0011_1111
        vhd[at + 511] = 0b1111_1110
        return vhd

    sends(change)
    reader, got = held.reader(), bytearray(BLOCK)
    reader.read_into(2 * BLOCK, got)
    assert got == bytes(1024) + data_of(2)[1024:-512] + bytes(512)
    part = bytearray(1000)
    reader.read_into(2 * BLOCK + 600, part)
    assert part == bytes(424) + data_of(2)[1024:1600]
    reader.close()
    held.settled()


def test_a_table_with_room_to_grow_and_a_gap_before_the_blocks(held: Held, sends: Callable[..., None]) -> None:
    """Hosts make tables for the largest disk, and put a batmap between the table and the blocks."""

    def change(vhd: bytearray) -> bytearray:
        shift = 7 * 512
        for number in BLOCKS:
            entry(vhd, number, entry_of(vhd, number) + shift // 512)
        grown = vhd[:2048] + b"\xff" * 1024 + bytes(shift - 1024) + vhd[2048:]
        return header_field(grown, ">I", 28, 128 + 256)

    sends(change)
    held.verify()
    assert held.formats == ["vhd"]
    held.settled()


def moved_down(vhd: bytearray) -> bytearray:
    first, second = entry_of(vhd, 1), entry_of(vhd, 2)
    return entry(entry(vhd, 1, second), 2, first)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(moved_down, id="blocks in another order"),
        pytest.param(lambda vhd: footer_field(vhd, ">I", 60, 4), id="differencing"),
        pytest.param(lambda vhd: header_field(vhd, ">I", 32, 4 * MIB), id="other block size"),
        pytest.param(lambda vhd: b"", id="nothing at all"),
        pytest.param(lambda vhd: b"HTTP/1.1 500 Internal Server Error\r\n\r\n", id="failure text"),
    ],
)
def test_the_raw_export_takes_its_place(held: Held, sends: Callable[..., None], change: Any) -> None:
    sends(change)
    held.verify()
    assert held.formats == ["vhd", "raw"]
    assert held.received >= SIZE
    held.settled()


def test_the_pool_fails_the_vhd_export(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_vdi, "VHD_LIMIT_BYTES", BLOCK)
    held.verify()
    assert held.formats == ["raw"]
    held.settled()


def test_disks_above_the_limit_of_vhd_are_read_raw(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readback, "VHD_LIMIT_BYTES", SIZE - 1)
    held.verify()
    assert held.formats == ["raw"]
    held.settled()


def test_both_exports_fail_and_the_task_tells_why(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("sm")

    for form in ("vhd", "raw"):
        monkeypatch.setitem(export_vdi._SENDERS, form, refuse)
    with pytest.raises(
        TargetError, match="reading web disk: the host could not read or write the disk: connection lost: sm"
    ):
        held.verify()
    held.settled()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(lambda vhd: b"\x7fELF" + bytes(4096), "does not begin with a VHD footer", id="foreign"),
        pytest.param(lambda vhd: vhd[:8] + b"\x01" + vhd[9:], "checksum of its footer", id="footer checksum"),
        pytest.param(lambda vhd: footer_field(vhd, ">I", 60, 9), "disk type 9", id="disk type"),
        pytest.param(lambda vhd: footer_field(vhd, ">Q", 48, SIZE + 512), "bytes, the disk has", id="larger"),
        pytest.param(lambda vhd: footer_field(vhd, ">Q", 48, SIZE - BLOCK), "bytes, the disk has", id="smaller"),
        pytest.param(lambda vhd: footer_field(vhd, ">Q", 16, 8 << 40), "its header is said to be", id="header far off"),
        pytest.param(lambda vhd: footer_field(vhd, ">Q", 16, 100), "its header is said to be", id="header behind"),
        pytest.param(lambda vhd: header_field(vhd, ">I", 24, 7), "its header is none", id="header version"),
        pytest.param(lambda vhd: vhd[:600] + b"\x01" + vhd[601:], "checksum of its header", id="header checksum"),
        pytest.param(lambda vhd: header_field(vhd, ">Q", 16, 1 << 50), "table is said to be", id="table far off"),
        pytest.param(lambda vhd: header_field(vhd, ">Q", 16, 512), "table is said to be", id="table behind"),
        pytest.param(lambda vhd: header_field(vhd, ">I", 28, 0xFFFFFFFF), "entries for 64 blocks", id="huge table"),
        pytest.param(lambda vhd: header_field(vhd, ">I", 28, 63), "entries for 64 blocks", id="small table"),
        pytest.param(lambda vhd: entry(vhd, 1, 0), "block 1 overlaps", id="block in the header"),
        pytest.param(lambda vhd: entry(vhd, 2, entry_of(vhd, 1)), "block 2 overlaps", id="block twice"),
        pytest.param(lambda vhd: entry(vhd, 2, entry_of(vhd, 1) + 9), "block 2 overlaps", id="blocks overlap"),
        pytest.param(
            lambda vhd: header_field(entry(vhd, 64, 1 << 20), ">I", 28, 65), "beyond the end", id="beyond the end"
        ),
        pytest.param(lambda vhd: vhd[:100], "ended early", id="cut in the footer"),
        pytest.param(lambda vhd: vhd[:1700], "ended early", id="cut in the table"),
        pytest.param(lambda vhd: vhd[: 5 * MIB], "ended early", id="cut in a block"),
        pytest.param(lambda vhd: vhd[:-512], "does not end with a VHD footer", id="no footer at the end"),
        pytest.param(lambda vhd: vhd + bytes(4 * MIB), "does not end after its last block", id="no end"),
    ],
)
def test_a_damaged_export_is_an_error(held: Held, sends: Callable[..., None], change: Any, told: str) -> None:
    sends(change)
    with pytest.raises(TargetError, match=told) as caught:
        held.verify()
    assert "web disk" in caught.value.message
    assert not isinstance(caught.value, VerifyMismatch)
    assert held.formats == ["vhd"]
    held.settled()


def test_success_is_what_the_task_says(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    def all_and_then_fails(volume: Any, send: Callable[[bytes], None]) -> None:
        encode.send_vhd(volume, send)
        raise OSError("read error")

    monkeypatch.setitem(export_vdi._SENDERS, "vhd", all_and_then_fails)
    with pytest.raises(V2xError, match="read error"):
        held.verify()
    held.settled()


def test_a_table_that_changes_between_two_exports(held: Held) -> None:
    reader, part = held.reader(), bytearray(512)
    reader.read_into(17 * BLOCK, part)
    held.poke(5 * BLOCK, b"\x01")
    with pytest.raises(TargetError, match="changed on the pool"):
        reader.read_into(2 * BLOCK, part)
    reader.close()
    held.settled()


def test_a_disk_that_ends_inside_a_block(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool says the size; the export is in whole blocks."""
    real = held.target._disk

    def shorter(claim: Claim, disk: Any) -> Any:
        from dataclasses import replace

        return replace(real(claim, disk), size_bytes=SIZE - BLOCK + 65536)

    monkeypatch.setattr(held.target, "_disk", shorter)
    reader, part = held.reader(), bytearray(65536)
    assert reader.size == SIZE - BLOCK + 65536
    reader.read_into(SIZE - BLOCK, part)
    assert part == data_of(63)[:65536]
    with pytest.raises(ValueError, match="outside"):
        reader.read_into(SIZE - BLOCK, bytearray(65537))
    reader.close()
    assert held.formats == ["vhd"]
    held.settled()
