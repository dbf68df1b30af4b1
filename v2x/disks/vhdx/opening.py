# SPDX-License-Identifier: Apache-2.0
"""Opens VHDX files and the chains below them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from v2x.disks.chain import ChainReader
from v2x.disks.interface import ByteSource
from v2x.disks.listing import Listing
from v2x.disks.parents import ChainFacts, Format, Identity, describe_chain, open_chain
from v2x.disks.vhdx.layer import native_4k_refused, open_layer
from v2x.disks.vhdx.structure import read_header


def _identify(source: ByteSource) -> Identity:
    return Identity(read_header(source).data_write_id)


def write_ids(source: ByteSource) -> str:
    """What a VHDX says of its own writes: a host that opens it to write changes the first part, its guest the second.

    Told without regard to file times, which Windows updates late. BadImage.
    """
    header = read_header(source)
    return f"{header.file_write_id}/{header.data_write_id}/{header.sequence}"


def _format(native_4k: bool) -> Format:
    return Format((".vhdx", ".avhdx"), partial(open_layer, native_4k=native_4k), _identify)


def open_vhdx(
    listing: Listing, name: str, *, chain: Sequence[str] | None = None, native_4k: bool = False
) -> ChainReader:
    """A DiskReader over the VHDX `name` of `listing` and the chain below it (see `open_chain` for what is raised).

    A log that was not written to its places is replayed in memory. Disks with sectors of 4096 bytes are Unsupported
    unless `native_4k` says that only their bytes are wanted. The caller closes it; the listing need not stay open.
    """
    return ChainReader(open_chain(listing, name, chain, _format(native_4k)))


def describe_vhdx(listing: Listing, name: str, *, chain: Sequence[str] | None = None) -> ChainFacts:
    """What the VHDX `name` is, from its tables alone. Raises only when the file itself cannot be read.

    A disk with sectors of 4096 bytes is described, with the reason why `open_vhdx` refuses it as its problem.
    """
    facts = describe_chain(listing, name, chain, _format(native_4k=True))
    if facts.sector_bytes != 512 and not facts.problem:
        return replace(facts, problem=native_4k_refused(name, facts.sector_bytes).message)
    return facts
