# SPDX-License-Identifier: Apache-2.0
"""What PowerShell's versions and people's ways of saving write differently reads alike."""

import codecs
import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.hyperv_estates import GIB, ID, PATH, changed, document, estate, inventory, virtual_machine
from v2x.errors import BadImage, InputRefused
from v2x.model.machine import Machine, PowerState
from v2x.simulators.hyperv.described import Checkpoint, Image
from v2x.sources import open_source
from v2x.sources.hyperv.document import decode, is_collected
from v2x.sources.hyperv.fields import Fields, items, moment, number
from v2x.sources.hyperv.words import STATES, word


@pytest.fixture
def text(tmp_path: Path) -> str:
    machine = virtual_machine(checkpoints=[Checkpoint(id="c1", name="ü")], secure_boot="Off")
    return document(estate(machine, images=[Image(path=PATH, size=GIB)]), tmp_path)


def machine_of(text: str) -> Machine:
    (found,) = inventory(text).machines
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Running", "Running"),
        ("running", "Running"),
        (2, "Running"),
        ("2", "Running"),
        (32786, "SavedCritical"),
        ({"value": 2, "Value": "Running"}, "Running"),
        ({"value": 3}, "Off"),
        (None, ""),
        (True, ""),
        (77, "77"),
    ],
)
def test_enumerations_by_name_by_number_and_as_objects(value: Any, expected: str) -> None:
    assert word(value, STATES) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, []),
        ("", []),
        ([], []),
        ("one", ["one"]),
        ({"a": 1}, [{"a": 1}]),
        ([{"a": 1}, [{"b": 2}, {"c": 3}]], [{"a": 1}, {"b": 2}, {"c": 3}]),
        ({"value": [1, 2], "Count": 2}, [1, 2]),
        ({"value": 1, "Value": "x"}, [{"value": 1, "Value": "x"}]),
    ],
)
def test_lists_however_they_were_written(value: Any, expected: list[Any]) -> None:
    assert list(items(value)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/Date(1488869314761)/", "2017-03-07T06:48:34.761000+00:00"),
        ("\\/Date(1488869314761)\\/", "2017-03-07T06:48:34.761000+00:00"),
        ("/Date(1488869314761+0100)/", "2017-03-07T06:48:34.761000+00:00"),
        ("2024-05-06T07:08:09.1234567Z", "2024-05-06T07:08:09.123456+00:00"),
        ("2024-05-06T09:08:09+02:00", "2024-05-06T07:08:09+00:00"),
        ("07.03.2017 06:48:34", ""),
        ("/Date(99999999999999999)/", ""),
        (None, ""),
        (5, ""),
    ],
)
def test_times(value: Any, expected: str) -> None:
    assert moment(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1099511627776, 1 << 40),
        ("1099511627776", 1 << 40),
        (1.099511627776e12, 1 << 40),
        (1.5, None),
        (float("inf"), None),
        (True, None),
        ("1e3", None),
        ("9" * 30, None),
        (None, None),
        ([], None),
    ],
)
def test_numbers(value: Any, expected: int | None) -> None:
    assert number(value) == expected


def test_fields_are_found_in_any_case_and_take_the_wrong_kind_for_none() -> None:
    fields = Fields({"Name": " x ", "FLAG": "On", "list": {"a": 1}})
    assert (fields.text("name"), fields.flag("flag"), fields.text("list")) == ("x", True, "")
    assert fields.rows("list")[0].number("a") == 1
    assert not Fields("text")
    assert Fields(None).rows("x") == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_file_in_every_encoding_that_powershell_writes(encoding: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "host.json"
    path.write_bytes(text.encode(encoding))
    with open_source(path) as source:
        (machine,) = source.inventory().machines
    assert machine.snapshots[0].name == "ü"
    assert decode(codecs.BOM_UTF16_BE + "{}".encode("utf-16-be"), "x") == "{}"


def test_numbers_for_names_give_the_same_machine(text: str) -> None:
    """As a script writes that does not turn enumerations into names."""

    def numbers(content: dict[str, Any]) -> None:
        vm = content["vms"][0]
        vm |= {"state": 3, "startAction": 3, "stopAction": {"value": 3, "Value": "Save"}, "checkpointType": 3}
        vm["firmware"]["secureBoot"] = 1  # OnOffState.Off
        vm["disks"][0]["controllerType"] = 1
        vm["disks"][0]["chain"][0] |= {"format": 3, "type": 3}
        vm["nics"][0] |= {"vlanMode": 0, "macSpoofing": 1, "teaming": 1}
        vm["checkpoints"][0]["type"] = 0
        content["switches"][0]["type"] = 2

    assert machine_of(changed(text, numbers)) == machine_of(text)
    assert inventory(changed(text, numbers)).networks == inventory(text).networks


def test_unrolled_lists_give_the_same_machine(text: str) -> None:
    """A list of one loses its brackets on its way through a pipeline, an empty one becomes null or a text."""

    def unrolled(content: dict[str, Any]) -> None:
        vm = content["vms"][0]
        vm["disks"] = vm["disks"][0] | {"chain": {"value": vm["disks"][0]["chain"], "Count": 1}}
        vm["nics"] = vm["nics"][0]
        vm["checkpoints"] = [vm["checkpoints"]]
        vm |= {"dvds": "", "devices": None, "replication": None, "guestNetwork": ""}
        content["vms"] = vm

    assert machine_of(changed(text, unrolled)) == machine_of(text)


def test_a_host_of_2012_r2_tells_less_and_is_listed_all_the_same(tmp_path: Path) -> None:
    machine = virtual_machine(generation=1, tpm=True, nested=True)
    old = machine_of(document(estate(machine, profile="2012r2", images=[Image(path=PATH, size=GIB)]), tmp_path))
    assert old.hardware_version == "5.0"
    assert (old.vtpm, old.shielded, old.cpu.nested_virtualization) == (False, False, False)
    assert old.change_tracking_supported is False
    assert "checkpoint_type" not in old.attributes


@pytest.mark.parametrize("profile", ["2012r2", "2016", "2019", "2022", "2025"])
def test_every_version_is_read(profile: str, tmp_path: Path) -> None:
    found = inventory(
        document(estate(virtual_machine(), profile=profile, images=[Image(path=PATH, size=GIB)]), tmp_path)
    )
    assert found.machines[0].id == ID
    assert found.source.kind == "hyperv"
    assert found.hosts[0].edition.startswith("Microsoft Windows Server")
    assert found.machines[0].change_tracking_supported is (profile != "2012r2")


def test_a_machine_with_nothing_but_an_id(text: str) -> None:
    found = machine_of(changed(text, lambda content: content.update(vms=[{"id": ID.upper()}])))
    assert (found.id, found.name, found.disks, found.power_state) == (ID, "", (), PowerState.UNKNOWN)


def test_an_entry_without_an_id_is_a_problem_and_loses_no_other(text: str) -> None:
    found = inventory(changed(text, lambda content: content["vms"].append({"name": "lost"})))
    assert len(found.machines) == 1
    assert [(one.code, one.subject) for one in found.problems] == [("NOT-READ", "HV01: lost")]


def test_warnings_are_problems_with_their_identifier(text: str) -> None:
    def warned(content: dict[str, Any]) -> None:
        content["warnings"] = [{"subject": "web: VLAN", "text": "Zugriff verweigert", "id": "AccessDenied,X"}]

    (problem,) = inventory(changed(text, warned)).problems
    assert problem.subject == "HV01: web: VLAN"
    assert problem.text == "Zugriff verweigert (AccessDenied,X)"


@pytest.mark.parametrize(
    "damage", ['{"schema": "v2x.hyperv/1"', '{"schema": "v2x.hyperv/2"}', '{"x": {"schema": "v2x.hyperv/1"}}']
)
def test_damage_and_other_versions_are_refused(damage: str, tmp_path: Path) -> None:
    (tmp_path / "h.json").write_text(damage)
    with pytest.raises(BadImage) as refused:
        open_source(tmp_path / "h.json")
    assert "--collector" in refused.value.hint


def test_a_note_that_speaks_of_the_schema_makes_no_collected_file() -> None:
    assert not is_collected(json.dumps({"notes": '"schema": "v2x.hyperv/1"'}))
    assert is_collected('{"vms": [], "schema" : "v2x.hyperv/1"}')


@pytest.mark.parametrize("seed", range(60))
def test_any_value_in_the_wrong_place_is_no_crash(seed: int, text: str) -> None:
    """Each value of the document in turn replaced by one of another kind."""
    chance = random.Random(seed)
    content = json.loads(text)
    strange = [None, "", [], {}, [[]], True, -1, 1 << 70, 1.5, "x" * 1000, {"value": 1, "Count": 2}]
    for _ in range(12):
        place: Any = content
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = chance.choice(keys)
            below = place[key]
            if key == "schema":
                continue
            if isinstance(below, dict | list) and chance.random() < 0.8:
                place = below
                continue
            place[key] = copy.deepcopy(chance.choice(strange))
            break
    try:
        found = inventory(json.dumps(content))
    except InputRefused:
        return
    assert all(one.id for one in found.machines)
