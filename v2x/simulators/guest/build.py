# SPDX-License-Identifier: Apache-2.0
"""Builds a small but real Linux disk that boots, for the demo and for tests."""

import hashlib
import random
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from v2x.errors import UsageError, V2xError
from v2x.model.machine import Firmware
from v2x.model.units import MIB
from v2x.simulators import programs
from v2x.simulators.guest import contents, layout
from v2x.simulators.guest.contents import Drivers, Entry
from v2x.simulators.guest.kernel import Kernel, find_kernel, load_modules

PAYLOAD_BYTES = 8 * MIB
MARKER = "V2X-GUEST-BOOTED"
"""The guest writes a line that begins with this word to every console once it is up; `key=value` words follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestImage:
    """A raw disk that boots: `payload_md5` is of its file /payload.bin, `root_offset` where its ext4 begins."""

    path: Path
    firmware: Firmware
    size_bytes: int
    payload_md5: str
    payload_sha256: str
    root_offset: int
    kernel_release: str


def build_guest(
    out: Path,
    *,
    firmware: Firmware,
    size_mib: int = 0,
    seed: int = 0,
    drivers: Drivers = "full",
    kernel_root: Path | None = None,
    kernel_arguments: str = "",
) -> GuestImage:
    """Write a bootable raw disk to `out` (a sparse file), in a few seconds, as any user.

    UEFI gives GPT with an EFI system partition, BIOS an MBR; both GRUB, Debian's kernel and ext4. `size_mib` 0 means
    just large enough. The same `seed`, options, kernel and tools give the same bytes. The kernel is this machine's
    own, or the one that `make setup` fetched; or that of `kernel_root`, an unpacked kernel package.
    `kernel_arguments` are added to the kernel's command line: `v2x.poweroff` makes the guest power off once it has
    spoken. Raises UsageError that names what is missing and how to get it, V2xError where a tool fails.
    """
    _require_tools()
    dice = random.Random(seed)
    identity = layout.Identity(*(uuid.UUID(int=dice.getrandbits(128), version=4) for _ in range(5)))
    payload = dice.randbytes(PAYLOAD_BYTES)
    kernel = find_kernel(*([Path("/"), programs.FETCHED] if kernel_root is None else [kernel_root]))
    entries = _root_entries(kernel, drivers, payload, identity.root, kernel_arguments)
    size_mib = _disk_size_mib(entries, firmware, size_mib)
    with tempfile.TemporaryDirectory(prefix=".v2x-guest-", dir=out.parent) as work:
        disk = Path(work) / "disk.raw"
        place = layout.partition(disk, size_mib, firmware, identity)
        layout.write_root(disk, place, identity, entries)
        if firmware is Firmware.BIOS:
            layout.install_bios_loader(disk)
        else:
            layout.install_uefi_loader(disk, identity)
        disk.replace(out)
    return GuestImage(
        path=out,
        firmware=firmware,
        size_bytes=size_mib * MIB,
        payload_md5=hashlib.md5(payload, usedforsecurity=False).hexdigest(),
        payload_sha256=hashlib.sha256(payload).hexdigest(),
        root_offset=place.offset,
        kernel_release=kernel.release,
    )


def _require_tools() -> None:
    missing = programs.missing_tools()
    if missing:
        packages = " ".join(sorted({package for _, package in missing}))
        raise UsageError(
            f"the guest cannot be built without {', '.join(tool for tool, _ in missing)}",
            code="MISSING-TOOL",
            hint=f"sudo apt-get install {packages}",
        )


def _root_entries(kernel: Kernel, drivers: Drivers, payload: bytes, root: uuid.UUID, arguments: str) -> list[Entry]:
    busybox = programs.busybox().read_bytes()
    early = load_modules(kernel, contents.storage_drivers(drivers), required=("ext4", "sd_mod"))
    everything = load_modules(kernel, (*contents.storage_drivers("full"), *contents.NETWORK), required=("ext4",))
    return contents.root_tree(
        kernel=kernel,
        modules=everything,
        busybox=busybox,
        initrd=contents.initramfs(busybox, early, kernel.release),
        payload=payload,
        root_uuid=str(root),
        arguments=arguments,
    )


def _disk_size_mib(entries: Sequence[Entry], firmware: Firmware, wanted_mib: int) -> int:
    """`wanted_mib` where it suffices, else V2xError; for 0 a size with a third to spare."""
    used_mib = sum(-(-len(entry.data or b"") // 4096) * 4096 for entry in entries) // MIB + 1
    least_mib = used_mib + used_mib // 16 + 24 + layout.overhead_mib(firmware)
    if wanted_mib == 0:
        return used_mib + used_mib // 3 + 80 + layout.overhead_mib(firmware)
    if wanted_mib < least_mib:
        raise V2xError(f"the guest needs {least_mib} MiB, not {wanted_mib} MiB")
    return wanted_mib
