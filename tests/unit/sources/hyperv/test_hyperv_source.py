# SPDX-License-Identifier: Apache-2.0
"""The live source beside its conformance: what it waits for, what it notices, where it looks for disks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hyperv_estates import GIB, PATH, changed, document, estate, virtual_machine
from v2x.errors import SourceError, Unsupported
from v2x.model.address import parse_address
from v2x.model.machine import Machine
from v2x.secrets import Secret
from v2x.simulators.hyperv.described import HardDisk, Image
from v2x.simulators.hyperv.service import HyperV
from v2x.sources.hyperv.access import ShareOptions
from v2x.sources.hyperv.document import read_document
from v2x.sources.hyperv.login import HostAccess
from v2x.sources.hyperv.opening import open_hyperv
from v2x.sources.hyperv.source import HyperVSource, _shared_folders
from v2x.tls import Trust


class Files:
    """Stands for the shares: raises what it is given, one after the other, then has a point for each disk."""

    def __init__(self, *troubles: SourceError) -> None:
        self.troubles = list(troubles)
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def point(self, disk: Any, hosts: Any) -> str:
        self.asked.append((disk.id, tuple(hosts)))
        if self.troubles:
            raise self.troubles.pop(0)
        return f"point of {disk.id}"


def busy() -> SourceError:
    return SourceError("web.vhdx is in use by its host", code="SOURCE-RUNNING")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[HyperV]:
    made = estate(virtual_machine(), images=[Image(path=PATH, size=GIB)])
    with HyperV(tmp_path / "h", smb=False, estate=made) as running:
        place = running.place(PATH)
        place.parent.mkdir(parents=True)
        place.write_bytes(bytes(4096))
        yield running


@pytest.fixture
def source(served: HyperV) -> HyperVSource:
    opened = open_hyperv(
        parse_address(served.address),
        Secret(served.password),
        ShareOptions(user=served.user),
        fingerprint=served.fingerprint,
    )
    opened._sleep = lambda seconds: None
    return opened


def machine_of(source: HyperVSource) -> Machine:
    (machine,) = source.inventory().machines
    return machine


def test_files_that_the_host_has_open_yet_are_waited_for(source: HyperVSource, monkeypatch: Any) -> None:
    files = Files(busy(), busy())
    monkeypatch.setattr(source, "_shares_of", lambda machine: files)
    at = source.checkpoint(machine_of(source), "tag")
    assert at.points == {"scsi0:0": "point of scsi0:0"}
    assert files.asked == [("scsi0:0", ("127.0.0.1",))] * 3


def test_files_that_stay_open_are_told(source: HyperVSource, monkeypatch: Any) -> None:
    files = Files(*(busy() for _ in range(100)))
    monkeypatch.setattr(source, "_shares_of", lambda machine: files)
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr(source, "_monotonic", lambda: float(next(clock)))
    with pytest.raises(SourceError) as held:
        source.checkpoint(machine_of(source), "tag")
    assert held.value.code == "SOURCE-RUNNING"
    assert len(files.asked) == 3


def test_other_troubles_are_told_at_once(source: HyperVSource, monkeypatch: Any) -> None:
    files = Files(SourceError("gone", code="SOURCE-CHANGED"))
    monkeypatch.setattr(source, "_shares_of", lambda machine: files)
    with pytest.raises(SourceError, match="gone"):
        source.checkpoint(machine_of(source), "tag")
    assert len(files.asked) == 1


@pytest.mark.parametrize("state", ["Running", "Saved", "Paused", "OffCritical", "Stopping"])
def test_only_a_machine_that_is_off_has_a_checkpoint(served: HyperV, source: HyperVSource, state: str) -> None:
    machine = machine_of(source)
    served.estate.machines[0].state = state
    with pytest.raises(SourceError) as refused:
        source.checkpoint(machine, "tag")
    assert refused.value.code == "POWERED-ON"


def test_another_chain_than_listed_is_noticed(served: HyperV, source: HyperVSource) -> None:
    machine = machine_of(source)
    leaf = PATH.replace(".vhdx", "_1.avhdx")
    served.estate.images[leaf.lower()] = Image(path=leaf, size=GIB, type="Differencing", parent=PATH)
    served.place(leaf).write_bytes(bytes(4096))
    served.estate.machines[0].disks = [HardDisk(path=leaf)]
    with pytest.raises(SourceError) as noticed:
        source.checkpoint(machine, "tag")
    assert noticed.value.code == "SOURCE-CHANGED"


def test_without_a_login_for_files_nothing_is_read(served: HyperV) -> None:
    opened = open_hyperv(parse_address(served.address), Secret(served.password), fingerprint=served.fingerprint)
    with pytest.raises(Unsupported, match="SMB"):
        opened.checkpoint(machine_of(opened), "tag")


def test_an_account_that_is_no_administrator_is_led_to_the_shares_that_there_are(tmp_path: Path) -> None:
    def told(administrator: bool | None) -> list[tuple[str, str]]:
        def change(content: dict[str, Any]) -> None:
            content["account"]["administrator"] = administrator
            content["shares"] = [
                {"name": "D$", "path": "D:\\"},
                {"name": "vms", "path": "D:\\VMs\\"},
                {"name": "bad|name", "path": "D:\\x"},
                {"name": "", "path": "D:\\y"},
            ]

        text = changed(document(estate(virtual_machine()), tmp_path), change)
        access = HostAccess(host="2001:db8::1", user="u", trust=Trust())
        return [(rule.prefix, str(rule.place)) for rule in _shared_folders(read_document(text, "x"), access)]

    assert told(False) == [("D:\\VMs", "\\\\[2001:db8::1]\\vms")]
    assert told(True) == []
    assert told(None) == []


def test_name_and_notes_are_set_and_put_back(served: HyperV, source: HyperVSource) -> None:
    machine = machine_of(source)
    old = source.label(machine)
    source.relabel(machine, {"name": "web (migrated)", "notes": "Migrated by v2x"})
    now = machine_of(source)
    assert (now.name, now.notes) == ("web (migrated)", "Migrated by v2x")
    assert any("changed at the source: name" in note for note in source.notes(machine))
    source.relabel(machine, old)
    assert source.label(machine) == old
