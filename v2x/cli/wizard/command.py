# SPDX-License-Identifier: Apache-2.0
"""The command line that does the same as the answers. A secret is never part of it."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from v2x.cli.options import Given, words_of
from v2x.cli.wizard.talk import Talk
from v2x.mapping.resolve import REST
from v2x.model.machine import Machine
from v2x.model.plan import GuestConversion, MacPolicy, PlanRow, Running, Transfer
from v2x.plan import write_size

_WIDTH = 78


def migrate_command(talk: Talk, machine: Machine) -> str:
    """`v2x migrate …` for one machine, in lines that a shell takes as one."""
    row, drafted = talk.rows[machine.id], talk.drafted[machine.id]
    twins = [one for one in talk.listed.machines if one.name == machine.name]
    name = machine.name if len(twins) == 1 and machine.name else machine.id
    parts = [["v2x", "migrate", talk.source.text, name], ["--target", talk.target.text]]
    parts += _of_row(talk, machine, row, drafted)
    parts += words_of(session(talk))
    return joined(parts)


def session(talk: Talk) -> Given:
    """The shared options with the pins that were agreed to, where no alias of v2x.toml has one."""
    app = talk.app
    return replace(
        talk.given,
        source_fingerprint=app.source_side.fingerprint,
        target_fingerprint=app.target_side.fingerprint,
        verbose=False,
        quiet=False,
    )


def _of_row(talk: Talk, machine: Machine, row: PlanRow, drafted: PlanRow) -> Iterator[list[str]]:
    if row.target_name != drafted.target_name or row.target_name != machine.name:
        yield ["--name", row.target_name]
    yield from (["--sr", word] for word in _storage(machine, row))
    yield from (["--network", f"{position}={network}"] for position, network in sorted(row.networks.items()))
    if row.mac is MacPolicy.NEW:
        yield ["--mac", row.mac.value]
    if row.vcpus is not None and (row.vcpus != drafted.vcpus or machine.cpu.count < 1):
        yield ["--vcpus", str(row.vcpus)]
    if row.memory_bytes is not None and (row.memory_bytes != drafted.memory_bytes or machine.memory.size_bytes < 1):
        yield ["--memory", write_size(row.memory_bytes)]
    if row.firmware is not None and (row.firmware is not drafted.firmware or not machine.firmware_stated):
        yield ["--firmware", row.firmware.value]
    if row.transfer is Transfer.WARM:
        yield ["--warm"]
        if talk.app.enable_tracking:
            yield ["--enable-cbt"]
    if row.convert is GuestConversion.AUTO:
        yield ["--convert", "auto"]
    if row.running is not Running.REFUSE:
        yield ["--running", row.running.value]
    if row.start:
        yield ["--start"]


def _storage(machine: Machine, row: PlanRow) -> list[str]:
    """One word for all disks where they go to one place, else one for each."""
    chosen = {disk: row.storage.get(disk.id) or row.storage.get(REST, "") for disk in machine.disks}
    places = set(chosen.values()) - {""}
    if len(places) == 1 and "=" not in (place := next(iter(places))):
        return [place]
    return [f"{disk.position}={sr}" for disk, sr in chosen.items() if sr]


def joined(parts: Sequence[Sequence[str]]) -> str:
    """The words in lines that end in a backslash where the next one goes on; words of one part stay together."""
    lines = [""]
    whole = [shlex.join(part) for part in parts]
    for text in (one for part, line in zip(parts, whole, strict=True) for one in _short(part, line)):
        if lines[-1] and len(lines[-1]) + 1 + len(text) > _WIDTH - 2:
            lines[-1] += " \\"
            lines.append("  ")
        lines[-1] += text if not lines[-1].strip() else f" {text}"
    return "\n".join(lines)


def _short(part: Sequence[str], line: str) -> list[str]:
    """A part as one line, or word by word where that would be too long: a fingerprint fills a line by itself."""
    return [line] if len(line) <= _WIDTH - 4 else [shlex.quote(word) for word in part]
