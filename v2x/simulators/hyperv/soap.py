# SPDX-License-Identifier: Apache-2.0
"""WS-Management envelopes as WinRM sends them: [MS-WSMV] and DSP0226, as far as remote shells need them."""

import uuid
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

NAMES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "x": "http://schemas.xmlsoap.org/ws/2004/09/transfer",
    "rsp": "http://schemas.microsoft.com/wbem/wsman/1/windows/shell",
    "pwsh": "http://schemas.microsoft.com/powershell",
}
RESOURCES = "http://schemas.microsoft.com/powershell/"
DONE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState/Done"
_FAULTS = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
_CODES = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"

ACCESS_DENIED = 5
TIMED_OUT = 2150858793
NO_SUCH_SHELL = 2150858843
NO_SUCH_CONFIGURATION = 2150859180


class Fault(Exception):
    """A fault of WinRM: `code` is that of the WSManFault element."""

    def __init__(self, code: int, text: str, subcode: str = "w:InternalError") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.subcode = subcode


def text_of(root: Element, path: str) -> str:
    found = root.find(path, NAMES)
    return (found.text or "").strip() if found is not None else ""


def envelope(action: str, relates: str, body: str) -> bytes:
    """An answer to the message `relates`."""
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMES.items() if prefix != "pwsh")
    return (
        f'<s:Envelope xml:lang="en-US" {spaces}><s:Header><a:Action>{escape(action)}</a:Action>'
        f"<a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID>"
        f"<a:To>{NAMES['a']}/role/anonymous</a:To><a:RelatesTo>{escape(relates)}</a:RelatesTo></s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def fault(relates: str, problem: Fault) -> bytes:
    text = escape(problem.text)
    body = (
        f"<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{problem.subcode}</s:Value></s:Subcode>"
        f'</s:Code><s:Reason><s:Text xml:lang="en-US">{text}</s:Text></s:Reason><s:Detail>'
        f'<f:WSManFault xmlns:f="{_CODES}" Code="{problem.code}" Machine="simulated">'
        f"<f:Message>{text}</f:Message></f:WSManFault></s:Detail></s:Fault>"
    )
    return envelope(_FAULTS, relates, body)


def created(shell: str, resource: str) -> str:
    uri = escape(resource)
    return (
        f"<x:ResourceCreated><a:Address>http://localhost/wsman</a:Address><a:ReferenceParameters>"
        f'<w:ResourceURI>{uri}</w:ResourceURI><w:SelectorSet><w:Selector Name="ShellId">{shell}</w:Selector>'
        f"</w:SelectorSet></a:ReferenceParameters></x:ResourceCreated><rsp:Shell><rsp:ShellId>{shell}</rsp:ShellId>"
        f"<rsp:ResourceUri>{uri}</rsp:ResourceUri><rsp:Owner>owner</rsp:Owner><rsp:ClientIP>127.0.0.1</rsp:ClientIP>"
        f"<rsp:IdleTimeOut>PT7200.000S</rsp:IdleTimeOut><rsp:InputStreams>stdin pr</rsp:InputStreams>"
        f"<rsp:OutputStreams>stdout</rsp:OutputStreams></rsp:Shell>"
    )
