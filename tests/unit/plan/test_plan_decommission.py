# SPDX-License-Identifier: Apache-2.0
"""What may be retired at a source once machines were moved for good."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from v2x.model.codec import from_json, to_json
from v2x.model.decommission import DECOMMISSION_SCHEMA, Decommission, Emptied, NotYet
from v2x.model.inventory import Datastore
from v2x.model.machine import CdDrive, Guest, GuestAddress, Snapshot
from v2x.model.units import GIB
from v2x.plan.decommission import emptied, retired
from v2x.render.decommission_text import decommission_text

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture
def machine(make_machine):
    """As vCenter tells of one."""

    def make(name="web01", number=1, store="fast", **changes):
        made = make_machine(name, number)
        disks = tuple(
            replace(one, datastore=store, files=(f"[{store}] {name}/{name}.vmdk",), allocated_bytes=20 * GIB)
            for one in made.disks
        )
        return replace(made, disks=disks, attributes={"vsphere.path": f"[{store}] {name}/{name}.vmx"}, **changes)

    return make


def test_what_ends_with_a_machine(machine, make_row):
    mac = "00:50:56:00:00:01"
    guest = Guest(
        hostname="web01.example.org", ip_addresses=("192.0.2.7", "192.0.2.8"),
        addresses=(GuestAddress(mac=mac, addresses=("192.0.2.7/24",), dhcp=False),),
    )  # fmt: skip
    one = machine(
        guest=guest, host="esx1", cluster="c1", folder="prod/web", reference="vm-12", tags=("Backup:Gold",),
        snapshots=(Snapshot(id="1", name="before update"), Snapshot(id="2", name="VEEAM BACKUP TEMPORARY SNAPSHOT")),
    )  # fmt: skip
    one = replace(one, attributes={**one.attributes, "Veeam Backup": "job Nightly"}, start_action="powerOn")
    row = make_row(1, retire="DHCP reservation;  licence 17; ", checks="login page", note="ask Ada", change="CHG-1",
                   groups=("anti-affinity:web",))  # fmt: skip
    found = retired(one, row, "web", "uuid-on-pool")
    assert found.files == ("[fast] web01/web01.vmx", "[fast] web01/web01.vmdk")
    assert found.datastores == ("fast",)
    assert found.backups == ("Veeam: Veeam Backup = job Nightly", "Veeam: snapshot VEEAM BACKUP TEMPORARY SNAPSHOT")
    assert found.snapshots == ("before update",)
    assert found.names == ("web01.example.org",)
    assert found.addresses == (f"192.0.2.7/24 ({mac} on VM Network, fixed)", "192.0.2.8")
    assert found.others == ("group or rule anti-affinity:web", "automatic start (powerOn)", "tag Backup:Gold")
    assert found.todos == ("DHCP reservation", "licence 17")
    assert (found.checks, found.note, found.change, found.host) == ("login page", "ask Ada", "CHG-1", "esx1")


def test_a_datastore_is_empty_only_when_nothing_else_of_the_inventory_is_on_it(machine, make_inventory):
    cd = CdDrive(position=0, bus="ide", image="[images] tools.iso")
    machines = (
        machine("web01", 1), machine("web02", 2), machine("db01", 3, store="slow"), machine("app", 4, store="slow"),
        machine("old", 5, store="images"), machine("kiosk", 6, store="local", cd_drives=(cd,)),
    )  # fmt: skip
    stores = (Datastore(name="fast", capacity_bytes=100 * GIB, free_bytes=55 * GIB), Datastore(name="slow"))
    inventory = replace(make_inventory(*machines), datastores=stores)
    done = {("files", f"uuid-{number}") for number in (1, 2, 3, 5)}
    found = {one.name: one for one in emptied({"files": inventory}, done)}
    assert set(found) == {"fast", "slow", "images"}
    assert (found["fast"].holders, found["fast"].machines) == ((), ("web01", "web02"))
    assert (found["fast"].used_bytes, found["fast"].known_bytes) == (45 * GIB, 40 * GIB)
    assert found["slow"].holders == ("app",)
    assert found["images"].holders == ("kiosk",), "its CD is there"
    assert emptied({"files": inventory}, set()) == []


def test_volumes_of_one_name_on_two_hosts_are_two(machine, make_inventory):
    machines = (machine("web01", 1, store="D:", host="hv1"), machine("web02", 2, store="D:", host="hv2"))
    own = tuple(Datastore(name="D:", shared=False, hosts=(host,)) for host in ("hv1", "hv2"))
    done = {("files", "uuid-1")}
    (one,) = emptied({"files": replace(make_inventory(*machines), datastores=own)}, done)
    assert (one.name, one.holders) == ("D: of hv1", ())
    shared = (replace(own[0], shared=True), own[1])
    (one,) = emptied({"files": replace(make_inventory(*machines), datastores=shared)}, done)
    assert (one.name, one.holders) == ("D:", ("web02",)), "what may be one is taken for one"


def document(machine, make_row, **changes):
    values = {
        "batch": "b1", "plan_id": "0" * 64, "made": NOW, "listed": {"files": NOW},
        "machines": (retired(machine(guest=Guest(hostname="w\x1b[31m")), make_row(retire="x" * 90), "web", "u"),),
        "datastores": (
            Emptied(source="files", name="fast", machines=("web01",), used_bytes=45 * GIB, known_bytes=20 * GIB),
            Emptied(source="files", name="slow", machines=("web01",), holders=tuple(f"m{n}" for n in range(11))),
        ),
        "not_yet": (NotYet(source="files", name="db01", why="not through: failed"),),
    }  # fmt: skip
    return Decommission(**(values | changes))


def test_the_list_for_people(machine, make_row):
    made = document(machine, make_row)
    text = decommission_text(made).decode()
    assert max(map(len, text.splitlines())) <= 80
    assert "v2x never deletes a source" in text
    assert "[ ] delete: [fast] web01/web01.vmdk" in text
    assert "\x1b" not in text and "[ ] DNS name: w\\x1b[31m" in text
    words = " ".join(text.split())
    assert "fast: nothing else of the inventory; empty once web01 is gone; look first: 25 GiB of the 45 GiB" in words
    assert "slow: keep; it holds m0, m1, m2, m3, m4, m5, m6, m7 and 3 more" in words
    assert "Not yet (1 machine)" in text and "db01: not through: failed" in text
    assert from_json(to_json(made), Decommission, DECOMMISSION_SCHEMA) == made


def test_a_list_without_anything(machine, make_row):
    none = decommission_text(document(machine, make_row, machines=(), datastores=(), listed={})).decode()
    assert "No machine is finalized yet: v2x batch finalize" in none and "Datastores" not in none
    unjudged = decommission_text(document(machine, make_row, datastores=(), listed={})).decode()
    assert "not known: the plan's other half" in unjudged
