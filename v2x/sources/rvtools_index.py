# SPDX-License-Identifier: Apache-2.0
"""Which machine of vInfo a row of another sheet belongs to, and under which id it is known."""

from collections import Counter
from collections.abc import Iterator, Sequence

from v2x.sources.ovf_dialects import plain_uuid
from v2x.sources.rvtools_cells import Row, name, text

_SEVERAL = -1


class MachineIndex:
    """Machines by the id of their vCenter, by UUID, by name and host, and by name.

    The strongest that a row states decides alone: a row with an id that vInfo lacks belongs to none of its machines,
    even if the name fits. What fits several machines belongs to none.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._numbers: dict[tuple[str, ...], int] = {}
        self._kinds: set[str] = set()
        for number, row in enumerate(rows):
            for key in _keys(row):
                self._kinds.add(key[0])
                self._numbers[key] = _SEVERAL if key in self._numbers else number

    def find(self, row: Row) -> int | None:
        """The number of the machine's row, or None."""
        for key in _keys(row):
            if key[0] in self._kinds:
                number = self._numbers.get(key, _SEVERAL)
                return None if number == _SEVERAL else number
        return None


def _keys(row: Row) -> Iterator[tuple[str, ...]]:
    """The strongest first. A sheet may lack a column that vInfo has, so the weaker ones are kept as well."""
    vm, named = text(row, "vmid"), name(row, "vm")
    host, sdk = text(row, "host").lower(), text(row, "sdk").lower()
    if vm and sdk:
        yield ("id and vCenter", vm, sdk)
    if vm:
        yield ("id", vm)
    if identity := plain_uuid(text(row, "uuid")):
        yield ("uuid", identity)
    if named and host:
        yield ("name and host", named, host)
    if named:
        yield ("name", named)


def machine_ids(rows: Sequence[Row]) -> list[str]:
    """One id for each row, all different, the same in every export as far as the export tells.

    vCenter's instance UUID; where it is missing or stands twice, the managed object id, with the vCenter's UUID where
    needed; without either, the name, with the host where needed.
    """
    found: list[str] = [""] * len(rows)
    left = list(range(len(rows)))
    for proposals in zip(*(_proposals(row) for row in rows), strict=True):
        times = Counter(proposals[number] for number in left)
        for number in left:
            if proposals[number] and times[proposals[number]] == 1:
                found[number] = proposals[number]
        left = [number for number in left if not found[number]]
    taken = set(found)
    for number in left:
        base = text(rows[number], "vmid") or name(rows[number], "vm") or "machine"
        turn = 1
        while f"{base}#{turn}" in taken:
            turn += 1
        found[number] = f"{base}#{turn}"
        taken.add(found[number])
    return found


def _proposals(row: Row) -> list[str]:
    vm, named, host = text(row, "vmid"), name(row, "vm"), text(row, "host")
    return [
        plain_uuid(text(row, "uuid")),
        vm,
        f"{vm}@{text(row, 'sdk')}" if vm else "",
        named,
        f"{named}@{host}" if host else "",
    ]
