# SPDX-License-Identifier: Apache-2.0
"""Sources of machines. `open_source` finds the right one for an address; each lives in a module of its own."""

import re
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from v2x.errors import InputRefused, UsageError

if TYPE_CHECKING:
    from v2x.sources.hyperv.access import ShareOptions
    from v2x.sources.interface import Source

# Kind of address → "module:opener". The opener takes (path, address, clock) and gives a Source.
REGISTRY: dict[str, str] = {
    ".ova": "v2x.sources.ovf:OvfSource.open",
    ".ovf": "v2x.sources.ovf:OvfSource.open",
    ".vmx": "v2x.sources.vmx:VmxSource.open",
    ".vmtx": "v2x.sources.vmx:VmxSource.open",
    ".json": "v2x.sources.json_file:JsonFile.open",
    ".xlsx": "v2x.sources.rvtools:RvtoolsSource.open",
    ".zip": "v2x.sources.rvtools:RvtoolsSource.open",
    "rvtools-folder": "v2x.sources.rvtools:RvtoolsSource.open",
    "folder": "v2x.sources.folder:FolderSource.open",
    "hyperv-folder": "v2x.sources.hyperv.folder:HypervFolderSource.open",
}
# Of these kinds, the openers take how a host's shares are reached, and whether .vmcx keys of generation 2 count.
_WITH_SHARES = frozenset({"folder", "hyperv-folder"})
LATER: dict[str, str] = {
    "vsphere": "a vCenter or ESXi host",
}

Clock = Callable[[], datetime]


def open_source(
    address: str | Path,
    *,
    clock: Clock | None = None,
    shares: "ShareOptions | None" = None,
    experimental: bool = False,
) -> "Source":
    """The source at `address`: a path, or `SCHEME://…`. Used as a context manager.

    `shares` say how disks that stayed on a Hyper-V host are reached; `experimental` reads .vmcx keys of generation 2.

    UsageError for an address of unknown kind, or of one that a later release brings; InputRefused and its kin if the
    file is not what its name says.
    """
    kind = _kind(str(address))
    if kind in LATER:
        raise UsageError(
            f"{LATER[kind]} as a source comes with a later release: {address}",
            code="LATER",
            hint="export the machines as OVA and give the .ova files or their folder",
        )
    module, _, opener = REGISTRY[kind].partition(":")
    owner, _, method = opener.partition(".")
    more = {"shares": shares, "experimental": experimental} if kind in _WITH_SHARES else {}
    opened = getattr(getattr(import_module(module), owner), method)(Path(address), str(address), clock=clock, **more)
    return cast("Source", opened)


def _kind(address: str) -> str:
    scheme, found, _ = address.partition("://")
    if found:
        if scheme.lower() in LATER:
            return scheme.lower()
        if scheme.lower() == "hyperv":
            raise UsageError(f"{address} is a server, which takes a login", hint="v2x.sources.hyperv.opening has it")
        raise UsageError(
            f"{scheme!r} is not a kind of source",
            hint="sources are a path, vsphere://USER@HOST, or hyperv://USER@HOST",
        )
    path = Path(address)
    if path.is_dir():
        return _folder_kind(path)
    suffix = path.suffix.lower()
    if suffix not in REGISTRY and suffix not in LATER:
        raise UsageError(
            f"{address}: {suffix or 'a file without extension'} is not a kind of source",
            hint="sources are .ova, .ovf, .vmx, an inventory or collected .json, an RVTools .xlsx, a folder of "
            "appliances, the folder of a Hyper-V export, or a folder or .zip of RVTools' CSV files",
        )
    if suffix in REGISTRY and not path.exists():
        raise InputRefused(f"{address} does not exist", code="MISSING-FILE", hint="check the path")
    return suffix


def _folder_kind(folder: Path) -> str:
    """RVTools' files, a Hyper-V export without appliances beside it, or a folder of appliances and machines."""
    if _holds_rvtools(folder):
        return "rvtools-folder"
    from v2x.sources.folder import holds_appliances
    from v2x.sources.hyperv.tree import holds_machines

    return "hyperv-folder" if not holds_appliances(folder) and holds_machines(folder) else "folder"


def _holds_rvtools(folder: Path) -> bool:
    """Whether `folder` has the CSV files of RVTools. Beside appliances, which can be migrated, they do not count."""
    try:
        names = [path.name.lower() for path in folder.iterdir()]
    except OSError:
        return False
    return any(re.fullmatch(r"(.*[^a-z])?(tab)?vinfo\.csv", name) for name in names) and not any(
        name.endswith((".ova", ".ovf", ".vmx", ".vmtx")) for name in names
    )
