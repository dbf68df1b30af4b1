# SPDX-License-Identifier: Apache-2.0
"""Which network of the pool an adapter goes to: what is certain, what is asked, and what is never guessed."""

import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from v2x.errors import PlanError
from v2x.mapping.build import build_machine
from v2x.mapping.networks import (
    NetworkChoice,
    NewNetwork,
    Places,
    Unresolved,
    candidates,
    find_uplink,
    network_to_make,
    open_questions,
    resolve_network,
    trunk_ids,
    with_uplink,
)
from v2x.model.inventory import SourceNetwork
from v2x.model.machine import VlanRange
from v2x.model.placement import NetworkRule, Rules, StorageRule, UplinkRule
from v2x.model.target import ImageFormat, TargetNetwork
from v2x.model.units import TIB

ON_BOTH = {"h1": "eth0", "h2": "eth0"}
BONDED = {"h1": "bond0", "h2": "bond0"}
MANAGEMENT = TargetNetwork(
    uuid="raw-eth0", name="Management", bridge="xenbr0", devices=ON_BOTH, carrier="raw-eth0", is_management=True
)
BOND = TargetNetwork(uuid="raw-bond", name="Bond", bridge="xapi9", devices=BONDED, carrier="raw-bond", is_bond=True)
MEMBER = TargetNetwork(uuid="raw-eth2", name="VM Network", devices={"h1": "eth2"}, carrier="raw-eth2", in_bond=True)
VLAN_20 = TargetNetwork(uuid="eth0-20", name="DMZ", vlan=20, devices=ON_BOTH, carrier="raw-eth0")
BOND_20 = TargetNetwork(uuid="bond-20", name="Backup", vlan=20, devices=BONDED, carrier="raw-bond")
INTERNAL = TargetNetwork(uuid="inner", name="Inner")
TWO_UPLINKS = (MANAGEMENT, BOND, MEMBER, VLAN_20, BOND_20, INTERNAL)
ONE_UPLINK = (MANAGEMENT, VLAN_20, INTERNAL)


@pytest.fixture
def ask(facts, make_machine, make_nic):
    """Resolves one adapter on `network`; the answer is a uuid, or candidates' uuids as a list."""

    def resolve(name="Prod", networks=TWO_UPLINKS, source=(), rules=None, host="", **nic):
        machine = make_machine(host=host)
        pool = replace(facts, networks=networks)
        found = resolve_network(make_nic(0, network=name, **nic), machine, pool, Places(rules, source))
        if isinstance(found, NetworkChoice):
            return found.network.uuid, found.reason
        return [one.uuid for one in found.candidates], found.why

    return resolve


def on(switch="vSwitch0", vlan=None, name="Prod", **more):
    return SourceNetwork(name=name, switch=switch, vlan=vlan, uplinks=("vmnic0",), **more)


def test_a_vlan_id_alone_is_no_answer_where_two_uplinks_could_carry_it(ask):
    uuids, why = ask(source=[on(vlan=20)])
    assert uuids == ["eth0-20", "bond-20"]
    assert "VLAN 20 could be on any of eth0, bond0" in why


def test_switch_and_vlan_together_are_an_answer(ask):
    for device, uuid in (("eth0", "eth0-20"), ("bond0", "bond-20"), ("xapi9", "bond-20"), ("Bond", "bond-20")):
        rules = Rules(uplinks=(UplinkRule(source="vSwitch*", target=device),))
        assert ask(source=[on(vlan=20)], rules=rules)[0] == uuid
        untagged = ask(source=[on(vlan=0)], rules=rules)
        assert untagged[0] == ("raw-eth0" if uuid == "eth0-20" else "raw-bond")


def test_a_vlan_that_the_uplink_lacks_is_not_taken_from_another(ask):
    rules = Rules(uplinks=(UplinkRule(source="vSwitch0", target="bond0"),))
    uuids, why = ask(source=[on(vlan=30)], networks=(*TWO_UPLINKS, replace(VLAN_20, uuid="e30", vlan=30)), rules=rules)
    assert uuids == ["e30"]
    assert why == "VLAN 30 is not on bond0"


def test_the_only_uplink_carries_the_only_switch(ask):
    assert ask(source=[on(vlan=20)], networks=ONE_UPLINK) == ("eth0-20", "VLAN 20 on eth0")
    assert ask(source=[on(vlan=0)], networks=ONE_UPLINK) == ("raw-eth0", "untagged on eth0")
    assert ask(vlan=20, networks=ONE_UPLINK)[0] == "eth0-20"


def test_with_two_switches_at_the_source_even_one_uplink_is_a_guess(ask):
    source = [on(vlan=20), on(switch="vSwitch1", vlan=20, name="Other")]
    uuids, why = ask(source=source, networks=ONE_UPLINK)
    assert uuids == ["eth0-20"]
    assert why == "the pool has none of this name, and the source has several switches that eth0 could be"
    rules = Rules(uplinks=(UplinkRule(source="vSwitch0", target="eth0"),))
    assert ask(source=source, networks=ONE_UPLINK, rules=rules)[0] == "eth0-20"
    assert ask("Other", source=source, networks=ONE_UPLINK, rules=rules)[0] == ["eth0-20"]


@pytest.mark.parametrize(
    ("name", "source", "uuid", "reason"),
    [
        ("DMZ", (), "eth0-20", "same name"),
        ("DMZ", [on(vlan=20, name="DMZ")], "eth0-20", "same name, VLAN 20"),
        ("Management", [on(vlan=0, name="Management")], "raw-eth0", "same name, untagged"),
        ("Inner", [SourceNetwork(name="Inner", switch="vSwitch9", internal=True)], "inner", "same name"),
    ],
)
def test_the_same_name_is_taken_unless_something_contradicts(ask, name, source, uuid, reason):
    assert ask(name, source=source) == (uuid, reason)


@pytest.mark.parametrize(
    ("name", "source", "says"),
    [
        ("DMZ", [on(vlan=30, name="DMZ")], r"VLAN 20 there, VLAN 30 at the source"),
        ("DMZ", [on(vlan=0, name="DMZ")], r"VLAN 20 there, untagged at the source"),
        ("DMZ", [on(name="DMZ", trunk=(VlanRange(first=1, last=9),))], "a trunk at the source"),
        ("Management", [on(vlan=20, name="Management")], "untagged there, VLAN 20"),
        ("VM Network", (), "differs"),
        ("Inner", [on(name="Inner")], "differs"),
        ("DMZ", [SourceNetwork(name="DMZ", switch="s", internal=True)], "differs"),
        ("dmz", (), "the pool has no network of this name"),
        ("Prod VLAN 20", (), "the pool has no network of this name"),
        ("", (), "does not say which network"),
    ],
)
def test_what_contradicts_or_only_resembles_is_asked(ask, name, source, says):
    uuids, why = ask(name, source=source)
    assert isinstance(uuids, list)
    assert says in why


def test_two_networks_of_one_name_are_asked(ask):
    uuids, why = ask("DMZ", networks=(*TWO_UPLINKS, replace(VLAN_20, uuid="again")))
    assert uuids == ["eth0-20", "again"]
    assert why == "the pool has 2 networks of this name"


def test_a_member_of_a_bond_is_never_offered(ask):
    assert "raw-eth2" not in ask("nothing like it")[0]
    assert "raw-eth2" not in ask("VM Network")[0]


def test_a_resembling_name_comes_first_but_is_not_taken(ask):
    assert ask("Managements")[0] == ["raw-eth0"]


def test_port_groups_of_one_name_on_two_hosts_are_told_apart_by_the_machines_host(ask):
    source = [on(vlan=20, hosts=("esx1",)), on(vlan=0, hosts=("esx2",))]
    rules = Rules(uplinks=(UplinkRule(source="vSwitch0", target="eth0"),))
    assert ask(source=source, rules=rules, host="esx1")[0] == "eth0-20"
    assert ask(source=source, rules=rules, host="esx2")[0] == "raw-eth0"
    assert ask(source=source, rules=rules)[1] == "the source has 2 networks of this name"


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (NetworkRule(source="Prod", target="Backup"), True),
        (NetworkRule(source="P*", switch="vSwitch?", vlan=20, target="Backup"), True),
        (NetworkRule(switch="vSwitch0", target="bond-20"), True),
        (NetworkRule(vlan=20, target="Backup"), True),
        (NetworkRule(source="prod", target="Backup"), False),
        (NetworkRule(source="Prod", vlan=30, target="Backup"), False),
        (NetworkRule(source="Prod", switch="vSwitch1", target="Backup"), False),
    ],
)
def test_every_part_of_a_rule_must_fit(ask, rule, fits):
    found = ask(source=[on(vlan=20)], rules=Rules(networks=(rule,)))
    assert (found == ("bond-20", "by rule")) is fits


def test_the_first_rule_that_fits_wins_and_goes_before_the_name(ask):
    rules = Rules(networks=(NetworkRule(source="DMZ", target="Inner"), NetworkRule(source="*", target="Backup")))
    assert ask("DMZ", rules=rules)[0] == "inner"
    assert ask("Management", rules=rules)[0] == "bond-20"


def test_a_rule_that_names_what_the_pool_lacks_is_an_error(ask):
    with pytest.raises(PlanError, match="no network is named 'Gone'"):
        ask(rules=Rules(networks=(NetworkRule(source="*", target="Gone"),)))
    with pytest.raises(PlanError, match="no interface 'eth9'") as caught:
        ask(rules=Rules(uplinks=(UplinkRule(source="*", target="eth9"),)))
    assert caught.value.hint == "valid: eth0, bond0"


def test_a_device_that_is_wired_unlike_on_two_hosts_needs_its_network(facts):
    unlike = (
        replace(MANAGEMENT, devices={"h1": "eth0", "h2": "eth1"}),
        replace(BOND, devices={"h1": "eth1", "h2": "eth0"}),
    )
    pool = replace(facts, networks=unlike)
    with pytest.raises(PlanError, match="belongs to 2 networks"):
        find_uplink("eth0", pool)
    assert find_uplink("raw-bond", pool).device_names == "eth0, eth1"


def test_a_trunk_goes_to_the_untagged_network(ask):
    rules = Rules(uplinks=(UplinkRule(source="vSwitch0", target="bond0"),))
    for source in (on(vlan=4095), on(trunk=(VlanRange(first=10, last=20),))):
        uuid, reason = ask(source=[source], rules=rules)
        assert uuid == "raw-bond"
        assert reason == "trunk: the untagged network of bond0, where all VLANs pass"


def test_an_adapters_own_vlan_goes_before_its_networks_trunk(ask):
    rules = Rules(uplinks=(UplinkRule(source="vSwitch0", target="eth0"),))
    trunk = on(trunk=(VlanRange(first=1, last=4094),))
    assert ask(source=[trunk], rules=rules, vlan=20)[0] == "eth0-20"
    assert ask(source=[on(vlan=20)], rules=rules, trunk=(VlanRange(first=5, last=6),))[0] == "raw-eth0"


@pytest.fixture
def trunked(facts, tables, make_machine, make_nic, make_row):
    def make(*ranges, trunks=True, row=None):
        pool = replace(facts, networks=TWO_UPLINKS, vif_trunks=trunks)
        nic = make_nic(0, network="Prod", trunk=tuple(VlanRange(first=first, last=last) for first, last in ranges))
        rules = Rules(uplinks=(UplinkRule(source="*", target="eth0"),))
        machine = make_machine(nics=(nic,))
        return build_machine(machine, row or make_row(), pool, tables, places=Places(rules))

    return make


def test_trunks_are_set_where_the_pool_has_them_and_told_where_not(trunked, make_row):
    made = trunked((10, 12), (20, 20))
    assert (made.nics[0].network, made.nics[0].trunks) == ("raw-eth0", (10, 11, 12, 20))
    assert "Adapter 0: a trunk on the source → the same 4 VLANs." in made.notes
    old = trunked((10, 12), trunks=False)
    assert old.nics[0].trunks == ()
    assert any("all VLANs of 'Management' reach the guest" in note for note in old.notes)
    everything = trunked((0, 4094))
    assert everything.nics[0].trunks == ()
    one = trunked((10, 12), row=make_row(networks={"0": "DMZ"}))
    assert one.nics[0].trunks == ()
    assert "Adapter 0: a trunk on the source → VLAN 20 only." in one.notes


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 5000), st.integers(-5, 5000)), max_size=4))
def test_trunk_ids_are_those_of_the_ranges(pairs):
    ranges = [VlanRange(first=first, last=last) for first, last in pairs]
    wanted = {vlan for vlan in range(4095) if any(first <= vlan <= last for first, last in pairs)}
    found = trunk_ids(ranges)
    assert set(found) == (set() if wanted >= set(range(1, 4095)) else wanted)
    assert list(found) == sorted(found)


def test_every_open_adapter_is_named_at_once_with_its_option(facts, tables, make_machine, make_nic, make_row):
    nics = make_nic(0, network="Prod"), make_nic(1, network="DMZ"), make_nic(2, network=""), make_nic(3, network="Prod")
    pool = replace(facts, networks=TWO_UPLINKS)
    machine = make_machine(nics=nics)
    with pytest.raises(PlanError) as caught:
        build_machine(machine, make_row(), pool, tables)
    assert caught.value.code == "NETWORK-UNRESOLVED"
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.message
    assert "'Prod': the pool has no network of this name (it could be Management, Bond, DMZ, Backup, Inner)" in str(
        caught.value
    )
    assert caught.value.hint == "give --network 'Prod=…' --network '2=…', or fill the networks column of the plan"
    asked = open_questions(machine, make_row(networks={"0": "DMZ", "*": "LAN"}), facts, Places())
    assert asked == []


def test_many_candidates_are_bounded_and_twins_are_uuids(facts):
    many = tuple(TargetNetwork(uuid=f"u{number}", name=f"net{number // 2}") for number in range(50))
    shown = candidates(Unresolved("", many), replace(facts, networks=many))
    assert shown.startswith("u0, u1, u2")
    assert shown.endswith("u19, and 30 more")


@pytest.fixture
def make_new(facts, make_machine, make_nic, make_row):
    def new(source=(), rules=None, networks=TWO_UPLINKS, row=None, name="Prod", **nic):
        pool = replace(facts, networks=networks)
        adapter = make_nic(0, network=name, **nic)
        return network_to_make(adapter, make_machine(), row or make_row(), pool, Places(rules, source))

    return new


BY_BOND = Rules(uplinks=(UplinkRule(source="*", target="bond0"),))


def test_a_missing_vlan_is_to_be_made_over_its_uplink(make_new, make_row):
    assert make_new([on(vlan=30)], BY_BOND) == NewNetwork("Prod", 30, "raw-bond", "bond0")
    assert make_new([on(vlan=30)], BY_BOND, row=make_row(networks={"*": "New"})).name == "New"
    assert make_new([on(vlan=30, name="DMZ")], BY_BOND, name="DMZ").name == "DMZ (VLAN 30)"
    internal = SourceNetwork(name="Prod", switch="vSwitch9", internal=True)
    assert make_new([internal], BY_BOND) == NewNetwork("Prod")


def test_what_the_pool_has_is_not_made(make_new, make_row):
    assert make_new([on(vlan=20)], BY_BOND) is None
    assert make_new(name="DMZ") is None
    assert make_new([on(vlan=30)], BY_BOND, row=make_row(networks={"0": "DMZ"})) is None


@pytest.mark.parametrize(
    ("source", "rules", "says", "hint"),
    [
        ([on(vlan=30)], None, "The pool has eth0, bond0", "--uplink DEVICE"),
        ([on()], BY_BOND, "has a VLAN unknown to v2x", "--vlan 'Prod=ID'"),
        ((), BY_BOND, "has a VLAN unknown to v2x", "--vlan 'Prod=ID'"),
    ],
)
def test_nothing_is_made_by_a_guess(make_new, source, rules, says, hint):
    with pytest.raises(PlanError) as caught:
        make_new(source, rules)
    assert says in caught.value.message
    assert hint in caught.value.hint


def test_a_vlan_that_is_there_under_another_name_is_named(make_new, make_row):
    with pytest.raises(PlanError, match="VLAN 20 on bond0 is already the pool's network 'Backup'"):
        make_new([on(vlan=20)], BY_BOND, row=make_row(networks={"0": "New"}))


def test_an_internal_network_is_not_joined_to_a_namesake(make_new):
    with pytest.raises(PlanError, match="is internal, the pool's is not"):
        make_new([SourceNetwork(name="DMZ", switch="s", internal=True)], name="DMZ")


def test_the_pools_only_uplink_serves_unless_one_is_given(facts):
    one, two = replace(facts, networks=ONE_UPLINK), replace(facts, networks=TWO_UPLINKS)
    assert with_uplink(Rules(), "", one).uplinks == (UplinkRule(source="*", target="raw-eth0"),)
    assert with_uplink(Rules(), "", two) == Rules()
    given_first = Rules(uplinks=(UplinkRule(source="vSwitch0", target="eth0"),))
    assert with_uplink(given_first, "bond0", two).uplinks[0].target == "eth0"
    with pytest.raises(PlanError, match="no interface 'eth7'"):
        with_uplink(Rules(), "eth7", two)


def test_disks_go_by_rule_where_the_plan_is_silent(facts, tables, make_machine, make_disk, make_nic, make_row):
    rules = Rules(storage=(StorageRule(datastore="ssd*", target="SAN"),))
    disks = make_disk(0, datastore="ssd1"), make_disk(1, datastore="hdd"), make_disk(2, datastore="ssd2")
    machine = make_machine(disks=disks)
    made = build_machine(machine, make_row(), facts, tables, places=Places(rules))
    assert [disk.sr for disk in made.disks] == ["sr-lvm", "sr-nfs", "sr-lvm"]
    row = make_row(storage={"scsi0:0": "sr-local1"})
    made = build_machine(machine, row, facts, tables, places=Places(rules))
    assert [disk.sr for disk in made.disks] == ["sr-local1", "sr-nfs", "sr-lvm"]


def test_a_disk_above_the_limit_of_vhd_is_qcow2_or_refused_where_the_rule_sends_it(
    facts, tables, make_machine, make_disk, make_row
):
    disk = make_disk(0, datastore="big", capacity_bytes=2 * TIB, allocated_bytes=1)
    machine = make_machine(disks=(disk,))

    def made(target):
        rules = Rules(storage=(StorageRule(datastore="big", target=target),))
        return build_machine(machine, make_row(), facts, tables, places=Places(rules)).disks[0].image_format

    assert made("NFS") is ImageFormat.QCOW2
    with pytest.raises(Exception, match="does not fit on SR 'SAN', which has no QCOW2") as caught:
        made("SAN")
    assert caught.value.code == "UNSUPPORTED"


def test_ten_thousand_machines_are_resolved_in_a_moment(facts, make_machine, make_nic):
    pool = replace(
        facts,
        networks=tuple(replace(VLAN_20, uuid=f"u{tag}", name=f"Segment {tag}", vlan=tag) for tag in range(1, 801)),
    )
    places = Places(None, [on(name=f"Segment-{tag}", vlan=tag) for tag in range(200)])
    machine = make_machine()
    begun = time.process_time()
    for number in range(10_000):
        resolve_network(make_nic(0, network=f"Segment-{number % 200}"), machine, pool, places)
    assert time.process_time() - begun < 10


def test_another_pool_is_asked_anew(facts, make_machine, make_nic):
    places, machine, nic = Places(), make_machine(), make_nic(0, network="DMZ")
    first = resolve_network(nic, machine, replace(facts, networks=(VLAN_20,)), places)
    second = resolve_network(nic, machine, replace(facts, networks=(replace(VLAN_20, uuid="other"),)), places)
    assert (first.network.uuid, second.network.uuid) == ("eth0-20", "other")
