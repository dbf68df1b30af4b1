# SPDX-License-Identifier: Apache-2.0
import pytest

from v2x.model.address import AddressError, Scheme, parse_address


@pytest.mark.parametrize(
    ("text", "user", "host", "port", "path"),
    [
        ("xapi://root@xcp1", "root", "xcp1", None, ""),
        ("xapi://root@10.0.0.5:8443", "root", "10.0.0.5", 8443, ""),
        (
            "vsphere://administrator@vsphere.local@vc.example.org",
            "administrator@vsphere.local",
            "vc.example.org",
            None,
            "",
        ),
        ("vsphere://DOMAIN\\user@vc:443/DC1", "DOMAIN\\user", "vc", 443, "DC1"),
        ("vsphere://u%3Aser%40x@vc/My%20DC", "u:ser@x", "vc", None, "My DC"),
        ("xapi://root@[2001:db8::1]:443", "root", "2001:db8::1", 443, ""),
        ("xapi://root@[2001:db8::1]", "root", "2001:db8::1", None, ""),
    ],
)
def test_user_ends_at_the_last_at_sign(text, user, host, port, path):
    address = parse_address(text)
    assert (address.user, address.host, address.port, address.path) == (user, host, port, path)
    assert parse_address(str(address)) == address


def test_hyperv_takes_several_hosts():
    assert parse_address("hyperv://admin@h1,h2").hosts == ("h1", "h2")


def test_paths_and_xva_folders():
    assert parse_address("./a.ova").scheme is Scheme.PATH
    assert parse_address("/srv/C:odd@name.ova").path == "/srv/C:odd@name.ova"
    assert parse_address("xva:/srv/out").path == "/srv/out"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "empty"),
        ("xva:", "folder"),
        ("ftp://root@host", "scheme"),
        ("xapi://host", "needs a user"),
        ("xapi://root@", "not a host"),
        ("xapi://root@host:99999", "port"),
        ("xapi://root@host:http", "port"),
        ("xapi://root@host/dc", "nothing may follow"),
        ("xapi://root@a,b", "one host"),
        ("xapi://root:secret@host", "password"),
        ("xapi://ro%ot@host", "escape"),
        ("xapi://root@2001:db8::1", "brackets"),
        ("xapi://root@[2001:db8::1", "brackets"),
        ("xapi://root@ho st", "not a host"),
    ],
)
def test_wrong_addresses_name_the_part(text, part):
    with pytest.raises(AddressError, match=part):
        parse_address(text)


def test_a_password_in_an_address_is_not_repeated_in_the_message():
    with pytest.raises(AddressError) as caught:
        parse_address("xapi://root:hunter2@host")
    assert "hunter2" not in str(caught.value)
