# SPDX-License-Identifier: Apache-2.0
"""What a VMDK is, told from descriptors and headers alone: cheap enough for an inventory."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from v2x.disks.chain import DATA, Layer
from v2x.disks.grains import GrainLayer
from v2x.disks.listing import Listing
from v2x.disks.vmdk.opening import ExtentOpener, Image, read_chain, read_image
from v2x.errors import InputRefused

_MAX_HOLES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class VmdkInfo:
    """`chain` names the VMDKs, the one in use first; `files` all files that hold the disk, descriptors included.

    `allocated_bytes` is an upper estimate (whole grain tables, or the size of the files), None where it would cost a
    scan. `raw_device` is the kind of a raw device mapping or empty. `missing` names files that are not in the
    listing; `problem` is why the chain cannot be read, in a sentence, or empty.
    """

    create_type: str
    capacity_bytes: int
    allocated_bytes: int | None
    chain: tuple[str, ...]
    files: tuple[str, ...]
    compressed: bool
    adapter_type: str
    uuid: str
    thin: bool | None
    encrypted: bool
    raw_device: str
    unclean: bool
    experimental: bool
    missing: tuple[str, ...] = ()
    problem: str = ""


def describe_vmdk(listing: Listing, name: str, *, chain: Sequence[str] | None = None) -> VmdkInfo:
    """What `name` is. Raises only when the VMDK itself cannot be read; what lies below is told in `problem`."""
    top = read_image(listing, name)
    images, problem, missing = [top], "", []
    try:
        images = read_chain(listing, name, chain)
    except InputRefused as refused:
        problem = refused.message
        if refused.code == "MISSING-PARENT" and top.descriptor is not None:
            missing.append(top.descriptor.parent_hint.replace("\\", "/").rsplit("/", 1)[-1])
    described = [image.descriptor for image in images if image.descriptor is not None]
    known = set(listing.names())
    files = [file for image in images for file in _files(image)]
    missing += [file for file in files if file not in known]
    allocated = None
    try:
        for image in images:
            if image.descriptor is not None:
                image.descriptor.require_readable(image.name)
        if not missing:
            allocated = _allocated(listing, images)
    except InputRefused as refused:
        problem = problem or refused.message
    settings = top.descriptor.settings if top.descriptor is not None else {}
    thin = settings.get("ddb.thinprovisioned")
    return VmdkInfo(
        create_type=top.descriptor.create_type if top.descriptor is not None else "streamOptimized",
        capacity_bytes=top.size_bytes,
        allocated_bytes=allocated,
        chain=tuple(image.name for image in images),
        files=tuple(dict.fromkeys(files)),
        compressed=any(image.header is not None and image.header.compressed for image in images),
        adapter_type=top.descriptor.adapter_type if top.descriptor is not None else "",
        uuid=settings.get("ddb.uuid", ""),
        thin=None if thin is None else thin == "1",
        encrypted=any(descriptor.encrypted for descriptor in described),
        raw_device=next((descriptor.device for descriptor in described if descriptor.device), ""),
        unclean=any(image.header is not None and image.header.unclean for image in images),
        experimental=any(line.type == "SESPARSE" for descriptor in described for line in descriptor.extents),
        missing=tuple(dict.fromkeys(file for file in missing if file)),
        problem=problem,
    )


def _files(image: Image) -> list[str]:
    """The image's own name and the files its extents name; for an embedded descriptor only the former."""
    if image.header is not None or image.descriptor is None:
        return [image.name]
    return [image.name, *(line.file for line in image.descriptor.extents if line.file)]


def _allocated(listing: Listing, images: Sequence[Image]) -> int | None:
    total = 0
    for image in images:
        opener = ExtentOpener(listing, image, threading.Lock())
        for number in range(len(opener.lines())):
            layer = opener(number)
            try:
                stored = _stored(layer)
            finally:
                layer.close()
            if stored is None:
                return None
            total += stored
    return min(total, images[0].size_bytes)


def _stored(layer: Layer) -> int | None:
    if isinstance(layer, GrainLayer):
        return layer.allocated_estimate()
    parts = list(islice(layer.parts_with_holes(0, layer.size), _MAX_HOLES + 1))
    return None if len(parts) > _MAX_HOLES else sum(part.length for part in parts if part.kind == DATA)
