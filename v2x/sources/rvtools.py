# SPDX-License-Identifier: Apache-2.0
"""An RVTools export as a source: good for assessment and for drafting a plan; it holds no disks.

RVTools (Dell, before that Robware) writes what a vCenter says into an .xlsx file of some 27 sheets, or into as many
CSV files. Only vInfo must be there; what else is missing makes facts unknown, and the inventory's problems say which.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import TracebackType

from v2x.disks.interface import DiskReader
from v2x.errors import InputRefused, Unsupported
from v2x.model.inventory import Inventory, SourceInfo, SourceProblem
from v2x.model.machine import Disk, Machine
from v2x.sources.interface import Checkpoint
from v2x.sources.local_files import Clock, utc_now
from v2x.sources.rvtools_cells import Row, moment, text
from v2x.sources.rvtools_estate import datastores, hosts, networks, with_unlisted
from v2x.sources.rvtools_files import Book, open_book
from v2x.sources.rvtools_machines import CUSTOM, MachineReader
from v2x.sources.rvtools_sheets import (
    DATASTORE,
    DVPORT,
    HOST,
    INFO,
    META,
    OF_ESTATE,
    OF_MACHINES,
    PORT,
    Sheet,
    plain_header,
)

_NEVER_TOLD = (
    "an RVTools export does not say which machines have a virtual TPM, encrypted or passed-through devices, or how "
    "much data each disk holds; take the inventory from vCenter itself, or from exported machines, to know"
)


class RvtoolsSource:
    """The machines of the export at `path`: an .xlsx file, a .zip of CSV files, or a folder of them.

    All of it is read when the source is opened; nothing stays open.
    """

    def __init__(self, path: str | Path, address: str = "", clock: Clock = utc_now) -> None:
        path = Path(path)
        self._name = path.name
        self._problems: list[SourceProblem] = []
        book = open_book(path)
        try:
            self._inventory = self._read(book, address or str(path), clock)
        finally:
            book.close()

    @classmethod
    def open(cls, path: str | Path, address: str = "", clock: Clock | None = None) -> "RvtoolsSource":
        return cls(path, address, clock or utc_now)

    def __enter__(self) -> "RvtoolsSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def inventory(self, select: Callable[[str], bool] | None = None) -> Inventory:
        """`taken_at` is the time the export states, which names no zone and counts as UTC, else the present."""
        if select is None:
            return self._inventory
        chosen = (one for one in self._inventory.machines if select(one.name) or select(one.id))
        return replace(self._inventory, machines=tuple(chosen))

    def checkpoint(self, machine: Machine, tag: str) -> Checkpoint:
        """Always Unsupported, before anything is made at the target."""
        del tag
        raise self._no_disks(f"{machine.name} cannot be migrated from it")

    def reader(self, machine: Machine, disk: Disk, at: Checkpoint) -> DiskReader:
        """Always Unsupported, naming the source to use."""
        del at
        raise self._no_disks(f"disk {disk.label} of {machine.name} is not in it")

    def release(self, machine: Machine, tag: str) -> None:
        """Nothing was created."""

    def close(self) -> None:
        """Holds nothing open."""

    def _no_disks(self, what: str) -> Unsupported:
        return Unsupported(
            f"{self._name} is an RVTools export, which holds no disks: {what}",
            hint="export the machine as OVA, or copy its folder with the .vmx, and migrate that; "
            "use the RVTools export for v2x assess and v2x plan draft",
        )

    def _read(self, book: Book, address: str, clock: Clock) -> Inventory:
        info = self._rows(book, INFO)
        parts = {sheet.name: self._rows(book, sheet) for sheet in OF_MACHINES if self._has(book, sheet)}
        estate = {sheet.name: self._rows(book, sheet) for sheet in OF_ESTATE if self._has(book, sheet)}
        meta: Row = next(iter(estate.get(META.name, [])), {})
        known = networks(estate.get(PORT.name, []), estate.get(DVPORT.name, []), self._problems)
        vlans = {network.name: network.vlan for network in known.values()}
        reader = MachineReader(info, parts, vlans, self._problems, date_1904=book.date_1904)
        machines = tuple(reader.machines())
        self._problem("RVTools", "NOT-TOLD", _NEVER_TOLD)
        version = text(meta, "version")
        product = "RVTools" if version else ""
        return Inventory(
            source=SourceInfo(kind="rvtools", address=address, product=product, version=version),
            taken_at=moment(meta, "time", date_1904=book.date_1904) or clock(),
            machines=machines,
            networks=with_unlisted(known, machines),
            datastores=datastores(estate.get(DATASTORE.name, [])),
            hosts=hosts(estate.get(HOST.name, [])),
            problems=tuple(self._problems),
        )

    def _has(self, book: Book, sheet: Sheet) -> bool:
        if sheet.name in book.sheets:
            return True
        if sheet.tells:
            self._problem(sheet.name, "MISSING-SHEET", f"the export has no sheet {sheet.name}; unknown: {sheet.tells}")
        return False

    def _rows(self, book: Book, sheet: Sheet) -> list[Row]:
        """All rows of a sheet. Columns that are missed are told of; a sheet without any row has no header either."""
        chosen: set[str] = set()

        def choose(headers: dict[int, str]) -> dict[int, str]:
            keys = sheet.choose(headers)
            chosen.update(keys.values())
            return _with_custom(headers, keys) if sheet is INFO else keys

        rows: list[Row] = list(book.rows(sheet, choose))
        if sheet is INFO and not chosen & {"vm", "vmid"}:
            raise InputRefused(
                f"{self._name}: sheet vInfo has no column VM",
                code="NO-VINFO",
                hint="keep the headers as RVTools writes them in the first row, or export again",
            )
        missed = [words for key, words in sheet.needs.items() if key not in chosen] if chosen else []
        if missed:
            self._problem(
                sheet.name, "MISSING-COLUMN", f"sheet {sheet.name} lacks columns; unknown: {', '.join(missed)}"
            )
        return rows

    def _problem(self, subject: str, code: str, words: str) -> None:
        self._problems.append(SourceProblem(subject=subject, code=code, text=words))


def _with_custom(headers: dict[int, str], keys: dict[int, str]) -> dict[int, str]:
    """The chosen columns and, under keys of their own, those of custom attributes: from Annotation to Datacenter."""
    place = {key: column for column, key in keys.items()}
    if "annotation" not in place or "datacenter" not in place:
        return keys
    between = range(place["annotation"] + 1, place["datacenter"])
    custom = {
        column: CUSTOM + headers[column]
        for column in between
        if headers.get(column) and column not in keys and plain_header(headers[column], INFO.name)
    }
    return dict(chain(custom.items(), keys.items()))
