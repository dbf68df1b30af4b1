# SPDX-License-Identifier: Apache-2.0
"""What a vSphere server, or somebody between, may say of disks and leases."""

from types import SimpleNamespace

import pytest

from tests.places import place_for
from v2x.errors import BadImage, InputRefused, SourceError, TrustError
from v2x.sources.vsphere.transports import tracking
from v2x.sources.vsphere.transports.https import folder_url, readings
from v2x.sources.vsphere.transports.lease import _chosen, _parsed
from v2x.sources.vsphere.transports.place import parse_file, parse_point

SESSION = SimpleNamespace(host="vc.example.org", port=443)


def url(text, thumbprint="AA:BB", key="/vm-12/VirtualLsiLogicController0:0", disk=True):
    return SimpleNamespace(url=text, sslThumbprint=thumbprint, key=key, disk=disk)


@pytest.mark.parametrize(
    ("text", "host", "port", "own"),
    [
        ("https://*/nfc/1/disk-0.vmdk", "vc.example.org", 443, True),
        ("https://*:8443/nfc/1/disk-0.vmdk", "vc.example.org", 8443, False),
        ("https://VC.example.org/nfc/1/disk-0.vmdk", "vc.example.org", 443, True),
        ("https://vc.example.org:902/nfc/1/disk-0.vmdk", "vc.example.org", 902, False),
        ("https://esx1/nfc/1/disk-0.vmdk?x=1", "esx1", 443, False),
    ],
)
def test_where_a_lease_leads(text, host, port, own):
    found = _parsed(url(text), SESSION, place_for())
    assert (found.host, found.port, found.is_session_host) == (host, port, own)
    assert found.path.startswith("/nfc/1/disk-0.vmdk")
    # Another server, or another port of ours, must show the certificate that the lease names.
    assert bool(found.thumbprint) is not own


@pytest.mark.parametrize(
    ("text", "thumbprint"),
    [
        ("http://*/nfc/1/d", "AA"),
        ("ftp://esx1/nfc", "AA"),
        ("https://esx1/nfc/1/d", ""),
        ("https://esx1", "AA"),
        ("file:///etc/passwd", "AA"),
        ("", "AA"),
    ],
)
def test_leases_without_tls_or_a_certificate_are_refused(text, thumbprint):
    with pytest.raises(TrustError) as refused:
        _parsed(url(text, thumbprint), SESSION, place_for())
    assert refused.value.code == "NFC-TRUST"


def test_a_disk_is_taken_by_its_place_or_key_and_never_guessed():
    place = place_for(only_disk=False)
    right = url("https://*/b", key="/vm-12/VirtualLsiLogicController0:0")
    other = url("https://*/a", key="/vm-12/VirtualLsiLogicController0:1")
    assert _chosen([other, right], place) is right
    by_key = url("https://*/c", key="/vm-12/2000")
    assert _chosen([other, by_key], place) is by_key
    for disks in ([other], [right, right], [], [url("https://*/a", key=None)]):
        with pytest.raises(InputRefused) as refused:
            _chosen(disks, place)
        assert refused.value.code == "NFC-DISK"
    assert _chosen([other], place_for(only_disk=True)) is other


@pytest.mark.parametrize(
    "text",
    ["", "web.vmdk", "[ds]", "[ds] ", "[ds] ../x", "[ds] a/../x", "[ds] /etc/passwd", "[ds] a//b", "[] a", "[ds] a\0b"],
)
def test_names_of_files_cannot_leave_their_datastore(text):
    with pytest.raises(BadImage):
        parse_file(text)


def test_names_are_encoded_once_and_each_reading_is_tried_once():
    assert folder_url("DC/a b", "d&s=1?#", "web 01/ä+%.vmdk") == (
        "/folder/web%2001/%C3%A4%2B%25.vmdk?dcPath=DC%2Fa%20b&dsName=d%26s%3D1%3F%23"
    )
    assert len(list(readings("DC", "ds", "x"))) == 1
    assert [one.partition("dsName=")[2] for one in readings("DC", "a%2fb", "x")] == ["a%252fb", "a%2Fb", "a%25252fb"]


@pytest.mark.parametrize("text", ["", "snapshot-1", "snapshot-1/", "snapshot-1/x/1", "/-1/"])
def test_points_that_name_no_disk(text):
    with pytest.raises(SourceError):
        parse_point(text)
    assert parse_point("snapshot-1/2000/52 4d/8").state == "52 4d/8"


def answering(*answers):
    given = list(answers)

    def read(function, **_):
        return given.pop(0)

    place = place_for(
        machine_ref=SimpleNamespace(QueryChangedDiskAreas=None, _GetMoId=lambda: "vm-1"), capacity_bytes=100
    )
    return SimpleNamespace(read=read), place


def part(start, length, *areas):
    return SimpleNamespace(
        startOffset=start, length=length, changedArea=[SimpleNamespace(start=s, length=n) for s, n in areas]
    )


def test_areas_are_followed_to_the_end_whatever_they_hold():
    session, place = answering(part(0, 40, (0, 5)), part(40, 30), part(60, 40, (62, 20), (95, 5)))
    assert list(tracking.areas(session, place, "*")) == [(0, 5), (70, 12), (95, 5)]


@pytest.mark.parametrize(
    "answer", [part(0, 0), part(10, 90), part(0, 50, (40, 20)), part(20, 40, (10, 5)), part(0, 50, (5, -1))]
)
def test_areas_that_contradict_themselves_are_refused(answer):
    session, place = answering(answer, part(50, 50))
    with pytest.raises(SourceError) as refused:
        list(tracking.areas(session, place, "*"))
    assert refused.value.code == "TRACKING"
