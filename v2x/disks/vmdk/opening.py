# SPDX-License-Identifier: Apache-2.0
"""Opens VMDKs: finds the descriptor, checks each extent against it, and puts the layers of a chain on one another."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from v2x.disks.chain import MAX_DEPTH, ChainReader, Layer, too_deep
from v2x.disks.flat import FlatLayer, ZeroLayer
from v2x.disks.interface import ByteSource
from v2x.disks.listing import Listing, plain_name
from v2x.disks.vmdk import cowd, sesparse
from v2x.disks.vmdk.compressed import CompressedLayer
from v2x.disks.vmdk.descriptor import MAX_TEXT_BYTES, SECTOR_BYTES, Descriptor, ExtentLine, parse_descriptor
from v2x.disks.vmdk.header import SparseHeader, is_sparse, read_bytes, read_descriptor_text, read_header
from v2x.disks.vmdk.several import SeveralExtents
from v2x.disks.vmdk.sparse import SparseLayer
from v2x.errors import BadImage, InputRefused


@dataclass(frozen=True, slots=True)
class Image:
    """One VMDK of a chain. `header` is set when the descriptor is embedded in a sparse extent of the same file.

    `descriptor` is None only for a compressed extent that carries none.
    """

    name: str
    descriptor: Descriptor | None
    header: SparseHeader | None

    @property
    def size_bytes(self) -> int:
        if self.descriptor is not None:
            return self.descriptor.capacity_bytes
        return self.header.capacity_bytes if self.header is not None else 0

    @property
    def parent_cid(self) -> int | None:
        return self.descriptor.parent_cid if self.descriptor is not None else None


def read_image(listing: Listing, name: str) -> Image:
    """The descriptor of `name`, embedded or a file of its own. Errors: those of the listing, BadImage, Unsupported."""
    source = listing.open(plain_name(name))
    try:
        if is_sparse(source):
            return _embedded(source, name)
        return Image(name, parse_descriptor(_descriptor_text(source, name), name), None)
    finally:
        source.close()


def _descriptor_text(source: ByteSource, name: str) -> bytes:
    start = read_bytes(source, 0, min(source.size, 8))
    if start[:4] == cowd.MAGIC or start == sesparse.MAGIC:
        raise BadImage(f"{name} is one extent of a disk", hint="give the small .vmdk descriptor that names it")
    if source.size > MAX_TEXT_BYTES:
        raise BadImage(
            f"{name} is no VMDK: neither a known header nor a disk descriptor",
            hint="give the small .vmdk descriptor, not one of its data files",
        )
    return read_bytes(source, 0, source.size)


def _embedded(source: ByteSource, name: str) -> Image:
    header = read_header(source)
    text = read_descriptor_text(source, header)
    if not text:
        if header.compressed:
            return Image(name, None, header)
        raise BadImage(f"{name} is one extent of a disk", hint="give the small .vmdk descriptor that names it")
    descriptor = parse_descriptor(text, name)
    if descriptor.device or descriptor.encrypted:
        return Image(name, descriptor, header)
    if len(descriptor.extents) != 1 or descriptor.extents[0].type != "SPARSE":
        raise BadImage(f"{name} embeds a descriptor that does not describe its own single extent")
    _check_capacity(header, descriptor.capacity_bytes, name)
    return Image(name, descriptor, header)


def _check_capacity(header: SparseHeader, size_bytes: int, name: str) -> None:
    # VirtualBox rounds the header's capacity up to a whole grain; the descriptor has the size the guest sees.
    if not 0 <= header.capacity_bytes - size_bytes < header.grain_bytes:
        raise BadImage(
            f"{name} holds {header.capacity_bytes:,} bytes where its descriptor says {size_bytes:,}",
            hint="copy descriptor and extents again from one point in time",
        )


class ExtentOpener:
    """Opens the extents of one image again and again, also from threads of clones."""

    def __init__(self, listing: Listing, image: Image, lock: threading.Lock) -> None:
        self._listing = listing
        self._image = image
        self._lock = lock

    def lines(self) -> Sequence[ExtentLine]:
        descriptor = self._image.descriptor
        if descriptor is None:
            return [ExtentLine("RDONLY", self._image.size_bytes // SECTOR_BYTES, "SPARSE", self._image.name)]
        return descriptor.extents

    def __call__(self, number: int) -> Layer:
        line = self.lines()[number]
        size_bytes = line.sectors * SECTOR_BYTES
        if line.type == "ZERO":
            return ZeroLayer(size_bytes)
        name = self._image.name if self._image.header is not None else line.file
        with self._lock:
            source = self._listing.open(plain_name(name))
        try:
            return _layer(source, line, size_bytes)
        except BaseException:
            source.close()
            raise


def _layer(source: ByteSource, line: ExtentLine, size_bytes: int) -> Layer:
    match line.type:
        case "FLAT" | "VMFS":
            return FlatLayer(source, line.start * SECTOR_BYTES, size_bytes)
        case "VMFSSPARSE":
            return cowd.CowdLayer.open(source, size_bytes)
        case "SESPARSE":
            return sesparse.SeSparseLayer.open(source, size_bytes)
        case _:
            header = read_header(source)
            _check_capacity(header, size_bytes, source.name)
            kind = CompressedLayer if header.compressed else SparseLayer
            return kind(source, header, size_bytes)


def open_layer(listing: Listing, image: Image, lock: threading.Lock) -> Layer:
    """One image as a layer; every extent is opened and checked once before any byte is read."""
    if image.descriptor is not None:
        image.descriptor.require_readable(image.name)
    opener = ExtentOpener(listing, image, lock)
    lines = opener.lines()
    if len(lines) == 1:
        return opener(0)
    block = 4096
    for number in range(len(lines)):
        layer = opener(number)
        block = max(block, layer.block)
        layer.close()
    return SeveralExtents([line.sectors * SECTOR_BYTES for line in lines], opener, block)


def read_chain(listing: Listing, name: str, chain: Sequence[str] | None) -> list[Image]:
    """The images from `name` down to the base, each checked to be the parent that the one above was made on.

    `chain` are the names that the hypervisor or the VMX gives, with or without `name` itself first. Without it, the
    base name of each parentFileNameHint is looked for in the same listing. InputRefused MISSING-PARENT when one is
    not there; BadImage PARENT-CHANGED when the identifiers differ; BadImage for loops and for more than 64 files.
    """
    given = None
    if chain is not None:
        given = list(chain[1:] if chain and chain[0] == name else chain)
        if len(given) >= MAX_DEPTH:
            raise too_deep(len(given) + 1)
    images = [read_image(listing, name)]
    while images[-1].parent_cid is not None:
        child = images[-1]
        parent = _parent_name(child, given)
        if any(image.name == parent for image in images):
            raise BadImage(f"the chain of {name} comes back to {parent}", hint="the descriptors were edited wrongly")
        if len(images) == MAX_DEPTH:
            raise too_deep(len(images) + 1)
        images.append(_parent_image(listing, child, parent))
        _check_parent(child, images[-1])
    if given:
        raise BadImage(
            f"{images[-1].name} has no parent, yet {given[0]} is listed below it",
            hint="take the chain from the machine's own configuration",
        )
    return images


def _check_parent(child: Image, parent: Image) -> None:
    found = parent.descriptor
    wanted = child.parent_cid
    if wanted is None:
        raise BadImage(
            f"{child.name} has no parent, yet {parent.name} is listed below it",
            hint="take the chain from the machine's own configuration",
        )
    if found is None or found.cid != wanted:
        raise BadImage(
            f"{parent.name} is not, or no longer, the parent that {child.name} was made on "
            f"(CID {found.cid if found else 0:08x}, expected {wanted:08x})",
            code="PARENT-CHANGED",
            hint="copy all files of the machine again from one point in time",
        )


def _parent_name(child: Image, given: list[str] | None) -> str:
    if given is not None:
        parent = given.pop(0) if given else ""
    else:
        hint = child.descriptor.parent_hint if child.descriptor is not None else ""
        # Hypervisors write absolute paths; only the last part counts, and only within the same listing.
        parent = hint.replace("\\", "/").rsplit("/", 1)[-1]
    if not parent:
        raise InputRefused(
            f"{child.name} needs a parent disk that is not known",
            code="MISSING-PARENT",
            hint="give the whole chain, or export the machine so that its disks are single files",
        )
    return plain_name(parent)


def _parent_image(listing: Listing, child: Image, parent: str) -> Image:
    try:
        return read_image(listing, parent)
    except InputRefused as problem:
        if problem.code != "MISSING-FILE":
            raise
        raise InputRefused(
            f"{parent}, the parent of {child.name}, is missing",
            code="MISSING-PARENT",
            hint="copy the parent disk and its extents beside the others",
        ) from None


def open_vmdk(listing: Listing, name: str, *, chain: Sequence[str] | None = None) -> ChainReader:
    """A DiskReader over the VMDK `name` of `listing` and the chain below it (see `read_chain`).

    Its `experimental` attribute is set when a layer's format was never read against files of the real product.
    The caller closes it; the listing must stay open as long as the reader and its clones.
    """
    return _stacked([(listing, image) for image in read_chain(listing, name, chain)])


def open_links(links: Sequence[tuple[Listing, str]]) -> ChainReader:
    """A DiskReader over the chain of VMDKs that a hypervisor names, the one in use first, each in its own folder.

    Each must be the parent that the one above was made on, and the last must have none. InputRefused MISSING-PARENT
    when the last one has; else the errors of `open_vmdk`. Listings must stay open as long as the reader.
    """
    if len(links) > MAX_DEPTH:
        raise too_deep(len(links))
    images = [read_image(listing, name) for listing, name in links]
    for child, parent in pairwise(images):
        _check_parent(child, parent)
    if images[-1].parent_cid is not None:
        raise InputRefused(
            f"{images[-1].name} needs a parent disk that is not known",
            code="MISSING-PARENT",
            hint="list the source again; consolidate the machine's snapshots if its configuration is wrong",
        )
    return _stacked([(listing, image) for (listing, _), image in zip(links, images, strict=True)])


def _stacked(images: Sequence[tuple[Listing, Image]]) -> ChainReader:
    lock = threading.Lock()
    layers: list[Layer] = []
    experimental = False
    try:
        for listing, image in images:
            layers.append(open_layer(listing, image, lock))
            lines = image.descriptor.extents if image.descriptor is not None else ()
            experimental = experimental or any(line.type == "SESPARSE" for line in lines)
        return ChainReader(layers, experimental=experimental)
    except BaseException:
        for layer in layers:
            layer.close()
        raise
