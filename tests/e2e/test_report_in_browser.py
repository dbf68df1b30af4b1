# SPDX-License-Identifier: Apache-2.0
"""The HTML report in Debian's chromium: what a person does with it, by mouse and keyboard, and what it must not do."""

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from tests import showcase
from tests.browser import Browser

SCREEN = (1280, 900)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(showcase.page(120, showcase.pool()))
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """Enough machines for every verdict."""
    path = tmp_path_factory.mktemp("small") / "report.html"
    path.write_bytes(showcase.page(24, showcase.pool()))
    return path


@pytest.fixture
def page(browser, report):
    browser.screen(*SCREEN)
    browser.open(report)
    yield browser
    assert browser.complaints == []
    assert browser.requests == [report.resolve().as_uri()]


def text(page, selector):
    return page.run(f"document.querySelector({json.dumps(selector)}).innerText")


def count(page, selector):
    return page.run(f"document.querySelectorAll({json.dumps(selector)}).length")


def click(page, selector):
    page.run(f"document.querySelector({json.dumps(selector)}).click()")


def type_into(page, selector, words):
    page.run(f"document.querySelector({json.dumps(selector)}).focus()")
    page.call("Input.insertText", text=words)
    settled(page)


def settled(page):
    page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def follow(page, fragment):
    page.run(f"new Promise((done) => {{ addEventListener('hashchange', () => setTimeout(done), {{once: true}});"
             f" location.hash = {json.dumps(fragment)}; }})")  # fmt: skip


def test_it_opens_with_all_machines_in_pages(page):
    assert text(page, "h1") == "Migration assessment"
    assert text(page, "#count") == "120 machines"
    assert count(page, "#rows tr") == 50
    click(page, "#next")
    assert text(page, "#page") == "page 2 of 3"


def test_search_takes_several_words_in_any_order(page):
    type_into(page, "#by-words", "server SQL-")
    names = page.run("[...document.querySelectorAll('#rows th')].map((cell) => cell.innerText)")
    assert names
    assert all(name.startswith("sql") for name in names)
    type_into(page, "#by-words", " nowhere")
    assert page.run("document.querySelector('#nothing').hidden") is False


def test_a_tile_shows_the_machines_of_its_verdict(page):
    click(page, "[data-verdict='2']")
    assert set(page.run("[...document.querySelectorAll('#rows .badge:first-child')].map((one) => one.innerText)")) >= {
        "blocked"
    }
    assert text(page, "#count") == "7 of 120 machines"
    assert page.run("document.querySelector('[data-verdict=\"2\"]').getAttribute('aria-pressed')") == "true"
    click(page, "[data-verdict='2']")
    assert text(page, "#count") == "120 machines"


def test_a_column_sorts_both_ways_and_says_so(page):
    click(page, "[data-sort=memory]")
    assert (
        page.run("document.querySelector('[data-sort=memory]').closest('th').getAttribute('aria-sort')") == "ascending"
    )
    assert text(page, "#rows tr td[data-label=Memory]") == "2 GiB"
    click(page, "[data-sort=memory]")
    assert text(page, "#rows tr td[data-label=Memory]") == "32 GiB"


def test_a_rule_lists_its_machines_and_filters_the_table(page):
    page.run("document.querySelector('#rule-guest-static-address').open = true")
    settled(page)
    assert count(page, "#rule-guest-static-address .who li") == 47
    click(page, "#rule-guest-static-address .who button")
    assert text(page, "#count") == "47 of 120 machines"
    assert "addresses that were set by hand" in text(page, "#by-rule")
    click(page, "#clear-rule")
    assert text(page, "#count") == "120 machines"


def test_a_wave_filters_the_table(page):
    click(page, "[data-wave='1']")
    assert text(page, "#count") == "3 of 120 machines"


def test_a_machine_has_a_page_of_its_own_with_before_and_after(page):
    number = page.run("document.querySelector('#rows a').getAttribute('href')")
    follow(page, number)
    assert page.run("document.querySelector('#overview').hidden") is True
    assert page.run("document.activeElement.id") == "machine-name"
    shown = text(page, "#machine")
    for word in (
        "Before and after",
        "Disks",
        "Network cards",
        "What to do",
        "Worth knowing",
        "VHD on NFS fast",
        "same name, VLAN",
    ):
        assert word in shown
    follow(page, "#machines")
    assert page.run("document.querySelector('#overview').hidden") is False


def test_a_link_to_a_machine_or_a_rule_opens_it(browser, report):
    browser.open(report, "#machine-3")
    assert browser.run("document.querySelector('#machine').hidden") is False
    browser.open(report, "#rule-guest-out-of-support")
    assert browser.run("document.querySelector('#rule-guest-out-of-support').open") is True
    browser.open(report, "#machine-99999")
    assert browser.run("document.querySelector('#overview').hidden") is False


def test_the_keyboard_reaches_everything(page):
    seen = []
    for _ in range(12):
        page.press("Tab", 9)
        seen.append(page.run("document.activeElement.id || document.activeElement.dataset.verdict || ''"))
    assert {"print", "theme", "0", "1", "2", "3"} <= set(seen)
    page.run("document.querySelector('#rows a').focus()")
    page.press("Enter", 13, "\r")
    settled(page)
    assert page.run("document.querySelector('#machine').hidden") is False


def test_light_and_dark_can_be_chosen(page):
    light = page.run("getComputedStyle(document.body).backgroundColor")
    assert text(page, "#theme") == "Dark"
    click(page, "#theme")
    assert page.run("getComputedStyle(document.body).backgroundColor") != light
    assert text(page, "#theme") == "Light"


@pytest.mark.parametrize(("width", "phone"), [(390, True), (768, False), (1280, False)])
@pytest.mark.parametrize("fragment", ["", "#machine-12"])
def test_nothing_is_wider_than_the_screen(browser, report, width, phone, fragment):
    browser.screen(width, 900, phone=phone)
    browser.open(report, fragment)
    assert browser.run("document.documentElement.scrollWidth") <= width


def test_on_paper_every_machine_and_remedy_is_there_and_no_control(page):
    page.call("Emulation.setEmulatedMedia", media="print")
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert count(page, "#rows tr") == 120
    assert count(page, "#overview details.rule.blocker:not([open])") == 0
    assert page.run("getComputedStyle(document.querySelector('.filters')).display") == "none"
    assert page.paper().startswith(b"%PDF-")
    page.run("dispatchEvent(new Event('afterprint'))")
    assert count(page, "#rows tr") == 50
    assert count(page, "#overview details.rule[open]") == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("fragment", ["", "#machine-12"], ids=["overview", "machine"])
def test_axe_finds_no_barrier(browser, small, fragment, dark):
    browser.screen(*SCREEN, dark=dark)
    browser.open(small, fragment)
    browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
    settled(browser)
    browser.run((resources.files("axe_core_python") / "axe.min.js").read_text() + "; true")
    found = browser.run("axe.run(document).then((result) => result.violations.map((one) => [one.id, one.nodes.length,"
                        " one.nodes[0].html, one.nodes[0].failureSummary]))")  # fmt: skip
    assert found == []


def test_without_a_pool_the_report_says_what_is_open(browser, tmp_path):
    path = tmp_path / "alone.html"
    path.write_bytes(showcase.page(30))
    browser.screen(*SCREEN)
    browser.open(path)
    assert "No pool was asked yet" in text(browser, "header")
    assert browser.run("getComputedStyle(document.querySelector('#pager')).display") == "none"
    assert "No pool was asked." in text(browser, "section[aria-labelledby=open-checks]")
    assert browser.complaints == []


ATTACKS = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "</script><script>document.title='owned'</script>",
    "</title></style><svg onload=document.title='owned'>",
    "javascript:alert(1)",
    "\x1b]0;owned\x07web\u202egpj",
    '=HYPERLINK("http://192.0.2.9","x")',
    "A" * 10_000,
    "",
)


def test_hostile_names_are_shown_as_text_and_do_nothing(browser, tmp_path):
    plain = showcase.estate(24)
    taken = [
        replace(one, name=word, id=f"{number}{word}"[:200], folder=word[:500], notes=word,
                guest=replace(one.guest, os_name=word, os_id=""),
                nics=(replace(one.nics[0], network=word, label=word),),
                disks=(replace(one.disks[0], label=word, datastore=word),))
        for number, (one, word) in enumerate(zip(plain.machines, ATTACKS, strict=False))
    ]  # fmt: skip
    inventory = replace(plain, machines=(*taken, *plain.machines[len(taken) :]), source=replace(
        plain.source, address=ATTACKS[0], product=ATTACKS[1]))  # fmt: skip
    path = tmp_path / "hostile.html"
    path.write_bytes(showcase.page_of(inventory, showcase.pool()))
    browser.screen(*SCREEN)
    browser.open(path)
    shown = browser.run("[...document.querySelectorAll('#rows th')].map((cell) => cell.innerText)")
    assert {ATTACKS[0], ATTACKS[1], ATTACKS[2], "(no name)"} <= set(shown)
    for number in range(1, 25):
        follow(browser, f"#machine-{number}")
    browser.run("location.hash = ''; for (const one of document.querySelectorAll('details')) one.open = true")
    settled(browser)
    assert browser.run("document.title") == "Migration assessment"
    assert browser.run("document.querySelectorAll('img, iframe, object, embed, link, [onerror], [onload]').length") == 0
    assert count(browser, "script") == 2
    assert browser.complaints == []
    assert browser.requests == [path.resolve().as_uri()]
    assert browser.run("document.documentElement.scrollWidth") <= SCREEN[0]


def test_a_script_of_another_would_not_run(browser, report, tmp_path):
    path = tmp_path / "attacked.html"
    attack = b"<script>document.title = 'owned'</script><img src='https://192.0.2.1/x.png'>"
    path.write_bytes(report.read_bytes().replace(b"</footer>", attack + b"</footer>"))
    browser.open(path)
    assert browser.run("document.title") == "Migration assessment"
    assert any("Content Security Policy" in one for one in browser.complaints)
