# SPDX-License-Identifier: Apache-2.0
"""What other people can do to an unfinished machine, and what it gets only when it is whole."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from v2x.errors import Conflict, V2xError
from v2x.model.machine import Firmware
from v2x.model.target import HaPriority, Locking, SecureBoot, StartGroup, TargetDisk, TargetMachine, TargetNic
from v2x.model.units import GIB, MIB
from v2x.secrets import Secret
from v2x.simulators.xapi import Account, Pool
from v2x.simulators.xapi.profiles import PROFILES
from v2x.target import open_xapi
from v2x.target.interface import Claim, Remarks
from v2x.target.xapi.pool import XapiTarget
from v2x.target.xapi.protection import BLOCKED
from v2x.tls import Trust


def opened(pool: Pool, user: str = "", password: str = "", **options: Any) -> XapiTarget:
    host, _, port = pool.address.partition(":")
    secret = Secret(password or pool.password)
    return open_xapi(host, int(port), user or pool.user, secret, Trust(fingerprint=pool.fingerprint), **options)


def spec(pool: Pool, **changes: Any) -> TargetMachine:
    sr = str(pool.records("SR")[pool.ref_by_name("SR", "NFS storage")]["uuid"])
    network = str(pool.records("network")[pool.ref_by_name("network", "VLAN 10")]["uuid"])
    values: dict[str, Any] = {
        "source_id": "m",
        "name": "web",
        "description": "",
        "firmware": Firmware.UEFI,
        "secure_boot": SecureBoot.FALSE,
        "vtpm": False,
        "vcpus": 1,
        "memory_bytes": GIB,
        "platform": {},
        "boot_order": "c",
        "template": "other-install-media",
        "disks": (TargetDisk(source_disk="d", name="disk", description="", sr=sr, size_bytes=2 * MIB, device="0"),),
        "nics": (
            TargetNic(source_position=0, device="0", network=network, network_name="n", locking=Locking.DISABLED),
        ),
    }
    return TargetMachine(**values | changes)


def record(pool: Pool, claim: Claim) -> dict[str, Any]:
    return next(vm for vm in pool.records("VM").values() if vm["uuid"] == claim.id)


def finish(target: XapiTarget, claim: Claim, planned: TargetMachine) -> None:
    writer = target.writer(claim, claim.disks[0], [], "p")
    writer.commit()
    writer.abort()
    target.seal(claim, planned)


@pytest.mark.parametrize("profile", PROFILES)
def test_everything_that_could_spoil_a_claim_is_blocked(simulated_pool: Callable[..., Pool], profile: str) -> None:
    pool = simulated_pool(profile=profile)
    planned = spec(pool, tags=("nightly",))
    with opened(pool) as target:
        claim = target.claim(planned, "tag")
        held = record(pool, claim)
        assert set(held["blocked_operations"]) == set(BLOCKED)
        assert held["tags"] == []
        client, vm = target.client, target.client.call("VM.get_by_uuid", claim.id)
        for method, *params in (
            ("VM.start", False, False),
            ("VM.clone", "copy"),
            ("VM.copy", "copy", "OpaqueRef:NULL"),
            ("VM.snapshot", "s"),
            ("VM.destroy",),
            ("VM.set_is_a_template", True),
        ):
            with pytest.raises(V2xError, match="v2x is still copying"):
                client.call(method, vm, *params)
        finish(target, claim, planned)
        done = record(pool, claim)
        assert done["blocked_operations"] == {} and done["tags"] == ["nightly"]


def test_known_operations_are_those_of_every_profile(simulated_pool: Callable[..., Pool]) -> None:
    from v2x.simulators.xapi.datamodel import load

    for profile in PROFILES.values():
        known = set(load(profile.datamodel).enums["vm_operations"])
        assert set(BLOCKED) <= known
        assert {"create_vtpm", "import"}.isdisjoint(BLOCKED)


def test_what_somebody_else_has_blocked_stays_blocked(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    with opened(pool) as target:
        claim = target.claim(spec(pool), "tag")
        vm = target.client.call("VM.get_by_uuid", claim.id)
        target.client.call("VM.remove_from_blocked_operations", vm, "destroy")
        target.client.call("VM.add_to_blocked_operations", vm, "destroy", "mine")
        target.client.call("VM.add_tags", vm, "mine")
        target.claim(spec(pool), "tag")
        finish(target, claim, spec(pool, tags=("a",)))
        assert record(pool, claim)["blocked_operations"] == {"destroy": "mine"}
        assert sorted(record(pool, claim)["tags"]) == ["a", "mine"]


def test_discard_removes_what_is_protected(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    with opened(pool) as target:
        claim = target.claim(spec(pool), "tag")
        target.discard(claim)
        assert target.find("tag") is None
        again = target.claim(spec(pool), "tag")
        target.claim(spec(pool, vcpus=2), "tag")
        assert record(pool, target.find("tag"))["VCPUs_max"] == 2
        assert not [vm for vm in pool.records("VM").values() if vm["uuid"] == again.id]


def test_a_template_is_sealed_as_one_and_never_before(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    group = StartGroup(name="g", key="k")
    planned = spec(pool, is_template=True, ha_priority=HaPriority.RESTART, start_group=group, tags=("t",))
    with opened(pool) as target:
        claim = target.claim(planned, "tag")
        assert not record(pool, claim)["is_a_template"]
        finish(target, claim, planned)
        target.seal(claim, planned)
        done = record(pool, claim)
        assert done["is_a_template"] and done["tags"] == ["t"]
        assert done["ha_restart_priority"] == "" and not pool.records("VM_appliance")
        found = target.find("tag")
        assert found is not None and found.sealed
        assert "web" not in target.facts().machine_names
        with pytest.raises(Conflict, match="finished"):
            target.discard(claim)


def test_machines_of_a_group_share_one_vapp(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    pool.state.store.add("VM_appliance", {"name_label": "shop", "name_description": "somebody else's"})
    with opened(pool) as target:
        for number, name in enumerate(("db", "web")):
            group = StartGroup(name="shop", key="k", order=number, start_delay_seconds=30)
            planned = spec(pool, name=name, start_group=group, source_id=name)
            finish(target, target.claim(planned, name), planned)
            target.seal(target.find(name), planned)
    made = [one for one in pool.records("VM_appliance").values() if one["VMs"]]
    assert len(made) == 1 and len(pool.records("VM_appliance")) == 2
    vms = [pool.records("VM")[vm] for vm in made[0]["VMs"]]
    assert {(vm["name_label"], vm["order"], vm["start_delay"]) for vm in vms} == {("db", 0, 30), ("web", 1, 30)}


def test_of_two_vapps_made_at_once_one_stays(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    for _ in range(2):
        pool.state.store.add("VM_appliance", {"name_label": "shop", "name_description": "[v2x-group k]"})
    planned = spec(pool, start_group=StartGroup(name="shop", key="k"))
    with opened(pool) as target:
        finish(target, target.claim(planned, "tag"), planned)
    assert [len(one["VMs"]) for one in pool.records("VM_appliance").values()] == [1]


def test_host_ha_and_automatic_start(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    (host,) = pool.records("host").values()
    planned = spec(pool, affinity=host["uuid"], ha_priority=HaPriority.BEST_EFFORT, auto_start=True)
    with opened(pool) as target:
        assert isinstance(target, Remarks)
        claim = target.claim(planned, "tag")
        assert record(pool, claim)["ha_restart_priority"] == ""
        finish(target, claim, planned)
        done = record(pool, claim)
        assert pool.records("host")[done["affinity"]]["uuid"] == host["uuid"]
        assert done["ha_restart_priority"] == "best-effort" and done["other_config"]["auto_poweron"] == "true"
        remarks = target.remarks(claim)
        assert any("once HA is enabled" in one for one in remarks)
        assert any("auto_poweron=true" in one for one in remarks)
        assert "auto_poweron" not in pool.records("pool")[pool.state.pool_ref]["other_config"]
    other = replace(planned, name="web2", source_id="2")
    with opened(pool, pool_auto_start=True) as target:
        claim = target.claim(other, "tag2")
        finish(target, claim, other)
        assert not any("auto_poweron" in one for one in target.remarks(claim))
    assert pool.records("pool")[pool.state.pool_ref]["other_config"]["auto_poweron"] == "true"


@pytest.mark.parametrize("profile", PROFILES)
def test_resource_set_weight_and_cap(simulated_pool: Callable[..., Pool], profile: str) -> None:
    """Xen Orchestra reads the set's id as JSON; nothing belongs to a set before it is whole."""
    pool = simulated_pool(profile=profile)
    planned = spec(pool, resource_set="U8kmJKszJC0", vcpus_params={"weight": "512", "cap": "150"})
    with opened(pool) as target:
        claim = target.claim(planned, "tag")
        assert "xo:resource_set" not in record(pool, claim)["other_config"]
        finish(target, claim, planned)
        target.seal(claim, planned)
        done = record(pool, claim)
        assert json.loads(done["other_config"]["xo:resource_set"]) == "U8kmJKszJC0"
        assert done["VCPUs_params"] == {"weight": "512", "cap": "150"}
        assert target.remarks(claim) == ()
        template = spec(pool, name="t", resource_set="U8kmJKszJC0", is_template=True)
        claim = target.claim(template, "template")
        finish(target, claim, template)
        assert "xo:resource_set" not in record(pool, claim)["other_config"]
        assert any("resource set" in remark for remark in target.remarks(claim))


def test_a_role_that_may_not_set_them_finishes_all_the_same(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool(accounts=[Account("ada", "secret", role="vm-admin")])
    planned = spec(pool, ha_priority=HaPriority.RESTART, start_group=StartGroup(name="g", key="k"), tags=("t",))
    with opened(pool, "ada", "secret") as target:
        claim = target.claim(planned, "tag")
        finish(target, claim, planned)
        remarks = target.remarks(claim)
        assert any("HA priority was not set" in one for one in remarks)
        assert any("vApp g was not set" in one for one in remarks)
    assert record(pool, claim)["tags"] == ["t"]
    assert record(pool, claim)["other_config"]["v2x-sealed"] == "tag"


def test_a_card_whose_cable_is_out_is_made_without_traffic(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    with opened(pool) as target:
        claim = target.claim(spec(pool), "tag")
        (vif,) = record(pool, claim)["VIFs"]
        assert pool.records("VIF")[vif]["locking_mode"] == "disabled"
        target.claim(spec(pool), "tag")
        assert record(pool, claim)["VIFs"] == [vif]


def test_no_disk_is_made_where_no_host_takes_it(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    (host,) = pool.state.store.refs("host")
    pool.state.store.set("host", host, current_operations={"OpaqueRef:task": "evacuate"})
    with opened(pool) as target, pytest.raises(V2xError, match="is being evacuated"):
        target.claim(spec(pool), "tag")
    assert not [vdi for vdi in pool.records("VDI").values() if vdi["name_label"] == "disk"]


@pytest.mark.parametrize("how", ["detached", "removed"])
def test_a_disk_that_somebody_took_away_is_missed_before_the_seal(
    simulated_pool: Callable[..., Pool], how: str
) -> None:
    pool = simulated_pool()
    planned = spec(pool)
    with opened(pool) as target:
        claim = target.claim(planned, "tag")
        (vbd,) = record(pool, claim)["VBDs"]
        if how == "detached":
            target.client.call("VBD.destroy", vbd)
        else:
            target.client.call("VDI.destroy", pool.records("VBD")[vbd]["VDI"])
        with pytest.raises(Conflict, match="web has lost disk") as lost:
            target.seal(claim, planned)
        assert "run the migration again" in lost.value.hint
        assert record(pool, claim)["blocked_operations"]
        again = target.claim(planned, "tag")
        assert (again.disks[0].id == claim.disks[0].id) is (how == "detached")
        finish(target, again, planned)
        assert len(record(pool, again)["VBDs"]) == 1 and record(pool, again)["other_config"]["v2x-sealed"] == "tag"
