# SPDX-License-Identifier: Apache-2.0
"""The text file that names a disk's extents, as ESXi writes it."""

import re
import secrets
from pathlib import Path

from v2x.simulators.vsphere.disks.layer import SECTOR

NO_PARENT = "ffffffff"
_TYPES = {
    "flat": ("vmfs", "VMFS"),
    "vmfsSparse": ("vmfsSparse", "VMFSSPARSE"),
    "seSparse": ("seSparse", "SESPARSE"),
    "vsanSparse": ("vsanSparse", "VSANSPARSE"),
    "physicalMode": ("vmfsPassthroughRawDeviceMap", "VMFSRDM"),
    "virtualMode": ("vmfsRawDeviceMap", "VMFSRDM"),
}


def new_cid() -> str:
    return secrets.token_hex(4)


def descriptor(
    kind: str,
    size_bytes: int,
    extent: str,
    *,
    cid: str,
    uuid: str,
    thin: bool = False,
    parent_cid: str = NO_PARENT,
    parent: str = "",
    tracking: str = "",
    adapter: str = "lsilogic",
) -> str:
    """The descriptor of a disk of one extent; `kind` is a key of _TYPES."""
    create_type, extent_type = _TYPES[kind]
    lines = [
        "# Disk DescriptorFile",
        "version=1" if not tracking else "version=4",
        'encoding="UTF-8"',
        f"CID={cid}",
        f"parentCID={parent_cid}",
        'isNativeSnapshot="no"',
        f'createType="{create_type}"',
        *([f'parentFileNameHint="{parent}"'] if parent else []),
        "# Extent description",
        f'RW {size_bytes // SECTOR} {extent_type} "{extent}"',
        "",
        *(["# Change Tracking File", f'changeTrackPath="{tracking}"', ""] if tracking else []),
        "# The Disk Data Base",
        "#DDB",
        "",
        *(_database(size_bytes, cid, uuid, adapter, thin) if not parent else []),
    ]
    return "\n".join(lines) + "\n"


def _database(size_bytes: int, cid: str, uuid: str, adapter: str, thin: bool) -> list[str]:
    spaced = " ".join(uuid.replace("-", "")[i : i + 2] for i in range(0, 32, 2))
    return [
        f'ddb.adapterType = "{adapter}"',
        f'ddb.geometry.cylinders = "{max(1, size_bytes // SECTOR // (255 * 63))}"',
        'ddb.geometry.heads = "255"',
        'ddb.geometry.sectors = "63"',
        f'ddb.longContentID = "{uuid.replace("-", "")[:24]}{cid}"',
        *(['ddb.thinProvisioned = "1"'] if thin else []),
        f'ddb.uuid = "{spaced[:23]}-{spaced[24:]}"',
        'ddb.virtualHWVersion = "19"',
    ]


def value_in(path: Path, name: str) -> str:
    """The value of a line `name=…` of a descriptor of ours, without quotes; "" where there is none."""
    found = re.search(rf'^{name}="?([^"\n]*)"?$', path.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""
