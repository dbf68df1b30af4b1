# SPDX-License-Identifier: Apache-2.0
"""How a Hyper-V host is reached and logged in to: the settings of an address, checked before anything is sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from v2x.errors import UsageError
from v2x.secrets import Secret
from v2x.tls import Trust

HTTPS_PORT = 5986
HTTP_PORT = 5985
SETTINGS = frozenset({"auth", "transport", "configuration", "certificate", "certificate_key"})


class Authentication(StrEnum):
    """Basic is not among them: it would hand the password to whoever answers."""

    NEGOTIATE = "negotiate"
    KERBEROS = "kerberos"
    NTLM = "ntlm"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAccess:
    """One host. Without `tls` every message is encrypted by the authentication itself.

    `configuration` is the session configuration (JEA endpoint) to enter, empty for the usual one. `password` None
    means a certificate, or a Kerberos ticket that is already there.
    """

    host: str
    user: str
    trust: Trust
    password: Secret | None = field(default=None, compare=False)
    port: int = HTTPS_PORT
    tls: bool = True
    authentication: Authentication = Authentication.NEGOTIATE
    configuration: str = ""
    certificate: str = ""
    certificate_key: str = ""

    @property
    def server(self) -> str:
        return f"{self.host}:{self.port}"


def needs_password(settings: Mapping[str, str]) -> bool:
    """Whether a password must be there; with Kerberos it may be, beside a ticket."""
    return settings.get("auth", "") not in {Authentication.CERTIFICATE, Authentication.KERBEROS}


def host_access(
    host: str, port: int | None, user: str, password: Secret | None, trust: Trust, settings: Mapping[str, str]
) -> HostAccess:
    """The access that `settings` describe. UsageError for one that is unknown, unsafe or contradicts another."""
    unknown = sorted(set(settings) - SETTINGS)
    if unknown:
        raise UsageError(f"a Hyper-V source has no setting {unknown[0]}", hint=f"known: {', '.join(sorted(SETTINGS))}")
    authentication = _authentication(settings.get("auth") or Authentication.NEGOTIATE)
    transport = settings.get("transport") or ("http" if port == HTTP_PORT else "https")
    if transport not in {"http", "https"}:
        raise UsageError(f"transport {transport!r} is neither https nor http", hint="https, port 5986, is the default")
    tls = transport == "https"
    certificate, key = settings.get("certificate", ""), settings.get("certificate_key", "")
    if authentication is Authentication.CERTIFICATE:
        _check_certificate(certificate, key, tls=tls)
    if authentication is Authentication.KERBEROS and find_spec("gssapi") is None:
        raise UsageError(
            "Kerberos needs the package gssapi, which is not installed",
            code="MISSING-TOOL",
            hint="apt install libkrb5-dev gcc python3-dev, then pip install 'v2x[kerberos]'",
        )
    if not tls and (trust.ca_file or trust.fingerprint):
        raise UsageError(
            f"a certificate is given for {host}, but plain HTTP (port {HTTP_PORT}) shows none",
            hint="use HTTPS (port 5986), or leave the certificate out",
        )
    return HostAccess(
        host=host,
        user=user,
        trust=trust,
        password=None if authentication is Authentication.CERTIFICATE else password,
        port=port or (HTTPS_PORT if tls else HTTP_PORT),
        tls=tls,
        authentication=authentication,
        configuration=settings.get("configuration", ""),
        certificate=certificate,
        certificate_key=key,
    )


def _authentication(text: str) -> Authentication:
    if text == "basic":
        raise UsageError(
            "Basic authentication is not used: it gives the password away",
            hint="auth is negotiate, kerberos, ntlm or certificate",
        )
    try:
        return Authentication(text)
    except ValueError:
        raise UsageError(
            f"auth {text!r} is not known", hint="auth is negotiate, kerberos, ntlm or certificate"
        ) from None


def _check_certificate(certificate: str, key: str, *, tls: bool) -> None:
    if not tls:
        raise UsageError("a client certificate needs HTTPS", hint="use port 5986")
    for name, path in (("certificate", certificate), ("certificate_key", key)):
        if not path:
            raise UsageError(
                f"auth certificate needs {name}", hint=f'add {name} = "FILE.pem" to the source in v2x.toml'
            )
        if not Path(path).expanduser().is_file():
            raise UsageError(f"{name} {path} is not a file", hint="it holds PEM")
