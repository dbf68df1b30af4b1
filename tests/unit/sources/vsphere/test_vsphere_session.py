# SPDX-License-Identifier: Apache-2.0
"""The way in: trust on every spelling of a host, passwords tried once, sessions that end, and what answers instead."""

import contextlib
import logging
import socket
import threading
import time

import pytest
from pyVmomi import vim

from v2x.errors import ConnectError, LoginError, PermissionRefused, TrustError, UsageError, V2xError
from v2x.simulators.vsphere import READ_ONLY, Account
from v2x.simulators.xapi import Pool
from v2x.sources.vsphere.tags import read_tags

VERSIONS = "/sdk/vimServiceVersions.xml"
SPELLINGS = ["127.0.0.1", "localhost", "127.1", "127.0.0.2"]


def versions(*numbers):
    listed = "".join(f"<version>{number}</version>" for number in numbers)
    return f"<namespaces version='1.0'><namespace><name>urn:vim25</name>{listed}</namespace></namespaces>".encode()


@pytest.mark.parametrize("host", SPELLINGS[:3])
def test_a_wrong_pin_is_refused_however_the_host_is_spelled(server, host):
    with pytest.raises(TrustError) as caught:
        server.session(host, pin="sha256:" + "0" * 64).open()
    assert "another certificate" in caught.value.message
    assert server.fingerprint in caught.value.message


@pytest.mark.parametrize("host", SPELLINGS[:3])
def test_a_certificate_that_nobody_vouches_for_is_refused_and_its_pin_is_told(server, host):
    with pytest.raises(TrustError) as caught:
        server.session(host, pin="").open()
    assert f"--source-fingerprint {server.fingerprint}" in caught.value.hint


@pytest.mark.parametrize("host", SPELLINGS[:3])
def test_the_right_pin_opens_a_session(server, host):
    with server.session(host) as session:
        assert session.about.is_vcenter
        assert session.about.instance
        assert session.cookie().startswith("vmware_soap_session=")
        assert len(list(session.retrieve(vim.VirtualMachine, ["name"]))) > 1


def test_no_password_goes_to_a_server_with_another_pin(stand_in):
    server = stand_in(estate="empty")
    with pytest.raises(TrustError):
        server.session(pin="sha256:" + "0" * 64).open()
    assert server.inside.state.sessions.count() == 0


def test_the_pin_holds_on_every_later_connection(stand_in, simulated_vsphere):
    """A context whose check is switched off by the first good connection would take this one."""
    server, other = stand_in(estate="empty"), stand_in(estate="empty")
    with server.session() as session:
        session.stub.DropConnections()
        session.stub.port = other.port
        session.stub.host = f"127.1:{other.port}"
        with pytest.raises(TrustError):
            session.read(session.content.sessionManager.SessionIsActive, "x", "x")


def test_a_wrong_password_is_tried_once(server):
    session = server.session(password="wrong")
    with pytest.raises(LoginError) as caught:
        session.open()
    assert caught.value.code == "LOGIN" and "wrong" not in caught.value.message
    with pytest.raises(LoginError):
        session.renew(0)


def test_a_refused_password_is_sent_once(stand_in):
    """Whatever asks for the session later: a loop would lock the account."""
    server = stand_in(estate="empty", lock_after=2)
    session = server.session(password="wrong")
    for again in (session.open, lambda: session.renew(0), lambda: session.renew(0)):
        with pytest.raises(LoginError) as caught:
            again()
        assert caught.value.code == "LOGIN"
    server.session().open()


def test_a_locked_account_is_told_apart(stand_in):
    server = stand_in(estate="empty", lock_after=1)
    with pytest.raises(LoginError):
        server.session(password="wrong").open()
    with pytest.raises(LoginError) as caught:
        server.session().open()
    assert caught.value.code == "ACCOUNT-LOCKED"
    assert "wait" in caught.value.hint


def test_a_session_that_ended_is_opened_again(server):
    with server.session() as session:
        before = session.logins
        session.call(session.content.sessionManager.Logout)
        assert list(session.retrieve(vim.VirtualMachine, ["name"]))
        assert session.logins == before + 1


def test_a_session_that_ends_in_mid_listing_loses_and_repeats_nothing(stand_in):
    server = stand_in()
    with server.session() as session:
        names = []
        for number, found in enumerate(session.retrieve(vim.VirtualMachine, ["name"], page=5)):
            names.append(found.id)
            if number == 7:
                server.inside.expire_sessions()
        assert session.logins == 2
    with server.session() as session:
        assert sorted(names) == sorted(found.id for found in session.retrieve(vim.VirtualMachine, ["name"]))


def test_many_threads_log_in_again_once(stand_in):
    server = stand_in(estate="empty")
    with server.session() as session:
        server.inside.expire_sessions()
        threads = [threading.Thread(target=session.read, args=(_time(session),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert session.logins == 2


def _time(session):
    return vim.ServiceInstance("ServiceInstance", session.stub).CurrentTime


def test_the_session_is_kept_alive_and_ended(stand_in):
    server = stand_in(estate="empty")
    with server.session(keep_alive_seconds=0.02) as session:
        deadline = time.monotonic() + 10
        token = session.cookie().partition("=")[2].strip('"')
        first = server.inside.state.sessions.known(token).calls
        while server.inside.state.sessions.known(token).calls < first + 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.inside.state.sessions.known(token).calls >= first + 3
    assert server.inside.state.sessions.count() == 0


def test_a_server_that_ends_every_session(stand_in):
    server = stand_in(estate="empty")
    with server.session() as session:
        server.inside.settings.session_idle = -1.0
        with pytest.raises(LoginError) as caught:
            session.read(_time(session))
        assert caught.value.code == "SESSION"


def test_a_missing_privilege_is_named(stand_in, simulated_vsphere):
    account = Account("reader@vsphere.local", "secret", READ_ONLY)
    server = stand_in(accounts=[account])
    server.user, server.password = account.user, account.password
    with server.session() as session:
        found = next(one for one in session.retrieve(vim.VirtualMachine, ["name"]) if one.values["name"] == "web01")
        with pytest.raises(PermissionRefused) as caught:
            session.call(found.reference.CreateSnapshot_Task, "x", "", False, False, subject="web01")
    assert "VirtualMachine.State.CreateSnapshot" in caught.value.message
    assert caught.value.message.startswith("web01: ")
    assert caught.value.exit_code == 5


def test_the_licence_of_a_free_host_is_named(stand_in):
    server = stand_in(profile="esxi-free")
    with server.session() as session:
        assert not session.about.is_vcenter
        found = next(iter(session.retrieve(vim.VirtualMachine, ["name"])))
        with pytest.raises(V2xError) as caught:
            session.wait_task(session.call(found.reference.CreateSnapshot_Task, "x", "", False, False))
    assert caught.value.code == "READ-ONLY-LICENCE"
    assert "licence" in caught.value.message and "ssh" in caught.value.hint


def test_something_else_answers(web_server, tmp_path):
    server = web_server({"/": (200, b"hello")})
    with pytest.raises(ConnectError) as caught:
        server.session().open()
    assert caught.value.code == "NOT-VSPHERE" and "HTTP 404" in caught.value.message


def test_a_pool_answers(tmp_path):
    with Pool(tmp_path, save=False) as pool:
        from v2x.secrets import Secret
        from v2x.sources.vsphere.session import VsphereSession
        from v2x.tls import Trust

        trust = Trust(fingerprint=pool.fingerprint, option="source")
        port = int(pool.address.rpartition(":")[2])
        with pytest.raises(ConnectError) as caught:
            VsphereSession("127.0.0.1", port, "root", Secret("x"), trust).open()
    assert caught.value.code == "NOT-VSPHERE"


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (503, b"starting", "UNAVAILABLE"),
        (200, b"<html>hello", "NOT-VSPHERE"),
        (200, b"<namespaces/>", "NOT-VSPHERE"),
        (200, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "NOT-VSPHERE"),
        (200, versions("5.5", "5.1"), "VERSION-TOO-OLD"),
        (200, versions("banana"), "VERSION-TOO-OLD"),
        (200, versions(), "VERSION-TOO-OLD"),
    ],
)
def test_answers_before_the_login(web_server, status, body, code):
    server = web_server({VERSIONS: (status, body)})
    with pytest.raises(V2xError) as caught:
        server.session().open()
    assert caught.value.code == code
    assert caught.value.hint


def test_the_newest_common_version_is_spoken(web_server):
    """Garbage after a good list of versions is named as what it is."""
    server = web_server({VERSIONS: (200, versions("99.0", "7.0.3.0", "6.5")), "/sdk": (200, b"<html>sorry</html>")})
    session = server.session()
    with pytest.raises(ConnectError) as caught:
        session.open()
    assert session.endpoint.version == "vim.version.v7_0_3_0"
    assert caught.value.code == "NOT-VSPHERE"


def test_nobody_answers(closed_port, web_server, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    server = web_server({})
    server.port = closed_port
    with pytest.raises(ConnectError) as caught:
        server.session().open()
    assert caught.value.code == "CONNECT"
    assert "HTTPS_PROXY is set, and v2x does not use it" in caught.value.hint


def test_proxies_of_the_environment_do_not_count(stand_in, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with stand_in(estate="empty").session() as session:
        assert session.about.is_vcenter


@pytest.mark.parametrize("proxy", ["127.0.0.1", "http://user:secret@proxy:3128", "proxy:banana"])
def test_what_is_no_proxy(stand_in, proxy):
    with pytest.raises(UsageError):
        stand_in(estate="empty").session(proxy=proxy).open()


def test_a_proxy_that_refuses(stand_in, closed_port):
    with pytest.raises(ConnectError) as caught:
        stand_in(estate="empty").session(proxy=f"127.0.0.1:{closed_port}").open()
    assert "the proxy" in caught.value.message


def test_a_broken_answer_and_a_cut_connection(stand_in):
    server = stand_in(estate="empty")
    with server.session(sleep=lambda _: None) as session:
        server.inside.faults.arm("cut", target="CurrentTime", at=10)
        assert session.read(_time(session)), "a call that only reads is repeated"
        server.inside.faults.arm("cut", target="CurrentTime", at=10)
        with pytest.raises(ConnectError):
            session.call(_time(session))
        server.inside.faults.arm("broken", target="CurrentTime")
        with pytest.raises(ConnectError) as caught:
            session.call(_time(session))
        assert "cut short" in caught.value.message


def test_no_secret_is_shown(stand_in, caplog):
    caplog.set_level(logging.DEBUG)
    server = stand_in(estate="empty")
    with server.session() as session:
        shown = f"{session!r} {vars(session)} {caplog.text}"
    assert server.password not in shown
    with pytest.raises(LoginError) as caught:
        server.session(password="very-wrong").open()
    assert "very-wrong" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_the_certificates_of_hosts_are_pinned_by_what_the_vcenter_says(stand_in):
    server = stand_in()
    with server.session() as session:
        context = session.host_tls(server.inside.thumbprint)
        assert _handshake(context, server.port)
        with pytest.raises(OSError, match="pinned"):
            _handshake(session.host_tls("00:" * 19 + "00"), server.port)
        with pytest.raises(ConnectError):
            session.host_tls("banana")


def _handshake(context, port):

    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as secured:
        return secured.version()


def test_sources_of_one_server_share_a_session(stand_in):
    server = stand_in(estate="empty")
    with server.source() as first:
        with server.source() as second:
            assert second.session is first.session
            assert server.inside.state.sessions.count() == 1
        first.inventory()
    first.close()
    assert server.inside.state.sessions.count() == 0
    with server.source() as again:
        assert again.session is not first.session


def test_a_refused_login_leaves_nothing_to_share(stand_in):
    server = stand_in(estate="empty")
    right, server.password = server.password, "wrong"
    with pytest.raises(LoginError):
        server.source()
    server.password = right
    with server.source() as source:
        assert source.inventory()


def pour(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def test_by_ipv6_too(stand_in):
    """`::1` is one of the hosts for which pyVmomi by itself verifies nothing."""
    server = stand_in(estate="empty")
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    real, server.port = server.port, listener.getsockname()[1]

    def accept():
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                inner = socket.create_connection(("127.0.0.1", real))
                for pair in ((client, inner), (inner, client)):
                    threading.Thread(target=pour, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        with server.session("::1") as session:
            assert session.about.is_vcenter
        for pin in ("", "sha256:" + "0" * 64):
            with pytest.raises(TrustError):
                server.session("::1", pin=pin).open()
    finally:
        listener.close()


@pytest.fixture
def proxy():
    """A CONNECT proxy on loopback, and the places it was asked for."""
    asked = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client):
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        place = head.split()[1].decode()
        asked.append(place)
        host, _, port = place.rpartition(":")
        server = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=pour, args=(client, server), daemon=True).start()
        pour(server, client)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}", asked
    listener.close()


def test_a_proxy_that_is_named_carries_everything_and_the_pin_holds_behind_it(stand_in, proxy):
    place, asked = proxy
    server = stand_in()
    with server.session(proxy=place) as session:
        found = list(session.retrieve(vim.VirtualMachine, ["name"]))
        assert len(found) > 10
        before = len(asked)
        assert read_tags(session, [one.id for one in found])
        assert len(asked) == before + 1
    with pytest.raises(TrustError):
        server.session(proxy=place, pin="sha256:" + "0" * 64).open()
    assert len(asked) >= 3 and set(asked) == {f"127.1:{server.port}"}
