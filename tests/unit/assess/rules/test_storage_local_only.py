# SPDX-License-Identifier: Apache-2.0

RULE = "storage.local-only"


def test_speaks_of_local_storage(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts(hosts=(make.host(), make.host(uuid="h2")))) == [
        ("", "1 storage repository, each on one host.")
    ]


def test_is_silent_about_shared_storage(make, speak):
    assert (
        speak(
            RULE,
            make.machine(),
            pool=make.facts(hosts=(make.host(), make.host(uuid="h2")), storage=(make.sr(shared=True),)),
        )
        == []
    )


def test_is_silent_about_one_host(make, speak):
    assert speak(RULE, make.machine(), pool=make.facts()) == []


def test_does_not_know_without_a_pool(make, doubt):
    assert doubt(RULE, make.machine()) == ["The storage repositories of the pool are not known."]
