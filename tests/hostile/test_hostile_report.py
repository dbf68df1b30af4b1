# SPDX-License-Identifier: Apache-2.0
"""Reports made of names that want to be something else: markup, terminal commands, formulas, hidden text."""

import base64
import csv
import hashlib
import io
import json
import re
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import openpyxl
import pytest

from v2x.model.codec import SchemaError, from_json
from v2x.model.finding import Finding, Severity
from v2x.model.forecast import Forecast, Outlook, Pace, Place, Wave, measured_pace
from v2x.model.inventory import Inventory, SourceInfo
from v2x.model.machine import (
    CdDrive,
    Cpu,
    Device,
    Disk,
    DiskBus,
    DiskFormat,
    Firmware,
    Guest,
    Machine,
    Memory,
    Nic,
    NicModel,
    Other,
)
from v2x.model.migration import REPORT_SCHEMA, DiskResult, Failure, GuestChange, Migration, Outcome, Report
from v2x.model.target import SecureBoot, TargetFacts, TargetMachine
from v2x.render import render_findings, render_report
from v2x.render.baseline import Baseline, PastMachine

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
ATTACKS = {
    "script": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "quotes": "\"'><svg onload=alert(1) x='",
    "attribute": '" autofocus onfocus="alert(1)',
    "style": "</style><style>*{display:none}</style>",
    "comment": "--><script>alert(1)</script><!--",
    "template": "{{ cycler.__init__.__globals__ }}{% raw %}",
    "link": "javascript:alert(1)",
    "entity": "&lt;script&gt;&#x3c;b&#x3e;",
    "escape": "\x1b[2J\x1b]0;owned\x07web",
    "c1": "\x9b31mred",
    "bidi": "web\u202egpj.exe\u2066x\u2069",
    "zero-width": "we\u200bb\ufeff",
    "lines": "web\r\nINJECTED: yes\u2028next\x00",
    "surrogate": "web\udc80\ud800",
    "private": "web\ue000\U000f0000",
    "formula": '=HYPERLINK("http://192.0.2.9","x")',
    "plus": "+1+1",
    "minus": "-1+1|cmd",
    "at": "@SUM(A1)",
    "tab": "\t=1+1",
    "full-width": "＝1+1",
    "long": "A" * 10_000,
    "empty": "",
}
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "a", "header", "main", "footer", "section", "article", "h1", "h2",
    "h3", "h4", "p", "dl", "dt", "dd", "div", "span", "b", "br", "ul", "ol", "li", "svg", "rect", "table", "thead",
    "tbody", "tr", "th", "td", "code", "small", "circle", "text", "form", "label", "input", "select", "option",
    "button", "details", "summary", "nav", "noscript", "script", "pre",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "class", "id", "href", "role", "tabindex", "scope",
    "aria-label", "aria-labelledby", "data-label", "viewbox", "preserveaspectratio", "x", "y", "width", "height",
    "cx", "cy", "r", "fill", "stroke-width", "stroke-dasharray", "stroke-dashoffset", "text-anchor", "type", "value",
    "hidden", "placeholder", "autocomplete", "spellcheck", "aria-hidden", "aria-pressed", "aria-live", "data-rule",
    "data-verdict", "data-wave", "data-sort",
}  # fmt: skip


def findings_of(word):
    return [
        Finding(rule="some.rule", severity=Severity.BLOCKER, label="A label", text=f"It says “{word}”.", subject=word,
                remedy="Do something.", machine_id="vm", machine_name=word, source="a document"),
        Finding(rule="other.rule", severity=Severity.WARNING, label="Another", text=word, subject=word,
                remedy="Do something.", machine_id="", machine_name=word),
        Finding(rule="third.rule", severity=Severity.UNKNOWN, label="A third", text=f"Not known: {word}", remedy=word,
                at_stake=Severity.BLOCKER, machines=("vm",)),
    ]  # fmt: skip


def assessment(form, word):
    machine = Machine(
        id="vm",
        name=word,
        cpu=Cpu(count=1, affinity=word),
        memory=Memory(size_bytes=2**30),
        firmware=Firmware.UEFI,
        guest=Guest(os_id=word, os_name=word, hostname=word),
        disks=(
            Disk(id=word, label=word, position=0, bus=Other(word), controller=0, unit=0, capacity_bytes=2**30,
                 format=Other(word), subformat=word, files=(word,)),
            Disk(id=word, label="", position=1, bus=DiskBus.SCSI, controller=0, unit=1, capacity_bytes=-1,
                 format=DiskFormat.VMDK),
        ),
        nics=(Nic(position=0, label=word, model=Other(word), network=word, mac=word),
              Nic(position=1, label="", model=NicModel.E1000, network="")),
        cd_drives=(CdDrive(position=0, bus=DiskBus.IDE, image=word),),
        devices=(Device(kind=word, label=word),),
        notes=word,
        exporter=word,
    )  # fmt: skip
    inventory = Inventory(
        source=SourceInfo(kind="ovf", address=word, product=word, version=word), taken_at=NOW, machines=(machine,)
    )
    facts = TargetFacts(kind="xapi", address=word, taken_at=NOW, product=word, version=word, pool_name=word)
    past = Baseline(
        created=NOW, version=word + "0", source=SourceInfo(kind="ovf", address=word + " before"), findings=(
            replace(findings_of(word)[1], rule="past.rule"),
        ), machines=(PastMachine(id="gone", name=word + " gone", verdict=word),
                     PastMachine(id="vm", name=word, verdict=word + " past")),
    )  # fmt: skip
    pace = Pace(bytes_per_second=10**8, origin=word)
    made = TargetMachine(
        source_id="vm", name=word, description=word, firmware=Firmware.UEFI, secure_boot=SecureBoot.AUTO, vtpm=False,
        vcpus=1, memory_bytes=2**30, platform={}, boot_order="c", template=word, template_name=word, notes=(word,),
    )  # fmt: skip
    place = Place(subject=word, target=word, reason=word)
    outlook = Outlook(machine_id="vm", made=made, problem=word, storage=(place,), networks=(place,), wave=1)
    forecast = Forecast(pace=pace, outlooks={"vm": outlook}, waves=(
        Wave(number=1, reason=word, machines=("vm",), data_bytes=1, seconds=1),))  # fmt: skip
    return render_findings(
        form, inventory, facts, findings_of(word), now=NOW, version="0.1.0", baseline=past, forecast=forecast
    )


def run(form, word):
    made = TargetMachine(
        source_id="vm", name=word, description=word, firmware=Firmware.UEFI, secure_boot=SecureBoot.AUTO, vtpm=False,
        vcpus=1, memory_bytes=2**30, platform={}, boot_order="c", template=word, template_name=word, notes=(word,),
    )  # fmt: skip
    migration = Migration(
        id=word, machine_id=word, machine_name=word, target_name=word, source=word, target=word, vm_uuid=word,
        outcome=Outcome.MIGRATED, disks=(DiskResult(source_disk=word, label=word, vdi=word),),
        failure=Failure(code=word, message=word, hint=word), warnings=(word,), machine=made,
        changes=tuple(
            GuestChange(kind=kind, what=word, before=word, after=f"{word}\n{word}x", why=word)
            for kind in ("edit", "link", "copy", "command")
        ),
    )  # fmt: skip
    report = Report(id=word, created=NOW, version="0.1.0", plan_id=word, migrations=(migration,),
                    findings=tuple(findings_of(word)), mapping_tables={word: word})  # fmt: skip
    return render_report(form, report)


class Page(HTMLParser):
    """Elements and attributes of a page, as a browser would find them."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.attributes, self.links, self.shape = set(), set(), [], []
        self.styles, self.scripts, self.data, self._into = [], [], [], None
        self.policy = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.shape.append(tag)
        values = dict(attrs)
        self._into = None
        if tag == "style":
            self._into = self.styles
        elif tag == "script":
            self._into = self.data if values.get("type") == "application/json" else self.scripts
        self.attributes |= set(values)
        if "href" in values:
            self.links.append(values["href"])
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]

    def handle_endtag(self, tag):
        self._into = None

    def handle_data(self, data):
        if self._into is not None:
            self._into.append(data)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data!r}")


def digest(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def is_harmless(text):
    return all(
        char == "\n" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for char in text
    )


@pytest.mark.parametrize("make", [assessment, run], ids=["assessment", "run"])
@pytest.mark.parametrize("name", ATTACKS)
def test_markup_in_names_never_becomes_an_element(make, name):
    page = Page(make("html", ATTACKS[name]).decode())
    assert page.elements <= ELEMENTS
    assert page.attributes <= ATTRIBUTES
    assert all(re.fullmatch(r"#[a-z0-9-]+", link) for link in page.links)
    if ATTACKS[name]:
        assert page.shape == Page(make("html", "plain").decode()).shape


@pytest.mark.parametrize("make", [assessment, run], ids=["assessment", "run"])
@pytest.mark.parametrize("name", ATTACKS)
def test_the_policy_of_a_page_allows_its_own_style_and_nothing_else(make, name):
    page = Page(make("html", ATTACKS[name]).decode())
    assert len(page.styles) == 1
    policy = f"default-src 'none'; style-src 'sha256-{digest(page.styles[0])}'; base-uri 'none'; form-action 'none'"
    if make is assessment:
        assert len(page.scripts) == 1
        policy += f"; script-src 'sha256-{digest(page.scripts[0])}'; require-trusted-types-for 'script'"
    else:
        assert not page.scripts
    assert page.policy == policy


@pytest.mark.parametrize("name", ATTACKS)
def test_the_data_of_a_page_is_json_without_a_sign_of_markup(name):
    page = Page(assessment("html", ATTACKS[name]).decode())
    assert len(page.data) == 1
    assert not set(page.data[0]) & set("<>&")
    assert all(is_harmless(text) for text in json.loads(page.data[0])["texts"])
    assert page.scripts == Page(assessment("html", "plain").decode()).scripts


def test_the_script_of_a_page_never_parses_markup():
    script = Page(assessment("html", "plain").decode()).scripts[0]
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "fetch(",
        "//#",
    ):
        assert word not in script


def test_the_style_of_a_page_loads_nothing():
    style = Page(assessment("html", "plain").decode()).styles[0]
    assert "url(" not in style
    assert "@import" not in style
    assert "</" not in style


@pytest.mark.parametrize("form", ["text", "html", "json"])
@pytest.mark.parametrize("make", [assessment, run], ids=["assessment", "run"])
@pytest.mark.parametrize("name", ATTACKS)
def test_no_terminal_command_or_hidden_character_gets_through(make, form, name):
    assert is_harmless(make(form, ATTACKS[name]).decode())


@pytest.mark.parametrize("name", ATTACKS)
def test_a_name_with_line_ends_adds_no_line_to_a_text_report(name):
    lines = assessment("text", ATTACKS[name]).decode().splitlines()
    assert not any(line.startswith("INJECTED") for line in lines)


@pytest.mark.parametrize("name", ATTACKS)
def test_no_cell_of_a_spreadsheet_begins_like_a_formula(name):
    text = assessment("csv", ATTACKS[name]).decode().removeprefix("\ufeff")
    assert is_harmless(text.replace("\r\n", "\n"))
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert {len(row) for row in rows} == {14}
    for cell in (cell for row in rows for cell in row):
        assert not cell.startswith(FORMULA_SIGNS)


@pytest.mark.parametrize("name", ATTACKS)
def test_no_cell_of_a_workbook_is_a_formula_or_an_error(name):
    book = openpyxl.load_workbook(io.BytesIO(assessment("xlsx", ATTACKS[name])))
    cells = [cell for page in book for row in page.iter_rows() for cell in row if cell.value is not None]
    assert cells
    assert {cell.data_type for cell in cells} <= {"s", "n"}
    assert not [cell.value for cell in cells if str(cell.value).startswith(FORMULA_SIGNS)]
    assert all(is_harmless(str(cell.value)) for cell in cells)


def test_a_name_like_an_error_value_is_a_text():
    book = openpyxl.load_workbook(io.BytesIO(assessment("xlsx", "#REF!")))
    assert (book["Machines"]["A2"].value, book["Machines"]["A2"].data_type) == ("#REF!", "s")


@pytest.mark.parametrize("name", ATTACKS)
def test_json_gives_every_name_back_whole(name):
    assert json.loads(assessment("json", ATTACKS[name]))["machines"][0]["name"] == ATTACKS[name]
    assert json.loads(run("json", ATTACKS[name]))["migrations"][0]["machine_name"] == ATTACKS[name]


def test_a_name_of_ten_thousand_letters_is_shown_short():
    for form in ("text", "html", "csv"):
        assert "A" * 2500 not in assessment(form, ATTACKS["long"]).decode()


@pytest.mark.parametrize("inner", ["[" * 100_000, '{"a":' * 100_000])
def test_a_report_that_nests_without_end_is_none(inner: str) -> None:
    with pytest.raises(SchemaError):
        from_json(f'{{"schema": "{REPORT_SCHEMA}", "more": {inner}', Report, REPORT_SCHEMA)


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [(1, 5e-324), (10**18, 1e-300), (2**62, 1e300), (10**400, 1e308), (5, 1e308)],
)
def test_a_report_of_impossible_speeds_tells_none(sent: int, seconds: float) -> None:
    disk = DiskResult(source_disk="d", label="d", sent_bytes=sent, seconds=seconds)
    told = Migration(
        id="m", machine_id="x", machine_name="x", target_name="x", source="s", target="t", disks=(disk, disk)
    )
    made = Report(id="r", created=datetime(2026, 5, 6, tzinfo=UTC), version="1", migrations=(told,))
    assert measured_pace(made) is None
