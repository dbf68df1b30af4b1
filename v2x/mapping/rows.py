# SPDX-License-Identifier: Apache-2.0
"""The rows of the mapping tables: one record type per file of mappings/, read strictly.

Every row has an `id`, unique in its table and recorded in plans and reports, and a `source` that says where the fact
comes from. A key that a record type does not name is an error, so a misspelled override never goes unnoticed.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import msgspec

from v2x.model.machine import DiskBus, Firmware, GuestIdKind, NicModel

TABLES_VERSION = 1
"""The version of the row shapes; a file written for another one is refused."""

Text = Annotated[str, msgspec.Meta(min_length=1)]
Letter = Annotated[str, msgspec.Meta(pattern="^[cdn]?$")]


class Family(StrEnum):
    """What a guest operating system needs of the platform."""

    WINDOWS = "windows"
    LINUX = "linux"
    BSD = "bsd"
    OTHER = "other"


class LimitScale(StrEnum):
    """Which version a limit's range speaks of."""

    PRODUCT = "product"
    XAPI = "xapi"


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all rows share."""

    id: Text
    source: Text

    def keys(self) -> Iterator[str]:
        """What the row is found by, besides its id; a later row with the same key takes its place."""
        raise AssertionError("every record type names its own keys")


class GuestOsRow(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A guest operating system by one or several ids of a vocabulary, or by a pattern over its name (kind text).

    `match` compares without case; a trailing `*` stands for any rest; for kind text it is a regular expression
    searched without case. `templates` are reference labels in order of preference; the family's generic templates
    follow them. `vague` marks an id that says less than the guest's own name usually does ("Ubuntu, 64-bit"), so a
    precise text row wins over it. `platform` holds keys that differ from the family's.
    """

    kind: GuestIdKind
    match: Text | tuple[Text, ...]
    name: Text
    family: Family
    templates: tuple[Text, ...] = ()
    platform: dict[str, str] = {}
    vague: bool = False
    note: str = ""

    @property
    def matches(self) -> tuple[str, ...]:
        return (self.match,) if isinstance(self.match, str) else self.match

    def keys(self) -> Iterator[str]:
        for match in self.matches:
            yield f"{self.kind}:{guest_key(self.kind, match)}"


class NicRow(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an adapter model of a source becomes; `note` is shown where the change is worth a word."""

    model: NicModel
    note: str = ""

    def keys(self) -> Iterator[str]:
        yield self.model


class DiskBusRow(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a disk on a bus of a source becomes."""

    bus: DiskBus
    note: str = ""

    def keys(self) -> Iterator[str]:
        yield self.bus


class FirmwareRow(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Platform keys to set and to drop for a firmware, and the devices it shows before PV drivers are loaded.

    `device_models` are the values of platform.device-model that xapi accepts with it.
    """

    firmware: Firmware
    set: dict[str, str] = {}
    drop: tuple[Text, ...] = ()
    device_models: tuple[Text, ...]
    secure_boot: bool
    vtpm: bool
    emulated_disk: Text
    emulated_nic: Text
    emulated_disks: int
    emulated_nics: int

    def keys(self) -> Iterator[str]:
        yield self.firmware


class BootRow(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A word of a source's boot order and the letter of HVM_boot_params.order; no letter: it cannot be booted from."""

    match: tuple[Text, ...]
    letter: Letter

    def keys(self) -> Iterator[str]:
        yield from (word.casefold() for word in self.match)


class LimitRow(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number that a target keeps, for versions from `from_version` (included) to `before_version` (excluded)."""

    limit: Text
    value: int
    unit: Text
    by: LimitScale = LimitScale.PRODUCT
    from_version: str = ""
    before_version: str = ""
    note: str = ""

    def keys(self) -> Iterator[str]:
        yield f"{self.limit} from {self.from_version}"


class PlatformRow(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The platform of a family: `base` where the pool has no fitting template, `set` always, on top of a template.

    `fallback_uefi` and `fallback_bios` are reference labels to try after those of the guest's own row.
    """

    family: Family
    base: dict[str, str]
    set: dict[str, str]
    fallback_uefi: tuple[Text, ...]
    fallback_bios: tuple[Text, ...]

    def keys(self) -> Iterator[str]:
        yield self.family


def guest_key(kind: GuestIdKind, text: str) -> str:
    """`text` as rows of `kind` are compared: without case, and for VMware in one spelling.

    The vSphere API says windows9Server64Guest and debian12_64Guest where a .vmx file says windows9srv-64 and
    debian12-64; both become one key.
    """
    if kind is GuestIdKind.TEXT:
        return text
    folded = text.strip().casefold()
    if kind is GuestIdKind.VMWARE:
        for old, new in (("guest", ""), ("server", "srv"), ("_", ""), ("-", "")):
            folded = folded.replace(old, new)
    return folded
