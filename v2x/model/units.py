# SPDX-License-Identifier: Apache-2.0
"""Sizes in bytes and how they are shown."""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB
SECTOR = 512


def show_bytes(count: int) -> str:
    """`count` bytes in binary units, `1.5 GiB`; exact bytes below 1 KiB."""
    value = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024:
            return f"{count} bytes" if unit == "bytes" else f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} PiB"


def round_up(value: int, step: int) -> int:
    """The smallest multiple of `step` that is not below `value`."""
    return -(-value // step) * step
