# SPDX-License-Identifier: Apache-2.0
"""The inflating threads of this process, and how a grain of a VMDK and a cluster of a QCOW2 are inflated.

Nothing larger than one unit ever comes out of a unit, whatever its stream says.
"""

import os
import threading
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final, NamedTuple, TypeAlias

from v2x.errors import BadImage

_UNTRIMMED_BYTES: Final = 2 << 20

Inflated: TypeAlias = list[bytes | bytearray | BadImage]


class Stored(NamedTuple):
    """One unit as it lies in the file; `needed` is how many of its bytes lie within the disk."""

    number: int
    needed: int
    stream: memoryview


Inflate: TypeAlias = Callable[[Stored, int, str], bytes | bytearray]
"""From a unit, its full bytes and the file's name: `needed` to all of its bytes, or BadImage."""


class _Workers:
    """Started when first needed and shared by all disks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def submit(self, inflate: Inflate, batch: Sequence[Stored], unit_bytes: int, name: str) -> "Future[Inflated]":
        with self._lock:
            if self._pool is None:
                _keep_freed_memory()
                count = max(2, min(4, os.cpu_count() or 2))
                self._pool = ThreadPoolExecutor(count, thread_name_prefix="inflate")
            return self._pool.submit(inflated, inflate, batch, unit_bytes, name)


def _keep_freed_memory() -> None:
    """Has glibc keep the memory of grains for the next ones instead of giving it back to the kernel each time.

    Freeing a piece as large as this raises malloc's thresholds to that size and twice that size (mallopt(3),
    M_MMAP_THRESHOLD); without it, page faults take a tenth of the time. The piece itself is never touched.
    """
    bytearray(_UNTRIMMED_BYTES)


WORKERS: Final = _Workers()


def inflated(inflate: Inflate, batch: Sequence[Stored], unit_bytes: int, name: str) -> Inflated:
    """One result per unit; damage is told only to who asks for that very unit."""
    results: Inflated = []
    for stored in batch:
        try:
            results.append(inflate(stored, unit_bytes, name))
        except BadImage as damage:
            results.append(damage)
    return results


def zlib_grain(stored: Stored, grain_bytes: int, name: str) -> bytes | bytearray:
    """A grain of a streamOptimized VMDK: one whole zlib stream, and nothing behind it."""
    import deflate

    try:
        data = deflate.zlib_decompress(stored.stream, grain_bytes)
    except (deflate.DeflateError, ValueError):
        return _grain_slowly(stored, grain_bytes, name)
    # libdeflate has held the checksum against the data, and does not tell where it was: it has to be last.
    if len(data) < stored.needed or int.from_bytes(stored.stream[-4:], "big") != deflate.adler32(data):
        return _grain_slowly(stored, grain_bytes, name)
    return data


def _grain_slowly(stored: Stored, grain_bytes: int, name: str) -> bytes:
    """As zlib_grain, by an inflater that tells what is wrong."""
    what = f"grain {stored.number:,} of {name}"
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(stored.stream, grain_bytes + 1)
    except zlib.error as problem:
        raise BadImage(f"{what} is damaged: {problem}", hint="copy the file again") from None
    if len(data) > grain_bytes:
        raise BadImage(f"{what} inflates to more than its {grain_bytes:,} bytes", hint="the file is damaged or hostile")
    if not inflater.eof or inflater.unused_data:
        raise BadImage(
            f"{what} {'goes on after its end' if inflater.eof else 'ends early'}", hint="copy the file again"
        )
    if len(data) < stored.needed:
        raise BadImage(f"{what} inflates to {len(data):,} bytes of {stored.needed:,}", hint="copy the file again")
    return data


def deflate_cluster(stored: Stored, cluster_bytes: int, name: str) -> bytes | bytearray:
    """A cluster of a QCOW2: a raw deflate stream that fills it, with anything behind it up to a sector's end."""
    import deflate

    with suppress(deflate.DeflateError, ValueError):
        data = deflate.deflate_decompress(stored.stream, cluster_bytes)
        if len(data) == cluster_bytes:
            return data
    return _cluster_slowly(stored, cluster_bytes, name)


def _cluster_slowly(stored: Stored, cluster_bytes: int, name: str) -> bytes:
    """As deflate_cluster, by an inflater that tells what is wrong."""
    what = f"cluster {stored.number:,} of {name}"
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(stored.stream, cluster_bytes + 1)
    except zlib.error as problem:
        raise BadImage(f"{what} is damaged: {problem}", hint="copy the file again") from None
    if len(data) != cluster_bytes:
        many = "more than" if len(data) > cluster_bytes else f"{len(data):,} of"
        raise BadImage(f"{what} inflates to {many} its {cluster_bytes:,} bytes", hint="copy the file again")
    if not inflater.eof:
        raise BadImage(f"{what} ends early", hint="copy the file again")
    return data
