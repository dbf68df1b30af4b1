# SPDX-License-Identifier: Apache-2.0
"""The inventory of the stand-in's odd estate, which has one of everything, and of VMware's own simulator."""

from collections import Counter

import pytest

from v2x.errors import UsageError
from v2x.model.codec import from_json, to_json
from v2x.model.inventory import INVENTORY_SCHEMA, Inventory, Together
from v2x.model.machine import (
    DiskBacking,
    DiskBus,
    DiskMode,
    Estate,
    Firmware,
    NicModel,
    PowerState,
    ToolsState,
    VlanRange,
)
from v2x.model.units import MIB
from v2x.simulators.vsphere import MIGRATION, READ_ONLY, Account, DiskSpec, MachineSpec, VsphereSimulator


@pytest.fixture(scope="module")
def estate(tmp_path_factory):
    with VsphereSimulator(tmp_path_factory.mktemp("estate")) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def listed(estate):
    """The inventory of the whole estate."""
    from v2x.model.address import parse_address
    from v2x.secrets import Secret
    from v2x.sources.vsphere.source import VsphereSource
    from v2x.tls import Trust

    address = parse_address(f"vsphere://{estate.user}@127.1:{estate.port}")
    trust = Trust(fingerprint=estate.fingerprint, option="source")
    with VsphereSource.open(address, password=Secret(estate.password), trust=trust) as source:
        return source.inventory()


@pytest.fixture
def machine(listed):
    def find(name, folder=""):
        (found,) = [one for one in listed.machines if one.name == name and folder in one.folder]
        return found

    return find


def test_every_machine_once_and_nothing_amiss(estate, listed):
    assert (
        len(listed.machines) == len({one.id for one in listed.machines}) == len({m.reference for m in listed.machines})
    )
    assert listed.source.kind == "vsphere" and listed.source.instance
    assert listed.source.account == estate.user and not listed.source.missing_privileges


def test_a_saved_inventory_is_the_same(listed):
    assert from_json(to_json(listed), Inventory, INVENTORY_SCHEMA) == listed


# what another importer gets wrong: xen-orchestra.md 1.6


def test_no_bus_and_no_unit_number_is_dropped(machine):
    places = [(disk.bus, disk.controller, disk.unit) for disk in machine("all-buses").disks]
    assert places == [
        (DiskBus.IDE, 0, 0), (DiskBus.IDE, 1, 1), (DiskBus.SCSI, 0, 0), (DiskBus.SCSI, 2, 3), (DiskBus.SCSI, 3, 14),
        (DiskBus.SATA, 0, 2), (DiskBus.SATA, 1, 29), (DiskBus.NVME, 0, 0), (DiskBus.NVME, 0, 7),
    ]  # fmt: skip
    assert [(d.controller, d.unit) for d in machine("db-primary").disks] == [(0, 0), (1, 0), (1, 5), (3, 15)]
    assert [disk.position for disk in machine("all-buses").disks] == list(range(9))


def test_a_static_mac_is_kept_and_known_as_one(machine):
    (card,) = machine("dc01").nics
    assert (card.mac, card.mac_is_static) == ("00:50:56:ab:cd:01", True)
    assert not machine("web01", "Front").nics[0].mac_is_static


def test_disks_stand_in_boot_order(stand_in):
    server = stand_in(estate="empty")
    spec = MachineSpec(
        name="late", disks=(DiskSpec(), DiskSpec(), DiskSpec(unit=9)), boot=("nic:0", "disk:2", "disk:1")
    )
    server.inside.add_vm(spec)
    with server.source() as source:
        (found,) = source.inventory().machines
    assert [disk.unit for disk in found.disks] == [9, 1, 0]
    assert found.boot_order == ("network", "disk")


def test_the_datacenter_of_a_datastore_is_its_whole_path(listed):
    paths = {one.datacenter for one in listed.datastores}
    assert paths == {"Europe/DC 1", "100% Other\\Sites/DC/2 100%"}


def test_the_state_of_the_tools_is_the_guests_own(listed):
    states = Counter(one.guest.tools for one in listed.machines)
    assert states[ToolsState.RUNNING] and states[ToolsState.INSTALLED] and states[ToolsState.MISSING]


# names


def test_names_are_those_that_people_see(listed, machine):
    assert machine("app/one 50%")
    assert machine("file%server").folder.startswith("100% Other\\Sites/DC/2 100%")
    assert "DMZ 20/30" in {one.name for one in listed.networks}
    assert "50% off/backup" in {one.name for one in listed.datastores}
    assert machine("Ünïcode – 機械").nics[0].network == "DMZ 20/30"


def test_names_that_repeat_are_told_apart(listed):
    twins = [one for one in listed.machines if one.name == "twin"]
    assert len(twins) == 3 == len({one.id for one in twins})
    assert len([one for one in listed.datastores if one.name == "vmfs6-ssd"]) == 2


def test_a_machine_is_not_a_proxy_for_a_namesake_elsewhere(machine):
    """Two datacenters have a datastore of one name, with a folder of one name on it."""
    for folder in ("Front", "Other"):
        assert machine("web01", folder).estate is None
        assert not any(disk.lent_by for disk in machine("web01", folder).disks)


def test_instance_uuids_that_repeat_give_way_to_morefs(stand_in):
    server = stand_in(estate="empty")
    for name in ("one", "two"):
        server.inside.add_vm(MachineSpec(name=name, instance_uuid="5037aaaa-0000-4000-8000-000000000001"))
    with server.source() as source:
        found = source.inventory()
        assert all(one.id == one.reference for one in found.machines)
        assert [one.code for one in found.problems if one.code != "TAGS"] == ["UUID-REPEATED"]
        (alone,) = source.inventory(lambda name: name == "two").machines
    assert alone.id == next(one.id for one in found.machines if one.name == "two"), "the same with --select"


# machines


def test_a_machine_as_a_whole(machine):
    web = machine("web01", "Front")
    assert (web.firmware, web.firmware_stated, web.power_state) == (Firmware.BIOS, True, PowerState.ON)
    assert (web.host, web.cluster, web.resource_pool) == ("esx01.example.test", "Cluster A/B", "Production")
    assert web.folder == "Europe/DC 1/Web/Front"
    assert web.guest.os_id and web.guest.hostname and web.guest.ip_addresses
    assert web.guest.addresses[0].mac == web.nics[0].mac
    assert web.change_tracking is True and web.disks[0].change_tracking
    assert web.attributes["vsphere.path"] == "[vmfs6-ssd] web01/web01.vmx"


def test_disks_of_every_kind(machine):
    assert [disk.mode for disk in machine("disk-modes").disks] == [
        DiskMode.PERSISTENT, DiskMode.INDEPENDENT_PERSISTENT, DiskMode.INDEPENDENT_NONPERSISTENT,
    ]  # fmt: skip
    assert [disk.backing for disk in machine("rdm-physical").disks] == [DiskBacking.FILE, DiskBacking.RAW_DEVICE]
    assert machine("rdm-virtual").disks[1].subformat == "virtual RDM"
    assert [disk.encrypted for disk in machine("encrypted-disk").disks] == [False, True]
    assert machine("filtered").disks[0].io_filters == ("VMW_spm_1.0.0", "zerto_drf")
    assert all(disk.shared for disk in machine("cluster-node-1").disks[1:])
    assert machine("huge").capacity_bytes > 2 << 40
    assert machine("odd-size").capacity_bytes % MIB
    assert machine("no-disk").disks == ()


def test_a_chain_is_listed_from_the_file_in_use_to_its_base(machine):
    (disk,) = machine("snapshots-of-others").disks
    assert [file.rpartition("/")[2] for file in disk.files] == [
        "snapshots-of-others-000002.vmdk", "snapshots-of-others-000001.vmdk", "snapshots-of-others.vmdk",
    ]  # fmt: skip


def test_snapshots_of_others_with_their_tree(machine):
    held = machine("snapshots-of-others")
    assert len(held.snapshots) > 1
    assert held.snapshots[1].parent == held.snapshots[0].id
    assert [one.current for one in held.snapshots].count(True) == 1
    assert held.locks and "backup" in held.locks[0]


def test_devices_that_do_not_move(machine):
    kinds = {name: {one.kind for one in machine(name).devices} for name in ("gpu", "vgpu", "dongle", "old-ports")}
    assert kinds == {
        "gpu": {"passthrough"},
        "vgpu": {"vgpu"},
        "dongle": {"usb", "usb_controller"},
        "old-ports": {"floppy", "serial"},
    }
    assert [card.model for card in machine("old-ports").nics] == [NicModel.PCNET32, NicModel.VMXNET2, NicModel.E1000]


def test_settings_of_single_machines(listed):
    found = {one.name: one for one in listed.machines}
    assert found["nested-hv"].cpu.nested_virtualization
    assert found["ft-primary"].fault_tolerance is True
    assert found["template-ubuntu"].is_template
    assert found["suspended"].power_state is PowerState.SUSPENDED
    assert found["lost-orphaned"].connection_state == "orphaned"
    assert any(one.vtpm and one.secure_boot and one.firmware is Firmware.UEFI for one in listed.machines)
    assert any(one.latency_sensitivity == "high" for one in listed.machines)
    assert any(one.cpu.affinity for one in listed.machines)
    assert any(one.cpu.hot_add and one.memory.hot_add for one in listed.machines)


def test_a_vapp_with_its_start_order(listed, machine):
    assert (machine("shop-db").group, machine("shop-db").start_order) == ("Shop", 1)
    assert machine("shop-front").start_order == 2
    (group,) = [one for one in listed.groups if one.kind is Together.VAPP]
    assert group.machines == (machine("shop-db").id, machine("shop-front").id)


# the estate's own


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("vCLS-00000001-0000-4000-8000-000000000001", Estate.CLUSTER_SERVICE),
        ("vcsa", Estate.APPLIANCE),
        ("nsxmanager-1", Estate.APPLIANCE),
        ("mail-placeholder", Estate.PLACEHOLDER),
        ("web01_replica", Estate.BACKUP_REPLICA),
        ("backup-proxy", Estate.BACKUP_PROXY),
    ],
)
def test_machines_that_are_nobodys_server(machine, name, kind):
    found = machine(name)
    assert found.estate is kind and found.estate_reason


def test_a_proxy_holds_the_disks_of_another(machine):
    proxy = machine("backup-proxy")
    assert [disk.lent_by for disk in proxy.disks] == ["", machine("web01", "Front").id]
    assert not any(disk.lent_by for disk in machine("web01", "Front").disks)


def test_a_proxy_is_seen_without_its_lender_in_the_selection(stand_in):
    server = stand_in()
    with server.source() as source:
        (proxy,) = source.inventory(lambda name: name == "backup-proxy").machines
    assert proxy.estate is Estate.BACKUP_PROXY and proxy.disks[1].lent_by


# around machines


def test_networks_of_every_kind(listed):
    found = {one.name: one for one in listed.networks if one.name not in {"VM Network", "LAN-10"}}
    assert found["Trunk"].vlan == 4095
    assert found["DPG-100"].vlan == 100 and found["DPG-100"].switch == "DVS-Prod"
    assert found["DPG-Trunk"].trunk == (VlanRange(first=100, last=199), VlanRange(first=300, last=310))
    assert found["DPG-PVLAN"].private_vlan == "isolated 200/201"
    assert (found["NSX-Seg-VDS"].kind, found["NSX-Seg-Opaque"].kind) == ("nsx", "opaque")
    assert found["Internal"].internal
    assert not any("Uplink" in one.name for one in listed.networks)


def test_one_name_with_two_vlans_says_on_which_hosts(listed):
    lans = {one.vlan: one.hosts for one in listed.networks if one.name == "LAN-10"}
    assert lans == {
        10: ("esx01.example.test", "esx02.example.test", "esx03.example.test"), 11: ("esx09.example.test",)
    }  # fmt: skip


def test_hosts_clusters_and_datastores(listed):
    hosts = {one.name: one for one in listed.hosts}
    assert hosts["esx04.example.test"].in_maintenance
    assert hosts["esx-down.example.test"].connection_state == "notResponding"
    assert hosts["esx01.example.test"].cluster == "Cluster A/B" and hosts["esx01.example.test"].cores == 16
    (cluster,) = listed.clusters
    assert (cluster.drs, cluster.dpm, cluster.ha) == ("fullyAutomated", True, True)
    lost = next(one for one in listed.datastores if one.name == "lost-lun")
    assert lost.accessible is False and lost.hosts == ("esx-down.example.test",)


def test_rules_that_tie_machines_together(listed, machine):
    groups = {one.name: one for one in listed.groups}
    assert groups["web apart"].kind is Together.ANTI_AFFINITY
    assert groups["database together"].mandatory
    assert groups["licence"].hosts == ("esx01.example.test", "esx02.example.test")
    shared = [one for one in listed.groups if one.kind is Together.SHARED_DISK]
    assert [one.machines for one in shared] == [(machine("cluster-node-1").id, machine("cluster-node-2").id)]


# how it is listed


def test_only_one_datacenter(stand_in):
    server = stand_in()
    with server.source("DC 1") as source:
        assert {one.folder.split("/")[0] for one in source.inventory().machines} == {"Europe"}
    with server.source("Europe/DC 1") as source:
        assert source.inventory().machines
    with server.source("DC%2F2%20100%25") as source:
        assert {one.name for one in source.inventory().machines} == {"web01", "twin", "file%server"}
    with server.source("nowhere") as source, pytest.raises(UsageError) as caught:
        source.inventory()
    assert "Europe/DC 1" in caught.value.hint


def test_a_selection_by_name_id_and_moref(stand_in):
    server = stand_in()
    with server.source() as source:
        everything = source.inventory()
        one = everything.machines[3]
        for wanted in (one.name, one.id, one.reference):
            (found,) = source.inventory(lambda name, wanted=wanted: name == wanted).machines
            assert found == one, wanted
        assert source.inventory(lambda name: False).machines == ()


def test_pages_of_any_size_give_the_same(stand_in):
    server = stand_in()
    with server.source() as source:
        whole = source.inventory().machines
        server.inside.settings.page_objects = 3
        assert source.inventory().machines == whole


def test_a_session_that_ends_on_the_way_loses_nothing(stand_in):
    server = stand_in(page_objects=7)
    with server.source() as source:
        whole = source.inventory().machines
        server.inside.faults.arm("lose_session", target="ContinueRetrievePropertiesEx", after=12)
        assert source.inventory().machines == whole
        assert source.session.logins == 2


def test_what_the_account_may_not_see_is_a_gap_and_no_failure(stand_in):
    server = stand_in()
    server.inside.faults.arm("missing", target="config.hardware.device", times=1)
    with server.source() as source:
        found = source.inventory()
    assert "UNREADABLE" in {one.code for one in found.problems}


def test_a_property_that_an_old_server_does_not_know(stand_in):
    server = stand_in(profile="vcenter-6.7")
    with server.source() as source:
        found = source.inventory()
    assert found.machines and found.source.version.startswith("6.7")


def test_missing_privileges_are_named_once_for_all(stand_in):
    accounts = [Account("reader@vsphere.local", "pw", READ_ONLY), Account("mover@vsphere.local", "pw", MIGRATION)]
    server = stand_in(accounts=accounts)
    server.password = "pw"
    server.user = "reader@vsphere.local"
    with server.source() as source:
        missing = source.inventory().source.missing_privileges
    assert "VirtualMachine.State.CreateSnapshot" in missing and "System.Read" not in missing
    server.user = "mover@vsphere.local"
    with server.source() as source:
        assert source.inventory().source.missing_privileges == ()


def test_a_lone_host(stand_in):
    with stand_in(profile="esxi").source() as source:
        found = source.inventory()
    assert found.source.instance == "" and len(found.hosts) == 1
    assert found.hosts[0].licence and found.hosts[0].read_only_licence is False
    assert {one.host for one in found.machines} == {found.hosts[0].name}


def test_a_free_licence_is_seen_before_it_hurts(stand_in):
    with stand_in(profile="esxi-free").source() as source:
        found = source.inventory()
    assert found.hosts[0].read_only_licence is True
    assert "READ-ONLY-LICENCE" in {one.code for one in found.problems}


def test_progress_counts_every_machine_and_ends(stand_in):
    told = []
    with stand_in().source(progress=told.append) as source:
        found = source.inventory()
    assert sum(told) == len(found.machines) and told[-1] == 0


def test_vmwares_own_simulator_lists_the_same_way(tmp_path, vcsim):
    from v2x.model.address import parse_address
    from v2x.secrets import Secret
    from v2x.sources.vsphere.source import VsphereSource
    from v2x.tls import Trust

    with vcsim.running(tmp_path / "sim", folders=1, apps=1) as running:
        trust = Trust(fingerprint=running.fingerprint, option="source")
        secret = Secret(vcsim.PASSWORD)
        with VsphereSource.open(parse_address(running.address), password=secret, trust=trust) as source:
            found = source.inventory()
            (alone,) = source.inventory(lambda name: name == "DC0_H0_VM1").machines
        service = running.client()
        import pyVmomi

        theirs = {values["name"] for _, values in vcsim.values(service, pyVmomi.vim.VirtualMachine, "name")}
    assert {one.name for one in found.machines} == theirs
    assert alone in found.machines and found.problems == ()
    assert {one.datacenter for one in found.datastores} == {"F0/DC0"}
    assert {one.kind for one in found.networks} == {"standard", "distributed", "nsx", "opaque"}
    assert all(one.disks[0].capacity_bytes == MIB and one.disks[0].bus is DiskBus.SCSI for one in found.machines)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    with VsphereSimulator(
        tmp_path_factory.mktemp("crowd"), estate="empty", machines=600, password="secret"
    ) as simulator:
        yield simulator


def test_round_trips_grow_with_pages_not_with_machines(crowd, monkeypatch):
    """Four for 1,000 machines, and a handful for everything else together."""
    from v2x.model.address import parse_address
    from v2x.secrets import Secret
    from v2x.sources.vsphere import pages
    from v2x.sources.vsphere.source import VsphereSource
    from v2x.tls import Trust

    pages_read = []
    exchanged = pages._exchanged
    monkeypatch.setattr(pages, "_exchanged", lambda *given: (pages_read.append(1), exchanged(*given))[1])
    address = parse_address(f"vsphere://{crowd.user}@127.1:{crowd.port}")
    trust = Trust(fingerprint=crowd.fingerprint, option="source")
    with VsphereSource.open(address, password=Secret("secret"), trust=trust) as source:
        before = next(iter(crowd.state.sessions._sessions.values())).calls
        assert len(source.inventory().machines) == 600
        calls = next(iter(crowd.state.sessions._sessions.values())).calls - before
    assert len(pages_read) == 1 + 3
    assert calls < 20
