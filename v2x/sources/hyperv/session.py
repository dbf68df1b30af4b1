# SPDX-License-Identifier: Apache-2.0
"""One PowerShell session on one host, over WS-Management, and its errors in the words of v2x.

The certificate is verified, or compared with its pin, on the very connection that is used, before anything is sent.
Over plain HTTP every message is encrypted with the key that the login made; pypsrp encrypts what it sends, but takes
an answer that is not encrypted (release 0.9.1), which whoever sits on the wire could give: here it ends the session.
"""

import logging
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import requests
from pypsrp.complex_objects import PSInvocationState
from pypsrp.powershell import DEFAULT_CONFIGURATION_NAME, PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from v2x import tls
from v2x.errors import SourceError, TrustError, V2xError
from v2x.sources.hyperv.failures import RemoteError, raise_first, translated
from v2x.sources.hyperv.login import HostAccess
from v2x.sources.hyperv.scripts import Script

DEADLINE_SECONDS: Final = 1800.0
_OPERATION_SECONDS: Final = 20
_READ_SECONDS: Final = 60
MOST_ANSWER_BYTES = 64 << 20
"""Of one answer, unpacked. Hosts send half a megabyte at most, unless their MaxEnvelopeSize was raised."""

# Its records of lost connections come with tracebacks, and those of level DEBUG with whole messages.
for _name in ("pypsrp", "spnego"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).propagate = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a script wrote: its texts in order, and the errors and warnings that did not end it."""

    output: tuple[str, ...]
    errors: tuple[RemoteError, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "".join(self.output)


class PowerShellSession:
    """Opened by `with`. Values for scripts travel as parameters, never inside the text."""

    def __init__(self, access: HostAccess, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.access = access
        self._clock = clock
        self._wsman = _connection(access)
        self._pool = RunspacePool(self._wsman, configuration_name=access.configuration or DEFAULT_CONFIGURATION_NAME)

    def __enter__(self) -> Self:
        try:
            self._pool.open()
        except Exception as problem:
            self._wsman.close()
            raise translated(problem, self.access) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(
        self, script: Script, parameters: Mapping[str, Any] | None = None, deadline_seconds: float = DEADLINE_SECONDS
    ) -> Reply:
        """Runs a script to its end. Raises what ended it; errors that did not end it stand in the reply.

        SourceError when it takes longer than `deadline_seconds`; the script is stopped then.
        """
        pipeline = PowerShell(self._pool)
        if self.access.configuration:
            pipeline.add_cmdlet(script.function)
        else:
            pipeline.add_script(script.text, use_local_scope=True)
        for name, value in (parameters or {}).items():
            pipeline.add_parameter(name, value)
        try:
            self._follow(pipeline, script, deadline_seconds)
        except V2xError:
            raise
        except Exception as problem:
            raise translated(problem, self.access) from None
        errors = tuple(RemoteError.of(record) for record in pipeline.streams.error)
        # had_errors is False for errors that did not end the script, and for refused commands too.
        raise_first(errors, self.access, ended=pipeline.state != PSInvocationState.COMPLETED)
        warnings = tuple(str(record.message) for record in pipeline.streams.warning)
        return Reply(output=tuple(str(one) for one in pipeline.output), errors=errors, warnings=warnings)

    def _follow(self, pipeline: PowerShell, script: Script, deadline_seconds: float) -> None:
        until = self._clock() + deadline_seconds
        pipeline.begin_invoke()
        while pipeline.state == PSInvocationState.RUNNING:
            pipeline.poll_invoke()
            if pipeline.state == PSInvocationState.RUNNING and self._clock() > until:
                pipeline.stop()
                raise SourceError(
                    f"{self.access.host} did not finish {script.file} within {deadline_seconds:g} seconds",
                    code="SOURCE-TIMEOUT",
                    hint="see what the host is busy with, then run the same command again",
                )

    def close(self) -> None:
        """Ends the session; a host that does not answer any more ends it by itself."""
        try:
            self._pool.close()
        except Exception:
            logging.getLogger("v2x.hyperv").debug("closing the session on %s failed", self.access.host)
        finally:
            self._wsman.close()


def _connection(access: HostAccess) -> WSMan:
    password = access.password.reveal() if access.password is not None else None
    given: dict[str, Any] = {}
    if access.certificate:
        given = {"certificate_pem": access.certificate, "certificate_key_pem": access.certificate_key}
    made = WSMan(
        access.host,
        port=access.port,
        username=access.user,
        password=password,
        ssl=access.tls,
        auth=access.authentication.value,
        encryption="auto",
        cert_validation=_verification(access),  # type: ignore[arg-type]  # annotated too narrowly: a path is taken, too
        operation_timeout=_OPERATION_SECONDS,
        read_timeout=_READ_SECONDS,
        no_proxy=True,
        **given,
    )
    session = made.transport.session = made.transport._build_session()
    session.trust_env = False
    session.hooks["response"].append(_require_bounds)
    if access.tls:
        adapter: Any = session.get_adapter("https://")
        options = adapter.poolmanager.connection_pool_kw
        options["ssl_context"] = context = tls.context(access.trust)
        # urllib3 compares the name itself, and tells OpenSSL none where the host is an address (release 1.26).
        context.check_hostname = False
    else:
        session.hooks["response"].append(_require_encryption)
    session.hooks["response"].append(_require_whole)
    return made


def _verification(access: HostAccess) -> bool | str:
    """What requests loads beside our own context: nothing more than that may trust. With a pin, the pin decides."""
    if access.trust.fingerprint:
        return False
    if access.trust.ca_file:
        return access.trust.ca_file
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath or True


def _require_bounds(response: requests.Response, **_: Any) -> None:
    """Reads the answer, as requests itself would do next, but not without end."""
    parts, taken = [], 0
    for part in response.iter_content(64 * 1024):
        taken += len(part)
        if taken > MOST_ANSWER_BYTES:
            response.close()
            raise requests.exceptions.ConnectionError(f"an answer of more than {MOST_ANSWER_BYTES >> 20} MiB")
        parts.append(part)
    response._content = b"".join(parts)  # there is no other way to hand it on


def _require_whole(response: requests.Response, **_: Any) -> None:
    """An answer that is shorter than it said is no answer; older releases of requests take it."""
    told = response.headers.get("content-length", "")
    if told.isdecimal() and len(response.content) != int(told):
        raise requests.exceptions.ConnectionError(f"only {len(response.content):,} of {int(told):,} bytes came")


def _require_encryption(response: requests.Response, **_: Any) -> None:
    kind = response.headers.get("content-type", "")
    sealed = kind.startswith(("multipart/encrypted;", "multipart/x-multi-encrypted;"))
    if response.status_code == requests.codes.ok and response.content and not sealed:
        raise TrustError(
            f"an answer of {response.url} came in clear",
            hint="something between here and there changes data; nothing of it was used. Use HTTPS (port 5986)",
        )
