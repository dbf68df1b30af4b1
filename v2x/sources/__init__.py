# SPDX-License-Identifier: Apache-2.0
"""Sources of machines. `open_source` finds the right one for an address; each lives in a module of its own."""

import re
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from v2x.errors import InputRefused, UsageError
from v2x.model.address import parse_address

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
# Scheme → "module:opener". The opener takes an Address, `clock`, and what a server needs: password, trust, options.
SERVERS: dict[str, str] = {
    "vsphere": "v2x.sources.vsphere.source:VsphereSource.open",
}

Clock = Callable[[], datetime]


def open_source(
    address: str | Path,
    *,
    clock: Clock | None = None,
    shares: "ShareOptions | None" = None,
    experimental: bool = False,
    **server: Any,
) -> "Source":
    """The source at `address`: a path, or `SCHEME://…`. Used as a context manager.

    `server` is what a live source needs beside its address (password, trust, options); files need none of it. `shares`
    say how disks that stayed on a Hyper-V host are reached; `experimental` reads .vmcx keys of generation 2.
    UsageError for an address of unknown kind; InputRefused and its kin if the file is not what its name says.
    """
    kind = _kind(str(address))
    if kind in SERVERS:
        return cast("Source", _opener(SERVERS[kind])(parse_address(str(address)), clock=clock, **server))
    more = {"shares": shares, "experimental": experimental} if kind in _WITH_SHARES else {}
    return cast("Source", _opener(REGISTRY[kind])(Path(address), str(address), clock=clock, **more))


def _opener(place: str) -> Callable[..., Any]:
    module, _, opener = place.partition(":")
    owner, _, method = opener.partition(".")
    return cast(Callable[..., Any], getattr(getattr(import_module(module), owner), method))


def _kind(address: str) -> str:
    scheme, found, _ = address.partition("://")
    if found:
        if scheme.lower() in SERVERS:
            return scheme.lower()
        if scheme.lower() == "hyperv":
            raise UsageError(
                f"{address} is a server, which takes a login", hint="give hyperv://USER@HOST, with a password"
            )
        raise UsageError(
            f"{scheme!r} is not a kind of source",
            hint="sources are a path, vsphere://USER@HOST, or hyperv://USER@HOST",
        )
    path = Path(address)
    if path.is_dir():
        return _folder_kind(path)
    suffix = path.suffix.lower()
    if suffix not in REGISTRY:
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
