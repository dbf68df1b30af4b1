# SPDX-License-Identifier: Apache-2.0
"""What every source must do, whatever it reads. A new source adds one builder to BUILDERS."""

import hashlib
import importlib.util
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from tests.hyperv_estates import estate, virtual_machine
from tests.hyperv_exports import Stored, export
from tests.hyperv_images import Vhdx
from v2x.disks.smb.paths import parse_rule
from v2x.errors import Unsupported, V2xError
from v2x.model.address import parse_address
from v2x.model.codec import from_json, to_json
from v2x.model.inventory import INVENTORY_SCHEMA, Inventory
from v2x.model.machine import Machine
from v2x.secrets import Secret
from v2x.simulators.hyperv.described import Estate, HardDisk, Image
from v2x.simulators.hyperv.profiles import profile_named
from v2x.simulators.hyperv.service import HyperV
from v2x.simulators.hyperv.telling import Teller
from v2x.sources import open_source
from v2x.sources.hyperv.access import ShareOptions
from v2x.sources.hyperv.opening import open_hyperv
from v2x.sources.interface import Checkpoint, Confirms, Integrity, Source

MIB = 1 << 20
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DISKS = {"tiny-1.vmdk": 5 * MIB + 512, "tiny-2.vmdk": 2 * MIB}


def _loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kit = _loaded("appliances")
book = _loaded("rvtools_book")


@dataclass(frozen=True)
class Case:
    """`address` to open, and the bytes of each disk by label position.

    `readable` is False for sources without disks, which name `instead`; those without `checkpoints` refuse them too.
    """

    address: Path
    contents: tuple[bytes, ...]
    readable: bool = True
    checkpoints: bool = True
    instead: str = ""
    opener: Callable[[], Source] | None = None


@pytest.fixture(scope="module")
def contents() -> tuple[bytes, ...]:
    return tuple(kit.content(size, seed) for seed, size in enumerate(DISKS.values(), 1))


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory, contents: tuple[bytes, ...]) -> Path:
    folder = tmp_path_factory.mktemp("disks")
    for name, data in zip(DISKS, contents, strict=True):
        kit.stream_vmdk(folder, name, data)
    return folder


def _ovf(folder: Path, disks: Path) -> Path:
    for name in DISKS:
        shutil.copyfile(disks / name, folder / name)
    (folder / "tiny.ovf").write_text(kit.ovf(DISKS.items()))
    (folder / "tiny.mf").write_text(kit.manifest(folder, ["tiny.ovf", *DISKS]))
    return folder / "tiny.ovf"


def _ova(folder: Path, disks: Path) -> Path:
    staging = folder / "staging"
    staging.mkdir()
    _ovf(staging, disks)
    kit.pack(folder / "tiny.ova", staging, ["tiny.ovf", "tiny.mf", *DISKS])
    shutil.rmtree(staging)
    return folder / "tiny.ova"


def _vmx(folder: Path, disks: Path) -> Path:
    lines: dict[str, object] = {"scsi0.present": "TRUE"}
    for number, name in enumerate(DISKS):
        shutil.copyfile(disks / name, folder / name)
        lines |= {f"scsi0:{number * 9}.present": "TRUE", f"scsi0:{number * 9}.fileName": name}
    (folder / "tiny.vmx").write_text(kit.vmx(lines))
    return folder / "tiny.vmx"


def _folder(folder: Path, disks: Path) -> Path:
    (folder / "one").mkdir()
    _ovf(folder / "one", disks)
    return folder


def _saved(folder: Path, disks: Path) -> Path:
    with open_source(_ovf(folder, disks), clock=lambda: MOMENT) as source:
        (folder / "inventory.json").write_bytes(to_json(source.inventory()))
    return folder / "inventory.json"


def _rvtools(folder: Path, _disks: Path) -> Path:
    tiny = {"VM": "tiny", "VM ID": "vm-1", "VM UUID": "50000000-0000-4000-8000-000000000001"}
    disks = [
        {**tiny, "Disk": name, "Capacity MiB": size / MIB, "Controller": "SCSI controller 0", "Unit #": unit}
        for unit, (name, size) in enumerate(DISKS.items())
    ]
    vinfo = {**tiny, "Powerstate": "poweredOff", "CPUs": 1, "Memory": 512, "Firmware": "bios"}
    path: Path = book.write_xlsx(folder / "export.xlsx", {"vInfo": [vinfo], "vDisk": disks})
    return path


def _described(disks: Path) -> Estate:
    """A Hyper-V host with the machine, its disks to be found in `D:\\`."""
    drives = [HardDisk(path=f"D:\\{Path(name).stem}.vhdx", location=unit) for unit, name in enumerate(DISKS)]
    images = [Image(path=one.path, size=size) for one, size in zip(drives, DISKS.values(), strict=True)]
    return estate(virtual_machine(name="tiny", disks=drives), images=images)


def _write_vhdx(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, size) in enumerate(DISKS.items(), 1):
        Vhdx(raw=kit.content(size, seed)).write(folder / f"{Path(name).stem}.vhdx")


def _hyperv_collected(folder: Path, disks: Path) -> Path:
    _write_vhdx(folder)
    made = _described(disks)
    teller = Teller(made, made.hosts[0], profile_named("2022"), lambda path: folder / path[3:], "admin")
    (folder / "host.json").write_text("".join(teller.pieces()))
    return folder / "host.json"


def _hyperv(binary: bool) -> Callable[[Path, Path], Path]:
    """An export of Hyper-V with the same disks; without its own manifest, like every export there."""

    def build(folder: Path, _disks: Path) -> Path:
        names = {f"tiny-{number}.vhdx": number for number in range(1, len(DISKS) + 1)}
        stored = Stored(name="tiny", ide={(0, number - 1): f"D:\\{name}" for name, number in names.items()}, switch="")
        images = {
            name: Vhdx(raw=kit.content(size, seed), data_write=uuid.UUID(int=seed)).packed()
            for seed, (name, size) in enumerate(zip(names, DISKS.values(), strict=True), 1)
        }
        return export(folder, stored, images, binary=binary)

    return build


BUILDERS: dict[str, Callable[[Path, Path], Path]] = {
    "hyperv_collected": _hyperv_collected,
    "ovf": _ovf,
    "ova": _ova,
    "vmx": _vmx,
    "folder": _folder,
    "inventory_file": _saved,
    "rvtools": _rvtools,
    "hyperv xml": _hyperv(binary=False),
    "hyperv vmcx": _hyperv(binary=True),
}
DISKLESS = {"inventory_file": "tiny.ovf", "rvtools": "OVA"}


@pytest.fixture(params=[*sorted(BUILDERS), "hyperv"])
def case(request: pytest.FixtureRequest, tmp_path: Path, disks: Path, contents: tuple[bytes, ...]) -> Iterator[Case]:
    kind = request.param
    if kind == "hyperv":
        _write_vhdx(tmp_path / "state" / "drives" / "D")
        with HyperV(tmp_path / "state", estate=_described(disks)) as served:
            yield Case(tmp_path / "state" / "drives", contents, opener=lambda: _live(served))
        return
    address = BUILDERS[kind](tmp_path, disks)
    yield Case(
        address, contents, readable=kind not in DISKLESS, checkpoints=kind != "rvtools", instead=DISKLESS.get(kind, "")
    )


def _live(served: HyperV) -> Source:
    return open_hyperv(
        parse_address(served.address),
        Secret(served.password),
        ShareOptions(user=served.user, rules=tuple(parse_rule(rule) for rule in served.rules)),
        fingerprint=served.fingerprint,
        clock=lambda: MOMENT,
    )


def _snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _opened(case: Case) -> Source:
    if case.opener is not None:
        return case.opener()
    return open_source(case.address, clock=lambda: MOMENT)


def _checkpoint(case: Case, source: Source, machine: Machine) -> Checkpoint:
    """The source's own; for one that has none, after making sure that it says so, one made by hand."""
    if case.checkpoints:
        return source.checkpoint(machine, "run-1")
    with pytest.raises(Unsupported) as refused:
        source.checkpoint(machine, "run-1")
    assert case.instead in refused.value.hint
    return Checkpoint(tag="run-1", machine_id=machine.id, points={disk.id: "" for disk in machine.disks})


def test_is_a_source(case: Case) -> None:
    with _opened(case) as source:
        assert isinstance(source, Source)


def test_inventory_is_the_same_twice_and_across_openings(case: Case) -> None:
    with _opened(case) as source:
        first, second = source.inventory(), source.inventory()
    with _opened(case) as source:
        third = source.inventory()
    assert first == second == third
    assert [machine.name for machine in first.machines] == ["tiny"]
    assert [disk.capacity_bytes for disk in first.machines[0].disks] == list(DISKS.values())


def test_inventory_survives_json(case: Case) -> None:
    with _opened(case) as source:
        found = source.inventory()
    assert from_json(to_json(found), Inventory, INVENTORY_SCHEMA) == found


def test_select_is_asked_for_name_and_id(case: Case) -> None:
    with _opened(case) as source:
        machine = source.inventory().machines[0]
        assert source.inventory(lambda word: word == machine.name).machines == (machine,)
        assert source.inventory(lambda word: word == machine.id).machines == (machine,)
        assert source.inventory(lambda word: False).machines == ()


def test_disk_ids_and_places_are_unique(case: Case) -> None:
    with _opened(case) as source:
        disks = source.inventory().machines[0].disks
    assert len({disk.id for disk in disks}) == len(disks)
    assert len({(str(disk.bus), disk.controller, disk.unit) for disk in disks}) == len(disks)
    assert [disk.position for disk in disks] == list(range(len(disks)))


def test_checkpoint_is_adopted_the_second_time_and_by_another_process(case: Case) -> None:
    with _opened(case) as source:
        machine = source.inventory().machines[0]
        first = _checkpoint(case, source, machine)
        assert _checkpoint(case, source, machine) == first
    with _opened(case) as source:
        assert _checkpoint(case, source, source.inventory().machines[0]) == first
    assert first.machine_id == machine.id
    assert set(first.points) == {disk.id for disk in machine.disks}


def test_reader_gives_the_bytes_of_the_disk(case: Case) -> None:
    with _opened(case) as source:
        machine = source.inventory().machines[0]
        at = _checkpoint(case, source, machine)
        for disk, expected in zip(machine.disks, case.contents, strict=True):
            if not case.readable:
                with pytest.raises(Unsupported) as refused:
                    source.reader(machine, disk, at)
                assert case.instead in refused.value.hint
                continue
            with closing(source.reader(machine, disk, at)) as reader:
                assert reader.size == len(expected) == disk.capacity_bytes
                data = bytearray(reader.size)
                reader.read_into(0, data)
                assert bytes(data) == expected
                zeros = [part for part in reader.extents(0, reader.size) if not part.data]
                assert all(not any(expected[part.start : part.end]) for part in zeros)


def test_readers_of_a_disk_do_not_disturb_each_other(case: Case) -> None:
    if not case.readable:
        return
    with _opened(case) as source:
        machine = source.inventory().machines[0]
        at = _checkpoint(case, source, machine)
        one, two = (source.reader(machine, machine.disks[0], at) for _ in range(2))
        one.close()
        one.close()
        with closing(two):
            head = bytearray(4096)
            two.read_into(0, head)
        assert bytes(head) == case.contents[0][:4096]


def test_reader_refuses_a_disk_that_was_written_to_since(case: Case) -> None:
    if not case.readable:
        return
    with _opened(case) as source:
        machine = source.inventory().machines[0]
        at = _checkpoint(case, source, machine)
        stale = replace(at, points=dict.fromkeys(at.points, "1:2:3"))
        with pytest.raises(V2xError) as refused:
            source.reader(machine, machine.disks[0], stale)
    assert refused.value.code == "SOURCE-CHANGED"


def test_a_disk_that_was_written_to_is_told_afterwards(case: Case) -> None:
    with _opened(case) as source:
        if not isinstance(source, Confirms):
            assert not case.readable
            return
        machine = source.inventory().machines[0]
        at = _checkpoint(case, source, machine)
        source.confirm(machine, at)
        for disk in machine.disks:
            with pytest.raises(V2xError) as refused:
                source.confirm(machine, replace(at, points=at.points | {disk.id: "1:2:3"}))
            assert refused.value.code == "SOURCE-CHANGED"
            assert disk.label in refused.value.message


def test_release_works_again_and_without_a_checkpoint(case: Case) -> None:
    with _opened(case) as source:
        machine = source.inventory().machines[0]
        source.release(machine, "never made")
        _checkpoint(case, source, machine)
        source.release(machine, "run-1")
        source.release(machine, "run-1")


def test_integrity_names_the_verified_files(case: Case) -> None:
    with _opened(case) as source:
        machine = source.inventory().machines[0]
        if isinstance(source, Integrity):
            seen: list[int] = []
            assert set(source.verify(machine, seen.append)) == set(DISKS)
            assert sum(seen) > 2 * MIB


def test_nothing_at_the_source_changes(case: Case) -> None:
    folder = case.address if case.address.is_dir() else case.address.parent
    before = _snapshot(folder)
    with _opened(case) as source:
        machine = source.inventory().machines[0]
        at = _checkpoint(case, source, machine)
        if case.readable:
            source.reader(machine, machine.disks[0], at).close()
        source.release(machine, "run-1")
    assert _snapshot(folder) == before
