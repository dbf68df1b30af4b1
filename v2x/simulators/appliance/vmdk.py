# SPDX-License-Identifier: Apache-2.0
"""Writes whole VMDKs of every layout, and chains of snapshots on them, from raw disks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from v2x.errors import V2xError
from v2x.model.units import GIB, SECTOR
from v2x.simulators import programs
from v2x.simulators.appliance import esx, rawdisk, sparse
from v2x.simulators.appliance.descriptor import CreateType, DiskIdentity, ExtentLine, descriptor
from v2x.simulators.appliance.rawdisk import Change, Range
from v2x.simulators.appliance.stream import write_stream_optimized

SPLIT_BYTES = 2 * GIB - 64 * 1024
"""Where VMware cuts the twoGbMaxExtent layouts: the last whole grain below 2 GiB."""

_DEVICE_EXTENTS = {
    CreateType.FULL_DEVICE: "FLAT",
    CreateType.PARTITIONED_DEVICE: "FLAT",
    CreateType.VMFS_RAW: "VMFSRAW",
    CreateType.VMFS_RDM: "VMFSRDM",
    CreateType.VMFS_RDM_PHYSICAL: "VMFSRDM",
}


@dataclass(frozen=True, slots=True)
class Delta:
    """A snapshot's delta: `changes` made since its parent, kept in the layout `kind`."""

    changes: Sequence[Change]
    kind: CreateType = CreateType.MONOLITHIC_SPARSE


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of VMDKs: `descriptors` from the base to the one in use, and the files of all of them."""

    descriptors: tuple[Path, ...]
    files: tuple[Path, ...]


def write_vmdk(
    raw: Path,
    out: Path,
    create_type: CreateType,
    *,
    identity: DiskIdentity | None = None,
    split_bytes: int = SPLIT_BYTES,
) -> list[Path]:
    """Write the content of `raw` as `out` (…/name.vmdk) in the layout `create_type`; every file written, `out` first.

    For the layouts that keep their data on a device only the descriptor is written: it names a device, not bytes.
    """
    who = identity or DiskIdentity()
    size = rawdisk.size_of(raw)
    sectors = size // SECTOR
    if create_type is CreateType.STREAM_OPTIMIZED:
        write_stream_optimized(raw, out, identity=who)
        return [out]
    if create_type is CreateType.MONOLITHIC_SPARSE:
        return _write_hosted_sparse(raw, [Range(0, size)], out, who, whole=True)
    if create_type in (CreateType.MONOLITHIC_FLAT, CreateType.VMFS):
        flat = out.with_name(f"{out.stem}-flat.vmdk")
        rawdisk.copy_sparse(raw, flat)
        kind, offset = ("FLAT", 0) if create_type is CreateType.MONOLITHIC_FLAT else ("VMFS", None)
        return _with_descriptor(out, create_type, [ExtentLine(sectors, kind, flat.name, offset)], [flat], who)
    if create_type in (CreateType.TWO_GB_FLAT, CreateType.TWO_GB_SPARSE):
        return _write_split(raw, out, create_type, who, split_bytes)
    if create_type in _DEVICE_EXTENTS:
        line = ExtentLine(sectors, _DEVICE_EXTENTS[create_type], _device_name(out, create_type))
        return _with_descriptor(out, create_type, [line], [], who)
    raise V2xError(f"a whole disk is never written as {create_type.value}")


def _device_name(out: Path, create_type: CreateType) -> str:
    if create_type in (CreateType.FULL_DEVICE, CreateType.PARTITIONED_DEVICE):
        return "/dev/sda"
    suffix = {CreateType.VMFS_RDM: "rdm", CreateType.VMFS_RDM_PHYSICAL: "rdmp"}.get(create_type, "raw")
    return f"{out.stem}-{suffix}.vmdk"


def _with_descriptor(
    out: Path, create_type: CreateType, lines: list[ExtentLine], files: list[Path], identity: DiskIdentity
) -> list[Path]:
    out.write_text(descriptor(create_type, lines, identity), "utf-8", newline="\n")
    return [out, *files]


def _write_hosted_sparse(
    raw: Path, ranges: Sequence[Range], out: Path, identity: DiskIdentity, *, whole: bool
) -> list[Path]:
    """A monolithicSparse file: all data of the disk, or as a delta every grain that `ranges` touch."""
    size = rawdisk.size_of(raw)
    line = ExtentLine(size // SECTOR, "SPARSE", out.name)
    grains = rawdisk.data_grains(raw, sparse.GRAIN_BYTES) if whole else rawdisk.grains(raw, ranges, sparse.GRAIN_BYTES)
    sparse.write_sparse_extent(
        out,
        capacity_bytes=size,
        grains=grains,
        descriptor=descriptor(CreateType.MONOLITHIC_SPARSE, [line], identity),
        zero_entries=not whole,
    )
    return [out]


def _write_split(raw: Path, out: Path, create_type: CreateType, identity: DiskIdentity, split_bytes: int) -> list[Path]:
    if split_bytes % sparse.GRAIN_BYTES:
        raise V2xError(f"a split disk is cut at whole grains of {sparse.GRAIN_BYTES} bytes, not at {split_bytes}")
    size = rawdisk.size_of(raw)
    flat = create_type is CreateType.TWO_GB_FLAT
    per_extent = split_bytes // sparse.GRAIN_BYTES
    lines: list[ExtentLine] = []
    files: list[Path] = []
    for index, start in enumerate(range(0, size, split_bytes), start=1):
        length = min(split_bytes, size - start)
        piece = out.with_name(f"{out.stem}-{'f' if flat else 's'}{index:03d}.vmdk")
        if flat:
            rawdisk.copy_sparse(raw, piece, start=start, length=length)
        else:
            first = (index - 1) * per_extent
            inside = rawdisk.data_grains(raw, sparse.GRAIN_BYTES, Range(start, start + length))
            sparse.write_sparse_extent(
                piece, capacity_bytes=length, grains=((number - first, content) for number, content in inside)
            )
        kind, offset = ("FLAT", 0) if flat else ("SPARSE", None)
        lines.append(ExtentLine(length // SECTOR, kind, piece.name, offset))
        files.append(piece)
    return _with_descriptor(out, create_type, lines, files, identity)


def write_delta(
    state: Path,
    touched: Sequence[Range],
    out: Path,
    kind: CreateType,
    identity: DiskIdentity,
) -> list[Path]:
    """Write a delta as `out`: of the raw disk `state`, every grain that `touched` ranges touch; zeros included.

    `identity` names the parent. The layouts are monolithicSparse (desktop products), vmfsSparse and seSparse (ESXi).
    """
    size = rawdisk.size_of(state)
    if kind is CreateType.MONOLITHIC_SPARSE:
        return _write_hosted_sparse(state, touched, out, identity, whole=False)
    if kind is CreateType.VMFS_SPARSE:
        extent = out.with_name(f"{out.stem}-delta.vmdk")
        esx.write_cowd_extent(extent, capacity_bytes=size, grains=rawdisk.grains(state, touched, SECTOR))
        line = ExtentLine(size // SECTOR, "VMFSSPARSE", extent.name)
    elif kind is CreateType.SE_SPARSE:
        extent = out.with_name(f"{out.stem}-sesparse.vmdk")
        grains = rawdisk.grains(state, touched, esx.SESPARSE_GRAIN_BYTES)
        esx.write_sesparse_extent(extent, capacity_bytes=size, grains=grains)
        line = ExtentLine(size // SECTOR, "SESPARSE", extent.name)
    else:
        raise V2xError(f"a delta is never written as {kind.value}")
    return _with_descriptor(out, kind, [line], [extent], identity)


def write_chain(
    raw: Path,
    out: Path,
    deltas: Sequence[Delta],
    *,
    expected: Path,
    base_type: CreateType = CreateType.VMFS,
    first_cid: int = 0x1A2B3C00,
) -> Chain:
    """Write `raw` as the base `out` (…/name.vmdk), each delta as …/name-00000N.vmdk, the child of the one before it.

    `expected` becomes the raw disk that a guest sees at the end of the chain: what every reader must return. As with
    VMware, a fresh delta has the content id of its parent, and gets its own at the first write.
    """
    rawdisk.copy_sparse(raw, expected)
    cid = first_cid
    descriptors = [out]
    files = write_vmdk(raw, out, base_type, identity=DiskIdentity(cid=cid))
    for number, delta in enumerate(deltas, start=1):
        touched = rawdisk.apply(expected, delta.changes)
        parent = DiskIdentity(cid=cid, parent_cid=cid, parent_hint=descriptors[-1].name)
        cid += 1 if touched else 0
        child = out.with_name(f"{out.stem}-{number:06d}.vmdk")
        files += write_delta(expected, touched, child, delta.kind, replace(parent, cid=cid))
        descriptors.append(child)
    return Chain(tuple(descriptors), tuple(files))


def convert_with_qemu(raw: Path, out: Path, create_type: CreateType) -> None:
    """Have qemu-img write `raw` as `out`: the same layouts from another hand. qemu knows the five hosted ones."""
    options = f"subformat={create_type.value},adapter_type=lsilogic"
    programs.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", options, str(raw.absolute()), out.name],
        cwd=out.parent,
        timeout=600,
    )
