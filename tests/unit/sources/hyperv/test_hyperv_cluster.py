# SPDX-License-Identifier: Apache-2.0
"""Several hosts and the nodes of a cluster: one session each, machines by id, the owner found."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.hyperv_estates import ID, changed, document, estate, inventory, virtual_machine
from v2x.errors import ConnectError, SourceError
from v2x.model.address import parse_address
from v2x.model.inventory import Inventory
from v2x.model.machine import Machine
from v2x.secrets import Secret
from v2x.simulators.hyperv.described import Checkpoint, Estate, Switch
from v2x.simulators.hyperv.service import HyperV
from v2x.sources.hyperv.opening import open_hyperv
from v2x.sources.hyperv.source import HyperVSource


def cluster(*names: str, **changes: Any) -> Estate:
    """Machines with a role, on the nodes in turn."""
    machines = [
        virtual_machine(
            id=f"{ID[:-1]}{number}", name=name, host=f"HV{number % 2 + 1:02}", role_priority=2000, disks=[], **changes
        )
        for number, name in enumerate(names)
    ]
    made = estate(*machines, hosts=2)
    made.cluster = "HVC"
    return made


@contextmanager
def served(tmp_path: Path, made: Estate) -> Iterator[HyperV]:
    with HyperV(tmp_path / "c", smb=False, estate=made) as running:
        yield running


def opened(running: HyperV, **options: Any) -> HyperVSource:
    source = open_hyperv(parse_address(running.address), Secret(running.password), fingerprint=running.fingerprint)
    for name, value in options.items():
        setattr(source, name, value)
    return source


def only(found: Inventory, name: str) -> Machine:
    return next(one for one in found.machines if one.name == name)


def test_nodes_make_one_inventory(tmp_path: Path) -> None:
    with served(tmp_path, cluster("a", "b", "c")) as running:
        found = opened(running).inventory()
        assert sorted((one.name, one.host, one.cluster) for one in found.machines) == [
            ("a", "HV01", "HVC"),
            ("b", "HV02", "HVC"),
            ("c", "HV01", "HVC"),
        ]
        assert [one.name for one in found.hosts] == ["HV01", "HV02"]
        assert [(one.name, one.kind) for one in found.clusters] == [("HVC", "failover")]
        assert found.problems == ()
        assert all(one.cluster_role and one.attributes["cluster.priority"] == "2000" for one in found.machines)
        assert [one.name for one in found.datastores if one.shared] == ["C:\\ClusterStorage\\Volume1"]
        # A session each, and none of them asked about another host.
        assert sorted(one.host for one in running.ledger.of("script")) == ["HV01", "HV02"]


def test_switches_alike_are_one_network_and_others_stay_apart(tmp_path: Path) -> None:
    made = cluster("a", "b")
    made.hosts[1].switches[0].uplinks = ["NIC 1"]
    made.hosts[0].switches.append(Switch(id="x", name="DMZ", type="External"))
    made.hosts[1].switches.append(Switch(id="y", name="DMZ", type="Private"))
    with served(tmp_path, made) as running:
        networks = opened(running).inventory().networks
    assert sorted((one.name, one.kind, one.hosts) for one in networks) == [
        ("DMZ", "external", ("HV01",)),
        ("DMZ", "private", ("HV02",)),
        ("LAN", "external", ("HV01", "HV02")),
    ]


def test_a_machine_that_two_hosts_list_is_its_owners(tmp_path: Path) -> None:
    """While a machine moves, both know it for a moment."""
    made = cluster("a", "b")
    first, second = (document(made, tmp_path, host) for host in range(2))

    def twice(content: dict[str, Any]) -> None:
        import json

        content["vms"] += json.loads(second)["vms"]
        content["vms"][-1] |= {"host": "HV01", "notes": "shadow"}

    for texts in ((changed(first, twice), second), (second, changed(first, twice))):
        found = inventory(*texts)
        assert len(found.machines) == 2
        assert (only(found, "b").host, only(found, "b").notes) == ("HV02", "")


def test_a_machine_and_its_replica_are_one_and_the_primary_counts(tmp_path: Path) -> None:
    both = [virtual_machine(disks=[], notes="primary"), virtual_machine(disks=[], notes="shadow", host="HV02")]
    both[0].replication = {"state": "Replicating", "mode": "Primary", "replica": "hv2"}
    both[1].replication = {"state": "Replicating", "mode": "Replica", "primary": "hv1"}
    first, second = (document(estate(*both, hosts=2), tmp_path, host) for host in range(2))
    for texts in ((first, second), (second, first)):
        (found,) = inventory(*texts).machines
        assert (found.notes, found.host, found.estate) == ("primary", "HV01", None)


def test_a_node_that_does_not_answer_is_a_problem_and_no_more(tmp_path: Path) -> None:
    with served(tmp_path, cluster("a", "b")) as running:
        running.nodes[1].https.close()
        found = opened(running).inventory()
        assert [one.name for one in found.machines] == ["a"]
        assert [(one.subject, one.code) for one in found.problems] == [("127.0.0.2", "CONNECT"), ("HV02", "NOT-READ")]


def test_a_first_host_that_does_not_answer_costs_no_other(tmp_path: Path) -> None:
    with served(tmp_path, cluster("a", "b")) as running:
        running.nodes[0].https.close()
        assert [one.name for one in opened(running).inventory().machines] == ["b"]
        running.nodes[1].https.close()
        with pytest.raises(ConnectError):
            opened(running).inventory()


def test_a_node_that_was_not_named_is_told(tmp_path: Path) -> None:
    with served(tmp_path, cluster("a", "b")) as running:
        node = running.nodes[0]
        address = parse_address(f"hyperv://hvadmin@{node.address}:{node.https.port}")
        pin = running.fingerprint.split(",")[0]
        found = open_hyperv(address, Secret(running.password), fingerprint=pin).inventory()
        (problem,) = found.problems
    assert (problem.subject, "owns 1 of its machines" in problem.text) == ("HV02", True)


def test_a_machine_that_moved_since_is_found_on_its_new_node(tmp_path: Path) -> None:
    with served(tmp_path, cluster("a", "b")) as running:
        source = opened(running)
        machine = only(source.inventory(), "a")
        running.estate.machines[0].host = "HV02"
        assert source.state(machine) == "off"
        access, _ = source._hosts.one(machine)
        assert access.host == "127.0.0.2"


def test_a_machine_that_is_gone_is_told(tmp_path: Path) -> None:
    with served(tmp_path, cluster("a", "b")) as running:
        source = opened(running)
        machine = only(source.inventory(), "a")
        del running.estate.machines[0]
        with pytest.raises(SourceError) as gone:
            source._hosts.one(machine)
        assert gone.value.code == "SOURCE-CHANGED"


def test_another_process_finds_a_machine_without_listing(tmp_path: Path) -> None:
    with served(tmp_path, cluster("a", "b")) as running:
        machine = only(opened(running).inventory(), "b")
        assert opened(running).state(machine) == "off"


class TestPower:
    def test_a_role_is_shut_down_taken_offline_and_given_back(self, tmp_path: Path) -> None:
        with served(tmp_path, cluster("a", state="Running", role_state="Online")) as running:
            source = opened(running)
            (machine,) = source.inventory().machines
            source.shutdown(machine, 60)
            vm = running.estate.machines[0]
            assert (vm.state, vm.role_state, vm.role_priority) == ("Off", "Offline", 2000)
            # Another process starts it again: everything that it needs to know is on the host.
            opened(running).power_on(machine)
            assert (vm.state, vm.role_state) == ("Running", "Online")
            assert source.notes(machine) == (
                "changed at the source: power, Running → Off",
                "changed at the source: cluster role, Online → Offline",
            )
            assert source.notes(machine) == ()
            effects = [(one.kind, one.before, one.after) for one in running.ledger.entries if one.after]
            assert [one for one in effects if one[0] != "script"] == [
                ("state", "Running", "Off"),
                ("role", "Online", "Offline"),
                ("state", "Off", "Running"),
            ]

    def test_staying_off_tells_how_to_put_it_back(self, tmp_path: Path) -> None:
        with served(tmp_path, cluster("a's")) as running:
            source = opened(running)
            (machine,) = source.inventory().machines
            source.stay_off(machine)
            source.stay_off(machine)
            vm = running.estate.machines[0]
            assert (vm.start_action, vm.role_priority) == ("Nothing", 0)
            action, priority = source.notes(machine)
            assert f"Get-VM -Id {machine.id} | Set-VM -AutomaticStartAction StartIfRunning" in action
            assert "(Get-ClusterGroup -Name 'a''s').Priority = 2000" in priority

    def test_what_kept_it_off_is_given_back(self, tmp_path: Path) -> None:
        with served(tmp_path, cluster("a")) as running:
            source = opened(running)
            (machine,) = source.inventory().machines
            old = source.was(machine)
            assert old == {"start action": "StartIfRunning", "priority of its cluster role": "2000"}
            source.stay_off(machine)
            # Another process takes it back; only what is not so already is set.
            again = opened(running)
            again.give_back(machine, old)
            again.give_back(machine, old)
            vm = running.estate.machines[0]
            assert (vm.start_action, vm.role_priority) == ("StartIfRunning", 2000)
            assert again.notes(machine) == (
                "changed at the source: start action, Nothing → StartIfRunning",
                "changed at the source: priority of its cluster role, 0 → 2000",
            )

    def test_a_machine_of_no_cluster_has_only_its_start_action(self, tmp_path: Path) -> None:
        with served(tmp_path, estate(virtual_machine(disks=[]))) as running:
            source = opened(running)
            (machine,) = source.inventory().machines
            old = source.was(machine)
            assert set(old) == {"start action"}
            source.stay_off(machine)
            source.give_back(machine, old)
            assert running.estate.machines[0].start_action == old["start action"]

    def test_a_guest_that_does_not_obey_keeps_running(self, tmp_path: Path) -> None:
        with served(tmp_path, cluster("a", state="Running", refuses_shutdown=True)) as running:
            source = opened(running)
            (machine,) = source.inventory().machines
            with pytest.raises(SourceError) as failed:
                source.shutdown(machine, 60)
            assert failed.value.code == "SHUTDOWN-FAILED"
            assert running.estate.machines[0].state == "Running"
            assert source.notes(machine) == ()

    def test_a_start_that_fails_is_not_tried_on_the_host_of_the_replica(self, tmp_path: Path) -> None:
        both = [virtual_machine(disks=[], state="Paused"), virtual_machine(disks=[], host="HV02")]
        with served(tmp_path, estate(*both, hosts=2)) as running:
            source = opened(running)
            (machine,) = [one for one in source.inventory().machines if one.host == "HV01"]
            with pytest.raises(SourceError, match="is Paused"):
                source.power_on(machine)
            assert [vm.state for vm in running.estate.machines] == ["Paused", "Off"]
            assert {one.host for one in running.ledger.of("script") if one.after} == {"HV01"}

    @pytest.mark.parametrize("state", ["Saved", "Paused", "Starting", "RunningCritical"])
    def test_only_a_running_machine_is_asked(self, tmp_path: Path, state: str) -> None:
        with served(tmp_path, cluster("a", state=state)) as running:
            source = opened(running)
            (machine,) = source.inventory().machines
            with pytest.raises(SourceError, match=state):
                source.shutdown(machine, 60)
            assert [one for one in running.ledger.entries if one.kind in {"state", "role"}] == []

    def test_what_was_off_is_not_asked(self, tmp_path: Path) -> None:
        with served(tmp_path, cluster("a")) as running:
            source = opened(running)
            (machine,) = source.inventory().machines
            source.shutdown(machine, 60)
            assert source.notes(machine) == ()

    def test_a_backup_is_waited_for(self, tmp_path: Path) -> None:
        made = cluster("a")
        vm = made.machines[0]
        vm.checkpoints = [Checkpoint(id="r1", name="nightly", type="Recovery")]
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 3:
                vm.checkpoints = []

        with served(tmp_path, made) as running:
            source = opened(running)
            source._power._sleep = sleep
            (machine,) = source.inventory().machines
            source._power.wait_until_free(machine, 600)
        assert len(slept) == 3

    def test_a_backup_that_does_not_end_is_named(self, tmp_path: Path) -> None:
        made = cluster("a", status=["InService", "MergingDisks"])
        made.machines[0].checkpoints = [Checkpoint(id="r1", name="nightly", type="Recovery")]
        clock = iter(range(0, 10_000, 200))
        with served(tmp_path, made) as running:
            source = opened(running)
            source._power._sleep = lambda seconds: None
            source._power._clock = lambda: float(next(clock))
            (machine,) = source.inventory().machines
            with pytest.raises(SourceError) as busy:
                source.checkpoint(machine, "tag")
        assert busy.value.code == "BUSY"
        assert "disks are being merged" in busy.value.message
        assert "nightly" in busy.value.message
