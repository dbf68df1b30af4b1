# SPDX-License-Identifier: Apache-2.0
"""Disk images as targets: well-formed ones to begin with, and what must hold of whatever becomes of them."""

import struct
import tempfile
import uuid
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import cache
from itertools import islice
from pathlib import Path

from tests.fuzz.sparse import SparseFile, SparseListing, SparseSource
from tests.hyperv_images import BAT_AT, LogEntry, Vhd, Vhdx, linkage, put_log
from tests.images import ImageWriter
from v2x.disks.interface import DiskReader
from v2x.disks.probe import check_image
from v2x.disks.qcow2 import open_qcow2
from v2x.disks.raw import RawReader
from v2x.disks.vhd import describe_vhd, open_vhd
from v2x.disks.vhdx import describe_vhdx, open_vhdx
from v2x.disks.vmdk import describe_vmdk, open_vmdk
from v2x.disks.vmdk.flow import GrainFlow
from v2x.errors import InputRefused, SourceError, Unsupported
from v2x.model.machine import DiskFormat

MIB = 1 << 20
GRAIN = 65536
LOOKED_AT = MIB
_MOST_EXTENTS = 2000
_BASE, _CHILD = uuid.UUID(int=71), uuid.UUID(int=72)
_LOG = bytes(range(1, 17))

Files = Mapping[str, SparseFile]


def thin(size: int, step: int = 32768, mark: int = 0x11) -> bytes:
    """A disk whose every `step` bytes begin with bytes of their own."""
    raw = bytearray(size)
    for at in range(0, size, step):
        raw[at : at + 12] = struct.pack("<QI", at + 1, mark * 0x01010101)
    return bytes(raw)


@cache
def vmdk_files() -> Files:
    """One folder with a VMDK of every kind; the descriptors name what lies beside them."""
    raw, stored = thin(8 * GRAIN), {0, 2, 3, 5, 7}
    with tempfile.TemporaryDirectory() as folder:
        made = ImageWriter(Path(folder))
        made.flat("base.vmdk", raw, cid="00000001")
        made.cowd("cowd.vmdk", thin(len(raw), 512, 0x22)[: 64 * 512] + raw[64 * 512 :], {0, 1, 2, 9, 64, 65})
        made.cowd("delta.vmdk", raw, {0, 5}, cid="00000002", parent_cid="00000001", parent="base.vmdk")
        made.sesparse("se.vmdk", raw, {0, 8, 16, 24}, zeroed={1}, unmapped={4})
        made.sparse("sparse.vmdk", raw, stored)
        made.sparse("zeros.vmdk", raw, stored, zeroed={1, 4}, flags=7, version=2)
        made.sparse("small.vmdk", raw[: 200 * 512], {0, 3, 9}, grain=8)
        made.sparse("child.vmdk", raw, {1, 6}, cid="00000003", parent_cid="00000001", parent="base.vmdk")
        made.stream("stream.vmdk", raw, stored)
        made.stream("early.vmdk", raw, stored, footer=False)
        made.descriptor(
            "several.vmdk",
            ['RW 64 FLAT "base-flat.vmdk" 8', "RW 32 ZERO", 'RW 1024 VMFSSPARSE "cowd-delta.vmdk"'],
            kind="custom",
        )
        made.listing.close()
        return {path.name: SparseFile.of(path.read_bytes()) for path in Path(folder).iterdir()}


def vmdk_seeds() -> list[bytes]:
    return [file.encoded() for name, file in sorted(vmdk_files().items()) if name != "base-flat.vmdk"]


def vmdk_placed(file: SparseFile) -> tuple[str, Files]:
    """(disk to open, its folder) with `file` as that disk or, by its magic, as the extent that a disk names."""
    disk, name = "x.vmdk", "x.vmdk"
    match file.read(0, 4):
        case b"COWD":
            disk, name = "cowd.vmdk", "cowd-delta.vmdk"
        case b"\xbe\xba\xfe\xca":
            disk, name = "se.vmdk", "se-sesparse.vmdk"
    return disk, {**vmdk_files(), name: file}


def read_vmdk(data: bytes) -> bool:
    file = SparseFile.decoded(data)
    if file is None:
        return False
    disk, files = vmdk_placed(file)
    listing = SparseListing(files)
    gate(listing.open(disk), DiskFormat.VMDK)
    grains = flow(file)
    understood = examined(lambda: describe_vmdk(listing, disk), lambda: open_vmdk(listing, disk))
    if understood and grains is not None:
        with closing(open_vmdk(listing, disk)) as reader:
            _flows_alike(grains, reader)
    return understood


def flow(file: SparseFile) -> dict[int, bytes] | None:
    """The compressed grains of a streamOptimized file as it flows by, or None where it is refused."""
    source, at = SparseSource(file, "flow.vmdk"), 0

    def take(view: memoryview) -> int:
        nonlocal at
        count = min(len(view), source.size - at)
        source.read_into(at, view[:count])
        at += count
        return count

    grains: dict[int, bytes] = {}
    try:
        for grain in GrainFlow(take, "flow.vmdk").grains():
            assert not grains or grain.number > max(grains)
            grains[grain.number] = bytes(grain.stream)
    except (InputRefused, SourceError):
        return None
    return grains


def _flows_alike(grains: dict[int, bytes], reader: DiskReader) -> None:
    """The disk that flows by is the one that its tables tell of."""
    for start in range(0, min(reader.size, LOOKED_AT), reader.block):
        seen = read(reader, start, min(reader.block, reader.size - start))
        stream = grains.get(start // reader.block)
        wanted = zlib.decompress(stream) if stream is not None else bytes(len(seen))
        assert seen == wanted[: len(seen)], f"grain {start // reader.block}"


@cache
def _vhds() -> dict[str, bytes]:
    raw, wide = thin(5 * GRAIN, 16384), thin(4 * MIB, 256 << 10)
    base = Vhd(raw=wide, sectors={0: None, 1: None}, unique=_BASE)
    link = (_BASE, 700_000_000, "base.vhd")
    by_eights = {*range(8), *range(512, 520), *range(1024, 1032)}
    child = Vhd(raw=thin(len(wide), 256 << 10, 0x33), sectors={0: by_eights}, unique=_CHILD, parent=link)
    stale = Vhd(raw=raw, sectors={0: {0, 32, 64}, 1: None, 3: {96}}, block=GRAIN)
    small = Vhd(raw=raw, sectors={0: {0, 32}, 4: None}, block=GRAIN, unique=_CHILD, parent=link)
    foot = bytearray(Vhd(raw=raw, sectors={}).packed()[-512:])
    struct.pack_into(">Q", foot, 16, (1 << 64) - 1)
    struct.pack_into(">I", foot, 60, 2)
    foot[64:68] = bytes(4)
    foot[64:68] = struct.pack(">I", ~sum(foot) & 0xFFFFFFFF)
    odd = Vhd(raw=raw[: 3 * 4096 + 512], sectors={1: None, 3: None}, block=4096)
    made = {"base": base.packed(), "child": child.packed(), "fixed": raw + bytes(foot), "odd": odd.packed()}
    made |= {"stale": stale.packed(), "small": small.packed()}
    return {name: _thinned(content) for name, content in made.items()}


def _thinned(content: bytes) -> bytes:
    """With less in the sectors that are in the file and not of the disk."""
    stale = b"\xe5" * 512
    return content.replace(stale, b"\xe5" * 8 + bytes(504), 24).replace(stale, bytes(512))


def vhd_seeds() -> list[bytes]:
    return [SparseFile.of(content).encoded() for content in _vhds().values()]


def vhd_files() -> Files:
    return {"base.vhd": SparseFile.of(_vhds()["base"])}


def read_vhd(data: bytes) -> bool:
    file = SparseFile.decoded(data)
    if file is None:
        return False
    listing = SparseListing({**vhd_files(), "x.vhd": file})
    gate(listing.open("x.vhd"), DiskFormat.VHD)
    return examined(lambda: describe_vhd(listing, "x.vhd"), lambda: open_vhd(listing, "x.vhd"))


@cache
def _vhdxs() -> dict[str, bytes]:
    raw = thin(3 * MIB + 4096, 256 << 10)
    base = Vhdx(raw=raw, states={1: 0}, data_write=_BASE)
    child = Vhdx(
        raw=thin(len(raw), 256 << 10, 0x44), states={0: 0, 3: 2}, sectors={2: {0, 512}}, parent=linkage(_BASE),
        data_write=_CHILD,
    )  # fmt: skip
    fixed = Vhdx(raw=thin(2 * MIB), fixed=True)
    logged = base.packed()
    table = bytes(logged[BAT_AT : BAT_AT + 4096])
    logged[BAT_AT : BAT_AT + 4096] = bytes(4096)
    size = len(logged)
    entries = [
        LogEntry(sequence=7, tail=0, changes=[(BAT_AT, table)], flushed=size, last=size),
        LogEntry(sequence=8, tail=0, changes=[(BAT_AT + 4096, 4096)], flushed=size, last=size),
    ]
    put_log(logged, [(0, entries[0]), (8192, entries[1])], _LOG)
    made = {"base": base.packed(), "child": child.packed(), "fixed": fixed.packed(), "logged": logged}
    return {name: _thinned(bytes(content)) for name, content in made.items()}


def vhdx_seeds() -> list[bytes]:
    return [SparseFile.of(content).encoded() for content in _vhdxs().values()]


@cache
def vhdx_files() -> Files:
    return {"base.vhdx": SparseFile.of(_vhdxs()["base"])}


def read_vhdx(data: bytes) -> bool:
    file = SparseFile.decoded(data)
    if file is None:
        return False
    listing = SparseListing({**vhdx_files(), "x.vhdx": file})
    gate(listing.open("x.vhdx"), DiskFormat.VHDX)
    return examined(lambda: describe_vhdx(listing, "x.vhdx"), lambda: open_vhdx(listing, "x.vhdx", native_4k=True))


def qcow2_image(raw: bytes, *, version: int = 3) -> bytes:
    """A QCOW2 image of one L2 table, by the specification in qemu's docs/interop/qcow2.txt; clusters of 4 KiB."""
    bits, cluster = 12, 4096
    count = -(-len(raw) // cluster)
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", version, 0, 0, bits, len(raw), 0, 1, 3 * cluster, cluster, 1, 0, 0
    )
    if version == 3:
        header += struct.pack(">QQQIIB7x", 0, 0, 0, 4, 112, 0)
        header += struct.pack(">II", 0x6803F857, 48) + bytes(48) + struct.pack(">II", 0, 0)
    data, entries = b"", []
    for number in range(count):
        piece = raw[number * cluster : (number + 1) * cluster]
        entries.append(1 << 63 | 5 * cluster + len(data) if any(piece) else number % 2 and version == 3)
        data += piece.ljust(cluster, b"\0") if any(piece) else b""
    used = 5 + len(data) // cluster
    tables = struct.pack(">Q", 2 * cluster).ljust(cluster, b"\0")
    tables += struct.pack(f">{used}H", *[1] * used).ljust(cluster, b"\0")
    tables += struct.pack(">Q", 1 << 63 | 4 * cluster).ljust(cluster, b"\0")
    return header.ljust(cluster, b"\0") + tables + struct.pack(f">{count}Q", *entries).ljust(cluster, b"\0") + data


def qcow2_seeds() -> list[bytes]:
    raw = thin(16 * 4096, 8192)
    with tempfile.TemporaryDirectory() as folder:
        made = ImageWriter(Path(folder))
        images = [made.path(made.qcow2("x.qcow2", raw[:length], shuffle=1)).read_bytes() for length in (65536, 30_208)]
    images += [qcow2_image(raw, version=version) for version in (3, 2)]
    return [SparseFile.of(image).encoded() for image in images]


def read_qcow2(data: bytes) -> bool:
    file = SparseFile.decoded(data)
    if file is None:
        return False
    listing = SparseListing({"x.qcow2": file})
    gate(listing.open("x.qcow2"), DiskFormat.QCOW2)

    def begin() -> DiskReader:
        opened = open_qcow2(listing, "x.qcow2")
        if opened is None:
            raise Unsupported("left to qemu-nbd")
        return opened

    return examined(lambda: None, begin)


def raw_seeds() -> list[bytes]:
    files = [qcow2_image(thin(8192)), thin(2 * 4096 + 100), b"", b"KDMV" + bytes(2000), _vhds()["base"]]
    return [SparseFile.of(content).encoded() for content in files]


def read_raw(data: bytes) -> bool:
    """Whatever its bytes look like, a raw disk is its bytes."""
    file = SparseFile.decoded(data)
    if file is None:
        return False
    gate(SparseSource(file, "x.raw"), DiskFormat.RAW)
    with closing(RawReader(SparseSource(file, "x.raw"))) as reader:
        examine(reader)
        length = min(file.size, LOOKED_AT)
        assert read(reader, 0, length) == file.read(0, length)
    return True


def gate(source: SparseSource, form: DiskFormat) -> bool:
    """Whether the gate before outside tools lets the file pass."""
    try:
        return check_image(source, form).size_bytes >= 0
    except InputRefused:
        return False


def examined(describe: Callable[[], object], begin: Callable[[], DiskReader]) -> bool:
    """Whether the disk can be read; anything but a refusal escapes."""
    try:
        describe()
        reader = begin()
    except InputRefused:
        return False
    with closing(reader):
        try:
            examine(reader)
        except InputRefused:
            return False
    return True


def read(reader: DiskReader, start: int, length: int) -> bytes:
    buffer = bytearray(b"\xa5" * length)
    reader.read_into(start, buffer)
    return bytes(buffer)


def examine(reader: DiskReader) -> None:
    """A reader keeps its word: sizes and extents fit, holes are zeros, and pieces are what the whole is."""
    size = reader.size
    assert 0 <= size <= 64 << 40 and size % 512 == 0 and reader.block > 0
    length = min(size, LOOKED_AT)
    whole = read(reader, 0, length)
    at = 0
    for extent in islice(reader.extents(0, size), _MOST_EXTENTS):
        assert extent.start == at and extent.length > 0
        if not extent.data:
            assert not any(whole[extent.start : extent.end])
        at = extent.end
        if at > length:
            break
    else:
        assert at == size or at > 0
    for start, wanted in ((0, 513), (length // 3, 70_000), (max(0, length - 1000), 1000)):
        step = min(wanted, length - start)
        assert read(reader, start, step) == whole[start : start + step]
    if size > length:
        end = min(4096, size)
        assert read(reader, size - end, end) == read(reader, size - end, end)
    with closing(reader.clone()) as other:
        assert read(other, 0, min(4096, length)) == whole[:4096]
