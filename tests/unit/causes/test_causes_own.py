# SPDX-License-Identifier: Apache-2.0
"""Whatever v2x prints in brackets, ends with, or names as a rule has a page: what happened, why, and what to do."""

import re

import pytest

from tests.codes import ROOT, codes
from v2x.assess.engine import rules
from v2x.causes import FAMILIES, causes, remedy
from v2x.cli import show
from v2x.cli.pages import DO, WHAT, WHY, error_classes, exit_codes, page, page_of, pages
from v2x.disks.smb import connection as smb
from v2x.engine.retreat import failure_of
from v2x.errors import BadImage, UsageError, V2xError
from v2x.plan.rules import plan_rules

RAISED = {code: where for code, where in codes().items() if re.fullmatch(r"[A-Z][A-Z0-9]*(-[A-Z0-9]+)*", code)}
REFUSALS = {row[1] for row in smb._REFUSALS.values() if row[1]}


def complete(found):
    said = dict(found.parts)
    return all(len(said[heading]) > 4 and said[heading].endswith((".", "!", "?")) for heading in (WHAT, WHY, DO))


def test_the_collector_of_codes_sees_all_the_ways_in_which_they_are_given():
    """A keyword, a class, a constant of the module, an argument in its place, a field of a record, either of two."""
    assert {"NAME-USED", "NO-SPACE", "SNAPSHOT-LIMIT", "NETWORK-UNRESOLVED", "PORT-902", "TEST-VLAN-USED"} <= set(
        RAISED
    )
    assert len(RAISED) > 150
    everything = "\n".join(file.read_text("utf-8") for file in (ROOT / "v2x").rglob("*.py"))
    given = set(re.findall(r'\bcode="([A-Z0-9-]+)"', everything)) | set(
        re.findall(r'^    code = "([A-Z0-9-]+)"', everything, re.MULTILINE)
    )
    assert given <= set(RAISED) | {"141"}


@pytest.mark.parametrize("code", sorted({*RAISED, *error_classes(), *REFUSALS}))
def test_every_code_has_a_whole_page(code):
    assert code in causes("own"), f"{code} of {RAISED.get(code, 'the error tree')} has no page in v2x/causes/own.toml"
    assert complete(page(code))


def test_no_page_is_of_a_code_that_nothing_raises():
    reported = {one.reported for family in FAMILIES for one in causes(family).values()}
    dead = set(causes("own")) - set(RAISED) - set(error_classes()) - REFUSALS - reported
    kept = {"LATER", "TERMINATED"}  # of reports that older releases wrote
    assert dead <= kept, dead


@pytest.mark.parametrize("rule", [*(rule.id for rule in rules()), *(rule.id for rule in plan_rules())])
def test_every_rule_has_a_whole_page(rule):
    said = dict(page(rule).parts)
    assert all(said[heading].strip() for heading in (WHAT, WHY, DO))


def test_every_exit_code_has_a_whole_page():
    assert set(exit_codes()) >= {kind.exit_code for kind in error_classes().values()}
    for code in exit_codes():
        assert complete(page(str(code)))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_row_of_the_catalogue_is_whole_and_found_by_its_code(family):
    for one in causes(family).values():
        assert complete(page_of(one)), one.id
        assert one.id in {found.code.partition(" ")[0] for found in pages(one.id)}
        assert one.reported in causes("own"), f"{one.id} is told as {one.reported}, which has no page"
        if one.name:
            assert one.id in {found.code.partition(" ")[0] for found in pages(one.name.lower())}


def test_a_code_is_found_however_it_is_written():
    assert page("sr_backend_failure_44").code == "SR_BACKEND_FAILURE_44"
    assert page("nopermission").code == "NoPermission"
    assert page("0xc0000043").code.startswith("0xC0000043") and page("-1073741757") == page("0xC0000043")
    assert page("2150858793").code.startswith("0x80338029")
    assert page("SR_BACKEND_FAILURE_999").code == "SR_BACKEND_FAILURE"
    assert page("qemu-img: Could not open 'a': Failed to get shared \"write\" lock").code == "IMAGE-IN-USE"


def test_a_code_that_two_use_has_both_pages():
    assert {found.title for found in pages("NotSupported")} == {"a fault of vSphere"}
    assert len(pages("5")) == 1, "an exit code, not a status of Windows"


def test_what_nobody_knows_is_refused_with_the_way_on():
    with pytest.raises(UsageError) as caught:
        page("no-such-thing")
    assert "docs/codes.md" in caught.value.hint


def test_an_error_without_a_remedy_of_its_own_has_that_of_its_code(capsys):
    bare = BadImage("web01.ova is damaged: the member at byte 512 has no valid size")
    assert remedy(bare) == "copy it again from where it came, and compare its size; look at the source's storage"
    assert remedy(BadImage("x", hint="do this")) == "do this"
    assert all(remedy(V2xError("x", code=code)) for code in causes("own")), "nobody is left without a way on"
    show.begin()
    show.problem(bare)
    assert "  try: copy it again from where it came" in capsys.readouterr().err
    assert failure_of(bare).hint == remedy(bare), "and so it stands in the report"
