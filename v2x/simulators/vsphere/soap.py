# SPDX-License-Identifier: Apache-2.0
"""SOAP on the server's side: requests to method, object and arguments; results and faults to envelopes.

The types of arguments and results come from pyVmomi's tables, whose own serialiser refuses an object that lacks a
required field. Envelopes are read with expat, which resolves no external entities.
"""

from dataclasses import dataclass
from io import StringIO
from typing import Any
from xml.parsers.expat import ExpatError, ParserCreate
from xml.sax.saxutils import escape

from pyVmomi import SoapAdapter, VmomiSupport, vmodl

VIM = "urn:vim25"
_NAMES = {
    VIM: "",
    VmomiSupport.XMLNS_XSI: "xsi",
    VmomiSupport.XMLNS_XSD: "xsd",
    SoapAdapter.XMLNS_SOAPENV: "soapenv",
    SoapAdapter.XMLNS_SOAPENC: "soapenc",
}
_BODY = f"{SoapAdapter.XMLNS_SOAPENV} Body"
_ENVELOPE = '<?xml version="1.0" encoding="UTF-8"?>\n' + SoapAdapter.SOAP_ENVELOPE_START + "<soapenv:Body>\n"
_END = "\n</soapenv:Body>\n</soapenv:Envelope>"


@dataclass(frozen=True, slots=True)
class Request:
    """A call: the method's name in the API, its description in the tables (None for `Fetch`), object and arguments."""

    name: str
    method: Any
    this: Any
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Text:
    """A result that is printed already: the elements inside of `<returnval>`."""

    xml: str


def object_of(name: str, kind: type, version: str, flags: int = 0) -> Any:
    """A field's description, as the serialiser wants it."""
    return VmomiSupport.Object(name=name, type=kind, version=version, flags=flags)


def printed(value: Any, name: str, kind: type, version: str, flags: int = 0) -> str:
    """The value as an element `name` that stands where the type `kind` is expected; `object` writes its own type."""
    writer = StringIO()
    serializer = SoapAdapter.SoapSerializer(writer, version, _NAMES)
    serializer.outermostAttrs = ""
    serializer.Serialize(value, object_of(name, kind, VmomiSupport.BASE_VERSION, flags))
    # pyVmomi names the type of a reference ManagedObject; the WSDL, and every other client, ManagedObjectReference
    return writer.getvalue().replace('xsi:type="ManagedObject"', 'xsi:type="ManagedObjectReference"')


def result_envelope(request: Request, result: Any, version: str) -> bytes:
    """The answer to a call that went well."""
    if isinstance(result, Text):
        inner = f"<returnval>{result.xml}</returnval>"
    elif request.method is None:
        kind, value = result
        inner = printed(value, "returnval", kind, version, VmomiSupport.F_OPTIONAL)
    else:
        info = request.method
        inner = "" if result is None else printed(result, "returnval", info.result, version, info.flags)
    return f'{_ENVELOPE}<{request.name}Response xmlns="{VIM}">{inner}</{request.name}Response>{_END}'.encode()


def fault_envelope(fault: Any, version: str) -> bytes:
    """A fault of the tables; its `msg` is the text for people."""
    detail = ""
    if fault is not None:
        name = VmomiSupport.GetWsdlName(VmomiSupport.GetCompatibleType(VmomiSupport.Type(fault), version)) + "Fault"
        writer = StringIO()
        serializer = SoapAdapter.SoapSerializer(writer, version, _NAMES)
        serializer.outermostAttrs = ""
        serializer.SerializeFaultDetail(fault, object_of(name, object, VmomiSupport.BASE_VERSION))
        detail = writer.getvalue().replace(f"<{name}", f'<{name} xmlns="{VIM}"', 1)
    return plain_fault(getattr(fault, "msg", None) or "", detail)


def plain_fault(text: str, detail: str = "") -> bytes:
    inside = f"<detail>{detail}</detail>" if detail else ""
    return (
        f"{_ENVELOPE}<soapenv:Fault><faultcode>ServerFaultCode</faultcode>"
        f"<faultstring>{escape(text)}</faultstring>{inside}</soapenv:Fault>{_END}"
    ).encode()


@dataclass(slots=True)
class Method:
    """A method of the tables with what the wire needs of it."""

    name: str
    owner: type
    version: str
    privilege: str | None
    parameters: dict[str, Any]
    result: Any
    flags: int
    task: bool


_methods: dict[str, Method] = {}


def method_named(name: str) -> Method:
    """KeyError for a name that the tables do not know."""
    known = _methods.get(name)
    if known is None:
        try:
            info = VmomiSupport.GetWsdlMethod(VIM, name).info
        except KeyError:
            raise KeyError(name) from None
        # what goes over the wire is `result`: a task's own result type is in `methodResult`
        known = _methods[name] = Method(
            name,
            info.type,
            info.version,
            info.privId,
            {p.name: p for p in info.params},
            info.result,
            info.resultFlags,
            info.isTask,
        )
    return known


def read_request(body: bytes) -> Request:
    """The call in an envelope.

    Raises vmodl.fault.InvalidRequest for what is no envelope, or has an argument of a wrong type or name, and KeyError
    for an unknown method.
    """
    reader = _Reader()
    try:
        return reader.read(body)
    except (ExpatError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise vmodl.fault.InvalidRequest(msg=f"The request cannot be read: {error}") from None


class _Reader(SoapAdapter.ExpatDeserializerNSHandlers):  # type: ignore[misc]
    """Finds the method's element and hands each of its children to pyVmomi's deserialiser."""

    def __init__(self) -> None:
        super().__init__()
        self._deserializer = SoapAdapter.SoapDeserializer()
        self._depth = 0
        self._in_body = False
        self._name = ""
        self._method: Method | None = None
        self._values: dict[str, Any] = {}
        self._current = ""
        self._this: Any = None

    def read(self, body: bytes) -> Request:
        self.parser = ParserCreate(namespace_separator=SoapAdapter.NS_SEP)
        self.parser.buffer_text = True
        SoapAdapter.SetHandlers(self.parser, SoapAdapter.GetHandlers(self))
        self.parser.Parse(body, True)
        self._keep()
        if not self._name or self._this is None:
            raise TypeError("there is no method, or no _this")
        return Request(self._name, self._method, self._this, self._values)

    def StartElementHandler(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if tag == _BODY:
            self._in_body = True
        elif self._in_body and not self._name:
            self._name = tag.rsplit(" ", maxsplit=1)[-1]
            if self._name != "Fetch":
                self._method = method_named(self._name)
        elif self._in_body:
            self._keep()
            self._depth -= 1  # its end goes to the deserialiser
            self._begin(tag.rsplit(" ", maxsplit=1)[-1], tag, attributes)

    def _begin(self, name: str, tag: str, attributes: dict[str, str]) -> None:
        kind: Any = VmomiSupport.ManagedObject if name == "_this" else str
        if name != "_this" and self._method is not None:
            if name not in self._method.parameters:
                raise TypeError(f"{self._name} has no argument {name}")
            kind = self._method.parameters[name].type
        self._current = name
        single = kind.Item if issubclass(kind, list) else kind
        self._deserializer.Deserialize(self.parser, single, False, self.nsMap)
        self._deserializer.StartElementHandler(tag, attributes)

    def _keep(self) -> None:
        """Takes over the argument that the deserialiser has read last."""
        name, self._current = self._current, ""
        if not name:
            return
        value = self._deserializer.GetResult()
        kind = self._method.parameters[name].type if self._method is not None and name != "_this" else object
        if name == "_this":
            self._this = value
        elif issubclass(kind, list) and not isinstance(value, list):
            self._values.setdefault(name, kind()).append(value)
        else:
            self._values[name] = value

    def EndElementHandler(self, tag: str) -> None:
        self._depth -= 1
        if tag == _BODY:
            self._keep()
            self._in_body = False

    def CharacterDataHandler(self, data: str) -> None:
        """Text between elements."""
