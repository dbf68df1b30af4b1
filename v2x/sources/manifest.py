# SPDX-License-Identifier: Apache-2.0
"""Manifests (.mf): the digests that an exporter wrote beside the files of an appliance (DSP0243, section 5.1)."""

import hashlib
import re
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field

from v2x.disks.listing import Listing, plain_name
from v2x.errors import BadImage, DigestMismatch, UnsafeImage, Unsupported
from v2x.model.units import MIB

MOST_MANIFEST_BYTES = MIB
BLOCK_BYTES = 2 * MIB

_LINE = re.compile(r"\s*([A-Za-z0-9_-]+)\s*\((.+)\)\s*=\s*([0-9A-Fa-f]+)\s*")
_ALGORITHMS = {"SHA1": "sha1", "SHA256": "sha256", "SHA512": "sha512", "SHA384": "sha384"}

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Manifest:
    """`digests` maps a file name to its algorithm (a hashlib name) and lower-case hexadecimal digest."""

    name: str
    digests: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def algorithms(self) -> tuple[str, ...]:
        return tuple(sorted({algorithm for algorithm, _ in self.digests.values()}))


def read_manifest(listing: Listing, name: str) -> Manifest:
    """BadImage for lines that are none, UnsafeImage for paths, Unsupported for other algorithms than SHA."""
    with closing(listing.open(name)) as source:
        if source.size > MOST_MANIFEST_BYTES:
            raise UnsafeImage(f"{name} has {source.size:,} bytes, a manifest has at most {MOST_MANIFEST_BYTES:,}")
        data = bytearray(source.size)
        source.read_into(0, data)
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise BadImage(f"{name} is not a manifest: it is no UTF-8 text") from None
    digests: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            file, digest = _entry(line, f"{name}, line {number}")
            if digests.setdefault(file, digest) != digest:
                raise BadImage(f"{name} gives two different digests for {file!r}")
    return Manifest(name, digests)


def _entry(line: str, place: str) -> tuple[str, tuple[str, str]]:
    match = _LINE.fullmatch(line)
    if not match:
        raise BadImage(f"{place} is not of the form ALGORITHM(FILE)= DIGEST", hint="export the machine again")
    algorithm = _ALGORITHMS.get(match[1].upper().replace("-", "").replace("_", ""))
    if algorithm is None:
        raise Unsupported(
            f"{place} uses the digest {match[1]!r}",
            hint="v2x checks SHA1, SHA256, SHA384 and SHA512; write the manifest anew or remove it",
        )
    if len(match[3]) != hashlib.new(algorithm, usedforsecurity=False).digest_size * 2:
        raise BadImage(f"{place} has a {match[1]} digest of {len(match[3])} digits", hint="export the machine again")
    return plain_name(match[2].strip().removeprefix("./")), (algorithm, match[3].lower())


def check_bytes(manifest: Manifest, name: str, data: bytes) -> bool:
    """Whether the manifest speaks of `name`; DigestMismatch if `data` is not what it says."""
    if name not in manifest.digests:
        return False
    algorithm, stated = manifest.digests[name]
    _compare(manifest.name, name, stated, hashlib.new(algorithm, data, usedforsecurity=False).hexdigest())
    return True


def verify_manifest(
    listing: Listing, manifest: Manifest, names: Iterable[str] | None = None, progress: Progress | None = None
) -> tuple[str, ...]:
    """Reads each file that the manifest speaks of (or those of them in `names`) once, front to back.

    Returns the verified names. DigestMismatch at the first file that differs; `progress` is told the bytes of every
    block, and whatever it raises ends the pass.
    """
    chosen = manifest.digests.keys() if names is None else [name for name in names if name in manifest.digests]
    for name in chosen:
        algorithm, stated = manifest.digests[name]
        _compare(manifest.name, name, stated, file_digest(listing, name, algorithm, progress))
    return tuple(chosen)


def file_digest(listing: Listing, name: str, algorithm: str, progress: Progress | None = None) -> str:
    """The hexadecimal digest of a file of the listing, read in blocks of 2 MiB."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    block = memoryview(bytearray(BLOCK_BYTES))
    with closing(listing.open(name)) as source:
        for offset in range(0, source.size, BLOCK_BYTES):
            part = block[: min(BLOCK_BYTES, source.size - offset)]
            source.read_into(offset, part)
            digest.update(part)
            if progress is not None:
                progress(len(part))
    return digest.hexdigest()


def _compare(manifest: str, name: str, stated: str, found: str) -> None:
    if stated != found:
        raise DigestMismatch(
            f"{name} has the digest {found}, {manifest} says {stated}",
            hint="the file was changed or damaged after the export; copy it again or export the machine again",
        )
