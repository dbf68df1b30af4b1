# SPDX-License-Identifier: Apache-2.0
"""Invariants 1–8 of the simulated pool: endpoints, encoding, order of checks, sessions, tasks, events."""

import http.client
import json
import re
import socket
import ssl
import threading
import time
import xmlrpc.client

import pytest

from v2x.simulators.xapi import Account


def plain(address: str, data: bytes, seconds: float = 10) -> bytes:
    """Sends bytes over TLS and reads until the server closes or answers a head."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), seconds) as raw, context.wrap_socket(raw) as sock:
        sock.sendall(data)
        got = b""
        while b"\r\n\r\n" not in got:
            part = sock.recv(65536)
            if not part:
                break
            got += part
        return got


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


def post(address: str, path: str, body: bytes) -> http.client.HTTPResponse:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(address, context=context, timeout=10)
    connection.request("POST", path, body)
    return connection.getresponse()


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET / HTTP/1.1", 200),
        ("GET /nowhere HTTP/1.1", 403),
        ("DELETE /import_raw_vdi HTTP/1.1", 501),
        ("GET /jsonrpc HTTP/1.1", 501),
        ("POST /RPC2 HTTP/1.1", 400),
        ("nonsense", 400),
        ("GET /" + "x" * 1200 + " HTTP/1.1", 431),
    ],
)
def test_invariant_01_paths_methods_and_header_limit(pool, request_line, status):
    assert status_of(plain(pool.address, f"{request_line}\r\nHost: h\r\n\r\n".encode())) == status


def test_invariant_01_headers_count_into_the_limit_and_body_into_its_own(pool):
    padded = "GET / HTTP/1.1\r\nHost: h\r\nX: " + "y" * 1000 + "\r\n\r\n"
    assert status_of(plain(pool.address, padded.encode())) == 431
    long = f"POST /RPC2 HTTP/1.1\r\nHost: h\r\nContent-Length: {300 * 1024 + 1}\r\n\r\n"
    assert status_of(plain(pool.address, long.encode())) == 413
    assert post(pool.address, "/RPC2", b"<not xml").status == 500
    assert post(pool.address, "/jsonrpc", b"{}").status == 500


def test_invariant_01_no_continue_is_ever_sent(pool):
    head = b"POST /RPC2 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n"
    with pytest.raises(TimeoutError):
        plain(pool.address, head, seconds=0.3)


def test_invariant_01_certificate_is_self_signed_and_matches_the_fingerprint(pool, client):
    pem = ssl.get_server_certificate(tuple(pool.address.split(":")))
    assert client.rpc("host.get_server_certificate", client.rpc("host.get_all")[0]).strip() == pem.strip()
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", pool.fingerprint)


def test_invariant_02_ints_are_strings_both_ways(client):
    vdi = client.vdi(2**33)
    assert client.rpc("VDI.get_virtual_size", vdi) == str(2**33)
    assert client.rpc("VDI.get_record", vdi)["virtual_size"] == str(2**33)
    values = {"SR": client.sr(), "virtual_size": 4194304, "type": "user", "sharable": False, "read_only": False}
    assert client.rpc("VDI.get_virtual_size", client.rpc("VDI.create", values | {"other_config": {}})) == "4194304"


def test_invariant_02_booleans_are_strict_and_nil_is_refused(client, refused):
    for sharable in ("true", "1", 1, None):
        with pytest.raises(refused) as failed:
            client.vdi(4194304, sharable=sharable)
        assert failed.value.code == "INTERNAL_ERROR"
    with pytest.raises(refused) as failed:
        client.rpc("VM.get_by_name_label", None)
    assert failed.value.code == "INTERNAL_ERROR"


def test_invariant_02_void_enums_dates_and_extra_members(client, refused):
    vdi = client.vdi(4194304, type="USER", no_such_member="x")
    assert client.rpc("VDI.get_type", vdi) == "user"
    assert client.rpc("VDI.set_name_label", vdi, "n") == ""
    assert client.rpc("VDI.get_snapshot_time", vdi).value == "19700101T00:00:00Z"
    with pytest.raises(refused) as failed:
        client.vdi(4194304, type="floppy")
    assert failed.value.code == "INVALID_VALUE"
    with pytest.raises(refused) as failed:
        client.rpc("message.get_since", "not a date")
    assert failed.value.code == "INTERNAL_ERROR"


def test_invariant_02_text_is_utf8_and_control_characters_go(pool, client):
    vdi = client.vdi(4194304)
    client.rpc("VDI.set_name_label", vdi, "žluť <&> \t日")
    assert client.rpc("VDI.get_name_label", vdi) == "žluť <&> \t日"
    body = xmlrpc.client.dumps((client.session, vdi, "QQ"), "VDI.set_name_label").encode().replace(b"QQ", b"\xff\xfe")
    told = xmlrpc.client.loads(post(pool.address, "/RPC2", body).read())[0][0]
    assert told["ErrorDescription"][0] == "INVALID_VALUE"


def test_invariant_02_entities_and_doctypes_are_refused(pool):
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><methodCall><methodName>&a;</methodName></methodCall>'
    assert post(pool.address, "/RPC2", bomb).status == 500
    deep = b"<methodCall><methodName>x</methodName><params>" + b"<value><array><data>" * 100
    assert post(pool.address, "/RPC2", deep).status == 500


def test_invariant_02_json_rpc_has_numbers_and_both_versions(pool, client):
    vdi = client.vdi(4194304)
    asked = {"method": "VDI.get_virtual_size", "params": [client.session, vdi], "id": 7}
    assert json.loads(post(pool.address, "/jsonrpc", json.dumps(asked).encode()).read()) == {
        "result": 4194304,
        "error": None,
        "id": 7,
    }
    asked = asked | {"jsonrpc": "2.0", "method": "VDI.get_uuid", "params": [client.session, "OpaqueRef:x"]}
    assert json.loads(post(pool.address, "/jsonrpc", json.dumps(asked).encode()).read()) == {
        "jsonrpc": "2.0",
        "error": {"code": 1, "message": "HANDLE_INVALID", "data": ["VDI", "OpaqueRef:x"]},
        "id": 7,
    }
    odd = json.dumps(asked | {"method": "VDI.get_by_name_label", "params": [client.session, "\ud800"]})
    told = json.loads(post(pool.address, "/jsonrpc", odd.encode()).read())
    assert told["error"]["message"] == "INVALID_VALUE"
    del asked["id"]
    assert post(pool.address, "/jsonrpc", json.dumps(asked).encode()).status == 500


def test_invariant_03_checks_come_in_their_order(client, refused):
    def error(method, *args):
        with pytest.raises(refused) as failed:
            client.plain(method, *args)
        return failed.value.args

    assert error("VM.no_such_call", "bad session") == ("MESSAGE_METHOD_UNKNOWN", "VM.no_such_call")
    assert error("VM.start", "bad session") == ("MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.start", "3", "0")
    assert error("VM.get_record", "bad session", "a", "b")[1:] == ("VM.get_record", "1", "2")
    assert error("VM.start", "bad session", "vm", "yes", False)[0] == "INTERNAL_ERROR"
    missing = error("VM.create", "bad session", {"name_label": "x"})
    assert missing[0] == "INTERNAL_ERROR"
    assert "Dispatcher_FieldNotFound" in missing[1]
    assert error("VM.get_record", "bad session", "vm") == ("SESSION_INVALID", "bad session")
    assert error("VM.get_record", client.session, "vm") == ("HANDLE_INVALID", "VM", "vm")


def test_invariant_03_underscores_and_the_optional_tail(pool, client):
    vdi = client.vdi(4194304)
    assert client.rpc("VDI_get_uuid", vdi) == client.rpc("VDI.get_uuid", vdi)
    assert client.rpc("VDI.snapshot", vdi).startswith("OpaqueRef:")
    assert client.rpc("VDI.snapshot", vdi, {}).startswith("OpaqueRef:")
    assert client.plain("session.login_with_password", pool.user, pool.password).startswith("OpaqueRef:")


def test_invariant_04_failures_are_status_structs_of_strings(client):
    told = client.answer("VBD.get_record", client.session, "x")
    assert told == {"Status": "Failure", "ErrorDescription": ["HANDLE_INVALID", "VBD", "x"]}
    told = client.answer("VM.get_record", client.session)
    assert all(isinstance(p, str) for p in told["ErrorDescription"])


def test_invariant_05_references_are_opaque(client, refused):
    one, other = client.vdi(4194304), client.vdi(4194304)
    uuid = client.rpc("VDI.get_uuid", one)
    assert one != other
    assert uuid not in one
    assert client.rpc("VDI.get_by_uuid", uuid) == one
    with pytest.raises(refused) as failed:
        client.rpc("VDI.get_by_uuid", one)
    assert failed.value.args == ("UUID_INVALID", "VDI", one)
    assert sorted(client.rpc("VDI.get_by_name_label", "disk")) == sorted([one, other])
    assert client.rpc("VDI.get_by_name_label", "nothing") == []
    assert client.rpc("VDI.get_snapshot_of", one) == "OpaqueRef:NULL"
    vm = client.vm()
    empty = client.vbd(vm, "OpaqueRef:NULL", type="CD", mode="RO", empty=True)
    assert client.rpc("VBD.get_VDI", empty) == client.rpc("VM.get_guest_metrics", vm) == "OpaqueRef:NULL"
    assert {v["VDI"] for v in client.rpc("VBD.get_all_records").values()} == {"OpaqueRef:NULL"}
    sized = client.rpc("host.get_all_records")
    assert {h["suspend_image_sr"] for h in sized.values()} == {"OpaqueRef:NULL"}


def test_invariant_06_members_send_to_the_coordinator(simulated_pool, client_of, refused):
    pool = simulated_pool(hosts=2)
    client = client_of(pool)
    member = type(client)(pool.addresses[1], pool.user, pool.password, session=client.session)
    with pytest.raises(refused) as failed:
        member.plain("session.login_with_password", pool.user, pool.password)
    assert failed.value.args == ("HOST_IS_SLAVE", pool.address)
    with pytest.raises(refused) as failed:
        member.rpc("VM.get_all")
    assert failed.value.args == ("HOST_IS_SLAVE", pool.address)
    pool.promote(1)
    assert member.rpc("VM.get_all")
    with pytest.raises(refused) as failed:
        client.rpc("VM.get_all")
    assert failed.value.args == ("HOST_IS_SLAVE", pool.addresses[1])


def test_invariant_06_bad_password_is_answered_late(simulated_pool, client_of, refused):
    pool = simulated_pool(login_delay=0.3)
    client = client_of(pool)
    before = time.monotonic()
    with pytest.raises(refused) as failed:
        client.plain("session.login_with_password", pool.user, "wrong")
    assert failed.value.args[:2] == ("SESSION_AUTHENTICATION_FAILED", "root")
    assert time.monotonic() - before >= 0.3


def test_invariant_06_sessions_end_on_logout_and_on_demand(pool, client, client_of, refused):
    other = client_of(pool)
    other.rpc("session.logout")
    with pytest.raises(refused) as failed:
        other.rpc("VM.get_all")
    assert failed.value.args == ("SESSION_INVALID", other.session)
    assert pool.expire_sessions() == 1
    with pytest.raises(refused) as failed:
        client.rpc("VM.get_all")
    assert failed.value.code == "SESSION_INVALID"


def test_invariant_06_roles_are_held(simulated_pool, client_of, refused):
    accounts = [Account("reader", "r", "read-only"), Account("operator", "o", "vm-operator")]
    pool = simulated_pool(accounts=accounts)
    root = client_of(pool)
    reader = type(root)(pool.address, "reader", "r")
    assert reader.rpc("VM.get_all")
    with pytest.raises(refused) as failed:
        reader.vdi(4194304)
    assert failed.value.args[:2] == ("RBAC_PERMISSION_DENIED", "vdi.create")
    operator = type(root)(pool.address, "operator", "o")
    vdi = root.vdi(4194304)
    operator.rpc("VDI.add_tags", vdi, "mine")
    operator.rpc("VDI.add_to_other_config", vdi, "folder", "/x")
    with pytest.raises(refused) as failed:
        operator.rpc("VDI.add_to_other_config", vdi, "other", "x")
    assert failed.value.args[1] == "vdi.add_to_other_config"
    task = root.task()
    with pytest.raises(refused) as failed:
        reader.rpc("task.destroy", task)
    assert failed.value.args[1] == "task.destroy/any"
    reader.rpc("task.destroy", reader.task())


def test_invariant_07_async_only_where_declared(client, refused):
    task = client.rpc("Async.VDI.create", {"SR": client.sr(), "virtual_size": "1", "type": "user"} | ASYNC)
    record = client.finished(task)
    vdi = re.fullmatch(r"<value>(OpaqueRef:[^<]+)</value>", record["result"]).group(1)
    assert record["status"] == "success"
    assert client.rpc("VDI.get_uuid", vdi)
    record = client.finished(client.rpc("Async.VDI.destroy", vdi))
    assert (record["status"], record["result"]) == ("success", "")
    record = client.finished(client.rpc("Async.VDI.destroy", vdi))
    assert (record["status"], record["error_info"]) == ("failure", ["HANDLE_INVALID", "VDI", vdi])
    with pytest.raises(xmlrpc.client.Fault):
        client.rpc("Async.VDI.get_uuid", vdi)
    with pytest.raises(refused) as failed:
        client.rpc("Async.VDI.nothing", vdi)
    assert failed.value.code == "MESSAGE_METHOD_UNKNOWN"


ASYNC = {"sharable": False, "read_only": False, "other_config": {}}


def test_invariant_08_events_tell_add_mod_and_del(client):
    first = client.rpc("event.from", ["vdi", "SR"], "", 5.0)
    assert {e["class"] for e in first["events"]} == {"vdi", "sr"}
    assert {e["operation"] for e in first["events"]} == {"add"}
    assert re.fullmatch(r"\d{20},\d{20}", first["token"])
    assert type(first["valid_ref_counts"]["vm"]) is int
    vdi = client.vdi(4194304)
    added = client.rpc("event.from", ["VDI"], first["token"], 5.0)
    (event,) = added["events"]
    assert (event["operation"], event["ref"], event["class"]) == ("add", vdi, "vdi")
    assert event["snapshot"]["name_label"] == "disk"
    client.rpc("VDI.set_name_label", vdi, "new")
    changed = client.rpc("event.from", [f"vdi/{vdi}"], added["token"], 5.0)
    assert [(e["operation"], e["snapshot"]["name_label"]) for e in changed["events"]] == [("mod", "new")]
    client.rpc("VDI.destroy", vdi)
    gone = client.rpc("event.from", ["*"], changed["token"], 5.0)
    assert [(e["operation"], "snapshot" in e) for e in gone["events"] if e["ref"] == vdi] == [("del", False)]


def test_invariant_08_event_from_blocks_until_something_happens(pool, client, client_of):
    token = client.rpc("event.from", ["task"], "", 1.0)["token"]
    before = time.monotonic()
    idle = client.rpc("event.from", ["task"], token, 0.3)
    assert idle["events"] == []
    assert 0.25 < time.monotonic() - before < 5
    other = client_of(pool)
    timer = threading.Timer(0.2, other.task)
    timer.start()
    told = client.rpc("event.from", ["task"], idle["token"], 10.0)
    assert [e["operation"] for e in told["events"]] == ["add"]
    timer.join()


def test_invariant_08_event_errors_and_inject(client, refused):
    for classes, token, code in (
        (["vm"], "nonsense", "EVENT_FROM_TOKEN_PARSE_FAILURE"),
        (["no_class"], "", "EVENT_SUBSCRIPTION_PARSE_FAILURE"),
    ):
        with pytest.raises(refused) as failed:
            client.rpc("event.from", classes, token, 0.1)
        assert failed.value.code == code
    token = client.rpc("event.from", ["pool"], "", 1.0)["token"]
    injected = client.rpc("event.inject", "pool", client.rpc("pool.get_all")[0])
    told = client.rpc("event.from", ["pool"], token, 5.0)
    assert len(told["events"]) == 1
    assert told["token"] >= injected


def test_every_error_code_is_one_of_the_datamodel():
    from pathlib import Path

    import v2x.simulators.xapi
    from v2x.simulators.xapi.datamodel import load

    known = load("26.1").errors
    text = "".join(p.read_text() for p in Path(v2x.simulators.xapi.__file__).parent.rglob("*.py"))
    used = set(re.findall(r'ApiError\(\s*"([A-Z_0-9]+)"', text))
    assert len(used) > 50
    assert {c for c in used if c not in known and not c.startswith("SR_BACKEND_FAILURE_")} == set()
