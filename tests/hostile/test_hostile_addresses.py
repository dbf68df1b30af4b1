# SPDX-License-Identifier: Apache-2.0
"""Addresses that a server gives and that lead somewhere else: row 16 of the threat table."""

from types import SimpleNamespace
from typing import Any

import pytest
import XenAPI

from tests.places import place_for
from v2x.errors import TargetError, TrustError, V2xError
from v2x.secrets import Secret
from v2x.sources.vsphere.transports.lease import _parsed
from v2x.target.xapi import client as xapi_client
from v2x.target.xapi.client import Client
from v2x.target.xapi.routes import Routes
from v2x.target.xapi.sampling import _opened
from v2x.target.xapi.upload import UploadTarget
from v2x.tls import Trust, leads_inward

INWARD = [
    "127.0.0.1", "127.1", "127.0.0.53", "::1", "[::1]", "::ffff:127.0.0.1", "2130706433", "0x7f.1", "localhost",
    "LOCALHOST.", "x.localhost", "169.254.169.254", "fe80::1", "[fe80::1]", "::ffff:169.254.169.254", "0.0.0.0", "::",
    "224.0.0.251", "ff02::1", "0",
]  # fmt: skip
OUTWARD = ["10.0.0.2", "esx1", "esx1.example.org", "192.0.2.1", "2001:db8::1", "localhost.example.org", "11.127.0.1"]


@pytest.mark.parametrize("host", INWARD)
def test_what_leads_inward(host: str) -> None:
    assert leads_inward(host, "vc.example.org")
    assert leads_inward(host, "10.0.0.1")


@pytest.mark.parametrize("host", OUTWARD)
def test_what_does_not(host: str) -> None:
    assert not leads_inward(host, "10.0.0.1")


@pytest.mark.parametrize("own", ["127.0.0.1", "127.1", "localhost", "::1"])
def test_a_server_on_this_machine_may_name_this_machine_but_no_link(own: str) -> None:
    assert not leads_inward("127.0.0.1", own)
    assert leads_inward("169.254.169.254", own)


SESSION = SimpleNamespace(host="vc.example.org", port=443)


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data", "https://127.0.0.1:22/nfc/x", "https://localhost/nfc/x",
        "https://[::1]/nfc/x", "https://2130706433/nfc/x", "file:///etc/passwd", "http://esx1/nfc/x",
        "https://esx1@10.0.0.9/nfc/x", "https://root:pw@esx1/nfc/x", "https://esx1:99999/nfc/x", "https://esx1:x/nfc",
        "https://[::1/nfc", "//esx1/nfc", "https:///nfc/x@y", "\\\\host\\share", "https://esx1",
    ],
)  # fmt: skip
def test_a_lease_leads_to_hosts_only(url: str) -> None:
    """With a certificate named for each, which whoever makes up the address can do as well."""
    if url == "https:///nfc/x@y":
        assert _parsed(_device(url), SESSION, place_for()).host == SESSION.host
        return
    with pytest.raises(TrustError) as caught:
        _parsed(_device(url), SESSION, place_for())
    assert caught.value.code == "NFC-TRUST"


def _device(url: str) -> Any:
    return SimpleNamespace(url=url, sslThumbprint="AA:BB", key="/vm-12/VirtualLsiLogicController0:0", disk=True)


@pytest.fixture
def member(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A pool member that names `named` as its coordinator; gives (client, places that were logged in to)."""

    def make(named: str) -> tuple[Client, list[tuple[str, int]]]:
        asked = []

        class Session:
            def __init__(self, _url: str, transport: Any) -> None:
                self.transport = transport

            def login_with_password(self, *_: str) -> None:
                asked.append(self.transport.place)
                raise XenAPI.Failure(["HOST_IS_SLAVE", named])

        monkeypatch.setattr(xapi_client.XenAPI, "Session", Session)
        return Client("10.0.0.1", 443, "root", Secret("x"), Trust(), follow=True, patience_seconds=0), asked

    return make


@pytest.mark.parametrize("named", ["127.0.0.1", "localhost", "169.254.169.254", "[::1]", "127.0.0.1:22"])
def test_no_password_goes_where_a_member_says_that_its_coordinator_is_here(member: Any, named: str) -> None:
    client, asked = member(named)
    with pytest.raises(V2xError):
        client.login()
    assert asked == [("10.0.0.1", 443)]


def test_a_member_may_name_another_host(member: Any) -> None:
    client, asked = member("10.0.0.2")
    with pytest.raises(V2xError):
        client.login()
    assert asked == [("10.0.0.1", 443), ("10.0.0.2", 443)]


class FakePool:
    """As much of a pool as routes ask for: one host beside the coordinator, at `address`."""

    host, port, trust = "10.0.0.1", 443, Trust(fingerprint="sha256:" + "0" * 64)

    def __init__(self, address: str) -> None:
        self.hosts = {
            "h1": {"address": "10.0.0.1", "name_label": "h1", "enabled": True, "metrics": "m", "PIFs": []},
            "h2": {"address": address, "name_label": "h2", "enabled": True, "metrics": "m", "PIFs": []},
        }

    def read(self, _method: str, _decode: Any) -> Any:
        raise AssertionError("lists of few records are asked for whole")

    def call(self, method: str, *_: Any) -> Any:
        return {
            "host.get_all_records": self.hosts,
            "pool.get_all_records": {"p": {"master": "h1", "other_config": {}}},
            "PBD.get_all_records_where": {"x": {"host": "h2", "currently_attached": True}},
            "host.get_record": self.hosts["h2"],
            "host_metrics.get_live": True,
            "host.get_server_certificate": "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        }[method]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:22", "169.254.169.254", "localhost", "[fe80::1]"])
def test_no_disk_and_no_session_goes_to_a_host_that_is_this_machine(address: str) -> None:
    routes = Routes(FakePool(address))  # type: ignore[arg-type]
    with pytest.raises(TrustError, match="that is this machine"):
        routes.for_sr("sr")
    with pytest.raises(TrustError):
        routes.redirected(address)


@pytest.mark.parametrize("address", ["10.0.0.9", "10.0.0.2:22", "evil.example.org", "169.254.169.254"])
def test_an_upload_is_redirected_to_hosts_of_the_pool_only(address: str) -> None:
    routes = Routes(FakePool("10.0.0.2"))  # type: ignore[arg-type]
    assert routes.for_sr("sr").host == "10.0.0.2"
    with pytest.raises(TrustError, match="none of its hosts"):
        routes.redirected(address)


@pytest.mark.parametrize("address", ["user@10.0.0.2", "10.0.0.2:99999", "10.0.0.2:x", ":443", ""])
def test_an_address_that_is_none_is_no_place(address: str) -> None:
    with pytest.raises(V2xError):
        Routes(FakePool("10.0.0.2")).redirected(address)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "offer",
    [
        {"address": "127.0.0.1"}, {"address": "169.254.169.254"}, {"address": "localhost"}, {"port": "0"},
        {"port": "70000"}, {"port": "-1"}, {"cert": "none"}, {"cert": ""},
    ],
)  # fmt: skip
def test_offers_of_nbd_that_are_none(offer: dict[str, str]) -> None:
    good = {"address": "10.0.0.2", "port": "10809", "exportname": "/x?session_id=OpaqueRef:1", "cert": "x"}
    target = UploadTarget(vdi="v", uuid="u", sr="s", size_bytes=1, name="disk")
    client = SimpleNamespace(host="10.0.0.1", trust=Trust())
    with pytest.raises((TrustError, TargetError)):
        _opened(client, {**good, **offer}, target)  # type: ignore[arg-type]
