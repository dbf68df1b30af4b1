# SPDX-License-Identifier: Apache-2.0
"""From an address, its login and its settings to a source."""

from collections.abc import Mapping
from dataclasses import replace

from v2x.disks.smb.paths import Authentication as SmbAuthentication
from v2x.errors import UsageError
from v2x.model.address import Address
from v2x.secrets import Secret
from v2x.sources.hyperv.access import ShareOptions
from v2x.sources.hyperv.login import Authentication, HostAccess, host_access
from v2x.sources.hyperv.source import HyperVSource
from v2x.sources.local_files import Clock, utc_now
from v2x.tls import Trust, parse_fingerprint


def open_hyperv(
    address: Address,
    password: Secret | None,
    shares: ShareOptions | None = None,
    *,
    ca_file: str = "",
    fingerprint: str = "",
    settings: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> HyperVSource:
    """The hosts of `address`. Nothing is sent yet. UsageError for settings that do not hold.

    `shares` is how the disks are read; its password and way of logging in are those of the hosts.
    `fingerprint` is one pin for all hosts, or as many as there are hosts, in their order, with commas between.
    """
    from v2x.sources.hyperv.session import PowerShellSession

    pins = _pins(fingerprint, len(address.hosts))
    hosts = [
        host_access(
            host,
            address.port,
            address.user,
            password,
            Trust(ca_file=ca_file, fingerprint=pin, option="source"),
            settings or {},
        )
        for host, pin in zip(address.hosts, pins, strict=True)
    ]
    return HyperVSource(
        hosts,
        str(address),
        PowerShellSession,
        shares=_file_options(shares, hosts[0], password),
        clock=clock or utc_now,
    )


def _pins(text: str, hosts: int) -> list[str]:
    pins = [parse_fingerprint(one) for one in text.split(",") if one.strip()]
    if len(pins) in {0, 1}:
        return (pins or [""]) * hosts
    if len(pins) != hosts:
        raise UsageError(
            f"{len(pins)} fingerprints are given for {hosts} hosts", hint="give one for each host, in their order"
        )
    return pins


def _file_options(shares: ShareOptions | None, access: HostAccess, password: Secret | None) -> ShareOptions | None:
    """The login of the hosts for their files. A certificate logs in nowhere but at WinRM."""
    if shares is None or (password is None and access.authentication is not Authentication.KERBEROS):
        return None
    known: dict[Authentication, SmbAuthentication] = {
        Authentication.KERBEROS: "kerberos",
        Authentication.NTLM: "ntlm",
    }
    return replace(
        shares,
        password=(lambda: password) if password is not None else None,
        authentication=known.get(access.authentication, "negotiate"),
    )
