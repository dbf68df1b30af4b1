# SPDX-License-Identifier: Apache-2.0
"""The assessment in its formats."""

import csv
import io
import json
import subprocess
import sys
import zipfile

import pytest

from v2x.errors import UsageError
from v2x.model.machine import Guest, GuestIdKind
from v2x.render import FINDINGS_FORMATS, render_findings
from v2x.render.assessment import assessment_of, guest_name
from v2x.render.layout import columns


def rendered(build, form, inventory, findings, facts=None, **more):
    data = render_findings(form, inventory, facts, findings, now=build.now, version="0.1.0", **more)
    if form != "xlsx":
        return data.decode()
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        return "".join(book.read(name).decode() for name in book.namelist() if name.startswith("xl/"))


def test_an_unknown_format_is_wrong_usage(build, three):
    with pytest.raises(UsageError, match="pdf") as refused:
        rendered(build, "pdf", three.inventory, three.findings)
    assert "html" in refused.value.hint


def test_machines_stand_with_the_blocked_ones_first(build, three):
    made = assessment_of(three.inventory, None, three.findings, now=build.now, version="0.1.0")
    assert [assessed.machine.name for assessed in made.machines] == ["gamma", "beta", "alpha"]
    assert [group.rule for group in made.estate] == ["estate.warning"]
    assert made.by_rule[1].machine_count == 2


def test_a_finding_about_an_unlisted_machine_is_not_lost(build):
    stray = build.finding(build.machine("elsewhere"), "blocker")
    inventory = build.inventory(build.machine())
    for form in FINDINGS_FORMATS:
        assert "elsewhere" in rendered(build, form, inventory, [stray])


def test_text_tells_totals_then_each_machine_with_its_remedies(build, three):
    text = rendered(build, "text", three.inventory, three.findings, build.facts)
    assert "Assessment of 3 machines" in text
    assert "       1  ready\n       1  ready with changes\n       1  blocked\n       0  unknown\n" in text
    assert "Target  xapi://root@pool, XCP-ng 8.3.0" in text
    assert text.index("Of the whole estate") < text.index("gamma: blocked") < text.index("beta: ready with changes")
    assert "  BLOCKER  A blocker of some kind [some.blocker]\n           Disk 1: What was found.\n" in text
    assert "           Do: What to do.\n" in text


def test_text_names_machines_without_findings_in_one_paragraph(build):
    inventory = build.inventory(*(build.machine(f"vm-{number:03}") for number in range(120)))
    text = rendered(build, "text", inventory, [])
    assert "vm-099 and 20 more" in " ".join(text.split())


@pytest.mark.parametrize("width", [80, 60, 40, 10])
def test_text_keeps_within_the_width(build, three, width):
    wide = build.machine("服务器" * 30)
    inventory = build.inventory(*three.inventory.machines, wide)
    findings = [*three.findings, build.finding(wide, "warning", text="long" * 80 + " words", rule="r" * 70)]
    for line in rendered(build, "text", inventory, findings, width=width).splitlines():
        assert columns(line) <= max(width, 40)


def test_text_has_colours_only_where_asked(build, three):
    assert "\x1b" not in rendered(build, "text", three.inventory, three.findings)
    coloured = rendered(build, "text", three.inventory, three.findings, colour=True)
    assert "\x1b[31m  BLOCKER  \x1b[0mA blocker of some kind" in coloured


def test_json_has_a_schema_totals_machines_and_findings(build, three):
    document = json.loads(rendered(build, "json", three.inventory, three.findings, build.facts))
    assert document["schema"] == "v2x.assessment/1"
    assert document["totals"] | {"disks": 3} == {
        "machines": 3,
        "ready": 1,
        "warnings": 1,
        "blocked": 1,
        "unknown": 0,
        "open_checks": 0,
        "disks": 3,
        "capacity_bytes": 3 * 2**30,
        "memory_bytes": 12 * 2**30,
    }
    assert document["target"]["version"] == "8.3.0"
    gamma = document["machines"][0]
    assert (gamma["name"], gamma["verdict"]) == ("gamma", "blocked")
    assert gamma["findings"] == {"blocker": 1, "warning": 1, "info": 0, "unknown": 0}
    assert [found["rule"] for found in document["findings"]] == [found.rule for found in three.findings]


def test_json_says_null_where_no_target_was_given(build, three):
    assert json.loads(rendered(build, "json", three.inventory, three.findings))["target"] is None


def test_csv_has_a_row_to_edit_for_each_machine_then_one_per_finding(build, three):
    text = rendered(build, "csv", three.inventory, three.findings)
    assert text.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert [(row["machine"], row["exclude"], row["verdict"], row["rule"]) for row in rows[:3]] == [
        ("gamma", "yes", "blocked", ""),
        ("beta", "no", "ready with changes", ""),
        ("alpha", "no", "ready", ""),
    ]
    assert len(rows) == 3 + len(three.findings)
    assert (rows[3]["rule"], rows[3]["machine"], rows[3]["exclude"]) == ("estate.warning", "", "")
    assert [row["verdict"] for row in rows[3:] if row["machine"] == "gamma"] == ["blocked", "blocked"]


def test_html_lists_verdicts_rules_and_remedies(build, three):
    page = rendered(build, "html", three.inventory, three.findings, build.facts)
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert 'id="rule-some-blocker"' in page
    assert 'aria-label="1 ready, 1 ready with changes, 1 blocked"' in page
    assert "2 of 3 machines can move to XCP-ng, 1 of them as they are; 1 is blocked." in page


@pytest.mark.parametrize(
    ("severities", "said"),
    [
        (("info", "info"), "2 of 2 machines can move to XCP-ng as they are. No pool was asked"),
        (("warning", "warning"), "2 of 2 machines can move to XCP-ng with changes."),
        (("info", "warning"), "2 of 2 machines can move to XCP-ng, 1 of them as they are."),
        (("blocker", "blocker"), "0 of 2 machines can move to XCP-ng; 2 are blocked."),
    ],
)
def test_the_headline_says_it_all(build, severities, said):
    machines = [build.machine(f"m{number}") for number in range(len(severities))]
    findings = [build.finding(one, severity) for one, severity in zip(machines, severities, strict=True)]
    assert said in rendered(build, "html", build.inventory(*machines), findings)


def test_every_format_tells_what_is_not_known(build, three):
    findings = (*three.findings, build.unknown("some.rule"))
    for form in FINDINGS_FORMATS:
        shown = rendered(build, form, three.inventory, findings)
        assert "Nobody knows." in shown, form
        assert "Ask somebody." in shown, form


def test_a_fact_that_a_verdict_hangs_on_makes_it_unknown(build):
    lost = build.machine("lost")
    finding = build.unknown("some.rule", machine_id=lost.id, machine_name=lost.name)
    assert json.loads(rendered(build, "json", build.inventory(lost), [finding]))["machines"][0]["verdict"] == "unknown"
    assert "lost: unknown" in rendered(build, "text", build.inventory(lost), [finding])


def test_every_format_tells_the_estimate_and_the_waves(build, three, forecast):
    text = rendered(build, "text", three.inventory, three.findings, forecast=forecast)
    assert "  2 GiB to move, 4 min one after the other, at 75 MiB/s, an assumption" in text
    assert "  wave 1   1 machine, 1 GiB, 2 min: reason 1\n" in text
    assert "Of 1 machine the whole size counts" in text
    document = json.loads(rendered(build, "json", three.inventory, three.findings, forecast=forecast))
    assert document["forecast"]["waves"][1]["machines"] == ["id-beta"]
    assert document["machines"][2]["forecast"]["wave"] == 1
    page = rendered(build, "html", three.inventory, three.findings, forecast=forecast)
    assert "Suggested waves" in page
    assert "reason 2" in page


@pytest.mark.parametrize("count", [8, 60])
def test_text_fits_eighty_columns(count):
    from tests import showcase
    from v2x.assess.engine import assess
    from v2x.mapping.tables import load_tables
    from v2x.model.forecast import DEFAULT_PACE
    from v2x.plan import forecast

    inventory, pool, tables = showcase.estate(count), showcase.pool(), load_tables(environ={})
    findings = assess(inventory, pool, tables)
    outlook = forecast(inventory, pool, tables, findings=findings, pace=DEFAULT_PACE)
    text = render_findings("text", inventory, pool, findings, now=showcase.NOW, version="0.1.0", forecast=outlook)
    assert max(columns(line) for line in text.decode().splitlines()) <= 80


def test_text_of_many_machines_goes_by_rule(build):
    machines = [build.machine(f"vm-{number:02}") for number in range(40)]
    findings = [build.finding(one, "blocker") for one in machines]
    text = rendered(build, "text", build.inventory(*machines), findings)
    assert "  BLOCKER  A blocker of some kind [some.blocker]: 40 machines\n" in text
    assert "and 28 more" in text
    assert "--format html tells all of every machine." in " ".join(text.split())


def test_an_empty_inventory_has_a_page_too(build):
    for form in FINDINGS_FORMATS:
        assert rendered(build, form, build.inventory(), [])


def test_numbers_of_the_cim_vocabulary_are_named_as_such():
    assert guest_name(Guest(os_id="97", os_id_kind=GuestIdKind.CIM)) == "CIM operating system 97"
    assert guest_name(Guest()) == "unknown system"


def test_importing_the_room_does_not_load_the_template_engine():
    code = "import sys, v2x.render; sys.exit('jinja2' in sys.modules or 'openpyxl' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
