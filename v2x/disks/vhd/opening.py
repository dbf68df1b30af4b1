# SPDX-License-Identifier: Apache-2.0
"""Opens VHDs and the chains below them."""

from collections.abc import Sequence

from v2x.disks.chain import ChainReader
from v2x.disks.interface import ByteSource
from v2x.disks.listing import Listing
from v2x.disks.parents import ChainFacts, Format, Identity, describe_chain, open_chain
from v2x.disks.vhd.layer import open_layer
from v2x.disks.vhd.structure import read_footer


def _identify(source: ByteSource) -> Identity:
    return read_footer(source).identity


_FORMAT = Format((".vhd", ".avhd", ".vpc"), open_layer, _identify)


def open_vhd(listing: Listing, name: str, *, chain: Sequence[str] | None = None) -> ChainReader:
    """A DiskReader over the VHD `name` of `listing` and the chain below it (see `open_chain` for what is raised).

    The caller closes it; the listing need not stay open.
    """
    return ChainReader(open_chain(listing, name, chain, _FORMAT))


def describe_vhd(listing: Listing, name: str, *, chain: Sequence[str] | None = None) -> ChainFacts:
    """What the VHD `name` is, from its tables alone. Raises only when the file itself cannot be read."""
    return describe_chain(listing, name, chain, _FORMAT)
