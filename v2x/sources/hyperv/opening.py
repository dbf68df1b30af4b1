# SPDX-License-Identifier: Apache-2.0
"""From an address, its login and its settings to a source."""

from collections.abc import Mapping, Sequence

from v2x.disks.smb import ShareRule, SmbAccess, parse_rule
from v2x.errors import UsageError
from v2x.model.address import Address
from v2x.secrets import Secret
from v2x.sources.hyperv.login import Authentication, HostAccess, host_access
from v2x.sources.hyperv.source import HyperVSource
from v2x.sources.local_files import Clock, utc_now
from v2x.tls import Trust, parse_fingerprint

FILE_SETTINGS = frozenset({"share", "smb_encryption"})


def open_hyperv(
    address: Address,
    password: Secret | None,
    *,
    ca_file: str = "",
    fingerprint: str = "",
    settings: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> HyperVSource:
    """The hosts of `address`. Nothing is sent yet. UsageError for settings that do not hold.

    `fingerprint` is one pin for all hosts, or as many as there are hosts, in their order, with commas between.
    """
    from v2x.sources.hyperv.session import PowerShellSession

    given = dict(settings or {})
    remote = {key: value for key, value in given.items() if key not in FILE_SETTINGS}
    pins = _pins(fingerprint, len(address.hosts))
    hosts = [
        host_access(
            host,
            address.port,
            address.user,
            password,
            Trust(ca_file=ca_file, fingerprint=pin, option="source"),
            remote,
        )
        for host, pin in zip(address.hosts, pins, strict=True)
    ]
    return HyperVSource(
        hosts,
        str(address),
        PowerShellSession,
        smb=_smb_access(hosts[0], password, given),
        rules=_rules(given.get("share", "")),
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


def _rules(text: str) -> Sequence[ShareRule]:
    return [parse_rule(one.strip()) for one in text.split(";") if one.strip()]


def _smb_access(access: HostAccess, password: Secret | None, settings: Mapping[str, str]) -> SmbAccess | None:
    """The same login for the files. A certificate logs in nowhere but at WinRM."""
    encryption = settings.get("smb_encryption", "on")
    if encryption not in {"on", "off"}:
        raise UsageError(f"smb_encryption {encryption!r} is neither on nor off")
    match access.authentication:
        case Authentication.CERTIFICATE:
            if password is None:
                return None
            how = "negotiate"
        case Authentication.KERBEROS:
            how = "kerberos"
        case Authentication.NTLM:
            how = "ntlm"
        case _:
            how = "negotiate"
    return SmbAccess(user=access.user, password=password, encryption=encryption == "on", authentication=how)  # type: ignore[arg-type]
