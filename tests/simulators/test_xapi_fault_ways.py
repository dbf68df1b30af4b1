# SPDX-License-Identifier: Apache-2.0
"""Every fault of the simulated pool, called for in Python and over HTTP: the effect is the same."""

import contextlib
import http.client
import json
import os
import time
import urllib.request

import pytest

MIB = 1024 * 1024
BLOCK = 2 * MIB


class InPython:
    def __init__(self, pool):
        self.pool = pool

    def arm(self, kind, **how):
        self.pool.faults.arm(kind, **how)

    def set(self, **values):
        for name, value in values.items():
            setattr(self.pool.settings, name, value)

    def expire_sessions(self):
        self.pool.expire_sessions()

    def vanish_task(self, ref):
        self.pool.vanish_task(ref)

    def host(self, order, number):
        getattr(self.pool, order)(number)


class OverHttp(InPython):
    def _post(self, **order):
        body = json.dumps(order).encode()
        with urllib.request.urlopen(f"{self.pool.panel_url}/_faults", body, timeout=10) as answer:
            return json.load(answer)

    def arm(self, kind, **how):
        self._post(arm=[{"kind": kind, **how}])

    def set(self, **values):
        self._post(settings=values)

    def expire_sessions(self):
        self._post(expire_sessions=True)

    def vanish_task(self, ref):
        self._post(vanish_task=ref)

    def host(self, order, number):
        self._post(**{order: number})


WAYS = {"python": InPython, "http": OverHttp}


@pytest.fixture(params=sorted(WAYS))
def ways(request):
    return WAYS[request.param]


@pytest.fixture
def way(ways, pool):
    return ways(pool)


@pytest.fixture
def xva(client):
    """The bytes of a VM with a disk of 4 MiB that no packing makes smaller."""
    vm, vdi = client.vm(name_label="whole"), client.vdi(4 * MIB)
    client.upload(vdi, os.urandom(4 * MIB))
    client.vbd(vm, vdi)
    connection = http.client.HTTPSConnection(client.address, context=client.proxy._ServerProxy__transport.context)
    connection.request("GET", f"/export?session_id={client.session}&ref={vm}")
    return connection.getresponse().read()


def put_xva(client, body, **query):
    """The finished task of an import, or None when the task is gone."""
    task = client.task()
    with contextlib.suppress(OSError, http.client.HTTPException):
        client.put("/import", body, task_id=task, **query).read()
    return client.finished(task)


def held(client):
    return set(client.rpc("VM.get_all")), set(client.rpc("VDI.get_all")), set(client.rpc("VBD.get_all"))


def test_other_operation_in_progress_for_some_seconds(way, client, refused):
    vdi = client.vdi(MIB)
    way.arm("busy", target="VDI.destroy", seconds=0.4)
    with pytest.raises(refused) as failed:
        client.rpc("VDI.destroy", vdi)
    assert failed.value.args == ("OTHER_OPERATION_IN_PROGRESS", "VDI", vdi, "destroy", "OpaqueRef:NULL")
    task = client.rpc("Async.VDI.destroy", vdi)
    assert client.finished(task)["error_info"][0] == "OTHER_OPERATION_IN_PROGRESS"
    client.rpc("VDI.get_uuid", vdi)  # other calls go through
    time.sleep(0.45)
    client.rpc("VDI.destroy", vdi)


def test_sessions_expire_in_mid_transfer_and_the_import_goes_on(way, pool, client, client_of, refused):
    way.set(read_rate=16 * MIB)
    vdi, task = client.vdi(2 * BLOCK), client.task()
    answer = client.put("/import_raw_vdi", b"x" * 2 * BLOCK, task_id=task, vdi=vdi)
    assert answer.status == 200
    way.expire_sessions()
    with pytest.raises(refused) as failed:
        client.rpc("task.get_status", task)
    assert failed.value.code == "SESSION_INVALID"
    assert client.put("/import_raw_vdi", b"", vdi=vdi).status == 401
    again = client_of(pool)
    assert again.finished(task)["status"] == "success"
    assert again.export(vdi) == b"x" * 2 * BLOCK


@pytest.mark.parametrize("at", [0, 1, 512, 2048, 2048 + 512 + BLOCK, 2048 + 512 + BLOCK + 100])
def test_the_connection_is_cut_at_a_byte(way, client, content_of, make_vhd, at):
    vdi = client.vdi(2 * BLOCK)
    stream = make_vhd({0: b"a" * BLOCK, 1: b"b" * BLOCK}, 2 * BLOCK)
    way.arm("cut_import", at=at)
    record = client.upload(vdi, stream, format="vhd")
    assert (record["status"], record["error_info"][0]) == ("failure", "VDI_IO_ERROR")
    written = BLOCK if at >= 2048 + 512 + BLOCK else 0
    assert content_of(vdi) == b"a" * written + bytes(2 * BLOCK - written)
    assert client.upload(vdi, stream, format="vhd")["status"] == "success"


@pytest.mark.parametrize("at", [0, 100, 700, 3 * MIB])
def test_an_xva_is_cut_at_a_byte_and_nothing_stays(way, client, xva, at):
    before = held(client)
    way.arm("cut_import", at=at)
    assert put_xva(client, xva)["error_info"] == ["IMPORT_ERROR_PREMATURE_EOF"]
    assert held(client) == before
    assert put_xva(client, xva)["status"] == "success"


@pytest.mark.parametrize("at", [0, 511, 512, 3 * MIB])
def test_the_sr_is_full_at_a_byte(way, client, content_of, at):
    vdi = client.vdi(2 * BLOCK)
    way.arm("sr_full", at=at, target=client.rpc("SR.get_uuid", client.sr()))
    record = client.upload(vdi, b"f" * 2 * BLOCK)
    assert record["error_info"][0] == "VDI_IO_ERROR"
    assert content_of(vdi) == b"f" * at + bytes(2 * BLOCK - at)


def test_the_sr_is_full_in_an_xva_and_nothing_stays(way, client, xva):
    before = held(client)
    way.arm("sr_full", at=2 * MIB)
    assert put_xva(client, xva)["error_info"][0] == "VDI_IO_ERROR"
    assert held(client) == before


def test_a_slow_socket(way, client):
    way.set(read_rate=8 * MIB)
    before = time.monotonic()
    assert client.upload(client.vdi(BLOCK), b"s" * BLOCK)["status"] == "success"
    assert time.monotonic() - before >= 0.2
    way.set(read_rate=0)


def test_a_task_vanishes_at_the_end_of_an_upload(way, client, refused, xva):
    vdi, task = client.vdi(MIB), client.task()
    way.arm("vanish_task")
    client.put("/import_raw_vdi", b"x" * 512, task_id=task, vdi=vdi).read()
    with pytest.raises(refused) as failed:
        client.rpc("task.get_record", task)
    assert failed.value.args == ("HANDLE_INVALID", "task", task)
    way.arm("vanish_task")
    with pytest.raises(refused) as failed:
        put_xva(client, xva)
    assert failed.value.code == "HANDLE_INVALID"


def test_a_task_vanishes_now(way, client, refused):
    task = client.task()
    way.vanish_task(task)
    with pytest.raises(refused) as failed:
        client.rpc("task.get_record", task)
    assert failed.value.args == ("HANDLE_INVALID", "task", task)


def test_a_host_reboots_and_comes_back_as_a_member(ways, simulated_pool, client_of, refused):
    pool = simulated_pool(hosts=2)
    way = ways(pool)
    client = client_of(pool)
    way.host("close_host", 0)
    with pytest.raises(OSError):
        client.rpc("VM.get_all")
    with pytest.raises(ConnectionRefusedError):
        client_of(pool)
    way.host("promote", 1)
    way.host("open_host", 0)
    with pytest.raises(refused) as failed:
        client_of(pool)
    assert failed.value.args == ("HOST_IS_SLAVE", pool.addresses[1])
    assert type(client)(pool.addresses[1], pool.user, pool.password).rpc("VM.get_all")


def test_a_coordinator_fails_over(ways, simulated_pool, client_of, refused):
    pool = simulated_pool(hosts=2)
    client = client_of(pool)
    task = client.task()
    ways(pool).host("fail_over", 1)
    moved = type(client)(pool.addresses[1], pool.user, pool.password)
    with pytest.raises(refused) as failed:
        moved.rpc("task.get_record", task)
    assert failed.value.code == "HANDLE_INVALID"


def test_a_disk_stays_in_use_after_a_failure(way, client, refused):
    vdi = client.vdi(MIB)
    way.arm("hold_busy", seconds=0.4)
    assert client.upload(vdi, b"junk" * 512, format="vhd")["status"] == "failure"
    with pytest.raises(refused) as failed:
        client.rpc("VDI.destroy", vdi)
    assert failed.value.args == ("VDI_IN_USE", vdi, "destroy")
    deadline = time.monotonic() + 10
    while client.rpc("VDI.get_VBDs", vdi) and time.monotonic() < deadline:
        time.sleep(0.05)
    client.rpc("VDI.destroy", vdi)


@pytest.mark.parametrize("path", ["/import_raw_vdi", "/import"])
def test_uploads_are_sent_to_an_address_that_nobody_reaches(way, client, path):
    vdi, task = client.vdi(MIB), client.task()
    way.arm("redirect", address="192.0.2.1")
    answer = client.put(path, b"", vdi=vdi, task_id=task)
    assert (answer.status, answer.headers["location"].split("?")[0]) == (302, f"https://192.0.2.1{path}")
    assert client.rpc("task.get_status", task) == "pending"


@pytest.mark.parametrize("path", ["/import_raw_vdi", "/import"])
def test_an_upload_is_answered_401(way, client, path):
    vdi, task = client.vdi(MIB), client.task()
    way.arm("unauthorized")
    assert client.put(path, b"", vdi=vdi, task_id=task).status == 401
    assert client.rpc("task.get_status", task) == "pending"
