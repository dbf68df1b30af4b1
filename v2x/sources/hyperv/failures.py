# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with a Hyper-V host, as the user is told: by identifiers and codes, never by the host's language."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import requests
from pypsrp.exceptions import AuthenticationError, InvalidPSRPOperation, WinRMTransportError, WSManFaultError
from spnego.exceptions import SpnegoError

from v2x.causes import cause
from v2x.errors import (
    ConnectError,
    LoginError,
    PermissionRefused,
    Retry,
    SourceError,
    Unsupported,
    V2xError,
)
from v2x.sources.hyperv.login import HostAccess
from v2x.tls import PinRefused, pin_refused, untrusted

ACCESS_DENIED: Final = {5, 0x80070005, -2147024891}
_RIGHTS = "the account must be in Remote Management Users and Hyper-V Administrators, or an administrator, of the host"
_KERBEROS: Final = {"krb5", "gssapi"}  # optional packages, whose errors pass through spnego as they are
_HTTP_REFUSED: Final = {403, 404, 405}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteError:
    """An error record. `id` is its FullyQualifiedErrorId, which is the same in every language."""

    id: str
    text: str
    target: str = ""

    @classmethod
    def of(cls, record: Any) -> Self:
        message = getattr(record, "message", None) or getattr(record, "details_message", None) or str(record)
        said = getattr(record.exception, "adapted_properties", {}).get("Message") if record.exception else None
        return cls(
            id=str(record.fq_error or ""),
            text=" ".join(str(said or message).split())[:1000],
            target=str(record.target_name or ""),
        )


def raise_first(errors: Sequence[RemoteError], access: HostAccess, *, ended: bool) -> None:
    """Raises for an error that makes the whole answer worthless; others are left to the reply."""
    for error in errors:
        told = _meaning(error, access)
        if told is not None:
            raise told
    if ended:
        first = errors[0] if errors else RemoteError(id="", text="the script was stopped there")
        raise SourceError(
            f"{access.host}: {first.text} [{first.id or 'no identifier'}]",
            code="REMOTE-SCRIPT",
            hint="run the script of v2x inventory --collector on the host to see more",
        )


def _meaning(error: RemoteError, access: HostAccess) -> V2xError | None:
    name = error.id.partition(",")[0]
    if name == "CommandNotFoundException":
        return _no_command(error.target or "a command", access)
    if name == "ScriptsNotAllowed":
        return PermissionRefused(
            f"{access.host} runs no scripts for {access.user}: the session allows named commands only",
            code="COMMAND-DENIED",
            hint="make the endpoint with the files of v2x inventory --jea, and name it with configuration in v2x.toml",
        )
    if name == "ParameterArgumentValidationError" and access.configuration:
        return PermissionRefused(
            f"the session configuration {access.configuration} of {access.host} only tells the state of machines",
            code="COMMAND-DENIED",
            hint="register the endpoint again with the files of v2x inventory --jea FOLDER --jea-power",
        )
    if name in {"AccessDenied", "UnauthorizedAccess", "UnauthorizedAccessException", "HRESULT 0x80070005"}:
        return PermissionRefused(f"{access.host} refuses {access.user}: {error.text}", hint=_RIGHTS)
    return None


def _no_command(command: str, access: HostAccess) -> V2xError:
    if access.configuration:
        return PermissionRefused(
            f"the session configuration {access.configuration} of {access.host} does not allow {command}",
            code="COMMAND-DENIED",
            hint="register the endpoint again with the files of v2x inventory --jea",
        )
    if "-VM" in command:
        return no_hyperv(access.host)
    return PermissionRefused(f"{access.host} does not know or not allow {command}", code="COMMAND-DENIED", hint=_RIGHTS)


def no_hyperv(host: str) -> Unsupported:
    return Unsupported(
        f"{host} has no Hyper-V module for PowerShell",
        code="NO-HYPERV",
        hint="check the address; on a host: Install-WindowsFeature Hyper-V-PowerShell",
    )


def no_rights(host: str, user: str) -> PermissionRefused:
    """For a host that answers an account without rights with an empty list, as Get-VM does."""
    return PermissionRefused(f"{user} may not list the machines of {host}", hint=_RIGHTS)


def translated(problem: BaseException, access: HostAccess) -> V2xError:
    """The error for what the libraries raised."""
    if isinstance(problem, V2xError):
        return problem
    for kind, told in _KINDS:
        if isinstance(problem, kind):
            return told(problem, access)
    if type(problem).__module__.partition(".")[0] in _KERBEROS:
        return _spnego(problem, access)
    # Whatever else the libraries raise, they raise because an answer is not what one looks like.
    return SourceError(
        f"{access.server} does not answer as Windows does: {_short(problem)}",
        code="REMOTE-PROTOCOL",
        hint="is this the WinRM port (5986 or 5985) of a Windows host?",
    )


def _tls(problem: requests.exceptions.SSLError, access: HostAccess) -> V2xError:
    text = str(problem)
    refused = _pin_refused(problem)
    if refused is not None:
        return pin_refused(access.server, access.trust, refused)
    if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text or "doesn't match" in text:
        reason = re.search(r"certificate verify failed: ([^(\"']+)", text)
        return untrusted(access.host, access.port, access.trust, reason.group(1).strip() if reason else "wrong name")
    return ConnectError(
        f"no TLS with {access.server}: {_short(problem)}",
        hint="is this the HTTPS listener? Port 5985 takes no TLS: write it into the address to use it",
    )


def _pin_refused(problem: BaseException) -> PinRefused | None:
    """The handshake's own error, which requests and urllib3 each wrap once or twice."""
    inner: object = problem
    for _ in range(8):
        if isinstance(inner, PinRefused) or not isinstance(inner, BaseException):
            break
        inner = getattr(inner, "reason", None) or (inner.args[0] if inner.args else None)
    return inner if isinstance(inner, PinRefused) else None


def _login(problem: AuthenticationError, access: HostAccess) -> V2xError:
    if "did not response with one of" in str(problem):
        return LoginError(
            f"{access.host} offers none of Kerberos, Negotiate and NTLM for the login",
            hint='turn Negotiate on there (winrm set winrm/config/service/auth @{Negotiate="true"}), '
            "or use a certificate; v2x never sends a password with Basic",
        )
    how = "the client certificate" if access.certificate else f"{access.user}: user or password is wrong"
    return LoginError(
        f"{access.host} refuses {how}",
        hint="check the user (DOMAIN\\USER, USER@DOMAIN or HOST\\USER) and the password; it is not tried again",
    )


def _fault(problem: WSManFaultError, access: HostAccess) -> V2xError:
    code = problem.code if isinstance(problem.code, int) else None
    where = f" through {access.configuration}" if access.configuration else ""
    if code in ACCESS_DENIED:
        return PermissionRefused(f"{access.host} lets {access.user} open no session{where}", hint=_RIGHTS)
    if code is None and not problem.reason and not problem.provider_fault:
        return ConnectError(
            f"{access.server} does not answer as Windows does: a refusal without code or reason",
            code="REMOTE-PROTOCOL",
            hint="is this the WinRM port (5986 or 5985) of a Windows host?",
        )
    shown = f" (code {code:#x})" if code is not None else ""
    said = " ".join(str(problem.reason or problem.provider_fault or "no reason given").split())[:300]
    found = cause("windows", code) if code is not None else None
    hint = "see Microsoft-Windows-WinRM/Operational in its event log"
    if found is not None:
        hint, said = found.do, f"{found.line} ({said})"
    if access.configuration:
        hint = f"is {access.configuration} registered there (Get-PSSessionConfiguration)? {hint}"
    return SourceError(f"WinRM of {access.host} refuses{where}: {said}{shown}", code="REMOTE-FAULT", hint=hint)


def _http(problem: WinRMTransportError, access: HostAccess) -> V2xError:
    code = problem.code
    if code in _HTTP_REFUSED:
        return ConnectError(
            f"{access.server} is no WinRM service: HTTP {code}", hint="check the port: 5986 for HTTPS, 5985 for HTTP"
        )
    return ConnectError(
        f"WinRM of {access.host} answers HTTP {code}", hint="see Microsoft-Windows-WinRM/Operational in its event log"
    )


def _lost(problem: BaseException, access: HostAccess) -> V2xError:
    text = str(problem)
    if "Name or service not known" in text or "Temporary failure in name" in text or "getaddrinfo" in text:
        return ConnectError(f"no such host: {access.host}", hint="check the name, or give the IP address")
    if "refused" in text:
        return ConnectError(
            f"nothing listens at {access.server}",
            hint="turn remoting on (winrm quickconfig -transport:https) and open the firewall",
        )
    return ConnectError(
        f"the connection to {access.server} was lost: {_short(problem)}", hint="run the same command again"
    )


def _short(problem: BaseException) -> str:
    cause: BaseException = problem
    while cause.args and isinstance(cause.args[0], BaseException):
        cause = cause.args[0]
    return " ".join(str(cause).split())[:200] or type(cause).__name__


def _spnego(problem: BaseException, access: HostAccess) -> V2xError:
    return LoginError(
        f"no login as {access.user} on {access.host}: {_short(problem)}",
        hint="check user (DOMAIN\\USER or USER@DOMAIN), the ticket (klist), and that the clocks agree",
    )


def _silent(_: BaseException, access: HostAccess) -> V2xError:
    return ConnectError(
        f"no answer from {access.server}", hint="check the address, the port and firewalls (TCP 5986 or 5985)"
    )


def _ended(problem: BaseException, access: HostAccess) -> V2xError:
    return SourceError(f"{access.host} ended the session: {_short(problem)}", code="SESSION-LOST", retry=Retry.LATER)


# The first that fits: an SSLError and a Timeout are RequestExceptions too.
_KINDS: tuple[tuple[type[BaseException], Callable[[Any, HostAccess], V2xError]], ...] = (
    (requests.exceptions.SSLError, _tls),
    (AuthenticationError, _login),
    (WSManFaultError, _fault),
    (SpnegoError, _spnego),
    (WinRMTransportError, _http),
    (requests.exceptions.Timeout, _silent),
    (requests.exceptions.RequestException, _lost),
    (OSError, _lost),
    (InvalidPSRPOperation, _ended),
)
