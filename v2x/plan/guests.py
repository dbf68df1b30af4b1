# SPDX-License-Identifier: Apache-2.0
"""What plan check says of guests that are converted: what their rows ask for, and what may keep Windows locked."""

from collections.abc import Iterable, Iterator, Mapping

from v2x.mapping.rows import Family
from v2x.mapping.tables import Tables
from v2x.model.finding import Finding
from v2x.model.machine import Machine, PowerState
from v2x.model.plan import GuestConversion, GuestWish, PlanRow, Running, Transfer
from v2x.plan import rules as plan_rules


def sealed(machine: Machine, tables: Tables) -> str:
    """Why BitLocker may have sealed this Windows to its TPM, as far as the source tells; empty where nothing does."""
    guest = tables.guest_os(machine.guest)
    locked = [one.path for one in machine.guest.volumes if "bitlocker" in one.filesystem.casefold()]
    if locked:
        return f"{', '.join(locked)} is encrypted with BitLocker"
    if machine.vtpm and guest is not None and guest.family is Family.WINDOWS:
        return "it is Windows and has a TPM"
    return ""


def check_guests(
    rows: Iterable[PlanRow], machines: Mapping[tuple[str, str], Machine], tables: Tables, *, has_keys: bool
) -> Iterator[Finding]:
    """Findings for words in the column guest that come to nothing, and for a Windows that its conversion may refuse.

    `has_keys` says that v2x.toml here names recovery keys.
    """
    for row in rows:
        if row.convert is not GuestConversion.AUTO:
            if row.guest:
                yield plan_rules.GUEST.finding(f"{', '.join(row.guest)}, and convert is {row.convert}", row)
            continue
        machine = machines.get((row.source, row.machine_id))
        why = sealed(machine, tables) if machine is not None else ""
        if machine is None or not why or has_keys or GuestWish.BITLOCKER_SUSPENDED in row.guest:
            continue
        if _goes_down_first(row, machine):
            yield plan_rules.BITLOCKER_FIRST.finding(
                f"{why}, and it would be shut down before that can be looked at", row
            )
        else:
            yield plan_rules.BITLOCKER.finding(f"{why}; if it is still sealed, its conversion is refused", row)


def _goes_down_first(row: PlanRow, machine: Machine) -> bool:
    """A warm machine's conversion is tried while it runs, and one that is off is looked into as it lies."""
    brings_down = row.running in {Running.SHUTDOWN, Running.POWER_OFF}
    return row.transfer is Transfer.COLD and brings_down and machine.power_state is PowerState.ON
