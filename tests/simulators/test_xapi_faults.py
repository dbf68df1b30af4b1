# SPDX-License-Identifier: Apache-2.0
"""The fault panel and the ledger."""

import contextlib
import json
import os
import time
import urllib.error
import urllib.request

import pytest

MIB = 1024 * 1024
BLOCK = 2 * MIB


@pytest.fixture
def panel(pool):
    def ask(path: str = "/_faults", **order: object) -> dict:
        body = json.dumps(order).encode() if order else None
        with urllib.request.urlopen(pool.panel_url + path, body, timeout=10) as answer:
            return json.load(answer)

    return ask


def test_settings_and_faults_are_seen_and_set_on_the_panel(pool, panel):
    assert panel()["settings"]["attach_delay"] == 0
    told = panel(settings={"attach_delay": 2, "read_rate": 1000}, arm=[{"kind": "cut_import", "at": 5, "times": 3}])
    assert (told["settings"]["attach_delay"], pool.settings.read_rate) == (2, 1000)
    assert [(f["kind"], f["at"], f["times"]) for f in told["armed"]] == [("cut_import", 5, 3)]
    assert panel(clear=True)["armed"] == []


@pytest.mark.parametrize(
    "order",
    [
        {"settings": {"no_such": 1}},
        {"settings": {"attach_delay": "2"}},
        {"settings": {"attach_delay": -1}},
        {"settings": {"guest_agent": 1}},
        {"arm": [{"kind": "no_such"}]},
        {"arm": [{"kind": "busy", "colour": "red"}]},
        {"no_such": 1},
    ],
)
def test_the_panel_refuses_what_it_does_not_know(panel, order):
    with pytest.raises(urllib.error.HTTPError) as failed:
        panel(**order)
    assert failed.value.code == 400


def test_the_panel_answers_loopback_names_only(pool):
    request = urllib.request.Request(f"{pool.panel_url}/_ledger", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as failed:
        urllib.request.urlopen(request, timeout=10)
    assert failed.value.code == 403


def test_fault_cut_import_ends_the_connection_and_leaves_what_came(client, content_of, panel, make_vhd):
    vdi = client.vdi(2 * BLOCK)
    stream = make_vhd({0: b"a" * BLOCK, 1: b"b" * BLOCK}, 2 * BLOCK)
    panel(arm=[{"kind": "cut_import", "at": 2048 + 512 + BLOCK + 100}])
    record = client.finished(_try_upload(client, vdi, stream))
    assert record["error_info"][0] == "VDI_IO_ERROR"
    assert content_of(vdi) == b"a" * BLOCK + bytes(BLOCK)
    assert client.upload(vdi, stream, format="vhd")["status"] == "success"


def _try_upload(client, vdi: str, body: bytes) -> str:
    task = client.task()
    with contextlib.suppress(OSError):  # a cut connection may show as a reset on either side of the answer
        client.put("/import_raw_vdi", body, task_id=task, vdi=vdi, format="vhd").read()
    return task


def test_fault_sr_full_at_a_byte(pool, client, content_of):
    vdi = client.vdi(2 * BLOCK)
    pool.faults.arm("sr_full", at=3 * MIB, target=client.rpc("SR.get_uuid", client.sr()))
    record = client.upload(vdi, b"f" * 2 * BLOCK)
    assert record["error_info"][0] == "VDI_IO_ERROR"
    assert content_of(vdi) == b"f" * 3 * MIB + bytes(MIB)


def test_fault_busy_for_a_number_of_times_or_seconds(pool, client, refused):
    vdi = client.vdi(MIB)
    pool.faults.arm("busy", target="VDI.set_name_label", times=2)
    for _ in range(2):
        with pytest.raises(refused) as failed:
            client.rpc("VDI.set_name_label", vdi, "x")
        assert failed.value.args[:3] == ("OTHER_OPERATION_IN_PROGRESS", "VDI", vdi)
    client.rpc("VDI.set_name_label", vdi, "x")
    pool.faults.arm("busy", target="VDI.destroy", seconds=0.3)
    with pytest.raises(refused):
        client.rpc("VDI.destroy", vdi)
    time.sleep(0.35)
    client.rpc("VDI.destroy", vdi)


def test_fault_vanishing_task(pool, client, refused):
    vdi, task = client.vdi(MIB), client.task()
    pool.faults.arm("vanish_task")
    client.put("/import_raw_vdi", b"x" * 512, task_id=task, vdi=vdi).read()
    with pytest.raises(refused) as failed:
        client.rpc("task.get_record", task)
    assert failed.value.args == ("HANDLE_INVALID", "task", task)


def test_fault_unauthorized_and_redirect(pool, client):
    vdi = client.vdi(MIB)
    pool.faults.arm("unauthorized")
    assert client.put("/import_raw_vdi", b"x" * 512, vdi=vdi).status == 401
    pool.faults.arm("redirect", address="192.0.2.1")
    answer = client.put("/import_raw_vdi", b"x" * 512, vdi=vdi)
    assert (answer.status, answer.headers["location"].split("?")[0]) == (302, "https://192.0.2.1/import_raw_vdi")
    assert client.put("/import_raw_vdi", b"x" * 512, vdi=vdi).status == 200


def test_fault_hold_busy_after_a_failure(pool, client, refused):
    vdi = client.vdi(MIB)
    pool.faults.arm("hold_busy", seconds=0.4)
    assert client.upload(vdi, b"junk" * 512, format="vhd")["status"] == "failure"
    with pytest.raises(refused):
        client.rpc("VDI.destroy", vdi)
    time.sleep(0.6)
    client.rpc("VDI.destroy", vdi)


def test_fault_sessions_expire_while_an_import_goes_on(simulated_pool, client_of, panel, pool, client):
    pool.settings.read_rate = 16 * MIB
    vdi, task = client.vdi(2 * BLOCK), client.task()
    client.put("/import_raw_vdi", b"x" * 2 * BLOCK, task_id=task, vdi=vdi)
    panel(expire_sessions=True)
    again = client_of(pool)
    assert again.finished(task)["status"] == "success"


def test_fault_reboot_refuses_connections_then_another_host_leads(simulated_pool, client_of, refused):
    pool = simulated_pool(hosts=2)
    client_of(pool)
    pool.close_host(0)
    with pytest.raises(ConnectionRefusedError):
        client_of(pool)
    pool.promote(1)
    pool.open_host(0)
    with pytest.raises(refused) as failed:
        client_of(pool)
    assert failed.value.args == ("HOST_IS_SLAVE", pool.addresses[1])


def test_slow_socket_holds_the_client_back(pool, client):
    pool.settings.read_rate = 4 * MIB
    before = time.monotonic()
    client.upload(client.vdi(BLOCK), b"s" * BLOCK)
    assert time.monotonic() - before >= 0.4


def test_ledger_counts_calls_bytes_and_blocks(pool, client, panel, make_vhd):
    vdi = client.vdi(4 * BLOCK)
    uuid = client.rpc("VDI.get_uuid", vdi)
    stream = make_vhd({0: os.urandom(BLOCK), 2: os.urandom(BLOCK)}, 4 * BLOCK)
    client.upload(vdi, stream, format="vhd")
    client.upload(vdi, b"x" * (BLOCK + 512))
    client.rpc("VDI.destroy", vdi)
    told = panel("/_ledger")
    assert told["blocks"][uuid] == {"0": 2, "1": 1, "2": 1}
    one, two = told["imports"]
    assert (one["format"], one["received_bytes"], one["written_bytes"]) == ("vhd", len(stream), 2 * BLOCK)
    assert (two["format"], two["written_bytes"], two["outcome"]) == ("raw", BLOCK + 512, "success")
    calls = [c["call"] for c in told["calls"]]
    assert calls == ["session.login_with_password", "VDI.create", "task.create", "task.create", "VDI.destroy"]
    assert told["calls"][1]["result"] == told["calls"][-1]["refs"][0] == vdi
    assert client.session not in json.dumps(told)
    assert pool.password not in (pool.folder / "ledger.jsonl").read_text()
    assert pool.ledger.calls_of("VDI.create")[0].result == vdi


def test_ledger_has_refused_calls_too(pool, client, refused):
    with pytest.raises(refused):
        client.rpc("VDI.destroy", "OpaqueRef:gone")
    (entry,) = pool.ledger.calls_of("VDI.destroy")
    assert entry.error == ("HANDLE_INVALID", "VDI", "OpaqueRef:gone")
