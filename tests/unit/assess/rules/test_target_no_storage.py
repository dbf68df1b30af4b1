# SPDX-License-Identifier: Apache-2.0

RULE = "target.no-storage"


def test_speaks_of_a_pool_without_repositories(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts(storage=())) == [
        ("", "No repository that holds disks is connected.")
    ]


def test_speaks_of_a_pool_with_iso_images_only(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts(storage=(make.sr(content_type="iso"),))) == [
        ("", "No repository that holds disks is connected.")
    ]


def test_is_silent_about_a_pool_with_one(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts()) == []


def test_is_silent_about_an_offline_target(make, speak):
    assert speak(RULE, make.machine(), pool=make.xva) == []


def test_is_silent_about_no_pool_asked(make, speak):
    assert speak(RULE, make.machine()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["No pool was asked."]
