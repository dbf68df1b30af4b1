# SPDX-License-Identifier: Apache-2.0
"""Changed images read by v2x and by other programs: `python -m tests.fuzz.differential FOLDER SECONDS SEED`.

Whatever v2x delivers must be what the others deliver where they accept the image too, and whatever oslo.utils calls
unsafe must be refused at the gate that stands before outside tools.
"""

import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.fuzz import disks, shapes
from tests.fuzz.edits import image
from tests.fuzz.oracles import Libvhdi, by_qemu, mended_by_qemu, unsafe_by_oslo
from tests.fuzz.sparse import SparseFile
from v2x.disks.interface import DiskReader
from v2x.disks.listing import FolderListing
from v2x.disks.probe import check_image
from v2x.disks.qcow2 import open_qcow2
from v2x.disks.vhd import open_vhd
from v2x.disks.vhdx import open_vhdx
from v2x.disks.vmdk import open_vmdk
from v2x.errors import InputRefused, Unsupported
from v2x.model.machine import DiskFormat

MIB = 1 << 20
_LOOKED_AT = 4 * MIB
_MOST_FILE = 1 << 30
# qemu 7.2 looks for an extent at each line, and skips line ends while it looks: behind a blank line it finds one twice.
_TWICE_IN_QEMU = re.compile(rb"\n\s*\n\s*\S+\s+\d+\s+\S", re.IGNORECASE)


class Differs(AssertionError):
    """v2x and an oracle do not agree."""


@dataclass
class Comparison:
    """The images of one format in `folder`; `counts` says what became of them."""

    form: DiskFormat
    folder: Path
    libvhdi: Libvhdi
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        files = {
            DiskFormat.VMDK: disks.vmdk_files,
            DiskFormat.VHD: disks.vhd_files,
            DiskFormat.VHDX: disks.vhdx_files,
        }.get(self.form, dict)
        for name, file in files().items():
            file.write(self.folder / name)
        self.listing = FolderListing(self.folder)

    def compare(self, data: bytes) -> None:
        """Differs with what is wrong."""
        file = SparseFile.decoded(data)
        if file is None or file.size > _MOST_FILE:
            return
        name = disk = f"x.{self.form.value}"
        if self.form is DiskFormat.VMDK:
            disk, files = disks.vmdk_placed(file)
            (name,) = [one for one, content in files.items() if content is file]
        kept = (self.folder / name).read_bytes() if (self.folder / name).exists() else None
        file.write(self.folder / name)
        try:
            self.counts["images"] += 1
            self._gate(name)
            self._bytes(disk, file)
        finally:
            if kept is not None and name != f"x.{self.form.value}":
                (self.folder / name).write_bytes(kept)

    def _gate(self, name: str) -> None:
        with closing(self.listing.open(name)) as source:
            try:
                check_image(source, self.form)
            except InputRefused:
                return
        self.counts["passed the gate"] += 1
        why = unsafe_by_oslo(self.folder / name, {DiskFormat.VHD: "vhd"}.get(self.form, self.form.value))
        if why:
            raise Differs(f"the gate passes what oslo.utils calls unsafe: {why}")

    def _bytes(self, disk: str, file: SparseFile) -> None:
        try:
            with closing(self._opened(disk)) as reader:
                size = reader.size
                ours = disks.read(reader, 0, min(size, _LOOKED_AT))
        except InputRefused:
            return
        self.counts["delivered"] += 1
        for oracle, found in self._others(disk, file, len(ours)):
            self.counts[f"as {oracle}"] += 1
            masked = self.form is DiskFormat.VHD and oracle == "qemu"
            theirs = _without_absent(file, found) if masked else found
            length = min(len(ours), len(theirs))
            if ours[:length] != theirs[:length] or any(ours[length:]) or any(theirs[length:]):
                at = next((n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), length)
                raise Differs(f"v2x and {oracle} differ at byte {at:,} of {len(ours):,} and {len(theirs):,}")

    def _opened(self, disk: str) -> DiskReader:
        match self.form:
            case DiskFormat.VMDK:
                return open_vmdk(self.listing, disk)
            case DiskFormat.VHD:
                return open_vhd(self.listing, disk)
            case DiskFormat.QCOW2:
                opened = open_qcow2(self.listing, disk)
                if opened is None:
                    raise Unsupported("left to qemu-nbd")
                return opened
            case _:
                return open_vhdx(self.listing, disk, native_4k=True)

    def _others(self, disk: str, file: SparseFile, length: int) -> Iterator[tuple[str, bytes]]:
        """What the oracles that take this image deliver of it."""
        path = self.folder / disk
        if self.form is DiskFormat.VMDK:
            if not _TWICE_IN_QEMU.search(path.read_bytes()[: 1 << 16]):
                yield from _named("qemu", by_qemu(path, "driver=vmdk", 4))
            return
        if self.form is DiskFormat.QCOW2:
            yield from _named("qemu", by_qemu(path, "driver=qcow2", 4))
            return
        dirty = differencing = False
        if self.form is DiskFormat.VHD:
            kind = shapes.number(file, file.size - 512 + 60, 4, ">")
            if kind == 2 and file.read(0, 8) == b"conectix":
                return  # the others look at the beginning first, which in a fixed disk is the guest's
            differencing = kind == 4
            options = "driver=vpc,force_size_calc=current_size"
        else:
            dirty = _has_log(file)
            differencing = _has_parent(file)
            options = "driver=vhdx"
        if not differencing:
            read = mended_by_qemu(path) if dirty else path
            yield from _named("qemu", by_qemu(read, options, 4) if read is not None else None)
        if not dirty and not _misread_by_libvhdi(file, self.form, differencing):
            base = self.folder / f"base.{self.form.value}"
            found = self.libvhdi.read([path, base] if differencing else [path], length)
            yield from _named("libvhdi", found[1] if found is not None else None)

    def close(self) -> None:
        self.listing.close()


def _named(oracle: str, found: bytes | None) -> Iterator[tuple[str, bytes]]:
    if found is not None:
        yield oracle, found


def _without_absent(file: SparseFile, theirs: bytes) -> bytes:
    """With zeros in the sectors of a dynamic VHD whose bit is 0: "never modified" by the specification.

    qemu 7.2 does not look at these bits, and shows what lies in the file there; libvhdi shows zeros.
    """
    end = file.size - 512
    header = shapes.number(file, end + 16, 8, ">")
    if shapes.number(file, end + 60, 4, ">") != 3:
        return theirs
    table, block = shapes.number(file, header + 16, 8, ">"), shapes.number(file, header + 32, 4, ">")
    made = bytearray(theirs)
    for number in range(-(-len(theirs) // block)):
        entry = shapes.number(file, table + number * 4, 4, ">")
        if entry == 0xFFFFFFFF:
            continue
        bits = file.read(entry * 512, -(-block // 4096))
        for sector in range(block // 512):
            at = number * block + sector * 512
            if at < len(made) and not bits[sector // 8] & 0x80 >> sector % 8:
                made[at : at + 512] = bytes(len(made[at : at + 512]))
    return bytes(made)


def _misread_by_libvhdi(file: SparseFile, form: DiskFormat, differencing: bool) -> bool:
    """Disks for which libvhdi 20210425 is no oracle.

    It shows the parent's bytes where a VHDX's block is ZERO, which [MS-VHDX] 2.5.1.1 defines as zeros; it takes a
    set bit of a bitmap for all that follow in its byte, so that only bitmaps by eights are compared; and behind a
    block of a VHD that is smaller than 2 MiB and partly there it shows zeros for what is in the file. It takes a VHD's
    original size for its current one.
    """
    if form is DiskFormat.VHDX:
        if not differencing:
            return False
        places = shapes.vhdx_places(file)
        table = places.get(b"\x66\x77", 3 * MIB)
        entries = [shapes.number(file, table + 8 * place, 8) for place in range(64)]
        if any(entry & 7 in {1, 2, 3} for entry in entries):
            return True
        bitmaps = [
            file.read(entry >> 20 << 20, 4096) for entry in entries if entry & 7 == 6 and entry >> 20 << 20 < file.size
        ]
        return any(entry & 7 == 7 for entry in entries) and any(_mixed(bits) for bits in bitmaps)
    end = file.size - 512
    if file.read(end + 40, 8) != file.read(end + 48, 8):
        return True
    header = shapes.number(file, end + 16, 8, ">")
    table, block = shapes.number(file, header + 16, 8, ">"), shapes.number(file, header + 32, 4, ">")
    entries = [shapes.number(file, table + 4 * place, 4, ">") for place in range(128)]
    maps = [file.read(entry * 512, min(block, 2 * MIB) // 4096) for entry in entries if entry * 512 < file.size]
    return any(_mixed(bits) or (block < 2 * MIB and not all(bits)) for bits in maps)


def _mixed(bits: bytes) -> bool:
    return any(byte not in {0, 0xFF} for byte in bits)


def _has_log(file: SparseFile) -> bool:
    return any(any(file.read(at + 48, 16)) for at in (64 << 10, 128 << 10))


def _has_parent(file: SparseFile) -> bool:
    return any(b"p\0a\0r\0e\0n\0t\0_\0" in piece for _, piece in file.pieces)


SEEDS: dict[DiskFormat, tuple[Callable[[], list[bytes]], shapes.Shape]] = {
    DiskFormat.VMDK: (disks.vmdk_seeds, shapes.VMDK),
    DiskFormat.VHD: (disks.vhd_seeds, shapes.VHD),
    DiskFormat.VHDX: (disks.vhdx_seeds, shapes.VHDX),
    DiskFormat.QCOW2: (disks.qcow2_seeds, shapes.QCOW2),
}


def run(form: DiskFormat, folder: Path, seeds: range, until: float, more: list[bytes] | None = None) -> Counter[str]:
    """Compares one changed image for each seed until the monotonic time `until`; Differs names the seed.

    Half of the images begin with one of `more`, inputs that a guided run kept.
    """
    given, shape = SEEDS[form][0](), SEEDS[form][1]
    with Libvhdi() as libvhdi, closing(Comparison(form, folder, libvhdi)) as comparison:
        for content in given:
            comparison.compare(content)
        for seed in seeds:
            if time.monotonic() > until:
                break
            chance = Random(seed)
            content = chance.choice(more if more and seed % 2 else given)
            changed = image(content, chance, shape)
            try:
                comparison.compare(changed)
            except Differs as problem:
                kept = Path(tempfile.gettempdir()) / f"v2x-differs-{form.value}-{seed}"
                kept.write_bytes(changed)
                raise Differs(f"{form.value}, seed {seed}: {problem}; the image is in {kept}") from None
        return comparison.counts


def main(words: list[str]) -> None:
    place, seconds, seed = Path(words[0]), float(words[1]), int(words[2])
    forms = [DiskFormat(word) for word in words[3:]] or list(SEEDS)
    for form in forms:
        kept = [path.read_bytes() for path in sorted((place / form.value).glob("*"))[:5000]]
        with tempfile.TemporaryDirectory() as folder:
            until = time.monotonic() + seconds / len(forms)
            counts = run(form, Path(folder), range(seed * 1_000_000, (seed + 1) * 1_000_000), until, kept)
        print(f"{form.value}:", ", ".join(f"{count:,} {what}" for what, count in counts.items()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
