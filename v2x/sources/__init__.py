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
    from v2x.sources.interface import Source

# Kind of address → "module:opener". The opener takes (path, address, clock) and gives a Source.
REGISTRY: dict[str, str] = {
    ".ova": "v2x.sources.ovf:OvfSource.open",
    ".ovf": "v2x.sources.ovf:OvfSource.open",
    ".vmx": "v2x.sources.vmx:VmxSource.open",
    ".vmtx": "v2x.sources.vmx:VmxSource.open",
    ".json": "v2x.sources.inventory_file:InventoryFileSource.open",
    ".xlsx": "v2x.sources.rvtools:RvtoolsSource.open",
    ".zip": "v2x.sources.rvtools:RvtoolsSource.open",
    "rvtools-folder": "v2x.sources.rvtools:RvtoolsSource.open",
    "folder": "v2x.sources.folder:FolderSource.open",
}
# Scheme → "module:opener". The opener takes an Address, `clock`, and what a server needs: password, trust, options.
SERVERS: dict[str, str] = {
    "vsphere": "v2x.sources.vsphere.source:VsphereSource.open",
}
LATER: dict[str, str] = {
    "hyperv": "a Hyper-V host",
}

Clock = Callable[[], datetime]


def open_source(address: str | Path, *, clock: Clock | None = None, **server: Any) -> "Source":
    """The source at `address`: a path, or `SCHEME://…`. Used as a context manager.

    `server` is what a live source needs beside its address (password, trust, options); files need none of it.
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
    if kind in SERVERS:
        return cast("Source", _opener(SERVERS[kind])(parse_address(str(address)), clock=clock, **server))
    return cast("Source", _opener(REGISTRY[kind])(Path(address), str(address), clock=clock))


def _opener(place: str) -> Callable[..., Any]:
    module, _, opener = place.partition(":")
    owner, _, method = opener.partition(".")
    return cast(Callable[..., Any], getattr(getattr(import_module(module), owner), method))


def _kind(address: str) -> str:
    scheme, found, _ = address.partition("://")
    if found:
        if scheme.lower() in {*LATER, *SERVERS}:
            return scheme.lower()
        raise UsageError(
            f"{scheme!r} is not a kind of source",
            hint="sources are a path, vsphere://USER@HOST, or hyperv://USER@HOST",
        )
    path = Path(address)
    if path.is_dir():
        return "rvtools-folder" if _holds_rvtools(path) else "folder"
    suffix = path.suffix.lower()
    if suffix not in REGISTRY and suffix not in LATER:
        raise UsageError(
            f"{address}: {suffix or 'a file without extension'} is not a kind of source",
            hint="sources are .ova, .ovf, .vmx, an inventory .json, an RVTools .xlsx, a folder of appliances, "
            "or a folder or .zip of RVTools' CSV files",
        )
    if suffix in REGISTRY and not path.exists():
        raise InputRefused(f"{address} does not exist", code="MISSING-FILE", hint="check the path")
    return suffix


def _holds_rvtools(folder: Path) -> bool:
    """Whether `folder` has the CSV files of RVTools. Beside appliances, which can be migrated, they do not count."""
    try:
        names = [path.name.lower() for path in folder.iterdir()]
    except OSError:
        return False
    return any(re.fullmatch(r"(.*[^a-z])?(tab)?vinfo\.csv", name) for name in names) and not any(
        name.endswith((".ova", ".ovf", ".vmx", ".vmtx")) for name in names
    )
