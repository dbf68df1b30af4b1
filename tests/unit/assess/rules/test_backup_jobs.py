# SPDX-License-Identifier: Apache-2.0

RULE = "backup.jobs"


def test_speaks_of_a_mark(make, speak):
    assert speak(RULE, make.machine(attributes={"NB_LAST_BACKUP": "2026-01-01"})) == [("", "Marks of NetBackup.")]


def test_speaks_of_a_note(make, speak):
    assert speak(RULE, make.machine(notes="Veeam Backup: job Gold, last run 2026-01-01")) == [("", "Marks of Veeam.")]


def test_is_silent_about_a_machine_without(make, speak):
    assert speak(RULE, make.machine(notes="web server")) == []


def test_does_not_know_from_an_rvtools_export(make, doubt):
    assert doubt(RULE, make.machine(), kind="rvtools") == ["An RVTools export does not tell it."]
