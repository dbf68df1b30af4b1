# SPDX-License-Identifier: Apache-2.0
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from v2x.errors import BadImage, InputRefused, UsageError
from v2x.sources import REGISTRY, open_source


@pytest.mark.parametrize("address", ["ftp://host/x.ova", "x.xls", "noextension", "disk.vmdk"])
def test_unknown_kinds_name_what_is_accepted(address: str) -> None:
    with pytest.raises(UsageError, match="not a kind of source") as refused:
        open_source(address)
    assert "vsphere" in refused.value.hint or ".ova" in refused.value.hint


@pytest.mark.parametrize("suffix", [".ova", ".ovf", ".vmx", ".json", ".xlsx", ".zip"])
def test_absent_files_are_named(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="does not exist") as refused:
        open_source(tmp_path / f"x{suffix}")
    assert refused.value.exit_code == 6


def test_upper_case_extensions_are_the_same(tmp_path: Path, kit: ModuleType) -> None:
    (tmp_path / "A.OVF").write_text(kit.ovf())
    with open_source(tmp_path / "A.OVF") as source:
        assert source.inventory().machines[0].name == "tiny"


def test_registry_points_at_things_that_exist() -> None:
    from importlib import import_module

    for target in REGISTRY.values():
        module, _, name = target.partition(":")
        owner, _, method = name.partition(".")
        assert callable(getattr(getattr(import_module(module), owner), method))


def test_importing_the_registry_loads_no_reader() -> None:
    heavy = ("v2x.sources.", "v2x.disks", "defusedxml")
    code = f"import sys, v2x.sources; print([name for name in sys.modules if name.startswith({heavy})])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_inventory_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    for text in ('{"schema": "collected/1"}', "[]", "{", "\xff", '{"schema": "v2x.inventory/1", "machines": 5}'):
        (tmp_path / "i.json").write_text(text, encoding="latin-1")
        with pytest.raises(BadImage, match="not an inventory of v2x"):
            open_source(tmp_path / "i.json")


def test_folder_lists_everything_and_tells_what_it_could_not_open(tmp_path: Path, kit: ModuleType) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tiny.vmx").write_text(kit.vmx({}, name))
    (tmp_path / "c.ovf").write_text(kit.ovf(name="c"))
    (tmp_path / "broken.ova").write_bytes(b"no tar" * 200)
    (tmp_path / "link.ovf").symlink_to(tmp_path / "c.ovf")
    (tmp_path / "b" / "deeper").mkdir()
    (tmp_path / "b" / "deeper" / "d.ovf").write_text(kit.ovf(name="d"))
    with open_source(tmp_path) as source:
        inventory = source.inventory()
        assert [(machine.name, machine.folder) for machine in inventory.machines] == [("a", "a"), ("b", "b"), ("c", "")]
        assert [problem.subject for problem in inventory.problems] == ["broken.ova"]
        ids = [machine.id for machine in inventory.machines]
        assert len(set(ids)) == 3
        assert ids[0].endswith("@a/tiny.vmx")
        for machine in inventory.machines:
            assert source.checkpoint(machine, "t").machine_id == machine.id
            source.release(machine, "t")


def test_folder_without_anything_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="holds no appliance"):
        open_source(tmp_path)
    (tmp_path / "x.ova").write_bytes(b"short")
    with pytest.raises(InputRefused, match="is not an OVA"):
        open_source(tmp_path)


def test_folder_does_not_know_a_machine_whose_file_is_gone(tmp_path: Path, kit: ModuleType) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tiny.ovf").write_text(kit.ovf(name=name))
    with open_source(tmp_path) as source:
        machine = source.inventory().machines[0]
    shutil.rmtree(tmp_path / "a")
    with open_source(tmp_path) as source, pytest.raises(InputRefused, match="not in"):
        source.checkpoint(machine, "t")
