# SPDX-License-Identifier: Apache-2.0
"""Several hosts, sessions in numbers, tasks in time, high availability, suspend: what happens over a pool's life."""

import http.client
import json
import os
import time
import urllib.error
import urllib.request

import pytest

from v2x.simulators.xapi import Account
from v2x.simulators.xapi.collecting import Collector

MIB = 1024 * 1024
NULL = "OpaqueRef:NULL"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# sessions


def test_invariant_06_the_oldest_session_of_an_originator_goes(simulated_pool, client_of, refused):
    pool = simulated_pool(sessions_per_originator=3)
    first = client_of(pool)

    def login(originator: str) -> str:
        return first.plain("session.login_with_password", "root", pool.password, "1.1", originator)

    held = [login("tool") for _n in range(3)]
    login("other")
    fourth = login("tool")
    with pytest.raises(refused) as failed:
        first.plain("pool.get_all", held[0])
    assert failed.value.args == ("SESSION_INVALID", held[0])
    for session in (*held[1:], fourth, first.session):
        assert first.plain("pool.get_all", session)


def test_invariant_06_users_have_a_quota_of_their_own(simulated_pool, client_of, refused):
    pool = simulated_pool(sessions_per_user=2, accounts=[Account("op", "pw", "vm-operator")])
    root = client_of(pool)
    held = [root.plain("session.login_with_password", "op", "pw", "1.1", f"o{n}") for n in range(3)]
    with pytest.raises(refused):
        root.plain("pool.get_all", held[0])
    assert root.plain("pool.get_all", held[1])
    assert root.rpc("pool.get_all")


def test_invariant_06_idle_sessions_end_but_not_those_with_a_task(simulated_pool, client_of, refused):
    pool = simulated_pool(collect_every=3600)
    clock = Clock()
    pool.state.sessions._clock = clock
    busy, idle = client_of(pool), client_of(pool)
    busy.task()
    clock.now += 86401
    with pytest.raises(refused) as failed:
        idle.rpc("pool.get_all")
    assert failed.value.code == "SESSION_INVALID"
    assert busy.rpc("pool.get_all")


def test_last_active_is_shown_every_ten_minutes(simulated_pool, client_of):
    pool = simulated_pool(collect_every=3600)
    clock = Clock()
    client = client_of(pool)
    sessions = pool.state.sessions
    sessions._clock = clock
    sessions.find(client.session).shown_active = clock.now
    sessions._now = lambda: "20300101T00:00:00Z"
    clock.now += 599
    client.rpc("pool.get_all")
    assert pool.records("session")[client.session]["last_active"] != "20300101T00:00:00Z"
    clock.now += 1
    client.rpc("pool.get_all")
    assert pool.records("session")[client.session]["last_active"] == "20300101T00:00:00Z"


# tasks


def test_finished_tasks_are_kept_65_minutes_and_pending_ones_a_day_without_progress(pool, client):
    clock = Clock()
    collector = Collector(pool.state, clock)
    done, idle, busy = client.task(), client.task(), client.task()
    client.rpc("task.set_status", done, "success")
    collector.collect()
    clock.now += 3900
    collector.collect()
    assert set(client.rpc("task.get_all")) == {done, idle, busy}
    clock.now += 1
    collector.collect()
    assert set(client.rpc("task.get_all")) == {idle, busy}
    clock.now += 86400
    client.rpc("task.set_progress", busy, 0.5)
    collector.collect()
    assert client.rpc("task.get_all") == [busy]
    collector.collect()
    assert client.rpc("task.get_all") == []


def test_a_pass_is_made_as_often_as_the_setting_says(simulated_pool, client_of):
    pool = simulated_pool(collect_every=0.05, tasks_kept_for=0.01)
    client = client_of(pool)
    task = client.task()
    client.rpc("task.set_status", task, "success")
    deadline = time.monotonic() + 10
    while client.rpc("task.get_all") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert client.rpc("task.get_all") == []


def test_more_finished_tasks_than_are_kept(simulated_pool, client_of):
    client = client_of(simulated_pool(tasks_kept=3))
    made = []
    for _n in range(6):
        made.append(client.task())
        client.rpc("task.set_status", made[-1], "success")
    assert client.rpc("task.get_all") == made[-4:]


# events


def test_invariant_08_classes_and_single_objects_are_told_apart(client):
    one, other = client.vm(), client.vm()
    start = client.rpc("event.from", ["vm"], "", 0.0)["token"]
    client.rpc("VM.set_name_label", other, "x")
    client.rpc("VM.set_name_label", one, "y")
    client.rpc("VDI.set_name_label", client.vdi(MIB), "z")
    told = client.rpc("event.from", [f"VM/{one}"], start, 5.0)
    assert [(e["class"], e["ref"], e["operation"]) for e in told["events"]] == [("vm", one, "mod")]
    assert told["events"][0]["snapshot"]["name_label"] == "y"
    every = client.rpc("event.from", ["*"], start, 5.0)["events"]
    assert {"vm", "vdi", "sr"} <= {e["class"] for e in every}
    assert {e["class"] for e in client.rpc("event.from", ["vm", "sr"], start, 5.0)["events"]} == {"vm", "sr"}
    nothing = client.rpc("event.from", ["network"], start, 0.05)
    assert nothing["events"] == []
    assert nothing["token"] > start


def test_invariant_08_a_class_without_events_may_be_asked_for(client, refused):
    assert client.rpc("event.from", ["secret", "role", "subject"], "", 0.0)["events"] == []
    with pytest.raises(refused) as failed:
        client.rpc("event.from", ["no_such_class"], "", 0.0)
    assert failed.value.args == ("EVENT_SUBSCRIPTION_PARSE_FAILURE", "no_such_class")


def test_invariant_08_counts_and_removals(client):
    vm = client.vm()
    told = client.rpc("event.from", ["vm"], "", 0.0)
    assert told["valid_ref_counts"]["vm"] == len(client.rpc("VM.get_all"))
    passing = client.vm()
    client.rpc("VM.destroy", passing)
    client.rpc("VM.destroy", vm)
    after = client.rpc("event.from", ["vm"], told["token"], 5.0)
    assert [(e["operation"], e["ref"], "snapshot" in e) for e in after["events"]] == [("del", vm, False)]
    assert after["valid_ref_counts"]["vm"] == told["valid_ref_counts"]["vm"] - 1


def test_invariant_08_a_waiting_client_is_not_woken_for_others_and_told_add_once(pool, client, client_of):
    import threading

    token = client.rpc("event.from", ["vm"], "", 0.0)["token"]
    told: list[dict] = []
    waiting = client_of(pool)
    thread = threading.Thread(target=lambda: told.append(waiting.rpc("event.from", ["vm"], token, 20.0)))
    thread.start()
    for _n in range(20):
        client.task()
    vm = client.vm()
    thread.join(20)
    assert [(e["operation"], e["ref"]) for e in told[0]["events"]] == [("add", vm)]


# hosts


@pytest.fixture
def panel():
    def ask(pool, **order: object) -> dict:
        with urllib.request.urlopen(f"{pool.panel_url}/_faults", json.dumps(order).encode(), timeout=10) as answer:
            return json.load(answer)

    return ask


def test_invariant_06_a_coordinator_that_dies_is_followed_by_a_member(simulated_pool, client_of, refused, panel):
    pool = simulated_pool(hosts=3)
    client = client_of(pool)
    vm, task = client.vm(name_label="lives on"), client.task()
    panel(pool, fail_over=1)
    with pytest.raises((OSError, http.client.HTTPException)):
        client.rpc("pool.get_all")
    member = type(client)(pool.addresses[1], "root", pool.password)
    assert member.rpc("VM.get_name_label", vm) == "lives on"
    with pytest.raises(refused) as failed:
        member.plain("pool.get_all", client.session)
    assert failed.value.code == "SESSION_INVALID"
    with pytest.raises(refused) as failed:
        member.rpc("task.get_status", task)
    assert failed.value.args == ("HANDLE_INVALID", "task", task)
    with pytest.raises(refused) as failed:
        type(client)(pool.addresses[2], "root", pool.password)
    assert failed.value.args == ("HOST_IS_SLAVE", pool.addresses[1])
    panel(pool, open_host=0)
    with pytest.raises(refused) as failed:
        type(client)(pool.addresses[0], "root", pool.password)
    assert failed.value.args == ("HOST_IS_SLAVE", pool.addresses[1])


def test_a_fail_over_in_the_middle_of_an_upload_ends_it(simulated_pool, client_of, content_of):
    pool = simulated_pool(hosts=2, read_rate=4 * MIB)
    client = client_of(pool)
    vdi, task = client.vdi(16 * MIB, client.sr("NFS storage")), client.task()
    client.put("/import_raw_vdi", os.urandom(16 * MIB), vdi=vdi, task_id=task)
    while not pool.ledger.imports[0].written_bytes:
        time.sleep(0.01)
    pool.fail_over(1)
    assert pool.ledger.imports[0].outcome == "failure"
    member = type(client)(pool.addresses[1], "root", pool.password)
    pool.settings.read_rate = 0
    assert member.upload(vdi, b"x" * 16 * MIB)["status"] == "success"


def test_an_upload_goes_on_while_another_host_takes_over(simulated_pool, client_of):
    pool = simulated_pool(hosts=2, read_rate=8 * MIB)
    client = client_of(pool)
    vdi = client.vdi(8 * MIB, client.sr("Local storage 2"))
    client.put("/import_raw_vdi", b"x" * 8 * MIB, address=pool.addresses[1], vdi=vdi, task_id=client.task())
    pool.fail_over(1)
    deadline = time.monotonic() + 10
    while pool.ledger.imports[0].outcome == "running" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (pool.ledger.imports[0].outcome, pool.ledger.imports[0].written_bytes) == ("success", 8 * MIB)


def test_a_coordinator_is_designated_or_takes_over_by_itself(simulated_pool, client_of, refused):
    pool = simulated_pool(hosts=2)
    client = client_of(pool)
    second = client.rpc("host.get_by_name_label", "xcp-host-2")[0]
    client.rpc("pool.designate_new_master", second)
    with pytest.raises(refused) as failed:
        client_of(pool)
    assert failed.value.args == ("HOST_IS_SLAVE", pool.addresses[1])
    local = client.plain("session.slave_local_login_with_password", "root", pool.password)
    client.plain("pool.emergency_transition_to_master", local)
    assert client_of(pool).rpc("pool.get_all")


@pytest.mark.parametrize("order", [{"promote": 7}, {"promote": True}, {"close_host": "0"}, {"fail_over": -1}])
def test_the_panel_knows_its_hosts(simulated_pool, panel, order):
    pool = simulated_pool(hosts=2)
    with pytest.raises(urllib.error.HTTPError) as failed:
        panel(pool, **order)
    assert failed.value.code == 400


def test_the_panel_closes_and_opens_a_host(simulated_pool, client_of, panel):
    pool = simulated_pool(hosts=2)
    panel(pool, close_host=0)
    with pytest.raises(ConnectionRefusedError):
        client_of(pool)
    panel(pool, open_host=0)
    assert client_of(pool).rpc("pool.get_all")


# high availability, suspend


def test_ha_is_a_matter_of_records(simulated_pool, client_of, refused):
    pool = simulated_pool(hosts=2)
    client = client_of(pool)
    ref = client.rpc("pool.get_all")[0]
    with pytest.raises(refused) as failed:
        client.rpc("pool.enable_ha", [client.sr()], {})
    assert failed.value.code == "HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED"
    client.rpc("pool.enable_ha", [client.sr("NFS storage")], {})
    with pytest.raises(refused) as failed:
        client.rpc("pool.enable_ha", [], {})
    assert failed.value.code == "HA_IS_ENABLED"
    client.rpc("pool.set_ha_host_failures_to_tolerate", ref, "1")
    with pytest.raises(refused) as failed:
        client.rpc("pool.set_ha_host_failures_to_tolerate", ref, "2")
    assert failed.value.code == "HA_NO_PLAN"
    vm = client.vm()
    with pytest.raises(refused) as failed:
        client.rpc("VM.set_ha_restart_priority", vm, "sometimes")
    assert failed.value.code == "INVALID_VALUE"
    client.rpc("VM.set_ha_restart_priority", vm, "restart")
    client.rpc("VM.start", vm, False, False)
    assert client.rpc("VM.get_ha_always_run", vm) is True
    client.rpc("VM.hard_shutdown", vm)
    assert client.rpc("VM.get_ha_always_run", vm) is False
    client.rpc("pool.disable_ha")
    assert client.rpc("pool.get_record", ref)["ha_enabled"] is False


def test_suspend_and_resume(simulated_pool, client_of, refused):
    client = client_of(simulated_pool(guest_agent=True))
    vm = client.vm()
    client.vbd(vm, client.vdi(MIB))
    client.rpc("VM.start", vm, False, False)
    client.rpc("VM.suspend", vm)
    record = client.rpc("VM.get_record", vm)
    assert (record["power_state"], client.rpc("VDI.get_type", record["suspend_VDI"])) == ("Suspended", "suspend")
    client.rpc("VM.resume", vm, False, False)
    record = client.rpc("VM.get_record", vm)
    assert (record["power_state"], record["suspend_VDI"]) == ("Running", NULL)
    client.rpc("VM.suspend", vm)
    client.rpc("VM.hard_shutdown", vm)
    assert [v for v in client.rpc("VDI.get_all_records").values() if v["type"] == "suspend"] == []


def test_a_call_that_is_not_carried_out_is_named(client, refused):
    with pytest.raises(refused) as failed:
        client.rpc("pool.send_test_post", "example.org", "443", "x")
    assert failed.value.args == ("NOT_IMPLEMENTED", "pool.send_test_post")


def test_invariant_30_secure_boot_auto_follows_the_pools_certificates(client, pool):
    uefi = {"firmware": "uefi", "order": "cd"}
    vm = client.vm(HVM_boot_params=uefi, platform={"secureboot": "auto"})
    assert client.rpc("VM.get_secureboot_readiness", vm) == "disabled"
    client.rpc("pool.set_uefi_certificates", client.rpc("pool.get_all")[0], "Y2VydA==")
    assert client.rpc("VM.get_secureboot_readiness", vm) == "first_boot"
    off = client.vm(HVM_boot_params=uefi, platform={"secureboot": "false"})
    assert client.rpc("VM.get_secureboot_readiness", off) == "disabled"
    assert client.rpc("VM.get_secureboot_readiness", client.vm()) == "not_supported"
