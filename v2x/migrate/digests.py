# SPDX-License-Identifier: Apache-2.0
"""Digests of a disk's blocks, gathered while it is read."""

import heapq
from array import array
from collections.abc import Iterator

import xxhash

from v2x.disks.interface import Buffer
from v2x.model.migration import BlockDigests

ALGORITHM = "xxh3-128"
DIGEST_BYTES = 16


def digest_of(data: Buffer) -> bytes:
    """The 16-byte XXH3-128 of `data`; guards against faults, not against forgery."""
    return xxhash.xxh3_128_digest(data)


class DigestTable:
    """Digests of blocks in ascending order: 20 bytes of memory for each block."""

    def __init__(self) -> None:
        self._numbers = array("I")
        self._digests = bytearray()

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, number: int, digest: bytes) -> None:
        """Adds the digest of block `number`; after a restart at an earlier block, later ones are forgotten."""
        if self._numbers and number <= self._numbers[-1]:
            self.forget_from(number)
        self._numbers.append(number)
        self._digests += digest

    def forget_from(self, number: int) -> None:
        """Drops the digests of block `number` and all that follow."""
        while self._numbers and self._numbers[-1] >= number:
            self._numbers.pop()
        del self._digests[len(self._numbers) * DIGEST_BYTES :]

    def items(self) -> Iterator[tuple[int, bytes]]:
        """Pairs of block number and digest, ascending."""
        for index, number in enumerate(self._numbers):
            yield number, bytes(self._digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES])

    def updated(self, newer: "DigestTable") -> "DigestTable":
        """These digests with those of `newer` in the place of older ones."""
        merged = DigestTable()
        both = heapq.merge(
            ((number, 0, digest) for number, digest in self.items()),
            ((number, 1, digest) for number, digest in newer.items()),
        )
        for number, _, digest in both:
            merged.add(number, digest)  # of two of one number, the newer comes second and stays
        return merged

    @classmethod
    def of(cls, digests: BlockDigests | None) -> "DigestTable":
        """The table that a record was made of; empty for none."""
        table = cls()
        for number, digest in recorded(digests) if digests is not None else ():
            table.add(number, digest)
        return table

    def numbers(self) -> frozenset[int]:
        return frozenset(self._numbers)

    def record(self, block_bytes: int, size_bytes: int) -> BlockDigests:
        """The table as a record for a report."""
        runs: list[tuple[int, int]] = []
        for number in self._numbers:
            if runs and runs[-1][0] + runs[-1][1] == number:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((number, 1))
        return BlockDigests(
            algorithm=ALGORITHM,
            block_bytes=block_bytes,
            size_bytes=size_bytes,
            runs=tuple(runs),
            digests=bytes(self._digests),
        )


def recorded(digests: BlockDigests) -> Iterator[tuple[int, bytes]]:
    """Pairs of block number and digest of a record, ascending."""
    index = 0
    for first, count in digests.runs:
        for number in range(first, first + count):
            yield number, digests.digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES]
            index += 1
