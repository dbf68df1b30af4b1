# SPDX-License-Identifier: Apache-2.0
"""The XML configuration that Hyper-V wrote from Windows Server 2008 R2 to 2012 R2, as a tree of settings.

Each value is an element with its type in an attribute; UTF-16 with a byte order mark as Windows writes it, or UTF-8.
"""

import base64
import binascii
from xml.etree.ElementTree import Element

from v2x.errors import BadImage
from v2x.sources.hyperv.settings import Settings, Value
from v2x.sources.ovf_xml import local, parse

_TRUTHS = {"true": True, "false": False, "1": True, "0": False}


def read_xml(data: bytes, name: str) -> Settings:
    """The settings below the root. UnsafeImage for entities and excess; BadImage for damage and for other XML."""
    root = parse(data, name)
    if local(root) != "configuration":
        raise BadImage(f"{name} is no configuration of Hyper-V: its root is {local(root)[:60]!r}")
    return _node(root, name)


def _node(element: Element, name: str) -> Settings:
    node = Settings(local(element), [_node(child, name) for child in element])
    kind = element.get("type")
    if kind is not None and not node.children:
        node.value = _value(kind, element.text or "", f"{local(element)} in {name}")
    return node


def _value(kind: str, text: str, what: str) -> Value | None:
    """None for a type that is not known: such a setting counts as not told."""
    plain = text.strip()
    try:
        match kind.lower():
            case "string":
                return text
            case "integer":
                return int(plain) if plain else None
            case "double":
                return float(plain) if plain else None
            case "bool":
                return _TRUTHS[plain.lower()]
            case "bytes":
                return base64.b64decode("".join(plain.split()), validate=True)
    except (ValueError, KeyError, binascii.Error):
        raise BadImage(f"{what} is no {kind[:20]}: {plain[:40]!r}", hint="export the machine again") from None
    return None
