# SPDX-License-Identifier: Apache-2.0
"""What every disk reader must do, whatever its format: one suite over all of them.

A format is one line in FORMATS: a function that writes `raw` with the test's image writer and opens it.
"""

import itertools
import random
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.flows import FileFlow
from tests.hyperv_images import BAT_AT, UNMAPPED, LogEntry, Vhd, Vhdx, linkage, put_log
from tests.ranges import serving
from v2x.disks.http import HttpSource
from v2x.disks.http_origin import HttpOrigin
from v2x.disks.interface import DiskReader
from v2x.disks.mapahead import MapAhead
from v2x.disks.qcow2 import open_qcow2
from v2x.disks.raw import RawReader
from v2x.disks.readahead import ReadAhead
from v2x.disks.smb.connection import SmbAccess
from v2x.disks.smb.listing import SmbFolder
from v2x.disks.smb.paths import parse_unc
from v2x.disks.smb.server import SmbServers
from v2x.disks.vhd import open_vhd
from v2x.disks.vhdx import open_vhdx
from v2x.disks.vmdk import open_vmdk
from v2x.disks.vmdk.flowing import FlowingReader
from v2x.disks.wrap import Counted, Digest, Rate, Retry, Throttle, Wrapper
from v2x.secrets import Secret
from v2x.simulators.hyperv.share import Share

MIB = 1 << 20


def data_grains(raw: bytes, size: int) -> set[int]:
    return {at // size for at in range(0, len(raw), size) if any(raw[at : at + size])}


def raw_file(images: Any, raw: bytes) -> DiskReader:
    return RawReader(images.listing.open(images.raw("disk.raw", raw)))


def by_qemu(subformat: str) -> Callable[[Any, bytes], DiskReader]:
    def make(images: Any, raw: bytes) -> DiskReader:
        return open_vmdk(images.listing, images.by_qemu("disk.vmdk", raw, f"subformat={subformat}"))

    return make


def qemu_zeroed(images: Any, raw: bytes) -> DiskReader:
    return open_vmdk(images.listing, images.by_qemu("disk.vmdk", raw, "subformat=monolithicSparse", "zeroed_grain=on"))


def stream(images: Any, raw: bytes) -> DiskReader:
    return open_vmdk(images.listing, images.stream("disk.vmdk", raw, data_grains(raw, 65536)))


def flowing(images: Any, raw: bytes) -> DiskReader:
    """Read as an export that only flows: steps back begin it anew."""
    name = images.stream("disk.vmdk", raw, data_grains(raw, 65536))
    return FlowingReader(lambda: FileFlow(images.path(name)), len(raw), name)


def flowing_mapped(images: Any, raw: bytes) -> DiskReader:
    reader = flowing(images, raw)
    reader.learn_map()
    return reader


def stream_header_only(images: Any, raw: bytes) -> DiskReader:
    return open_vmdk(images.listing, images.stream("disk.vmdk", raw, data_grains(raw, 65536), footer=False))


def small_grains(images: Any, raw: bytes) -> DiskReader:
    return open_vmdk(images.listing, images.sparse("disk.vmdk", raw, data_grains(raw, 4096), grain=8, shuffle=3))


def vmfs(images: Any, raw: bytes) -> DiskReader:
    return open_vmdk(images.listing, images.flat("disk.vmdk", raw))


def cowd(images: Any, raw: bytes) -> DiskReader:
    return open_vmdk(images.listing, images.cowd("disk.vmdk", raw, data_grains(raw, 512)))


def cowd_shuffled(images: Any, raw: bytes) -> DiskReader:
    return open_vmdk(images.listing, images.cowd("disk.vmdk", raw, data_grains(raw, 4096), grain=8, shuffle=5))


def sesparse(images: Any, raw: bytes) -> DiskReader:
    return open_vmdk(images.listing, images.sesparse("disk.vmdk", raw, data_grains(raw, 4096), first_number=4000))


def several(images: Any, raw: bytes) -> DiskReader:
    """Flat from an offset, sparse, zeros where there are any, compressed: one after the other."""
    sectors = len(raw) // 512
    cuts = [0, sectors // 4, sectors // 2, sectors]
    lines = []
    for number, (begin, end) in enumerate(itertools.pairwise(cuts)):
        piece = raw[begin * 512 : end * 512]
        if not piece:
            continue
        if not any(piece):
            lines.append(f"RW {end - begin} ZERO")
        elif number == 0:
            images.path("part-f.vmdk").write_bytes(b"x" * 1024 + piece)
            lines.append(f'RW {end - begin} FLAT "part-f.vmdk" 2')
        else:
            images.sparse(f"part-s{number}.vmdk", piece, data_grains(piece, 65536), embed=False)
            lines.append(f'RDONLY {end - begin} SPARSE "part-s{number}.vmdk"')
    return open_vmdk(images.listing, images.descriptor("disk.vmdk", lines, kind="custom"))


def chain(images: Any, raw: bytes) -> DiskReader:
    """A base with wrong bytes and three deltas that between them hold every right one."""
    grains = len(raw) // 512
    base = bytes(byte ^ 0xFF for byte in raw[: len(raw) // 2]) + raw[len(raw) // 2 :]
    images.flat("base.vmdk", base, cid="aaaa0001")
    below = {"cid": "aaaa0001", "name": "base.vmdk"}
    for number, name in enumerate(("one.vmdk", "two.vmdk")):
        wrong = bytes(byte ^ 0x0F for byte in raw)
        content = raw if number else wrong
        images.cowd(
            name,
            content,
            {grain for grain in range(grains) if number or grain % 3 == 0},
            cid=f"bbbb000{number}",
            parent_cid=below["cid"],
            parent=below["name"],
        )
        below = {"cid": f"bbbb000{number}", "name": name}
    images.sesparse("disk.vmdk", raw, set(range(0, -(-grains // 8), 5)), parent_cid=below["cid"], parent=below["name"])
    return open_vmdk(images.listing, "disk.vmdk")


def wrapped(images: Any, raw: bytes) -> DiskReader:
    inner = by_qemu("monolithicSparse")(images, raw)
    return Retry(Digest(Counted(Throttle(inner, Rate(None)))))


def read_ahead(images: Any, raw: bytes) -> DiskReader:
    return ReadAhead(by_qemu("streamOptimized")(images, raw), block_bytes=1 << 18)


def mapped_ahead(images: Any, raw: bytes) -> DiskReader:
    return MapAhead(cowd(images, raw), workers=3, piece_bytes=1 << 20)


def http_ranges(images: Any, raw: bytes) -> DiskReader:
    """A delta and its base over HTTP."""
    images.cowd("disk.vmdk", raw, data_grains(raw, 512))
    stack = ExitStack()
    server = stack.enter_context(serving(images.folder / "server", tls=False))
    server.files.update({f"/{name}": images.path(name).read_bytes() for name in images.listing.names()})

    class Served:
        def names(self) -> list[str]:
            return []

        def open(self, name: str) -> HttpSource:
            return HttpSource.open(HttpOrigin(host=server.host, port=server.port, tls=None), f"/{name}", name)

    class Serving(Wrapper):
        def clone(self) -> DiskReader:
            return self._inner.clone()

        def close(self) -> None:
            super().close()
            stack.close()

    return Serving(open_vmdk(Served(), "disk.vmdk"))


def vhd_by_qemu(subformat: str) -> Callable[[Any, bytes], DiskReader]:
    def make(images: Any, raw: bytes) -> DiskReader:
        name = images.by_qemu("disk.vhd", raw, f"subformat={subformat}", "force_size=on", format="vpc")
        return open_vhd(images.listing, name)

    return make


def vhdx_by_qemu(*options: str) -> Callable[[Any, bytes], DiskReader]:
    def make(images: Any, raw: bytes) -> DiskReader:
        return open_vhdx(images.listing, images.by_qemu("disk.vhdx", raw, *options, format="vhdx"))

    return make


def vhd_shuffled(images: Any, raw: bytes) -> DiskReader:
    """Small blocks out of order, in which only the sectors that hold data are marked as written."""
    block = 65536
    written = {number: data_grains(raw[number * block :][:block], 512) for number in data_grains(raw, block)}
    Vhd(raw=raw, sectors=dict(written), block=block, shuffle=4).write(images.path("disk.vhd"))
    return open_vhd(images.listing, "disk.vhd")


def vhd_chain(images: Any, raw: bytes) -> DiskReader:
    """A base with wrong bytes and two children that between them hold every right one."""
    wrong, block = bytes(byte ^ 0xFF for byte in raw), 65536
    blocks = range(-(-len(raw) // block))
    ids = [uuid.UUID(int=number) for number in (1, 2, 3)]
    odd: set[int] | None = set(range(1, 128, 2))
    Vhd(raw=wrong, sectors=dict.fromkeys(blocks), block=block, unique=ids[0]).write(images.path("base.vhd"))
    middle: dict[int, set[int] | None] = {number: odd if number % 3 else None for number in blocks}
    link = (ids[0], 700_000_000, "C:\\elsewhere\\base.vhd")
    Vhd(raw=raw, sectors=middle, block=block, unique=ids[1], parent=link).write(images.path("middle.avhd"))
    top: dict[int, set[int] | None] = {number: set(range(0, 128, 2)) for number in blocks if number % 3}
    link = (ids[1], 700_000_000, "middle.avhd")
    Vhd(raw=raw, sectors=top, block=block, unique=ids[2], parent=link, shuffle=3).write(images.path("disk.avhd"))
    return open_vhd(images.listing, "disk.avhd")


def vhdx_shuffled(images: Any, raw: bytes) -> DiskReader:
    """Several blocks out of order, of a disk with physical sectors of 4096 bytes (512e)."""
    Vhdx(raw=raw, shuffle=2, physical=4096).write(images.path("disk.vhdx"))
    return open_vhdx(images.listing, "disk.vhdx")


def vhdx_unclean(images: Any, raw: bytes) -> DiskReader:
    """The table is empty where it lies; the right one is in the log."""
    file = Vhdx(raw=raw, shuffle=2).packed()
    entry = LogEntry(sequence=3, tail=8192, changes=[(BAT_AT, bytes(file[BAT_AT : BAT_AT + 4096]))])
    file[BAT_AT : BAT_AT + 4096] = bytes(4096)
    put_log(file, [(8192, entry)], b"\7" * 16)
    images.path("disk.vhdx").write_bytes(file)
    return open_vhdx(images.listing, "disk.vhdx")


def vhdx_chain(images: Any, raw: bytes) -> DiskReader:
    """A base with wrong bytes and two children: blocks stored, stored in part, unmapped and left to the parent."""
    wrong = bytes(byte ^ 0xFF for byte in raw)
    blocks = range(-(-len(raw) // MIB))
    ids = [uuid.UUID(int=number) for number in (1, 2, 3)]
    Vhdx(raw=wrong, data_write=ids[0], shuffle=1).write(images.path("base.vhdx"))
    empty = {number: UNMAPPED for number in blocks if not any(raw[number * MIB :][:MIB])}
    stored = [number for number in blocks if number not in empty]
    partly = {number: set(range(1, 2048, 2)) for number in stored if number % 2}
    middle = Vhdx(raw=raw, data_write=ids[1], parent=linkage(ids[0]), sectors=partly, states=dict(empty), shuffle=5)
    middle.write(images.path("middle.avhdx"))
    partly = {number: set(range(0, 2048, 2)) for number in stored if number % 2}
    rest = {number: 0 for number in blocks if number not in partly}
    top = Vhdx(raw=raw, data_write=ids[2], parent=linkage(ids[1]), sectors=partly, states=rest)
    top.write(images.path("disk.avhdx"))
    return open_vhdx(images.listing, "disk.avhdx")


def qcow2_by_qemu(*options: str, compressed: bool = False) -> Callable[[Any, bytes], DiskReader]:
    def make(images: Any, raw: bytes) -> DiskReader:
        name = images.by_qemu("disk.qcow2", raw, *options, format="qcow2", compressed=compressed)
        return open_natively(images, name)

    return make


def open_natively(images: Any, name: str) -> DiskReader:
    opened = open_qcow2(images.listing, name)
    assert opened is not None
    return opened


def qcow2_shuffled(images: Any, raw: bytes) -> DiskReader:
    """Clusters out of order, some compressed, some zeros by their entry, some set aside with another's bytes."""
    images.qcow2("disk.qcow2", raw, shuffle=6)
    return open_natively(images, "disk.qcow2")


def qcow2_with_snapshots(images: Any, raw: bytes) -> DiskReader:
    """The bytes of now, not those of its snapshots."""
    name = images.by_qemu("disk.qcow2", bytes(byte ^ 0x55 for byte in raw), format="qcow2")
    images.rewritten(name, raw, snapshot="before")
    return open_natively(images, name)


FORMATS: dict[str, Callable[[Any, bytes], DiskReader]] = {
    "raw": raw_file,
    "monolithicSparse": by_qemu("monolithicSparse"),
    "monolithicFlat": by_qemu("monolithicFlat"),
    "twoGbMaxExtentSparse": by_qemu("twoGbMaxExtentSparse"),
    "twoGbMaxExtentFlat": by_qemu("twoGbMaxExtentFlat"),
    "streamOptimized": by_qemu("streamOptimized"),
    "zero grains": qemu_zeroed,
    "stream by ESXi's order": stream,
    "stream without footer": stream_header_only,
    "flowing stream": flowing,
    "flowing stream with its map": flowing_mapped,
    "sparse with small shuffled grains": small_grains,
    "vmfs": vmfs,
    "cowd": cowd,
    "cowd shuffled": cowd_shuffled,
    "seSparse": sesparse,
    "several extents": several,
    "chain": chain,
    "vhd-fixed": vhd_by_qemu("fixed"),
    "vhd-dynamic": vhd_by_qemu("dynamic"),
    "vhd with shuffled blocks": vhd_shuffled,
    "vhd chain": vhd_chain,
    "vhdx-fixed": vhdx_by_qemu("subformat=fixed"),
    "vhdx-dynamic": vhdx_by_qemu("subformat=dynamic", "block_size=1M"),
    "vhdx with shuffled blocks": vhdx_shuffled,
    "vhdx chain": vhdx_chain,
    "vhdx with a log": vhdx_unclean,
    "qcow2": qcow2_by_qemu(),
    "qcow2 version 2, small clusters": qcow2_by_qemu("compat=0.10", "cluster_size=512"),
    "qcow2 with clusters of 2 MiB": qcow2_by_qemu("cluster_size=2M", "lazy_refcounts=on"),
    "qcow2 set aside": qcow2_by_qemu("preallocation=metadata"),
    "qcow2 compressed": qcow2_by_qemu(compressed=True),
    "qcow2 compressed in small clusters": qcow2_by_qemu("cluster_size=4k", compressed=True),
    "qcow2 with shuffled clusters": qcow2_shuffled,
    "qcow2 with snapshots": qcow2_with_snapshots,
    "wrapped": wrapped,
    "read ahead": read_ahead,
    "mapped ahead": mapped_ahead,
    "http ranges": http_ranges,
}

# The same files, opened over a network share.
OVER_SMB = {f"{name} over SMB": FORMATS[name] for name in ("vhd chain", "vhdx-fixed", "vhdx chain", "vhdx with a log")}

SHAPES: dict[str, tuple[int, list[tuple[int, int]]]] = {
    "odd": (5 * MIB + 3 * 512, [(0, 512), (MIB - 700, 70_000), (3 * MIB + 5, 9), (5 * MIB, 3 * 512)]),
    "one sector": (512, [(0, 512)]),
    "empty": (3 * MIB + 512, []),
    "full": (2 * MIB + 4096, [(0, 2 * MIB + 4096)]),
}


@pytest.fixture(params=list(SHAPES))
def raw(request: pytest.FixtureRequest, pattern: Callable[..., bytes]) -> bytes:
    return pattern(*SHAPES[request.param])


@pytest.fixture(scope="module")
def file_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], SmbFolder]]:
    """A listing over SMB of any folder below the tests' own."""
    base = tmp_path_factory.getbasetemp()
    with Share(tmp_path_factory.mktemp("samba"), {"D$": base}) as share:
        servers = SmbServers(SmbAccess(user=share.user, password=Secret(share.password)))
        root = parse_unc(share.unc("D$"))
        yield lambda folder: SmbFolder(servers, root.child(str(folder.relative_to(base)).replace("/", "\\")))
        servers.close()


@pytest.fixture(params=[*FORMATS, *OVER_SMB])
def reader(request: pytest.FixtureRequest, images: Any, raw: bytes) -> Any:
    plain = images.listing
    if request.param in OVER_SMB:
        images.listing = request.getfixturevalue("file_server")(images.folder)
    opened = (FORMATS | OVER_SMB)[request.param](images, raw)
    images.listing = plain
    yield opened
    opened.close()


def bytes_of(reader: DiskReader, offset: int, length: int) -> bytes:
    buffer = bytearray(b"\xee" * length)
    reader.read_into(offset, buffer)
    return bytes(buffer)


def test_it_satisfies_the_protocol_and_tells_the_exact_size(reader: DiskReader, raw: bytes) -> None:
    assert isinstance(reader, DiskReader)
    assert reader.size == len(raw)
    assert reader.block > 0


def test_all_bytes_and_ranges_of_any_alignment_are_the_disks(reader: DiskReader, raw: bytes) -> None:
    assert bytes_of(reader, 0, len(raw)) == raw
    chance = random.Random(7)
    for _ in range(40):
        offset = chance.randrange(len(raw))
        length = chance.randrange(min(300_000, len(raw) - offset) + 1)
        assert bytes_of(reader, offset, length) == raw[offset : offset + length]
    assert bytes_of(reader, len(raw), 0) == b""


def test_reading_in_order_in_small_steps_gives_the_same(reader: DiskReader, raw: bytes) -> None:
    step = 24 * 1024 + 512
    read = b"".join(bytes_of(reader, at, min(step, len(raw) - at)) for at in range(0, len(raw), step))
    assert read == raw


def test_a_slice_of_a_larger_buffer_is_filled_and_nothing_beside_it(reader: DiskReader, raw: bytes) -> None:
    length = min(1000, len(raw))
    buffer = bytearray(b"\xaa" * (length + 20))
    reader.read_into(0, memoryview(buffer)[10 : 10 + length])
    assert bytes(buffer) == b"\xaa" * 10 + raw[:length] + b"\xaa" * 10


def test_extents_cover_the_range_and_zero_ones_are_zeros(reader: DiskReader, raw: bytes) -> None:
    chance = random.Random(9)
    cuts = sorted(chance.sample(range(len(raw) + 1), 6))
    for start, end in [(0, len(raw)), *itertools.pairwise(cuts)]:
        at = start
        for extent in reader.extents(start, end - start):
            assert extent.start == at
            assert extent.length > 0
            assert extent.data or not any(raw[extent.start : extent.end])
            at = extent.end
        assert at == end
    assert list(reader.extents(0, 0)) == []


def test_beyond_the_end_is_a_value_error(reader: DiskReader, raw: bytes) -> None:
    for offset, length in ((len(raw), 1), (len(raw) - 1, 2), (-1, 1)):
        with pytest.raises(ValueError, match="outside"):
            reader.read_into(offset, bytearray(length))
        with pytest.raises(ValueError, match="outside"):
            list(reader.extents(offset, length))


def test_clones_read_in_threads_and_outlive_the_original(reader: DiskReader, raw: bytes) -> None:
    clones = [reader.clone() for _ in range(3)]
    reader.close()

    def all_of(clone: DiskReader, seed: int) -> bool:
        chance = random.Random(seed)
        for _ in range(15):
            offset = chance.randrange(len(raw))
            length = min(chance.randrange(1, 200_000), len(raw) - offset)
            if bytes_of(clone, offset, length) != raw[offset : offset + length]:
                return False
        return True

    with ThreadPoolExecutor(3) as pool:
        assert all(pool.map(all_of, clones, range(3)))
    for clone in clones:
        clone.close()


def test_closing_twice_is_safe(reader: DiskReader, raw: bytes) -> None:
    bytes_of(reader, 0, len(raw))
    reader.close()
    reader.close()
