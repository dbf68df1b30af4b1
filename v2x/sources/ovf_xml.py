# SPDX-License-Identifier: Apache-2.0
"""Safe reading of XML descriptors, and the small language of names, numbers and units in them.

Elements are found by local name: OVF 1.x and 2.0, and oVirt's own layout, differ in namespaces only. Attributes of
the envelope may stand with or without a prefix.
"""

import re
from collections.abc import Iterator
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from v2x.errors import BadImage, UnsafeImage, Unsupported
from v2x.model.units import GIB, KIB, MIB, TIB

MOST_XML_BYTES: Final = 8 * MIB
MOST_DEPTH = 64
MOST_ELEMENTS = 100_000
MOST_DISK_BYTES: Final = 64 * TIB
MOST_MEMORY_BYTES: Final = 64 * TIB

_SPACES = {
    "ovf": "dmtf.org/ovf/envelope",
    "vmw": "vmware.com/schema/ovf",
    "vbox": "virtualbox.org/ovf",
    "ovirt": "ovirt.org/ovf",
    "xen": "citrix.com/ovf",
    "xsi": "XMLSchema-instance",
}
_UNIT_WORDS = {
    "": 1,
    "b": 1,
    "byte": 1,
    "bytes": 1,
    "kb": KIB,
    "kilobyte": KIB,
    "kilobytes": KIB,
    "mb": MIB,
    "megabyte": MIB,
    "megabytes": MIB,
    "gb": GIB,
    "gigabyte": GIB,
    "gigabytes": GIB,
    "tb": TIB,
    "terabyte": TIB,
    "terabytes": TIB,
}


class _BoundedBuilder(TreeBuilder):
    """Stops at the first element too deep or too many, while parsing, not after."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._depth = 0
        self._count = 0

    def start(self, tag: str, attrs: dict[Any, Any], /) -> Element:
        self._depth += 1
        self._count += 1
        if self._depth > MOST_DEPTH:
            raise UnsafeImage(f"{self._name} nests elements deeper than {MOST_DEPTH}")
        if self._count > MOST_ELEMENTS:
            raise UnsafeImage(f"{self._name} holds more than {MOST_ELEMENTS:,} elements")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def parse(data: bytes, name: str) -> Element:
    """The root of the XML document `data`. UnsafeImage for DTDs, entities and excess; BadImage for damage."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser

    if len(data) > MOST_XML_BYTES:
        raise UnsafeImage(f"{name} has {len(data):,} bytes, a descriptor has at most {MOST_XML_BYTES:,}")
    parser = DefusedXMLParser(target=_BoundedBuilder(name), forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(data)
        root = parser.close()
    except DefusedXmlException:
        raise UnsafeImage(
            f"{name} declares a document type or entities",
            hint="no hypervisor writes these into a descriptor; remove the DOCTYPE or export the machine again",
        ) from None
    except (ParseError, ValueError, LookupError, AssertionError) as problem:
        raise BadImage(f"{name} is not valid XML: {problem}", hint="export or download the machine again") from None
    if not isinstance(root, Element):
        raise BadImage(f"{name} is not valid XML: it holds no element")
    return root


def local(element: Element) -> str:
    """The element's name without its namespace."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def space(element: Element) -> str:
    """The element's namespace, or an empty string."""
    return element.tag[1:].partition("}")[0] if element.tag.startswith("{") else ""


def children(element: Element, *names: str) -> Iterator[Element]:
    return (child for child in element if local(child) in names)


def child(element: Element, name: str) -> Element | None:
    return next(children(element, name), None)


def text(element: Element | None, name: str = "", default: str = "") -> str:
    """The stripped text of `element`, or of its first child called `name`."""
    found = child(element, name) if element is not None and name else element
    return (found.text or "").strip() if found is not None else default


def attr(element: Element, name: str, prefix: str = "ovf", default: str = "") -> str:
    """An attribute of the namespace behind `prefix`; for `ovf` one without a namespace serves as well."""
    plain = element.get(name) if prefix == "ovf" else None
    for key, value in element.attrib.items():
        uri, _, found = key[1:].rpartition("}") if key.startswith("{") else ("", "", "")
        if found == name and _SPACES[prefix] in uri:
            return value.strip()
    return plain.strip() if plain is not None else default


def truth(value: str, default: bool = False) -> bool:
    word = value.strip().lower()
    return word in {"true", "1", "yes", "on"} if word else default


def whole(value: str, what: str, least: int = 0, most: int = 2**63 - 1) -> int:
    """`value` as a whole number in a range; BadImage naming `what` for text, fractions, and numbers outside."""
    word = value.strip()
    if "${" in word:
        raise Unsupported(
            f"{what} is the property {word!r}, not a number",
            hint="write the number into the descriptor, or deploy the appliance once and export it again",
        )
    if not re.fullmatch(r"[+-]?[0-9]{1,20}", word):
        raise BadImage(f"{what} is {value[:40]!r}, not a whole number", hint="correct the descriptor or export again")
    number = int(word)
    if not least <= number <= most:
        raise BadImage(
            f"{what} is {number:,}, outside of {least:,} to {most:,}", hint="correct the descriptor or export again"
        )
    return number


def unit_bytes(units: str, what: str) -> int:
    """Bytes in one allocation unit: `byte * 2^20` (DSP0004, programmatic units), or words such as MegaBytes."""
    word = re.sub(r"\s+", "", units).lower()
    if word in _UNIT_WORDS:
        return _UNIT_WORDS[word]
    match = re.fullmatch(r"(?:(kilo|mega|giga)?bytes?)((?:\*\d{1,12}(?:\^\d{1,2})?){1,3})", word)
    if not match:
        raise BadImage(f"{what} has the unknown unit {units[:40]!r}", hint="correct the descriptor or export again")
    result = {None: 1, "kilo": KIB, "mega": MIB, "giga": GIB}[match[1]]
    for factor in match[2].split("*")[1:]:
        base, _, power = factor.partition("^")
        if int(power or 1) > 60 or int(base) > 2**40:
            raise BadImage(f"{what} has the impossible unit {units[:40]!r}")
        result *= int(base) ** int(power or 1)
    if not 1 <= result <= 2**60:
        raise BadImage(f"{what} has the impossible unit {units[:40]!r}")
    return result
