# SPDX-License-Identifier: Apache-2.0
"""Test copies on a simulated pool: what they are, what they leave alone, and what is left when their making breaks."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.claims import BLOCK, MAC, STAGE, UNTIL, opened
from v2x.errors import Conflict, NoSpace, TargetError
from v2x.model.units import GIB, MIB
from v2x.simulators.xapi import Layout


def test_a_copy_has_the_same_hardware_and_disks_and_other_networks(place):
    here = place()
    made = here.rehearse()
    copy, claim = here.vm(made.vm), here.vm(here.claim.id)
    same = ("memory_static_max", "VCPUs_max", "platform", "HVM_boot_params", "bios_strings", "VCPUs_params")
    assert [copy[one] for one in same] == [claim[one] for one in same]
    assert copy["generation_id"] not in ("", "0:0", claim["generation_id"])
    assert copy["name_label"] == "[test] web" and copy["power_state"] == "Halted"
    assert len(copy["VTPMs"]) == 1 and copy["blocked_operations"] == {}
    (vif,) = [here.pool.records("VIF")[one] for one in copy["VIFs"]]
    network = here.pool.records("network")[vif["network"]]
    assert vif["MAC"] == MAC and network["PIFs"] == [] and network["other_config"]["v2x-test"] == "b1"
    for ours, theirs in zip(here.vdis(claim), here.vdis(copy), strict=True):
        assert ours["uuid"] != theirs["uuid"]
        assert here.content(ours) == here.content(theirs)
        assert not {"v2x-migration", "v2x-point", "v2x-hwm-1"} & theirs["other_config"].keys()
    assert claim["blocked_operations"], "the claim stays protected"
    assert sum("v2x" in one["name_label"] for one in here.pool.records("VM").values()) == 1, "only the claim"


def test_replication_goes_on_under_a_copy_that_writes(place):
    here = place()
    made = here.rehearse()
    (mine, _) = here.vdis(here.vm(made.vm))
    here.pool.vdi_path(mine["uuid"]).write_bytes(b"\xee" * 4 * MIB)
    (disk, other) = here.target.find("tag").disks
    sent = here.write(disk, 77, "p2")
    assert here.content(disk.id)[:BLOCK] == sent
    assert here.content(mine) == b"\xee" * 4 * MIB
    assert here.target.find("tag").disks[0].point == "p2"
    assert here.content(other.id)[:BLOCK] == random.Random(1).randbytes(BLOCK)


def test_what_was_made_is_adopted_and_its_time_moved(place):
    here = place()
    first = here.rehearse()
    again = here.rehearse(until=UNTIL + timedelta(hours=1))
    assert (again.vm, again.made) == (first.vm, first.made)
    assert again.until == UNTIL + timedelta(hours=1)
    assert len(here.target.rehearsals()) == 1
    with pytest.raises(Conflict) as refused:
        here.rehearse(here.seclude(replace(STAGE, id="b2")))
    assert refused.value.code == "TEST-ELSEWHERE"


def test_it_starts_on_its_host_and_tells_its_addresses(place):
    here = place(hosts=2, guest_agent=True)
    there = here.pool.records("host")[here.pool.ref_by_name("host", "xcp-host-2")]
    seclusion = here.seclude(replace(STAGE, host="xcp-host-2"))
    assert (seclusion.host, seclusion.where) == (there["uuid"], "xcp-host-2")
    made = here.rehearse(seclusion)
    here.target.start_rehearsal(made, seclusion)
    here.target.start_rehearsal(made, seclusion)
    (told,) = here.target.rehearsals("tag")
    assert (told.state, told.where, told.addresses) == ("running", "xcp-host-2", ("192.0.2.100",))
    with pytest.raises(Conflict) as refused:
        here.seclude(replace(STAGE, host="xcp-host-1"))
    assert refused.value.code == "TEST-ELSEWHERE"
    assert here.seclude().host == there["uuid"]


@pytest.mark.parametrize("how", ["moved", "added", "bridged"])
def test_a_copy_with_an_adapter_elsewhere_is_not_started(place, how):
    here = place()
    seclusion = here.seclude()
    made = here.rehearse(seclusion)
    vm = here.act("VM.get_by_uuid", made.vm)
    production = here.pool.ref_by_name("network", "VLAN 10")
    if how == "moved":
        here.act("VIF.move", here.vm(made.vm)["VIFs"][0], production)
    elif how == "added":
        here.act("VIF.create", {
            "device": "1", "network": production, "VM": vm, "MAC": "", "MTU": 1500, "other_config": {},
            "qos_algorithm_type": "", "qos_algorithm_params": {},
        })  # fmt: skip
    else:
        (pif,) = [one for one, pif in here.pool.records("PIF").items() if pif["management"]]
        here.act("VLAN.create", pif, 77, here.act("network.get_by_uuid", seclusion.networks["src/LAN"]))
    with pytest.raises(Conflict) as refused:
        here.target.start_rehearsal(made, seclusion)
    assert refused.value.code == "TEST-NOT-ISOLATED"
    assert here.vm(made.vm)["power_state"] == "Halted"


def test_spare_vlans_carry_it_and_used_ones_are_refused(place):
    here = place(hosts=2)
    vlans = replace(STAGE, vlans={"src/LAN": 999}, uplink="eth0")
    seclusion = here.seclude(vlans)
    made = here.rehearse(seclusion)
    here.target.start_rehearsal(made, seclusion)
    carried = [one for one in here.pool.records("PIF").values() if int(one["VLAN"]) == 999]
    assert len({one["host"] for one in carried}) == 2
    assert here.seclude(vlans).networks == seclusion.networks, "adopted"
    for stage in (replace(vlans, id="b2"), replace(vlans, id="b2", vlans={"src/LAN": 10})):
        with pytest.raises(Conflict) as refused:
            here.seclude(stage)
        assert refused.value.code == "TEST-VLAN-USED"
    with pytest.raises(Conflict, match="runs on VLAN 999"):
        here.seclude(replace(vlans, vlans={"src/LAN": 998}))
    here.target.end_rehearsal(made)
    assert here.target.strike("b1") == ()
    assert not here.tagged()
    assert not [one for one in here.pool.records("PIF").values() if int(one["VLAN"]) == 999]


def test_without_memory_or_storage_on_one_host_nothing_is_made(place):
    here = place(layout=Layout(hosts=2, host_memory_bytes=6 * GIB))
    big = replace(here.spec, memory_bytes=8 * GIB, name="big")
    claim = here.target.claim(big, "other")
    with pytest.raises(NoSpace) as refused:
        here.target.seclude(STAGE, [here.claim, claim])
    assert refused.value.code == "TEST-NO-MEMORY" and "GiB" in refused.value.message
    sr = here.pool.ref_by_name("SR", "NFS storage")
    for pbd in [one for one, pbd in here.pool.records("PBD").items() if pbd["SR"] == sr]:
        here.act("PBD.unplug", pbd)
    with pytest.raises(TargetError) as unseen:
        here.seclude()
    assert unseen.value.code == "TEST-NO-HOST"
    with pytest.raises(TargetError, match="no host esx"):
        here.seclude(replace(STAGE, host="esx"))
    assert not here.tagged()


def test_a_full_thick_storage_makes_nothing_and_leaves_nothing(place):
    here = place({"sr": "LVM storage"}, layout=Layout(sr_bytes={"lvm": 26 * MIB}))
    before = {one["uuid"] for one in here.pool.records("VDI").values()}
    with pytest.raises(NoSpace) as refused:
        here.rehearse()
    assert refused.value.code == "TEST-NO-SPACE"
    assert {one["uuid"] for one in here.pool.records("VDI").values()} == before
    assert not here.target.rehearsals()


def test_one_that_was_written_to_meanwhile_is_thrown_away(place):
    here = place()
    with pytest.raises(Conflict) as refused:
        here.rehearse(still=lambda: False)
    assert refused.value.code == "TEST-MOVED"
    assert [kind for kind, _ in here.tagged()] == ["network"]
    assert here.rehearse().whole


@pytest.mark.parametrize("how", ["end", "discard", "leftovers"])
def test_what_users_made_of_copies_is_never_touched(place, how):
    here = place()
    made = here.rehearse()
    vms, vdis = here.copies(here.vm(made.vm))
    assert [one.vm for one in here.target.rehearsals()] == [made.vm]
    if how == "end":
        here.target.end_rehearsal(made)
    elif how == "discard":
        here.target.discard(here.target.find("tag"))
        assert here.vm(here.claim.id) is None
    else:
        for one in here.target.rehearsals():
            here.target.end_rehearsal(one)
        for claim in here.target.leftovers():
            here.target.discard(claim)
    assert here.vm(made.vm) is None
    assert all(here.vm(uuid) is not None for uuid in vms)
    held = {one["uuid"] for one in here.pool.records("VDI").values()}
    assert set(vdis) <= held
    said = here.target.strike("b1")
    assert len(said) == 1 and "mine" in said[0], "the network that a user's machine is on stays, and is the user's now"
    assert here.target.strike("b1") == ()
    assert all("v2x-test" not in one["other_config"] for one in here.pool.records("network").values())


def test_disks_of_a_copy_removed_by_hand_are_found(place):
    here = place()
    made = here.rehearse()
    here.act("VM.destroy", here.act("VM.get_by_uuid", made.vm))
    (left,) = here.target.rehearsals()
    assert (left.vm, left.whole, len(left.disks)) == ("", False, 2)
    here.target.end_rehearsal(left)
    assert not here.target.rehearsals()
    assert len(here.target.find("tag").disks) == 2


def calls_of(monkeypatch, target):
    made = []
    call = target.client.call

    def counted(method, *params):
        made.append(method)
        return call(method, *params)

    monkeypatch.setattr(target.client, "call", counted)
    return made


class Cut(Exception):
    """The program is killed here."""


def test_killed_at_any_call_it_is_continued_or_removed(place, monkeypatch):
    """Whatever call is the last one, the next run ends up with one whole copy, and an end with none."""
    here = place({"disks": 1})
    seclusion = here.seclude()
    counted = calls_of(monkeypatch, here.target)
    here.target.end_rehearsal(here.rehearse(seclusion))
    count = len(counted)
    monkeypatch.undo()
    call = here.target.client.call
    claimed = here.content(here.claim.disks[0].id)
    for last in range(count):
        for after in (False, True):
            left = [last]

            def dying(method, *params, left=left, after=after):
                if left[0] == 0 and not after:
                    raise Cut
                if left[0] < 0:
                    raise Cut
                left[0] -= 1
                answer = call(method, *params)
                if left[0] < 0:
                    raise Cut
                return answer

            monkeypatch.setattr(here.target.client, "call", dying)
            try:
                made = here.rehearse(seclusion)
                here.target.end_rehearsal(made)
            except Cut:
                pass
            monkeypatch.setattr(here.target.client, "call", call)
            if last % 2:
                again = here.rehearse(seclusion)
                assert again.whole and len(here.vdis(here.vm(again.vm))) == 1
                assert [one.vm for one in here.target.rehearsals()] == [again.vm]
            for one in here.target.rehearsals():
                here.target.end_rehearsal(one)
            assert [kind for kind, _ in here.tagged()] == ["network"], (last, after)
            assert len(here.target.find("tag").disks) == 1
            assert here.content(here.claim.disks[0].id) == claimed


def test_who_ends_a_test_last_may_find_its_network_gone(place, monkeypatch):
    """Machines of one batch cut over at once: before any call, another of them may have taken the network back."""
    call_count = 0
    for last in range(20):
        here = place({"disks": 1})
        here.seclude()
        rival = opened(here.pool)
        made = []
        call = here.target.client.call

        def raced(method, *params, made=made, call=call, last=last, rival=rival):
            if len(made) == last:
                rival.strike("b1")
            made.append(method)
            return call(method, *params)

        monkeypatch.setattr(here.target.client, "call", raced)
        assert here.target.strike("b1") == ()
        rival.close()
        assert not [one for one in here.pool.records("network").values() if "v2x-test" in one["other_config"]]
        if len(made) <= last:
            break
        call_count = len(made)
    assert call_count > 2, "the race was run before calls of the removal itself"


def test_the_network_stays_for_the_copies_that_are_still_on_it(place):
    """Machines of one batch end their tests one by one: the first must not take the network from the others."""
    here = place({"disks": 1})
    made = here.rehearse()
    second = here.target.claim(replace(here.spec, source_id="db", name="db", nics=()), "other")
    nics = tuple(replace(nic, network=made_on(here, made), mac="00:50:56:01:02:04") for nic in here.spec.nics)
    seclusion = here.target.seclude(STAGE, [here.claim, second])
    late = here.target.rehearse(second, replace(here.spec, name="[test] db", nics=nics), seclusion, UNTIL, lambda: True)
    here.target.end_rehearsal(made)
    assert here.target.strike("b1") == ()
    assert made_on(here, late) == next(iter(seclusion.networks.values())), "it is the test's still"
    here.target.start_rehearsal(late, seclusion)
    here.target.end_rehearsal(late)
    assert here.target.strike("b1") == ()
    assert not here.tagged()
    assert not [one for one in here.pool.records("network").values() if one["name_label"].startswith("[test]")]


def made_on(here, rehearsal):
    """uuid of the network that a test copy is on, which has to be one of a test."""
    (vif,) = [here.pool.records("VIF")[one] for one in here.vm(rehearsal.vm)["VIFs"]]
    network = here.pool.records("network")[vif["network"]]
    assert network["other_config"]["v2x-test"] == "b1"
    return network["uuid"]
