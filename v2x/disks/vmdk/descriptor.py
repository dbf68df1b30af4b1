# SPDX-License-Identifier: Apache-2.0
"""The text that describes a VMDK: identifiers, parent, extents and the disk database.

The text is read strictly: a line that is no comment, no `key=value` and no extent is refused, and so is a second
value for a key that decides what is read. File names stand as written; whoever opens one passes it through the
listing, which takes plain base names only.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from v2x.disks.chain import MAX_DISK_BYTES
from v2x.errors import BadImage, Unsupported
from v2x.text import printable

SECTOR_BYTES: Final = 512
MAX_TEXT_BYTES: Final = 1 << 20
NO_PARENT: Final = 0xFFFFFFFF
TITLE: Final = "# disk descriptorfile"

FILE_TYPES: Final = frozenset({"FLAT", "VMFS", "SPARSE", "VMFSSPARSE", "SESPARSE"})
DEVICE_TYPES: Final = frozenset({"VMFSRDM", "VMFSRAW", "VMFSRDMP"})
_ACCESS: Final = frozenset({"RW", "RDONLY", "NOACCESS"})
_DEVICE_KINDS: Final = frozenset(
    {
        "fulldevice",
        "partitioneddevice",
        "vmfsraw",
        "vmfsrdm",
        "vmfsrdmp",
        "vmfsrawdevicemap",
        "vmfspassthroughrawdevicemap",
    }
)
_FILE_KINDS: Final = frozenset(
    {
        "monolithicsparse",
        "monolithicflat",
        "twogbmaxextentsparse",
        "twogbmaxextentflat",
        "2gbmaxextentsparse",
        "2gbmaxextentflat",
        "streamoptimized",
        "vmfs",
        "vmfspreallocated",
        "vmfseagerzeroedthick",
        "vmfsthin",
        "vmfssparse",
        "sesparse",
        "custom",
    }
)
_SINGLE_KEYS: Final = frozenset({"version", "cid", "parentcid", "createtype", "parentfilenamehint", "encoding"})
_EXTENT = re.compile(
    r'(?P<access>\w+)\s+(?P<sectors>[0-9]{1,19})\s+(?P<type>\w+)(?:\s+"(?P<name>[^"]*)"(?:\s+(?P<start>[0-9]{1,19}))?.*)?'
)
_ENCODING = re.compile(rb'^\s*encoding\s*=\s*"([\w-]{1,20})"', re.MULTILINE)
_ENCODINGS: Final = frozenset(
    {"utf-8", "windows_1252", "windows_1250", "windows_1251", "shift_jis", "gbk", "gb18030", "big5", "euc_kr"}
)
_SETTING = re.compile(r"(?P<key>[\w.:\- ]+?)\s*=\s*(?P<value>.*)")


@dataclass(frozen=True, slots=True)
class ExtentLine:
    """One extent: `sectors` of 512 bytes, `file` empty for ZERO, `start` the sector of a flat file it begins at."""

    access: str
    sectors: int
    type: str
    file: str = ""
    start: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A parsed descriptor. `parent_cid` is None for a disk without parent; settings have lower-case keys."""

    cid: int
    parent_cid: int | None
    create_type: str
    parent_hint: str
    extents: tuple[ExtentLine, ...]
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def capacity_bytes(self) -> int:
        return sum(extent.sectors for extent in self.extents) * SECTOR_BYTES

    @property
    def adapter_type(self) -> str:
        return self.settings.get("ddb.adaptertype", "")

    @property
    def device(self) -> str:
        """The word that says the disk is a device of the host (a raw device mapping), or an empty string."""
        if self.create_type.lower() in _DEVICE_KINDS:
            return self.create_type
        return next((extent.type for extent in self.extents if extent.type in DEVICE_TYPES), "")

    @property
    def encrypted(self) -> bool:
        """Whether a key or an I/O filter says that the extents hold ciphertext.

        ESXi writes keyID, encryptionKeys and the filter "vmwarevmcrypt"; Workstation keys that begin `encryption.`.
        """
        if "crypt" in self.settings.get("ddb.iofilters", "").lower():
            return True
        return any(key == "keyid" or key.startswith("encryption") for key in self.settings)

    def require_readable(self, name: str) -> None:
        """Unsupported, naming the reason, for devices, ciphertext, array snapshots and unknown kinds."""
        if self.device:
            raise Unsupported(
                f"{name} is a raw device mapping ({printable(self.device)})",
                hint="attach the device to the new machine, or copy it with a tool inside the guest",
            )
        if self.encrypted:
            raise Unsupported(f"{name} is encrypted", hint="decrypt the machine at the source first")
        if self.settings.get("isnativesnapshot", "no").lower() not in {"no", "0", "false"}:
            raise Unsupported(
                f"{name} is a snapshot kept by the storage array", hint="consolidate the snapshots at the source"
            )
        if self.create_type.lower() not in _FILE_KINDS:
            raise Unsupported(
                f"{name} has the unknown kind {printable(self.create_type)!r}",
                hint="convert or export the disk again at the source",
            )
        for extent in self.extents:
            if extent.type != "ZERO" and extent.type not in FILE_TYPES:
                raise Unsupported(
                    f"{name} has an extent of the unknown type {printable(extent.type)}",
                    hint="convert or export the disk again at the source",
                )
            if extent.access == "NOACCESS" and extent.type != "ZERO":
                raise Unsupported(
                    f"{name} has an extent that may not be read (NOACCESS)", hint="export the disk again at the source"
                )


def parse_descriptor(raw: bytes, name: str) -> Descriptor:
    """The descriptor in `raw`. BadImage if the text is not one; `name` is for messages."""
    if len(raw) > MAX_TEXT_BYTES:
        raise BadImage(f"{name} is too long for a VMDK descriptor", hint="give the small .vmdk text, not a data file")
    raw, _, padding = raw.partition(b"\0")
    # qemu pads the text to whole sectors, and ends some with a NUL and a line feed.
    if padding.strip(b"\0\r\n"):
        raise BadImage(f"{name} holds NUL bytes where text was expected", hint="copy the file again")
    settings: dict[str, str] = {}
    extents: list[ExtentLine] = []
    # Not splitlines(), for which more signs end a line than for VMware: a comment there could be an extent here.
    lines = _decoded(raw).split("\n")
    if lines[0].strip().lower() != TITLE:
        raise BadImage(
            f"{name} is no VMDK: neither a known header nor a disk descriptor",
            hint="give the .vmdk descriptor, not one of its data files",
        )
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if text.split(None, 1)[0].upper() in _ACCESS:
            extents.append(_extent(text, number, name))
            continue
        _setting(text, number, name, settings)
    found = _described(settings, extents, name)
    if found.capacity_bytes > MAX_DISK_BYTES:
        raise BadImage(f"{name} claims {found.capacity_bytes:,} bytes; at most 64 TiB are possible")
    return found


def _described(settings: dict[str, str], extents: list[ExtentLine], name: str) -> Descriptor:
    if "createtype" not in settings:
        raise BadImage(f"{name} names no createType", hint="copy the descriptor again")
    if not extents:
        raise BadImage(f"{name} lists no extents", hint="copy the descriptor again")
    parent = _identifier(settings, "parentcid", name, NO_PARENT)
    return Descriptor(
        cid=_identifier(settings, "cid", name, None),
        parent_cid=None if parent == NO_PARENT else parent,
        create_type=settings["createtype"],
        parent_hint=settings.get("parentfilenamehint", ""),
        extents=tuple(extents),
        settings=settings,
    )


def _decoded(raw: bytes) -> str:
    """Text in UTF-8, else in the encoding that it names if that is one hypervisors write, else in Latin-1."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    named = _ENCODING.search(raw)
    for encoding in ("utf-8", named[1].decode("ascii").lower().replace("-", "_") if named else ""):
        if encoding in _ENCODINGS:
            try:
                return raw.decode(encoding)
            except UnicodeDecodeError:
                continue
    return raw.decode("latin-1")


def _extent(text: str, number: int, name: str) -> ExtentLine:
    match = _EXTENT.fullmatch(text)
    if match is None:
        raise BadImage(f"{name}, line {number}: not a valid extent: {printable(text, 80)}")
    type_ = match["type"].upper()
    if type_ in FILE_TYPES and not match["name"]:
        raise BadImage(f"{name}, line {number}: the {type_} extent names no file")
    sectors = int(match["sectors"])
    start = int(match["start"] or 0)
    if sectors * SECTOR_BYTES > MAX_DISK_BYTES or start > (1 << 54):
        raise BadImage(f"{name}, line {number}: the extent is larger than 64 TiB")
    return ExtentLine(match["access"].upper(), sectors, type_, match["name"] or "", start)


def _setting(text: str, number: int, name: str, settings: dict[str, str]) -> None:
    match = _SETTING.fullmatch(text)
    if match is None:
        raise BadImage(f"{name}, line {number}: neither setting nor extent: {printable(text, 80)}")
    key = match["key"].strip().lower()
    value = match["value"].strip()
    if len(value) > 1 and value.startswith('"') and value.endswith('"'):
        value = value[1:-1]
    if key in _SINGLE_KEYS and settings.get(key, value) != value:
        raise BadImage(f"{name}, line {number}: a second, different value for {match['key'].strip()}")
    settings.setdefault(key, value)


def _identifier(settings: dict[str, str], key: str, name: str, default: int | None) -> int:
    text = settings.get(key)
    if text is None and default is not None:
        return default
    if text is None or not re.fullmatch(r"[0-9a-fA-F]{1,8}", text):
        raise BadImage(
            f"{name} has no valid {'CID' if key == 'cid' else 'parentCID'}", hint="copy the descriptor again"
        )
    return int(text, 16)
