# SPDX-License-Identifier: Apache-2.0

RULE = "guest.static-address"


def test_speaks_of_a_static_address(make, speak):
    assert speak(
        RULE,
        make.machine(
            guest=make.guest(
                addresses=(
                    make.address(mac="00:50:56:00:00:00", addresses=("192.0.2.5/24",), dhcp=False, interface="ens192"),
                )
            )
        ),
    ) == [("ens192", "192.0.2.5/24.")]


def test_is_silent_about_dhcp(make, speak):
    assert (
        speak(
            RULE,
            make.machine(
                guest=make.guest(
                    addresses=(make.address(mac="00:50:56:00:00:00", addresses=("192.0.2.5/24",), dhcp=True),)
                )
            ),
        )
        == []
    )


def test_is_silent_about_no_card(make, speak):
    assert speak(RULE, make.machine(nics=())) == []


def test_does_not_know_without_tools(make, doubt):
    assert doubt(RULE, make.machine()) == ["Whether addresses come from DHCP is not known."]
