# SPDX-License-Identifier: Apache-2.0
"""What `v2x convert` does with the guest inside: says what it needs for Xen, or writes a disk that has it."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from v2x.app import App
from v2x.cli import guest_plan, show
from v2x.cli.converting import OUTPUTS, Wish, chosen_disk, only_machine, opened_disk, progress_bar
from v2x.cli.options import Given
from v2x.convert.guest import converted_guest, plan_guest
from v2x.convert.interface import Adapter, Conversion
from v2x.disks.export import copy_to_file
from v2x.disks.interface import DiskReader
from v2x.errors import UsageError
from v2x.migrate.look import look_into, own_disks, told_addresses, told_interfaces
from v2x.model.machine import Machine
from v2x.model.plan import Plan

_PATIENCE = "looking into the guest; without KVM this takes a minute or more"


def convert_with_guest(given: Given, wish: Wish, output: Path, *, qemu: bool) -> dict[str, Any]:
    """Writes one disk with the guest put right; returns what was done, with every edit.

    All disks of an appliance are needed to do it, whichever of them is written; none of them is written to.
    """
    if qemu or wish.compare:
        raise UsageError("OUT will differ from IN where the guest is changed", hint="leave out --tool and --compare")
    target = OUTPUTS.get(output.suffix.lower())
    if target is None:
        raise UsageError(
            f"--convert-guest cannot write {output.suffix or output.name}", hint="OUT ends in .vhd, .qcow2 or .raw"
        )
    begun = time.monotonic()
    with guest_disks(wish) as (readers, machine):
        number = own_disks(machine).index(chosen_disk(machine, wish.disk)) if machine is not None else 0
        show.note(_PATIENCE, quiet=given.quiet)
        put_right = converted_guest(readers, output.absolute().parent, adapters=adapters_of(machine), wishes=wish.guest)
        with put_right as (conversion, changed):
            written = changed[number].reader
            size = written.size
            with progress_bar(given, size, output.name) as progress:
                copy_to_file(written, output, target, progress=progress, replace=wish.force)
    show.note(guest_plan.text_of(conversion), quiet=given.quiet)
    return {
        "input": str(wish.source),
        "output": str(output),
        "format": target.value,
        "size_bytes": size,
        "file_bytes": output.stat().st_blocks * 512,
        "seconds": round(time.monotonic() - begun, 2),
        **({"conversion": guest_plan.document_of(conversion)} if given.json else {}),
    }


def show_guest_plan(given: Given, wish: Wish) -> None:
    """Prints what would be changed inside the guest; of an appliance, all disks are looked at together."""
    with guest_disks(wish) as (readers, machine):
        show.note(_PATIENCE, quiet=given.quiet)
        conversion = plan_guest(readers, adapters=adapters_of(machine), wishes=wish.guest)
    _print(given, conversion)


def show_guest_of(app: App, given: Given, plan: Plan) -> None:
    """Prints what would be changed inside the guest of a plan's one machine, which is read at its source."""
    from v2x.engine.orders import work_of
    from v2x.migrate.observe import Silent

    (order,) = app.orders(plan)
    doors = app.doors(plan.sources, plan.targets)
    show.note(_PATIENCE, quiet=given.quiet)
    with closing(doors.source(order.source)) as source, closing(doors.target(order.target)) as target:
        _print(given, look_into(work_of(order, source, target, Silent(), app.wishes)))


def _print(given: Given, conversion: Conversion) -> None:
    if given.json:
        show.document("v2x.guest-plan/1", guest_plan.document_of(conversion))
    else:
        show.result(guest_plan.text_of(conversion))


@contextmanager
def guest_disks(wish: Wish) -> Iterator[tuple[list[DiskReader], Machine | None]]:
    if not wish.is_appliance:
        with opened_disk(wish) as reader:
            yield [reader], None
        return
    with ExitStack() as stack:
        opened, machine = stack.enter_context(only_machine(wish.source))
        at = opened.checkpoint(machine, "v2x-convert")
        readers: list[DiskReader] = []
        for disk in own_disks(machine):
            readers.append(stack.enter_context(closing(opened.reader(machine, disk, at))))
        yield readers, machine


def adapters_of(machine: Machine | None) -> list[Adapter]:
    """With the names that the guest's agent told, where it did."""
    if machine is None:
        return []
    told = told_interfaces(machine)
    nics = sorted(machine.nics, key=lambda nic: nic.position)
    return [
        Adapter(mac=nic.mac, interface=told.get(nic.mac, ""), addresses=told_addresses(machine, nic.mac))
        for nic in nics
        if nic.mac
    ]
