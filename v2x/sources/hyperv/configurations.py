# SPDX-License-Identifier: Apache-2.0
"""The configuration files in a folder: which of them are machines, and which are checkpoints of these."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from v2x.errors import InputRefused, SourceError, UnsafeImage, V2xError
from v2x.model.inventory import SourceProblem
from v2x.model.machine import Machine, PowerState, Snapshot
from v2x.sources.hyperv.config_machine import Drive, created_of, drives_of, is_checkpoint, owner_of, read_machine
from v2x.sources.hyperv.config_vmcx import MOST_VMCX_BYTES, read_vmcx
from v2x.sources.hyperv.config_xml import read_xml
from v2x.sources.hyperv.settings import Settings
from v2x.sources.hyperv.tree import TreeListing, is_configuration
from v2x.sources.ovf_xml import MOST_XML_BYTES

MOST_CONFIGURATIONS: Final = 2_000

_HOMES: Final = frozenset({"virtual machines", "snapshots"})
_SAVED_STATE_BYTES: Final = 16 << 20
"""The .vmrs of a machine that is off has some ten KiB; with saved memory it is as large as that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One machine's. `base` is the folder its parts lie below, relative and with a slash at its end, or empty."""

    path: str
    base: str
    machine: Machine
    drives: tuple[Drive, ...]


def read_configurations(
    folder: Path, files: Sequence[str], experimental: bool
) -> tuple[list[Configuration], list[SourceProblem]]:
    """The machines below `folder`, and what could not be read. InputRefused for far too many of them."""
    paths = [path for path in files if is_configuration(path)]
    if len(paths) > MOST_CONFIGURATIONS:
        raise InputRefused(
            f"{folder} holds {len(paths):,} configurations; up to {MOST_CONFIGURATIONS:,} are read",
            hint="give a folder with fewer machines",
        )
    problems: list[SourceProblem] = []
    machines: list[Configuration] = []
    checkpoints: list[tuple[str, Settings]] = []
    for path in paths:
        try:
            settings = _settings(folder, path)
            if is_checkpoint(settings):
                checkpoints.append((path, settings))
                continue
            machine = read_machine(settings, path, binary=_binary(path), experimental=experimental)
        except (InputRefused, SourceError) as problem:
            problems.append(_problem(path, problem))
            continue
        machine = replace(machine, power_state=_power(folder, path, files))
        machines.append(Configuration(path=path, base=_base(path), machine=machine, drives=drives_of(settings)))
        problems += _notes(path, machine, experimental)
    return [_with_checkpoints(one, machines, checkpoints) for one in machines], problems


def _settings(folder: Path, path: str) -> Settings:
    listing = TreeListing(folder, [path])
    (name,) = listing.names()
    most = MOST_VMCX_BYTES if _binary(path) else MOST_XML_BYTES
    with closing(listing.open(name)) as source:
        if source.size > most:
            raise UnsafeImage(f"{path} has {source.size:,} bytes, a configuration has at most {most:,}")
        data = bytearray(source.size)
        source.read_into(0, data)
    return read_vmcx(bytes(data), path) if _binary(path) else read_xml(bytes(data), path)


def _binary(path: str) -> bool:
    return path.lower().endswith(".vmcx")


def _base(path: str) -> str:
    """The folder above `Virtual Machines` or `Snapshots`, else the file's own."""
    *folders, _ = path.split("/")
    for depth, name in enumerate(folders):
        if name.lower() in _HOMES:
            return "".join(f"{part}/" for part in folders[:depth])
    return "".join(f"{part}/" for part in folders)


def _power(folder: Path, path: str, files: Iterable[str]) -> PowerState:
    """SUSPENDED where saved memory lies beside the configuration, in a folder of its id on older hosts."""
    stem = path.rpartition(".")[0].lower()
    id = stem.rpartition("/")[2]
    for one in files:
        name = one.lower()
        if name in {f"{stem}/{id}.vsv", f"{stem}/{id}.bin", f"{stem}.vsv", f"{stem}.bin"}:
            return PowerState.SUSPENDED
        if name == f"{stem}.vmrs" and _size(folder / one) > _SAVED_STATE_BYTES:
            return PowerState.SUSPENDED
    return PowerState.OFF


def _size(path: Path) -> int:
    try:
        return path.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


def _notes(path: str, machine: Machine, experimental: bool) -> Iterator[SourceProblem]:
    unknown = machine.attributes.get("unknown", "")
    if machine.generation == 2 and _binary(path) and not experimental:
        yield SourceProblem(
            subject=path,
            code="GENERATION-2",
            text=f"of {machine.name} is not known: {unknown}; --experimental-vmcx reads them, "
            "by keys that were never seen in a real file of generation 2",
        )
    elif unknown:
        yield SourceProblem(subject=path, code="NOT-DECODED", text=f"of {machine.name} is not known: {unknown}")


def _with_checkpoints(
    one: Configuration, machines: Sequence[Configuration], checkpoints: Sequence[tuple[str, Settings]]
) -> Configuration:
    mine = []
    for path, settings in checkpoints:
        owner = owner_of(settings)
        alone = not owner and sum(_base(path) == other.base for other in machines) == 1
        if (owner == one.machine.id or alone) and _base(path) == one.base:
            mine.append(
                Snapshot(
                    id=path.rpartition("/")[2].rpartition(".")[0].lower(),
                    name=settings.text("properties/name"),
                    created=created_of(settings),
                    description=settings.text("properties/notes"),
                )
            )
    return replace(one, machine=replace(one.machine, snapshots=tuple(mine)))


def old_exports(files: Iterable[str]) -> Iterator[SourceProblem]:
    """Configurations in the form that Export-VM wrote up to Windows Server 2008 R2, which is not read."""
    for path in files:
        if path.lower().endswith(".exp") and path.lower().split("/")[-2:-1] == ["virtual machines"]:
            yield SourceProblem(
                subject=path,
                code="OLD-EXPORT",
                text="exported by Windows Server 2008 or 2008 R2 in a form of its own; copy the machine's folders from "
                "the host instead, with the .xml in them",
            )


def _problem(path: str, problem: V2xError) -> SourceProblem:
    return SourceProblem(subject=path, code=problem.code, text=problem.message)
