# SPDX-License-Identifier: Apache-2.0
"""One SMB 3 connection that is signed or encrypted in both directions, and its errors in the words of v2x.

smbprotocol signs and encrypts what it sends as it is told, but it also takes an answer that is neither signed nor
encrypted (release 1.17): whoever sits on the wire could answer in the server's place. Here such an answer ends the
connection. smbprotocol also raises where a request needs more credits than are left; here it waits for them.
"""

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from smbprotocol import Dialects
from smbprotocol.connection import Connection
from smbprotocol.exceptions import SMBException, SMBResponseException
from smbprotocol.header import Commands, NtStatus, Smb2Flags

from v2x.causes import cause
from v2x.disks.smb.paths import SMB_PORT, Authentication, UncPath
from v2x.errors import (
    BadImage,
    ConnectError,
    InputRefused,
    LoginError,
    PermissionRefused,
    Retry,
    SourceError,
    TrustError,
    UnsafeImage,
    V2xError,
)
from v2x.secrets import Secret

CREDIT_BYTES: Final = 64 << 10
_CREDITS_WANTED: Final = 512
_CREDITS_AT_ONCE: Final = 128

# The library logs a lost connection with a traceback, which without a handler would reach the user.
logging.getLogger("smbprotocol").addHandler(logging.NullHandler())
logging.getLogger("smbprotocol").propagate = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SmbAccess:
    """How to log in to file servers. Without a password a Kerberos ticket of `user` is used.

    `timeout_seconds` is how long a server may take for one answer. `refusals` are those of logins so far, by server and
    port: none is tried again, for a second try could lock the account.
    """

    user: str
    password: Secret | None = None
    port: int = SMB_PORT
    encryption: bool = True
    authentication: Authentication = "negotiate"
    timeout_seconds: float = 60.0
    refusals: dict[tuple[str, int], LoginError] = field(default_factory=dict)


class Lost(Exception):
    """The connection or the session on it is gone; a new one may work."""


class Unprotected(SMBException):  # type: ignore[misc]
    """An answer came neither signed nor encrypted, or its signature is not the server's."""


class ProtectedConnection(Connection):  # type: ignore[misc]
    """A connection on which every answer is signed or encrypted, and requests wait for credits."""

    def __init__(self, guid: Any, server: str, port: int, *, timeout_seconds: float) -> None:
        super().__init__(guid, server, port, require_signing=True)
        self._timeout_seconds = timeout_seconds
        self._credits = threading.Condition()

    def verify_signature(self, header: Any, session_id: int, force: bool = False) -> None:
        """Called for every answer that did not come encrypted."""
        session = self.session_table.get(session_id)
        if not force and session is not None:
            signed = header["flags"].has_flag(Smb2Flags.SMB2_FLAGS_SIGNED)
            # The note that an answer takes longer is never signed ([MS-SMB2] 3.2.5.1.3) and carries nothing.
            waits = header["status"].get_value() == NtStatus.STATUS_PENDING
            if session.encrypt_data or not (signed or waits):
                raise Unprotected("neither encrypted nor signed as agreed")
        try:
            super().verify_signature(header, session_id, force)
        except SMBException as problem:
            raise Unprotected(str(problem)) from None

    def send(self, message: Any, *arguments: Any, **named: Any) -> Any:
        """Sends as soon as there are credits, and asks for more than it takes."""
        if threading.current_thread() is self._t_worker:  # it hands the credits out, and must not wait for them
            return super().send(message, *arguments, **named)
        charge = 1
        if message.COMMAND == Commands.SMB2_READ:
            charge = max(1, -(-message["length"].get_value() // CREDIT_BYTES))
        until = time.monotonic() + self._timeout_seconds
        with self._credits:
            while (left := self._credits_left()) < charge:
                if time.monotonic() > until:
                    raise Lost(f"the server gave no credits for {self._timeout_seconds:g} seconds")
                self._check_worker_running()
                self._credits.wait(0.02)
            more = min(_CREDITS_AT_ONCE, max(0, _CREDITS_WANTED - left))
            named.setdefault("credit_request", charge + more)
            return super().send(message, *arguments, **named)

    def _credits_left(self) -> int:
        with self.sequence_lock:
            return int(self.sequence_window["high"] - self.sequence_window["low"])

    def receive(
        self, request: Any, wait: bool = True, timeout: float | None = None, resolve_symlinks: bool = False
    ) -> Any:
        """Never without a time limit, and never to where a symbolic link on the server leads."""
        del resolve_symlinks
        try:
            limit = self._timeout_seconds if timeout is None else timeout
            return super().receive(request, wait, timeout=limit, resolve_symlinks=False)
        finally:
            with self._credits:
                self._credits.notify_all()

    def require_smb3(self) -> None:
        """Refuses servers that speak only older dialects, which know no encryption and weaker signatures."""
        if self.dialect is None or self.dialect < Dialects.SMB_3_0_0:
            raise SMBException("the server speaks no SMB 3")


_GONE: Final = frozenset(
    {
        NtStatus.STATUS_NETWORK_NAME_DELETED,
        NtStatus.STATUS_USER_SESSION_DELETED,
        NtStatus.STATUS_FILE_CLOSED,
        NtStatus.STATUS_INVALID_HANDLE,
        NtStatus.STATUS_IO_TIMEOUT,
        0xC000035C,  # STATUS_NETWORK_SESSION_EXPIRED
        0xC000020C,  # STATUS_CONNECTION_DISCONNECTED
        0xC000020D,  # STATUS_CONNECTION_RESET
    }
)
_LOGIN: Final = {
    NtStatus.STATUS_LOGON_FAILURE: "user name or password is wrong",
    NtStatus.STATUS_WRONG_PASSWORD: "user name or password is wrong",
    NtStatus.STATUS_PASSWORD_EXPIRED: "the password has expired",
    0xC000006E: "the account is restricted",
    0xC000006F: "the account may not log in at this hour",
    0xC0000070: "the account may not log in from here",
    0xC0000072: "the account is disabled",
    0xC000015B: "the account may not log in over the network",
    0xC0000193: "the account has expired",
    0xC0000224: "the password must be changed first",
    0xC0000234: "the account is locked",
    0xC000005E: "no domain controller can be reached",
}


def translated(problem: Exception, place: UncPath) -> Exception:
    """What went wrong on a connection that stood: a V2xError to be told, or Lost where a new one may help."""
    if isinstance(problem, V2xError | Lost):
        return problem
    if isinstance(problem, SMBResponseException) and problem.status not in _GONE:
        return refused(problem, place)
    if isinstance(problem, Unprotected | InvalidTag):
        return _tampered(place.server)
    # Whatever else the library raises, it raises because an answer did not come, or is not what one looks like.
    return Lost(str(problem) or type(problem).__name__)


def _tampered(server: str) -> TrustError:
    return TrustError(
        f"an answer of {server} was not protected as agreed",
        hint="something between here and there changes data; nothing of it was used",
    )


def login_refused(server: str, user: str, status: int) -> LoginError | None:
    """The refusal of a login by that status, None where it says something else."""
    why = _LOGIN.get(status)
    if why is None:
        return None
    return LoginError(
        f"{server} refuses {user}: {why}", hint="check the user (DOMAIN\\USER or USER@DOMAIN) and password"
    )


def refused(problem: SMBResponseException, place: UncPath) -> V2xError:
    """What a server's refusal to open or read `place` means."""
    status = problem.status
    known = _REFUSALS.get(status)
    if known is None:
        found = cause("windows", status)
        what = f"{place.server} refuses {place.name}: {f'{found.line}, ' if found else ''}status {status:#010x}"
        return SourceError(what, hint=found.do if found else "see the server's event log")
    kind, code, text, hint = known
    message = text.format(name=place.name or place.share, place=place, server=place.server, share=place.share)
    retry = Retry.LATER if code == "SOURCE-RUNNING" else None
    return kind(message, hint=hint, code=code or None, retry=retry)


_RULE: Final = "say where the host's folder is found: --share FOLDER=\\\\SERVER\\SHARE"
_MISSING: Final = (InputRefused, "MISSING-FILE", "{name} is not at {place}", f"check the path; or {_RULE}")
_NO_SHARE: Final = (InputRefused, "MISSING-SHARE", "{server} has no share {share}", _RULE)
_DENIED: Final = (
    PermissionRefused,
    "",
    "no permission to read {place}",
    "administrative shares (D$) need an administrator; or share the folder and give --share",
)
_NO_FILE: Final = (UnsafeImage, "", "{place} is not a regular file", "give the file itself")
_REFUSALS: Final[dict[int, tuple[type[V2xError], str, str, str]]] = {
    NtStatus.STATUS_OBJECT_NAME_NOT_FOUND: _MISSING,
    NtStatus.STATUS_OBJECT_PATH_NOT_FOUND: _MISSING,
    NtStatus.STATUS_NO_SUCH_FILE: _MISSING,
    NtStatus.STATUS_NOT_FOUND: _MISSING,
    NtStatus.STATUS_DELETE_PENDING: _MISSING,
    NtStatus.STATUS_BAD_NETWORK_NAME: _NO_SHARE,
    NtStatus.STATUS_PATH_NOT_COVERED: _NO_SHARE,
    NtStatus.STATUS_ACCESS_DENIED: _DENIED,
    NtStatus.STATUS_PRIVILEGE_NOT_HELD: _DENIED,
    NtStatus.STATUS_FILE_IS_A_DIRECTORY: _NO_FILE,
    NtStatus.STATUS_NOT_A_DIRECTORY: _NO_FILE,
    NtStatus.STATUS_SHARING_VIOLATION: (
        SourceError,
        "SOURCE-RUNNING",
        "{name} is in use by its host and cannot be opened",
        "shut the machine down, and wait for backups and merges of it to end",
    ),
    NtStatus.STATUS_END_OF_FILE: (
        BadImage,
        "",
        "{name} ends where more was expected",
        "the file is truncated; copy it again",
    ),
    NtStatus.STATUS_STOPPED_ON_SYMLINK: (
        UnsafeImage,
        "",
        "{place} leads over a symbolic link",
        "give the file's real place with --share",
    ),
}


def unreachable(server: str, port: int, problem: BaseException) -> V2xError:
    """Why no protected session with a server came about."""
    text = str(problem)
    if "encryption is required but" in text:
        return TrustError(
            f"{server} cannot encrypt its answers",
            hint="turn SMB encryption on there, or take signed but readable transfers with --no-smb-encryption",
        )
    if isinstance(problem, Unprotected | InvalidTag):
        return _tampered(server)
    if "as a guest" in text:
        return LoginError(f"{server} takes the user as a guest, who cannot be trusted", hint="check user and password")
    if "speaks no SMB 3" in text:
        return TrustError(f"{server} speaks no SMB 3", hint="turn SMB 3 on there, or copy the files")
    return ConnectError(
        f"no SMB connection to {server} port {port}: {text.rpartition('] ')[2][:200] or type(problem).__name__}",
        hint="check the name, the firewall (TCP 445), and that the Server service runs",
    )
