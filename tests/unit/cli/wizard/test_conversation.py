# SPDX-License-Identifier: Apache-2.0
"""The conversation by a script of answers: each question can be left and gone back from, nothing is written before."""

import csv
import random
from pathlib import Path

import pytest
import typer

from v2x.cli.options import Given
from v2x.cli.wizard import machines
from v2x.cli.wizard.conversation import converse
from v2x.cli.wizard.prompts import Back, Option, Quit
from v2x.cli.wizard.talk import Wanted
from v2x.model.finding import Finding, Severity
from v2x.model.units import MIB
from v2x.simulators.appliance import ApplianceSpec, DiskSpec, NicSpec, write_ova


class Script:
    """Answers by the beginning of the question, Enter for all others; `at` is the question at which `way` is raised."""

    def __init__(self, answers, at=-1, way=Quit):
        self.answers, self.at, self.way = answers, at, way
        self.leave_after = ("", 0)  # a question, and how many times it is answered at most
        self.questions = []
        self.told = []

    def tell(self, text):
        self.told.append(text)

    def _answer(self, question, default):
        self.questions.append(question)
        if len(self.questions) - 1 == self.at:
            raise self.way
        if question == self.leave_after[0] and self.questions.count(question) > self.leave_after[1]:
            raise Quit
        found = next((value for begin, value in self.answers.items() if question.startswith(begin)), default)
        return found.pop(0) if isinstance(found, list) and found else found or default

    def line(self, question, default=""):
        return self._answer(question, default)

    def secret(self, question):
        return self._answer(question, "")

    def choose(self, question, options, default=""):
        assert all(isinstance(one, Option) and one.label for one in options)
        assert len({one.value for one in options}) == len(options)
        assert not default or default in {one.value for one in options}, f"{question}: {default}"
        answer = self._answer(question, default)
        found = [one.value for one in options if answer in (one.value, one.called)]
        assert len(found) == 1, f"{question}: {answer}"
        return found[0]

    def choose_many(self, question, options, chosen=()):
        wanted = self._answer(question, list(chosen))
        return [one.value for one in options if one.value in wanted or one.called in wanted]

    @property
    def text(self):
        return "\n".join(self.told)


@pytest.fixture
def estate(tmp_path, monkeypatch):
    """A folder with two appliances, and one to write XVA files into."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("V2X_STATE", str(tmp_path / "state"))
    (tmp_path / "estate").mkdir()
    (tmp_path / "out").mkdir()
    for number, name in enumerate(("db", "web")):
        disk = tmp_path / f"{name}.raw"
        disk.write_bytes(random.Random(number).randbytes(MIB))
        nics = (NicSpec(network="LAN", mac=f"00:50:56:00:00:0{number}"),)
        write_ova(tmp_path / "estate" / f"{name}.ova", ApplianceSpec(name=name, disks=(DiskSpec(raw=disk),), nics=nics))
        disk.unlink()
    return tmp_path


def answers(estate, **more):
    return {
        "Where are the machines": "path", "File or folder": str(estate / "estate"), "Which machines": ("db", "web"),
        "Where shall they go": "xva", "Folder for the XVA": str(estate / "out"), "How shall they be set up": "all",
        "db: Put the system": "off", "web: Put the system": "off", "Put the system": "off", "What now?": "plan", **more,
    }  # fmt: skip


def talk(script, **wanted):
    converse(Given(), Wanted(**wanted), script)
    return script


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def rows(path):
    return list(csv.DictReader(Path(path).read_text(encoding="utf-8-sig").splitlines()))


def test_a_plan_of_two(estate):
    script = talk(Script(answers(estate, **{"db: Memory": "3 GiB", "web: Name": "web-new"})), plan=Path("plan.csv"))
    db, web = rows("plan.csv")
    assert (db["memory"], web["target_name"]) == ("3 GiB", "web-new")
    assert "v2x batch run" not in script.text, "the commands are results, on stdout"
    assert files(estate / "out") == []
    before = script.questions
    assert before.index("db: Memory") < before.index("web: Name on the target")


def test_every_question_can_be_left(estate):
    count = len(talk(Script(answers(estate)), plan=Path("first.csv")).questions)
    before = files(estate)
    assert count > 15
    for at in range(count):
        script = Script(answers(estate), at=at)
        with pytest.raises(typer.Exit) as left:
            talk(script)
        assert left.value.exit_code == 130
        assert "Nothing was changed" in script.text
        assert files(estate) == before


def test_every_question_can_be_gone_back_from(estate):
    straight = talk(Script(answers(estate)), plan=Path("straight.csv"))
    for at in range(1, len(straight.questions)):
        script = talk(Script(answers(estate), at=at, way=Back), plan=Path(f"back{at}.csv"))
        asked = script.questions
        assert asked[at + 1] == straight.questions[at - 1], f"{asked[at]} leads back to the one before it"
        assert Path(f"back{at}.csv").read_bytes() == Path("straight.csv").read_bytes()


def test_back_from_the_first_question_leaves(estate):
    with pytest.raises(typer.Exit):
        talk(Script(answers(estate), at=0, way=Back))


def test_only_what_is_not_certain_is_asked(estate):
    script = talk(Script(answers(estate, **{"How shall they be set up": "open"})))
    assert not [one for one in script.questions if one.startswith(("db:", "web:"))]


def test_wrong_places_are_asked_again(estate):
    places = [str(estate / "nothing.ova"), "vsphere://h", "xapi://root@pool", str(estate / "estate")]
    script = talk(Script(answers(estate, **{"File or folder": places})))
    assert "vsphere:// needs a user" in script.text
    assert "xapi://root@pool is xapi:, which is no source" in script.text
    assert script.questions.count("File or folder") == 4


def test_a_machine_that_cannot_go_stays_behind(estate):
    (estate / "estate" / "broken.ova").write_bytes(b"this is no archive")
    script = talk(Script(answers(estate)), plan=Path("plan.csv"))
    assert "broken.ova" in script.text
    assert [row["machine_name"] for row in rows("plan.csv")] == ["db", "web"]


def test_a_change_after_the_review_shows_everything_again(estate, capsys):
    given = {"What now?": ["change", "plan"], "Of which machine?": "web", "web: Memory": ["1 GiB", "2 GiB"]}
    script = Script(answers(estate, **given))
    talk(script, plan=Path("plan.csv"))
    assert script.questions.count("web: Memory") == 2 and script.questions.count("db: Memory") == 1
    assert [row["memory"] for row in rows("plan.csv")][1] == "2 GiB"
    shown = capsys.readouterr().out
    assert shown.count("web becomes web") == 2


def test_a_name_that_is_taken_is_asked_again(estate):
    given = {"web: Name": ["db", "other"]}
    script = talk(Script(answers(estate, **given)), plan=Path("plan.csv"))
    assert "another machine of this plan is called db" in script.text
    assert [row["target_name"] for row in rows("plan.csv")] == ["db", "other"]


def test_a_plan_is_not_overwritten(estate, capsys):
    Path("plan.csv").write_text("mine")
    script = Script(answers(estate), at=10_000)
    script.leave_after = ("What now?", 2)
    with pytest.raises(typer.Exit):
        talk(script, plan=Path("plan.csv"))
    assert "plan.csv exists" in capsys.readouterr().err
    assert Path("plan.csv").read_text() == "mine"


def test_a_run_of_two_into_files(estate, capsys):
    talk(Script(answers(estate, **{"What now?": "go"})), plain=True)
    assert files(estate / "out") == ["db.xva", "web.xva"]
    report = list(estate.glob("wizard-*.plan.report.json"))
    assert len(report) == 1
    assert files(estate / "state" / "wizard") == []
    assert "migrated" in capsys.readouterr().out


@pytest.mark.parametrize("count", [1, 2])
def test_where_nothing_may_go_another_target_is_asked_for(estate, monkeypatch, count):
    """The first target is refused for every machine, the second for none."""
    if count == 1:
        (estate / "estate" / "web.ova").unlink()
    targets = []

    def assessed(inventory, facts, *more):
        targets.append(facts.address)
        if len(targets) > 1:
            return ()
        return tuple(
            Finding(rule="disk.shared", severity=Severity.BLOCKER, label="shared", text="It is shared.",
                    remedy="Part them.",
                    machine_id=machine.id, machine_name=machine.name)
            for machine in inventory.machines
        )  # fmt: skip

    monkeypatch.setattr(machines, "assess", assessed)
    script = talk(Script(answers(estate, **{"What next?": "another target"})), plan=Path("plan.csv"))
    assert len(targets) == 2
    assert "Not moved" in script.text
    assert len(rows("plan.csv")) == count
