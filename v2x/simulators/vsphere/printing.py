# SPDX-License-Identifier: Apache-2.0
"""Property values as XML, printed once for all machines that are alike.

A machine made by the thousand (estate/crowd.py) is one of a few patterns with names of its own in it: the pattern's
value is printed once, with marks where the names stand, and the names are put in by replacing text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.parsers.expat import ParserCreate
from xml.sax.saxutils import escape

from pyVmomi import SoapAdapter, VmomiSupport

from v2x.simulators.vsphere import paths, soap
from v2x.simulators.vsphere.store import ABSENT, Entity, Store


@dataclass(slots=True)
class Pattern:
    """A machine with marks for names, and what of it is printed already: (path, version) → XML."""

    entity: Entity
    printed: dict[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Likeness:
    """How a machine differs from its pattern: mark → text. Those of its properties that are its own are in `own`."""

    pattern: Pattern
    marks: Mapping[str, str]


def printed_value(store: Store, entity: Entity, path: str, version: str) -> str:
    """`<val>` with the value at a path of an object, "" where it is not set. Raises InvalidProperty."""
    like: Likeness | None = entity.values.get("_like")
    if like is None or path.partition(".")[0].partition("[")[0] in entity.values:
        return _print(store, entity, path, version)
    pattern = like.pattern
    text = pattern.printed.get((path, version))
    if text is None:
        text = pattern.printed[path, version] = _print(store, pattern.entity, path, version)
    if "@" in text:
        for mark, own in like.marks.items():
            if mark in text:
                text = text.replace(mark, escape(own))
    return text


def _print(store: Store, entity: Entity, path: str, version: str) -> str:
    value = paths.read(store, entity, path, version)
    return "" if value is ABSENT else soap.printed(value, "val", object, version)


def imitated(store: Store, entity: Entity, name: str, version: str) -> Any:
    """A property of an object that is like another, as an object: its XML read back. ABSENT where it is not set."""
    text = printed_value(store, entity, name, version)
    if not text:
        return ABSENT
    outer = f'<x xmlns="{soap.VIM}" xmlns:xsi="{VmomiSupport.XMLNS_XSI}" xmlns:xsd="{VmomiSupport.XMLNS_XSD}">'
    reader = _Inner()
    return reader.read(f"{outer}{text}</x>")


class _Inner(SoapAdapter.ExpatDeserializerNSHandlers):  # type: ignore[misc]
    """Reads the one element inside of another, which declares the namespaces."""

    def read(self, text: str) -> Any:
        self._inside = False
        self._deserializer = SoapAdapter.SoapDeserializer()
        self.parser = ParserCreate(namespace_separator=SoapAdapter.NS_SEP)
        SoapAdapter.SetHandlers(self.parser, SoapAdapter.GetHandlers(self))
        self.parser.Parse(text, True)
        return self._deserializer.GetResult()

    def StartElementHandler(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._inside:
            self._inside = True
            return
        self._deserializer.Deserialize(self.parser, object, False, self.nsMap)
        self._deserializer.StartElementHandler(tag, attributes)

    def EndElementHandler(self, tag: str) -> None:
        """The end of the outer element."""

    def CharacterDataHandler(self, data: str) -> None:
        """Nothing stands between the elements."""
