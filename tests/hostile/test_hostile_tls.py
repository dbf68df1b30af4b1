# SPDX-License-Identifier: Apache-2.0
"""Servers that are not who they should be, at every door of v2x that a secret goes through.

A door is a connection of its own kind: SOAP and the files of datastores, an export's lease, PowerShell remoting, XAPI's
calls, its lists and its transfers, NBD. Whatever is wrong with a server, it gets no byte of what it was asked.
"""

import hashlib
import http.client
import re
import socket
import ssl
import xmlrpc.client
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.evil_tls import Authority, TlsServer
from v2x.disks.http import HttpSource
from v2x.disks.http_origin import HttpOrigin, SessionCookie
from v2x.disks.nbd_tls import NbdTlsReader
from v2x.errors import AccessError, SourceError, TrustError, V2xError
from v2x.secrets import Secret
from v2x.sources.hyperv.login import HostAccess
from v2x.sources.hyperv.session import PowerShellSession
from v2x.sources.vsphere.session import VsphereSession
from v2x.sources.vsphere.transports.vddk import thumbprint
from v2x.target.xapi.client import Client
from v2x.target.xapi.connection import ask_json
from v2x.target.xapi.routes import Route
from v2x.target.xapi.transfer import open_transfer
from v2x.tls import Trust, context, pinned_context, seen_fingerprint

OPENS_TLS = re.compile(r"SSLContext\(|create_default_context|_create_unverified|CERT_NONE")
PLANTED = "Planted-Secret-83e1"
WHERE = "127.0.0.1"
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")


def origin(port, tls):
    cookie = SessionCookie(lambda stale: f"vmware_soap_session={PLANTED}")
    return HttpOrigin(host=WHERE, port=port, tls=tls, cookie=cookie, sleep=lambda _: None, timeout=5, attempts=2)


def soap(port, trust):
    VsphereSession(WHERE, port, "admin", Secret(PLANTED), trust).open()


def ranges(port, trust):
    HttpSource.open(origin(port, context(trust)), "/folder/web-flat.vmdk", "web")


def psrp(port, trust):
    access = HostAccess(host=WHERE, user="admin", trust=trust, password=Secret(PLANTED), port=port)
    with PowerShellSession(access):
        pass


def xapi(port, trust):
    Client(WHERE, port, "root", Secret(PLANTED), trust, patience_seconds=0).login()


def xapi_list(port, trust):
    ask_json(WHERE, port, trust, "VM.get_all_records", f"OpaqueRef:{PLANTED}", 5)


def xapi_transfer(port, trust):
    client = SimpleNamespace(reference=f"OpaqueRef:{PLANTED}")
    route = Route(WHERE, port, trust)
    open_transfer(client, None, route, method="PUT", path="/import_raw_vdi", query={"vdi": "x"}, content_length=1)


def nbd(port, trust):
    NbdTlsReader(WHERE, port, f"/uuid?session_id=OpaqueRef:{PLANTED}", trust, name="disk")


DOORS = {
    "SOAP": soap, "HTTPS ranges": ranges, "PSRP": psrp, "XAPI": xapi, "XAPI lists": xapi_list,
    "XAPI transfers": xapi_transfer, "NBD": nbd,
}  # fmt: skip
each_door = pytest.mark.parametrize("door", DOORS)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "ca")


@pytest.fixture
def own(authority):
    return Trust(ca_file=str(authority.ca_file), option="source")


def refused(server, door, trust, kind=TrustError):
    """The error; nothing was sent, and nothing secret is in it."""
    with pytest.raises(kind) as caught:
        DOORS[door](server.port, trust)
    assert server.settled() == b""
    assert server.connections >= 1, "nobody was asked at all"
    assert PLANTED not in f"{caught.value!r} {caught.value} {getattr(caught.value, 'hint', '')}"
    return caught.value


@each_door
def test_a_good_server_is_asked_at_this_door(authority, own, door):
    """So that the refusals below are about what is wrong, and not about the door."""
    file, pin = authority.certificate()
    for trust in (own, Trust(fingerprint=pin)):
        with TlsServer([file], nbd=door == "NBD", speak=lambda _: None) as server:
            with pytest.raises((V2xError, OSError, http.client.HTTPException)) as caught:
                DOORS[door](server.port, trust)
            assert server.handshakes >= 1
            assert not isinstance(caught.value, TrustError)


@each_door
@pytest.mark.parametrize("days", [(-30, -1), (1, 30)], ids=["expired", "not yet valid"])
def test_a_certificate_out_of_its_time(authority, own, door, days):
    file, _ = authority.certificate(days=days)
    with TlsServer([file], nbd=door == "NBD") as server:
        problem = refused(server, door, own)
    assert re.search("expired|not yet valid|not trusted", problem.message)


@each_door
def test_a_certificate_of_another_name(authority, own, door):
    file, _ = authority.certificate(address="192.0.2.7")
    with TlsServer([file], nbd=door == "NBD") as server:
        refused(server, door, own)


@each_door
def test_a_certificate_of_an_authority_that_was_not_given(tmp_path, own, door):
    file, _ = Authority(tmp_path / "other", "other").certificate()
    with TlsServer([file], nbd=door == "NBD") as server:
        refused(server, door, own)


@each_door
def test_a_certificate_that_nobody_was_told_of(authority, door):
    """Without CA and pin the system's store decides, which knows nothing of this one."""
    file, _ = authority.certificate()
    with TlsServer([file], nbd=door == "NBD") as server:
        problem = refused(server, door, Trust(option="source"))
    assert "source-ca" in problem.hint or "source-fingerprint" in problem.hint


@each_door
def test_a_changed_certificate_stops_whoever_pinned_the_old_one(authority, door):
    """Also one that the same authority signed for the same name."""
    file, _ = authority.certificate()
    _, pin = authority.certificate()
    with TlsServer([file], nbd=door == "NBD") as server:
        refused(server, door, Trust(fingerprint=pin, ca_file=str(authority.ca_file), option="source"))


@each_door
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["TLS 1.0", "TLS 1.1"])
@pytest.mark.parametrize("pinned", [True, False], ids=["pin", "ca"])
def test_a_server_that_speaks_old_tls_only(authority, own, door, version, pinned):
    file, pin = authority.certificate()
    with TlsServer([file], newest=version, nbd=door == "NBD") as server:
        trust = Trust(fingerprint=pin, option="source") if pinned else own
        refused(server, door, trust, (AccessError, SourceError))
        assert server.handshakes == 0


def test_the_old_server_is_one_that_a_careless_client_would_take(authority):
    file, _ = authority.certificate()
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    careless.minimum_version = ssl.TLSVersion.TLSv1
    careless.set_ciphers("ALL:@SECLEVEL=0")
    with (
        TlsServer([file], newest=ssl.TLSVersion.TLSv1) as server,
        socket.create_connection((WHERE, server.port)) as plain,
        careless.wrap_socket(plain) as secured,
    ):
        assert secured.version() == "TLSv1"


# the next connection


def logged_in(secured):
    """Answers one XML-RPC call as a pool does, and closes."""
    TlsServer.whole_request(secured)
    answer = xmlrpc.client.dumps(({"Status": "Success", "Value": "OpaqueRef:11111111-2222"},), methodresponse=True)
    body = answer.encode()
    secured.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def test_a_pin_holds_on_the_next_connection_to_a_pool(authority):
    (first, pin), (second, _) = authority.certificate(), authority.certificate()
    with TlsServer([first, second], speak=logged_in) as server:
        client = Client(WHERE, server.port, "root", Secret(PLANTED), Trust(fingerprint=pin), patience_seconds=0)
        client.login()
        with pytest.raises(TrustError, match="another certificate"):
            client.call("pool.get_all")
        assert server.connections == 2


def test_a_pin_holds_on_the_next_connection_to_a_datastore(authority):
    (first, pin), (second, _) = authority.certificate(), authority.certificate()
    asked = []

    def serve(secured):
        asked.append(TlsServer.whole_request(secured))
        secured.sendall(
            b'HTTP/1.1 206 x\r\nETag: "1"\r\nContent-Range: bytes 0-0/4096\r\nContent-Length: 1\r\n'
            b"Accept-Ranges: bytes\r\nConnection: close\r\n\r\nx"
        )

    with TlsServer([first, second], speak=serve) as server:
        with pytest.raises(TrustError):
            source = HttpSource.open(origin(server.port, pinned_context([pin])), "/folder/x", "x")
            source.read_into(0, bytearray(4096))
        assert server.connections == 2
        assert [b"GET" in one for one in asked] in ([True], [True, False])


# what a trusted server names by SHA-1


def sha1_of(file: Path) -> str:
    der = ssl.PEM_cert_to_DER_cert(file.read_text().partition("-----BEGIN PRIVATE")[0])
    return hashlib.sha1(der, usedforsecurity=False).hexdigest()


def test_a_leases_host_is_held_to_the_certificate_that_the_lease_names(authority):
    (right, _), (other, _) = authority.certificate(), authority.certificate()
    with TlsServer([other]) as server:
        with pytest.raises(TrustError):
            HttpSource.open(origin(server.port, pinned_context([f"sha1:{sha1_of(right)}"])), "/nfc/1/disk-0.vmdk", "x")
        assert server.settled() == b""
    with TlsServer([right]) as server:
        with pytest.raises(SourceError):
            HttpSource.open(origin(server.port, pinned_context([f"sha1:{sha1_of(right)}"])), "/nfc/1/disk-0.vmdk", "x")
        assert b"GET /nfc/1/disk-0.vmdk" in server.settled() or server.handshakes


def test_vddk_is_given_the_thumbprint_of_the_certificate_that_was_verified(authority):
    file, _ = authority.certificate()
    der = ssl.PEM_cert_to_DER_cert(file.read_text().partition("-----BEGIN PRIVATE")[0])
    assert thumbprint(der).replace(":", "").lower() == sha1_of(file)
    assert len(thumbprint(der)) == 59


def test_to_look_at_a_fingerprint_sends_nothing(authority):
    file, pin = authority.certificate()
    with TlsServer([file]) as server:
        assert seen_fingerprint(WHERE, server.port) == pin
        assert server.settled() == b""


def test_no_door_is_left_out():
    """A module that opens TLS connections by itself would be one that these tests know nothing of."""
    found = {
        str(path)
        for path in Path("v2x").rglob("*.py")
        if "simulators" not in path.parts
        and re.search(r"SSLContext\(|create_default_context|_create_unverified|CERT_NONE", path.read_text())
    }
    assert found == {"v2x/tls.py"}
