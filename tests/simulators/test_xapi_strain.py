# SPDX-License-Identifier: Apache-2.0
"""What is measured of control domains and storage, and the panel that sets it."""

import json
import urllib.error
import urllib.request

import pytest

MIB = 1024 * 1024


@pytest.fixture
def error(client, refused):
    def of(*call):
        with pytest.raises(refused) as failed:
            client.rpc(*call)
        return list(failed.value.args)

    return of


def ordered(pool, **order):
    data = json.dumps({"strain": order}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{pool.panel_url}/_faults", data=data, method="POST")).read()


def dom0_of(client, number=0):
    return client.rpc("host.get_control_domain", client.rpc("host.get_all")[number])


def sources(client, call, ref):
    return {one["name_label"]: one for one in client.rpc(call, ref)}


def chains_of(client, sr):
    """Hidden parents with exactly one child, counted as another program would."""
    vdis = [client.rpc("VDI.get_record", ref) for ref in client.rpc("SR.get_VDIs", sr)]
    parents = [one["sm_config"].get("vhd-parent") for one in vdis]
    return [one for one in vdis if parents.count(one["uuid"]) == 1]


def test_the_list_tells_names_and_units_but_no_values(pool, client):
    found = sources(client, "VM.get_data_sources", dom0_of(client))
    assert {"cpu0", "cpu7", "cpu_usage"} <= set(found)
    assert {one["value"] for one in found.values()} == {0.0}
    assert found["cpu0"]["units"] == "(fraction)"


def test_the_control_domain_is_as_busy_as_the_panel_says(pool, client):
    domain = dom0_of(client)
    assert 0 < client.rpc("VM.query_data_source", domain, "cpu_usage") < 0.1
    ordered(pool, host=0, cpu=0.93)
    assert client.rpc("VM.query_data_source", domain, "cpu_usage") == 0.93
    assert client.rpc("VM.query_data_source", domain, "cpu3") == 0.93
    ordered(pool, host=0, cpu=-1)
    assert client.rpc("VM.query_data_source", domain, "cpu_usage") < 0.1


def test_an_older_product_tells_each_cpu_alone(simulated_pool, client_of):
    client = client_of(simulated_pool(profile="xcp-ng-8.2"))
    found = sources(client, "VM.get_data_sources", dom0_of(client))
    assert "cpu_usage" not in found
    assert "cpu0" in found


def test_a_latency_is_there_only_while_disks_are_attached(pool, client, error):
    host, sr = client.rpc("host.get_all")[0], client.sr()
    name = f"latency_{client.rpc('SR.get_uuid', sr)[:8]}"
    assert name not in sources(client, "host.get_data_sources", host)
    assert error("host.query_data_source", host, name)[0] == "INVALID_VALUE"
    vdi = client.vdi(4 * MIB)
    client.rpc("VBD.create", {
        "VM": dom0_of(client), "VDI": vdi, "userdevice": "autodetect", "bootable": False, "mode": "RW",
        "type": "Disk", "empty": False, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {},
    })  # fmt: skip
    client.rpc("VBD.plug", client.rpc("VDI.get_VBDs", vdi)[0])
    assert sources(client, "host.get_data_sources", host)[name]["units"] == "μs"
    assert 0 < client.rpc("host.query_data_source", host, name) < 5000
    ordered(pool, sr=client.rpc("SR.get_uuid", sr), latency=0.08)
    assert client.rpc("host.query_data_source", host, name) == pytest.approx(80_000)


def test_a_source_that_is_not_recorded_gives_nothing(pool, client, error):
    domain = dom0_of(client)
    client.rpc("VM.forget_data_source_archives", domain, "cpu_usage")
    assert sources(client, "VM.get_data_sources", domain)["cpu_usage"]["enabled"] is False
    assert error("VM.query_data_source", domain, "cpu_usage")[0] == "INVALID_VALUE"
    client.rpc("VM.record_data_source", domain, "cpu_usage")
    assert client.rpc("VM.query_data_source", domain, "cpu_usage") > 0


@pytest.mark.parametrize("count", [1, 29, 30, 70])
def test_chains_are_hidden_disks_with_one_child_each(pool, client, count):
    sr = client.sr()
    before = client.rpc("SR.get_VDIs", sr)
    ordered(pool, sr=client.rpc("SR.get_uuid", sr), chains=count)
    found = chains_of(client, sr)
    assert len(found) == count
    assert {one["managed"] for one in found} == {False}
    ordered(pool, sr=client.rpc("SR.get_uuid", sr), chains=0)
    assert client.rpc("SR.get_VDIs", sr) == before


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"host": 0},
        {"host": 9, "cpu": 1},
        {"host": True, "cpu": 1},
        {"host": 0, "cpu": "x"},
        {"sr": "none"},
        {"x": 1},
    ],
)
def test_a_wrong_order_is_refused(pool, order):
    with pytest.raises(urllib.error.HTTPError) as refused:
        ordered(pool, **order)
    assert "strain" in json.loads(refused.value.read())["error"]
