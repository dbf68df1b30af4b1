# SPDX-License-Identifier: Apache-2.0
"""Remote PowerShell shells: WS-Management on the outside, the PowerShell remoting protocol (psrpcore) inside."""

import base64
import threading
import uuid
from collections import deque
from collections.abc import Callable
from xml.etree.ElementTree import Element

import psrpcore
from defusedxml.ElementTree import fromstring
from psrpcore.types import (
    ErrorCategory,
    ErrorCategoryInfo,
    ErrorRecord,
    NETException,
    PSInvocationState,
)

from v2x.simulators.hyperv import soap
from v2x.simulators.hyperv.acting import Refused
from v2x.simulators.hyperv.soap import NAMES, Fault, text_of

_AT_ONCE_BYTES = 256 << 10
_PARTS_AT_ONCE = 4

Run = Callable[[psrpcore.PowerShell, str], "Outcome"]
"""Runs a pipeline of a session configuration."""


class Outcome:
    """What a pipeline writes: texts, error records, and the one that ends it."""

    def __init__(
        self, output: list[str], errors: list[Refused] | None = None, end: Refused | None = None, waits: int = 0
    ) -> None:
        self.output = output
        self.errors = errors or []
        self.end = end
        self.waits = waits


class Shell:
    """One runspace pool of one client."""

    def __init__(self, configuration: str, run: Run) -> None:
        self.configuration = configuration
        self.waits = 0
        self._run = run
        self._pool = psrpcore.ServerRunspacePool()
        self._pipelines: dict[uuid.UUID, psrpcore.ServerPipeline] = {}
        self._waiting: dict[uuid.UUID | None, deque[bytes]] = {}

    def receive(self, data: bytes, pipeline: uuid.UUID | None = None) -> None:
        if pipeline is not None and pipeline not in self._pipelines:
            self._pipelines[pipeline] = psrpcore.ServerPipeline(self._pool, pipeline)
        self._pool.receive_data(psrpcore.PSRPPayload(data, psrpcore.StreamType.default, pipeline))
        while (event := self._pool.next_event()) is not None:
            if isinstance(event, psrpcore.CreatePipelineEvent):
                self._create(event)
        while (payload := self._pool.data_to_send(_AT_ONCE_BYTES)) is not None:
            self._waiting.setdefault(payload.pipeline_id, deque()).append(payload.data)

    def _create(self, event: psrpcore.CreatePipelineEvent) -> None:
        pipeline = self._pipelines[event.pipeline_id]
        pipeline.start()
        outcome = self._run(event.pipeline, self.configuration)
        self.waits = outcome.waits
        for text in outcome.output:
            pipeline.write_output(text)
        for error in outcome.errors:
            record = _record(error)
            pipeline.write_error(
                record.Exception, record.CategoryInfo, fully_qualified_error_id=record.FullyQualifiedErrorId
            )
        if outcome.end is None:
            pipeline.complete()
        else:
            # A terminating error travels in the message that says that the pipeline failed ([MS-PSRP] 2.2.2.21).
            pipeline._change_state(PSInvocationState.Failed, error=_record(outcome.end))
        pipeline.close()

    def take(self, pipeline: uuid.UUID | None) -> tuple[list[bytes], bool]:
        """The next parts for a pipeline, and whether there are no more."""
        waiting = self._waiting.get(pipeline, deque())
        parts = [waiting.popleft() for _ in range(min(_PARTS_AT_ONCE, len(waiting)))]
        return parts, not waiting


def _record(error: Refused) -> ErrorRecord:
    return ErrorRecord(
        Exception=NETException(Message=error.text),
        CategoryInfo=ErrorCategoryInfo(
            Category=ErrorCategory.NotSpecified, Reason="Exception", TargetName=error.target, TargetType="String"
        ),
        TargetObject=None,
        FullyQualifiedErrorId=error.id,
        InvocationInfo=None,
        ErrorDetails=None,
        PipelineIterationInfo=None,
        ScriptStackTrace=None,
    )


class Shells:
    """The WinRM service of one host: from one request to one answer. `enter` may refuse a configuration with Fault."""

    def __init__(self, run: Run, enter: Callable[[str], None]) -> None:
        self._run = run
        self._enter = enter
        self._shells: dict[str, Shell] = {}
        self._lock = threading.RLock()

    def answer(self, data: bytes) -> tuple[bytes, bool]:
        """The answer, and whether it is a fault."""
        root = fromstring(data)
        action, relates = text_of(root, "s:Header/a:Action"), text_of(root, "s:Header/a:MessageID")
        name = action.rsplit("/", 1)[-1]
        verbs = {
            "Create": self._create,
            "Command": self._command,
            "Send": self._send,
            "Receive": self._receive,
            "Signal": self._signal,
            "Delete": self._delete,
        }
        try:
            if name not in verbs:
                raise Fault(2150858778, f"the action {name} is not supported", "w:ActionNotSupported")
            with self._lock:
                return soap.envelope(action + "Response", relates, verbs[name](root)), False
        except Fault as problem:
            return soap.fault(relates, problem), True

    def drop_all(self) -> None:
        """Forgets all shells, as a restart of the service does."""
        with self._lock:
            self._shells.clear()

    def _create(self, root: Element) -> str:
        resource = text_of(root, "s:Header/w:ResourceURI")
        if not resource.startswith(soap.RESOURCES):
            raise Fault(2150858752, "only PowerShell sessions are simulated")
        configuration = resource.removeprefix(soap.RESOURCES)
        self._enter(configuration)
        element = root.find("s:Body/rsp:Shell", NAMES)
        given = element.get("ShellId") if element is not None else None
        shell_id = (given or str(uuid.uuid4())).upper()
        shell = Shell(configuration, self._run)
        shell.receive(base64.b64decode(text_of(root, "s:Body/rsp:Shell/pwsh:creationXml")))
        self._shells[shell_id] = shell
        return soap.created(shell_id, resource)

    def _shell(self, root: Element) -> Shell:
        found = self._shells.get(text_of(root, "s:Header/w:SelectorSet/w:Selector").upper())
        if found is None:
            raise Fault(soap.NO_SUCH_SHELL, "the shell was not found", "w:InvalidSelectors")
        return found

    def _command(self, root: Element) -> str:
        line = root.find("s:Body/rsp:CommandLine", NAMES)
        command = line.get("CommandId", "") if line is not None else ""
        arguments = text_of(root, "s:Body/rsp:CommandLine/rsp:Arguments")
        self._shell(root).receive(base64.b64decode(arguments), uuid.UUID(command))
        return f"<rsp:CommandResponse><rsp:CommandId>{command}</rsp:CommandId></rsp:CommandResponse>"

    def _send(self, root: Element) -> str:
        for stream in root.findall("s:Body/rsp:Send/rsp:Stream", NAMES):
            command = stream.get("CommandId")
            self._shell(root).receive(base64.b64decode(stream.text or ""), uuid.UUID(command) if command else None)
        return "<rsp:SendResponse/>"

    def _receive(self, root: Element) -> str:
        wanted = root.find("s:Body/rsp:Receive/rsp:DesiredStream", NAMES)
        command = wanted.get("CommandId") if wanted is not None else None
        shell = self._shell(root)
        if command and shell.waits > 0:
            shell.waits -= 1
            raise Fault(
                soap.TIMED_OUT, "the operation did not complete within the time of OperationTimeout", "w:TimedOut"
            )
        parts, done = shell.take(uuid.UUID(command) if command else None)
        mark = f' CommandId="{command}"' if command else ""
        body = "".join(
            f'<rsp:Stream Name="stdout"{mark}>{base64.b64encode(part).decode()}</rsp:Stream>' for part in parts
        )
        if command and done:
            body += f'<rsp:CommandState CommandId="{command}" State="{soap.DONE}"/>'
        return f"<rsp:ReceiveResponse>{body}</rsp:ReceiveResponse>"

    def _signal(self, root: Element) -> str:
        self._shell(root)
        return "<rsp:SignalResponse/>"

    def _delete(self, root: Element) -> str:
        self._shells.pop(text_of(root, "s:Header/w:SelectorSet/w:Selector").upper(), None)
        return ""
