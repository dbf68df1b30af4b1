# SPDX-License-Identifier: Apache-2.0
"""Whose a password is: one that names none is for a single source or target only."""

import pytest

from v2x.errors import LoginError, UsageError
from v2x.model.plan import Endpoint
from v2x.passwords import Passwords, password_files
from v2x.secrets import Secret, variable

VC = Endpoint(alias="vc", address="vsphere://a@vc")
HV = Endpoint(alias="hv", address="hyperv://b@hv")
TWIN = Endpoint(alias="v_c", address="vsphere://a@vc2")
LIKE = Endpoint(alias="v.c", address="vsphere://a@vc3")
FILES = Endpoint(alias="exports", address="/srv/exports")


@pytest.fixture
def passwords(monkeypatch, tmp_path):
    """A factory; `files` are contents by alias, for sources."""
    for name in ("V2X_SOURCE_PASSWORD", "V2X_SOURCE_PASSWORD_VC", "V2X_SOURCE_PASSWORD_HV"):
        monkeypatch.delenv(name, raising=False)

    def make(*expected, ask=None, **files):
        paths = {}
        for alias, content in files.items():
            path = tmp_path / f"{alias}.pw"
            path.write_text(content)
            path.chmod(0o600)
            paths["" if alias == "general" else alias] = str(path)
        made = Passwords({"source": paths, "target": {}}, lambda: ask)
        made.expect("source", expected)
        return made

    return make


def test_a_single_source_gets_what_names_none(passwords, monkeypatch):
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", "general")
    assert passwords(VC).of("source", VC).reveal() == "general"
    assert passwords(VC, FILES).of("source", VC).reveal() == "general", "files ask for none"
    assert passwords(VC, general="file").of("source", VC).reveal() == "file"


def test_of_several_each_needs_its_own(passwords, monkeypatch):
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", "general")
    with pytest.raises(LoginError) as refused:
        passwords(VC, HV).of("source", HV)
    assert refused.value.code == "NO-PASSWORD"
    assert "b@hv, the source hv: there are 2 sources, and V2X_SOURCE_PASSWORD is for a single source" in str(
        refused.value
    )
    assert "--source-password-file hv=FILE" in refused.value.hint
    assert "V2X_SOURCE_PASSWORD_HV" in refused.value.hint
    monkeypatch.setenv("V2X_SOURCE_PASSWORD_HV", "for hv")
    both = passwords(VC, HV, vc="for vc")
    assert both.of("source", HV).reveal() == "for hv"
    assert both.of("source", VC).reveal() == "for vc"


def test_a_file_that_names_none_is_refused_where_there_are_several(passwords):
    with pytest.raises(UsageError, match="is for a single source, and there are 2") as refused:
        passwords(VC, HV, general="x").of("source", VC)
    assert refused.value.code == "SECRET-FOR-ONE"
    assert "vc=FILE" in refused.value.hint


def test_a_second_source_that_comes_later_does_not_get_it_either(passwords, monkeypatch):
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", "general")
    made = passwords()
    assert made.of("source", VC).reveal() == "general"
    with pytest.raises(LoginError):
        made.of("source", HV)
    assert made.of("source", VC).reveal() == "general"


def test_one_alias_with_two_addresses_is_two_sources(passwords, monkeypatch):
    moved = Endpoint(alias="vc", address="vsphere://a@elsewhere")
    monkeypatch.setenv("V2X_SOURCE_PASSWORD_VC", "for vc")
    with pytest.raises(UsageError, match="could be the password of vc and of vc"):
        passwords(VC, moved).of("source", VC)
    with pytest.raises(UsageError):
        passwords(VC, moved, vc="file").of("source", VC)


def test_aliases_whose_variables_are_one_are_refused_where_it_is_set(passwords, monkeypatch):
    assert variable("source", "v.c") == variable("source", "v_c") == "V2X_SOURCE_PASSWORD_V_C"
    monkeypatch.setenv("V2X_SOURCE_PASSWORD_V_C", "whose?")
    made = passwords(TWIN, LIKE)
    for one in (TWIN, LIKE):
        with pytest.raises(UsageError, match="V2X_SOURCE_PASSWORD_V_C could be the password of") as refused:
            made.of("source", one)
        assert refused.value.code == "SECRET-FOR-ONE"
    monkeypatch.delenv("V2X_SOURCE_PASSWORD_V_C")
    assert passwords(TWIN, LIKE, v_c="own").of("source", TWIN).reveal() == "own"


def test_sources_and_targets_do_not_count_together(passwords, monkeypatch):
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", "s")
    monkeypatch.setenv("V2X_TARGET_PASSWORD", "t")
    pool = Endpoint(alias="pool", address="xapi://root@pool")
    made = passwords(VC)
    made.expect("target", [pool])
    assert (made.of("source", VC).reveal(), made.of("target", pool).reveal()) == ("s", "t")


def test_a_person_is_asked_for_each(passwords, monkeypatch):
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", "general")
    asked = []
    made = passwords(VC, HV, ask=lambda text: asked.append(text) or "typed")
    assert made.of("source", VC).reveal() == "typed"
    assert made.if_given("source", HV) is None
    made.of("source", VC)
    assert asked == ["Password of a@vc: "]


def test_a_secret_of_the_configuration_goes_before_the_environment(passwords, monkeypatch):
    monkeypatch.setenv("V2X_SOURCE_PASSWORD_VC", "variable")
    monkeypatch.setenv("THEIRS", "reference")
    own = Endpoint(alias="vc", address="vsphere://a@vc", secret="env:THEIRS")
    assert passwords(own, HV).of("source", own).reveal() == "reference"


def test_what_is_remembered_is_not_looked_for(passwords):
    made = passwords(VC, HV)
    made.remember("source", VC, Secret("kept"))
    assert made.of("source", VC).reveal() == "kept"


def test_a_file_for_nobody_is_named(passwords):
    made = passwords(VC, vcenter="x")
    with pytest.raises(UsageError, match="there is no source vcenter") as refused:
        made.expect("source", [VC, HV], all_of_them=True)
    assert refused.value.hint == "there are 2 sources: hv, vc"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["pw"], {"": "pw"}),
        (["vc=pw", "hv=/x=y"], {"vc": "pw", "hv": "/x=y"}),
        (["./a=b"], {"": "./a=b"}),
        (["/tmp/a=b"], {"": "/tmp/a=b"}),
        (["vsphere://a%3Db@h=/tmp/pw"], {"vsphere://a%3Db@h": "/tmp/pw"}),
        ([], {}),
    ],
)
def test_files_by_alias(given, found):
    assert password_files("source", given) == found


@pytest.mark.parametrize("given", [["a", "b"], ["vc=a", "vc=b"], ["vc="], [""]])
def test_files_that_say_nothing_or_two_things(given):
    with pytest.raises(UsageError):
        password_files("source", given)
