# SPDX-License-Identifier: Apache-2.0
"""Invariants 1–7 of the simulated pool, clause by clause, in bytes written by hand."""

import json
import re
import socket
import ssl

import pytest

from v2x.simulators.xapi import Account

HEAD = 1024
MIB = 1024 * 1024


class Raw:
    """One TLS connection on which bytes are written; `answer` reads one response: (status, headers, body)."""

    def __init__(self, address: str) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        host, port = address.split(":")
        self._sock = context.wrap_socket(socket.create_connection((host, int(port)), 10))
        self._file = self._sock.makefile("rb")

    def send(self, data: bytes) -> "Raw":
        self._sock.sendall(data)
        return self

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        status = int(self._file.readline().split(b" ")[1])
        headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, self._file.read(int(headers.get("content-length", 0)))

    def close(self) -> None:
        self._file.close()
        self._sock.close()


@pytest.fixture
def raw(pool):
    made: list[Raw] = []

    def connect(address: str = "") -> Raw:
        made.append(Raw(address or pool.address))
        return made[-1]

    yield connect
    for one in made:
        one.close()


def posted(path: str, body: bytes, more: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def called(method: str, *params: str) -> bytes:
    inner = "".join(f"<param>{p}</param>" for p in params)
    return f"<methodCall><methodName>{method}</methodName><params>{inner}</params></methodCall>".encode()


def text(value: str) -> str:
    return f"<value><string>{value}</string></value>"


# 1


@pytest.mark.parametrize("path", ["/", "/RPC2"])
def test_invariant_01_xml_rpc_is_served_at_both_paths(raw, path):
    connection = raw()
    for _ in range(2):  # the connection is kept
        status, headers, body = connection.send(posted(path, called("system.listMethods"))).answer()
        assert (status, headers["content-type"]) == (200, "text/xml")
        assert b"<name>Status</name><value>Success</value>" in body


@pytest.mark.parametrize("path", ["/jsonrpc", "/json"])
def test_invariant_01_json_rpc_is_served_at_both_paths(raw, path):
    body = json.dumps({"method": "system.listMethods", "params": [], "id": "a"}).encode()
    status, headers, told = raw().send(posted(path, body)).answer()
    assert (status, headers["content-type"]) == (200, "application/json")
    assert "VM.start" in json.loads(told)["result"]


def test_invariant_01_the_head_may_have_1024_bytes(raw):
    bare = "GET / HTTP/1.1\r\nHost: h\r\nX: "
    fitting = bare + "y" * (HEAD - len(bare))
    assert raw().send(f"{fitting}\r\n\r\n".encode()).answer()[0] == 200
    assert raw().send(f"{fitting}zzzzz\r\n\r\n".encode()).answer()[0] == 431


def test_invariant_01_a_body_may_have_300_kib(raw):
    call = called("session.no_such", text("QQ"))
    filled = call.replace(b"QQ", b"q" * (300 * 1024 - len(call) + 2))
    assert len(filled) == 300 * 1024
    assert b"MESSAGE_METHOD_UNKNOWN" in raw().send(posted("/RPC2", filled)).answer()[2]
    head = posted("/RPC2", filled + b" ")[: -len(filled) - 1]
    assert raw().send(head).answer()[0] == 413  # without a look at the body


def test_invariant_01_a_head_that_never_ends_is_given_up(raw, monkeypatch):
    from v2x.simulators.xapi.transfer import request

    monkeypatch.setattr(request, "_LINE_SECONDS", 0.2)
    assert raw().send(b"GET / HTTP/1.1\r\nHost:").answer()[0] == 408


# 2


def xml(raw, session: str, method: str, *params: str) -> str:
    return raw().send(posted("/RPC2", called(method, text(session), *params))).answer()[2].decode()


@pytest.mark.parametrize(
    "size",
    [
        "<value>4194304</value>",
        "<value><string>4194304</string></value>",
        "<value><int>4194304</int></value>",
        "<value><i4>4194304</i4></value>",
        "<value><i8>4194304</i8></value>",
    ],
)
def test_invariant_02_an_int_is_taken_in_every_spelling_and_sent_as_bare_digits(raw, client, size):
    vdi = client.vdi(2 * MIB)
    assert "Success" in xml(raw, client.session, "VDI.resize", text(vdi), size)
    assert "<name>Value</name><value>4194304</value>" in xml(raw, client.session, "VDI.get_virtual_size", text(vdi))


@pytest.mark.parametrize("size", ["<value><double>4194304</double></value>", "<value>4 MiB</value>", "<value></value>"])
def test_invariant_02_what_is_no_int_is_refused(raw, client, size):
    assert "INTERNAL_ERROR" in xml(raw, client.session, "VDI.resize", text(client.vdi(MIB)), size)


@pytest.mark.parametrize("timeout", ["<double>0.0</double>", "<int>0</int>", "0", "<string>0.0</string>"])
def test_invariant_02_a_float_may_be_an_int_or_a_text(raw, client, timeout):
    told = xml(
        raw,
        client.session,
        "event.from",
        "<value><array><data></data></array></value>",
        text(""),
        f"<value>{timeout}</value>",
    )
    assert "<name>token</name>" in told
    assert re.search(r"<name>vm</name><value><i4>\d+</i4></value>", told)  # the one true int there is


def test_invariant_02_a_float_is_sent_as_double_and_a_bool_as_boolean(raw, client):
    vm = text(client.vm())
    assert "<value><double>1.0</double></value>" in xml(raw, client.session, "VM.get_HVM_shadow_multiplier", vm)
    assert "<value><boolean>0</boolean></value>" in xml(raw, client.session, "VM.get_is_a_template", vm)
    assert "<name>Value</name><value></value>" in xml(raw, client.session, "VM.set_name_label", vm, text("n"))


@pytest.mark.parametrize("date", ["20260102T03:04:05Z", "2026-01-02T03:04:05Z", "20260102T03:04:05"])
def test_invariant_02_dates_are_taken_with_and_without_dashes_and_sent_in_one_form(raw, client, date):
    given = f"<value><dateTime.iso8601>{date}</dateTime.iso8601></value>"
    vm, other = client.vm(), client.vm()
    told = xml(raw, client.session, "VM.update_snapshot_metadata", text(vm), text(other), given, text(""))
    assert "Success" in told
    shown = "<value><dateTime.iso8601>20260102T03:04:05Z</dateTime.iso8601></value>"
    assert shown in xml(raw, client.session, "VM.get_snapshot_time", text(vm))


def test_invariant_02_a_date_that_is_none_is_invalid_and_a_text_is_no_date(raw, client):
    vm, other = client.vm(), client.vm()
    bad = "<value><dateTime.iso8601>yesterday</dateTime.iso8601></value>"
    for given, code in ((bad, "INVALID_VALUE"), (text("20260102T03:04:05Z"), "INTERNAL_ERROR")):
        told = xml(raw, client.session, "VM.update_snapshot_metadata", text(vm), text(other), given, text(""))
        assert code in told


def test_invariant_02_control_characters_are_not_sent(raw, client):
    vdi = client.vdi(MIB)
    body = json.dumps({"method": "VDI.set_name_label", "params": [client.session, vdi, "a\x07b\tc"], "id": 1})
    raw().send(posted("/jsonrpc", body.encode())).answer()
    assert "<value>ab\tc</value>" in xml(raw, client.session, "VDI.get_name_label", text(vdi))


# 3, 6: the order of the checks


def test_invariant_03_text_is_checked_before_the_method_is_looked_up(raw):
    body = called("VM.no_such", text("QQ")).replace(b"QQ", b"\xff\xfe")
    assert b"INVALID_VALUE" in raw().send(posted("/RPC2", body)).answer()[2]
    assert b"MESSAGE_METHOD_UNKNOWN" in raw().send(posted("/RPC2", called("VM.no_such", text("x")))).answer()[2]


def test_invariant_03_session_then_member_then_role_then_call(simulated_pool, client_of, refused):
    pool = simulated_pool(hosts=2, accounts=[Account("reader", "r", "read-only")])
    root = client_of(pool)
    reader = type(root)(pool.address, "reader", "r")
    at_member = type(root)(pool.addresses[1], "reader", "r", session=reader.session)
    nobody = type(root)(pool.addresses[1], "", "", session="OpaqueRef:none")

    def error(client):
        with pytest.raises(refused) as failed:
            client.rpc("VM.start", "OpaqueRef:gone", False, False)
        return failed.value.code

    assert error(nobody) == "SESSION_INVALID"
    assert error(at_member) == "HOST_IS_SLAVE"
    assert error(reader) == "RBAC_PERMISSION_DENIED"
    assert error(root) == "HANDLE_INVALID"


def test_invariant_04_even_a_failure_of_json_rpc_is_a_list_of_texts(raw, client):
    body = json.dumps({"method": "VM.start", "params": [client.session], "id": 1}).encode()
    error = json.loads(raw().send(posted("/jsonrpc", body)).answer()[2])["error"]
    assert error == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.start", "3", "0"]


def test_invariant_05_references_are_of_their_form_and_unguessable(client):
    made = [client.vdi(MIB) for _ in range(5)]
    form = r"OpaqueRef:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert all(re.fullmatch(form, ref) for ref in [*made, client.session])
    assert len({ref[:20] for ref in made}) == len(made)


# 7


def test_invariant_07_the_result_of_a_set_is_xml_too(client):
    task = client.rpc("Async.pool.create_VLAN", "eth0", client.rpc("network.create", {"other_config": {}}), "99")
    done = client.finished(task)
    (pif,) = [p for p, v in client.rpc("PIF.get_all_records").items() if v["VLAN"] == "99"]
    assert done["result"] == f"<value><array><data><value>{pif}</value></data></array></value>"
    assert (done["progress"], done["type"], done["allowed_operations"]) == (1.0, "<none/>", [])


def test_a_session_tells_its_permissions_in_lower_case_and_the_superuser_none(simulated_pool, client_of):
    """xapi_session.ml: the permissions of all roles of the subject; a local superuser is asked for none."""
    pool = simulated_pool(accounts=[Account("reader", "r", "read-only"), Account("mover", "m", "vm-admin")])
    root = client_of(pool)
    told = {}
    for name, client in (
        ("root", root),
        ("reader", type(root)(pool.address, "reader", "r")),
        ("mover", type(root)(pool.address, "mover", "m")),
    ):
        told[name] = set(client.rpc("session.get_rbac_permissions", client.session))
    assert told["root"] == set()
    assert "vm.get_all_records" in told["reader"] and "vm.create" not in told["reader"]
    assert {"vm.create", "http/put_import_raw_vdi", "vm.add_to_other_config/key:folder"} <= told["mover"]
    assert "vm.add_to_other_config/key:pci" not in told["mover"] and "vlan.create" not in told["mover"]
    assert told["reader"] < told["mover"]
