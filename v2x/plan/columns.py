# SPDX-License-Identifier: Apache-2.0
"""The columns of a plan's CSV file: name, field of PlanRow, meaning, reader and writer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from v2x.model.health import OnFail
from v2x.model.machine import Firmware
from v2x.model.migration import VerifyLevel
from v2x.model.plan import GuestConversion, GuestWish, MacPolicy, PlanRow, Running, Transfer
from v2x.model.target import HaPriority
from v2x.plan.cells import (
    read_checks,
    read_flag,
    read_names,
    read_pairs,
    read_secure_boot,
    read_size,
    read_window,
    tidy,
    whole_number,
    word_of,
    words_of,
    write_flag,
    write_names,
    write_pairs,
    write_size,
)


@dataclass(frozen=True, slots=True)
class Column:
    """`default` is the value of an empty cell; `required` columns must be there, with a value in every row."""

    name: str
    field: str
    meaning: str
    read: Callable[[str], Any]
    write: Callable[[Any], str]
    default: Any
    required: bool = False


def _text(name: str, meaning: str, required: bool = False) -> Column:
    return Column(name, name, meaning, str, str, "", required)


_read_wishes = words_of(GuestWish)

COLUMNS: tuple[Column, ...] = (
    _text("machine_id", "the source's own identifier of the machine; the key of the row, never edited", True),
    _text("machine_name", "the name on the source, for reading; edits have no effect"),
    _text("source", "alias of the source, as plan.json has it"),
    _text("target", "alias of the target, as plan.json has it"),
    _text("target_name", "name on the target; empty: the name on the source"),
    Column(
        "storage",
        "storage",
        "SR by name or uuid for each disk id, * for the rest; empty: the suggestion",
        read_pairs,
        write_pairs,
        {},
    ),
    Column(
        "networks",
        "networks",
        "network by name or uuid for each adapter position, * for the rest; empty: the suggestion",
        read_pairs,
        write_pairs,
        {},
    ),
    Column("mac", "mac", "keep or new: MAC addresses", word_of(MacPolicy), str, MacPolicy.KEEP),
    Column("vcpus", "vcpus", "virtual CPUs; empty: as on the source", whole_number(1, 4096), str, None),
    Column("memory", "memory_bytes", "memory with its unit; empty: as on the source", read_size, write_size, None),
    Column("firmware", "firmware", "bios or uefi; empty: as on the source", word_of(Firmware), str, None),
    Column("secure_boot", "secure_boot", "auto, true or false; empty: as on the source", read_secure_boot, str, None),
    Column("vtpm", "vtpm", "yes or no; empty: as on the source", read_flag, write_flag, None),
    _text("template", "reference label, name or uuid of a template; empty: the one for the guest system"),
    Column("transfer", "transfer", "cold or warm", word_of(Transfer), str, Transfer.COLD),
    Column(
        "convert",
        "convert",
        "off, or auto: put the guest's drivers and names right for Xen",
        word_of(GuestConversion),
        str,
        GuestConversion.OFF,
    ),
    Column(
        "guest",
        "guest",
        "what the conversion is asked for: remove-tools, clean-hibernation, bitlocker-suspended, with commas between",
        _read_wishes,
        write_names,
        (),
    ),
    Column(
        "running",
        "running",
        "what to do with a machine that runs: refuse, snapshot, shutdown or power-off",
        word_of(Running),
        str,
        Running.REFUSE,
    ),
    Column("verify", "verify", "auto, none, sample or full", word_of(VerifyLevel), str, VerifyLevel.AUTO),
    Column("start", "start", "yes: start the machine when it is there", read_flag, write_flag, False),
    Column("autostart", "autostart", "yes: the pool starts it with the host", read_flag, write_flag, False),
    Column("ha", "ha", "restart or best-effort; empty: not protected", word_of(HaPriority), str, HaPriority.NONE),
    _text("host", "host that it prefers, by name or uuid; empty: the one with the name that the source's host has"),
    _text("timezone", "the guest's time zone, as Europe/Paris or +02:00; empty: not known"),
    Column("bios_strings", "bios_strings", "yes: keep SMBIOS strings and serial number", read_flag, write_flag, False),
    Column("as_template", "as_template", "yes: becomes a template on the target", read_flag, write_flag, False),
    _text("resource_set", "id of the resource set of Xen Orchestra that it belongs to; empty: none"),
    Column("wave", "wave", "waves run one after the other, from 1", whole_number(1, 9999), str, 1),
    Column("order", "order", "order within the wave, lowest first", whole_number(-9999, 9999), str, 0),
    Column(
        "after",
        "after",
        "names or ids of machines that must be through before, with commas between",
        read_names,
        write_names,
        (),
    ),
    Column(
        "group",
        "groups",
        "what it belongs to, with commas between: kind:name as the source has it, or your own word",
        read_names,
        write_names,
        (),
    ),
    Column(
        "window",
        "window",
        "when it may be cut over: days, local times and their zone, as Sat Sun 22:00-04:00 Europe/Paris",
        read_window,
        str,
        "",
    ),
    _text("change", "the change's id in your own books; kept and reported"),
    _text("approved_by", "who approved its cutover; kept and reported"),
    Column(
        "checks",
        "checks",
        "what is to be looked at afterwards; tcp:PORT and tcp:PORT@ADDRESS by v2x, the rest by a person",
        read_checks,
        str,
        "",
    ),
    Column(
        "on_fail",
        "on_fail",
        "keep or rollback: what follows a start or a health check that failed",
        word_of(OnFail),
        str,
        OnFail.KEEP,
    ),
    _text("retire", "what else is to be retired once the machine is finalized, with semicolons between"),
    Column("hooks", "hooks", "names of hooks in v2x.toml, with commas between", read_names, write_names, ()),
    _text("role", "what it is: dc for a domain controller, or your own word"),
    Column("exclude", "exclude", "yes: leave this machine out", read_flag, write_flag, False),
    _text("note", "your own words; kept"),
    _text("comment", "what the draft says of its defaults"),
)

BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}


def tidy_row(row: PlanRow) -> PlanRow:
    """`row` as it would come back from a CSV file, so that an unedited plan keeps its id."""
    changes: dict[str, Any] = {}
    for column in COLUMNS:
        value = getattr(row, column.field)
        if isinstance(value, dict):
            pairs = ((_plain(key), _plain(word)) for key, word in value.items())
            changes[column.field] = {key: word for key, word in pairs if key and word}
        elif column.read in (str, read_checks):
            changes[column.field] = tidy(value)
        elif column.read in (read_names, _read_wishes):
            changes[column.field] = column.read(write_names(value))
    return replace(row, **changes)


def _plain(word: str) -> str:
    """A word of a pair: quotes keep its blanks, but not its kinds of line end or lone surrogates."""
    return word.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode("utf-8")
