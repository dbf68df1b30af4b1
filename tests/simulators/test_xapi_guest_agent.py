# SPDX-License-Identifier: Apache-2.0
"""Agents in the guests of a simulated pool: silent until they have booted, and after a reboot of the guest."""

import json
import time
import urllib.request

import pytest

from tests.warming import wait_for
from v2x.errors import UsageError
from v2x.simulators.xapi import guest_agent

NULL = "OpaqueRef:NULL"


def started(client, name="web01"):
    vm = client.vm()
    client.rpc("VM.set_name_label", vm, name)
    client.vif(vm, client.rpc("network.get_all")[0])
    client.rpc("VM.start", vm, False, False)
    return vm


def test_an_agent_speaks_some_time_after_the_start(simulated_pool, client_of):
    client = client_of(simulated_pool(guest_agent=True, agent_delay=0.4))
    vm = started(client)
    assert client.rpc("VM.get_guest_metrics", vm) == NULL
    wait_for(lambda: client.rpc("VM.get_guest_metrics", vm) != NULL, 20, every=0.02)


def test_the_panel_says_what_it_will_say(simulated_pool, client_of):
    pool = simulated_pool()
    order = {"guests": {"web01": {"addresses": {"0": ["192.0.2.7", "2001:db8::7"]}, "drivers": False, "live": False}}}
    body = json.dumps(order).encode()
    urllib.request.urlopen(urllib.request.Request(f"{pool.panel_url}/_faults", data=body, method="POST")).read()
    client = client_of(pool)
    vm = started(client)
    said = client.rpc("VM_guest_metrics.get_record", client.rpc("VM.get_guest_metrics", vm))
    assert said["networks"] == {"0/ip": "192.0.2.7", "0/ipv4/0": "192.0.2.7", "0/ipv6/0": "2001:db8::7"}
    assert said["PV_drivers_detected"] is said["live"] is False
    assert client.rpc("VM.get_guest_metrics", started(client, "web02")) == NULL
    client.rpc("VM.hard_shutdown", vm)
    assert client.rpc("VM.get_guest_metrics", vm) == NULL
    assert client.rpc("VM_guest_metrics.get_all") == []


def test_a_guest_that_reboots_is_silent_meanwhile_and_has_another_start_time(simulated_pool, client_of):
    pool = simulated_pool()
    guest_agent.describe(pool.state, {"web01": {"delay": 1.2, "reboots": 1}})
    client = client_of(pool)
    vm = started(client)
    begun = client.rpc("VM_metrics.get_start_time", client.rpc("VM.get_metrics", vm))
    wait_for(lambda: client.rpc("VM_metrics.get_start_time", client.rpc("VM.get_metrics", vm)) != begun, 20, every=0.02)
    assert client.rpc("VM.get_guest_metrics", vm) == NULL
    wait_for(lambda: client.rpc("VM.get_guest_metrics", vm) != NULL, 20, every=0.02)


def test_one_that_is_off_by_then_says_nothing(simulated_pool, client_of):
    pool = simulated_pool(guest_agent=True, agent_delay=0.3)
    client = client_of(pool)
    vm = started(client)
    client.rpc("VM.hard_shutdown", vm)
    time.sleep(0.6)
    assert client.rpc("VM.get_guest_metrics", vm) == NULL


def test_what_does_not_read_is_refused(simulated_pool):
    with pytest.raises(UsageError, match="web01"):
        guest_agent.describe(simulated_pool().state, {"web01": {"mood": "good"}})
