# SPDX-License-Identifier: Apache-2.0
"""Addresses that a person gave for a side, and why some cannot be what was asked for."""

from dataclasses import replace
from pathlib import Path

from v2x.errors import UsageError
from v2x.model.address import SOURCE_SCHEMES, TARGET_SCHEMES, Address, AddressError, Scheme, parse_address
from v2x.model.plan import Endpoint


def no_source_network(endpoint: Endpoint, address: Address) -> UsageError:
    """Why no network can be chosen for the disks of a source that is not vSphere."""
    if address.scheme is Scheme.PATH:
        return UsageError(
            f"{endpoint.address} is read from files of this machine, over no network that v2x could choose",
            code="SOURCE-NETWORK",
            hint="leave out --source-network; mount the files over the network that shall carry them",
        )
    return UsageError(
        f"the disks of {endpoint.address} come from file servers, and the addresses of these say by which way",
        code="SOURCE-NETWORK",
        hint="leave out --source-network; name the address on that network: --share 'D:=\\\\10.20.0.5\\d$'",
    )


def address_of(side: str, text: str) -> Address:
    """The address of a `side`, source or target; paths become absolute. UsageError says what is wrong with it."""
    try:
        address = parse_address(text)
    except AddressError as problem:
        raise UsageError(str(problem), code="ADDRESS", hint="docs/cli.md lists the forms of addresses") from None
    allowed = SOURCE_SCHEMES if side == "source" else TARGET_SCHEMES
    if address.scheme not in allowed:
        what = "a path" if address.scheme is Scheme.PATH else f"{address.scheme}:"
        expected = "a path, vsphere:// or hyperv://" if side == "source" else "xapi://USER@HOST or xva:FOLDER"
        raise UsageError(
            f"{text} is {what}, which is no {side}",
            code="ADDRESS",
            hint=f"a {side} is {expected}, or an alias of v2x.toml",
        )
    if address.scheme is Scheme.PATH:
        # The absolute path is part of a file source's identity: the same command from another folder continues.
        return replace(address, path=str(Path(address.path).resolve()))
    return address
