# SPDX-License-Identifier: Apache-2.0
"""Tags over the REST interface: one call for all machines, and a gap instead of a failure where it does not answer."""

import pytest

from v2x.errors import V2xError
from v2x.simulators.vsphere import DiskSpec, MachineSpec
from v2x.sources.vsphere.tags import read_tags


@pytest.fixture
def site(stand_in):
    server = stand_in(estate="empty")
    for number in range(30):
        tags = ("Production", "Gold") if number % 3 == 0 else ()
        server.inside.add_vm(MachineSpec(name=f"vm{number}", disks=(), nics=(), tags=tags))
    return server


def test_tags_with_their_categories(site):
    with site.source() as source:
        found = source.inventory()
    tagged = [one for one in found.machines if one.tags]
    assert len(tagged) == 10 and not [one for one in found.problems if one.code == "TAGS"]
    assert all({tag.rpartition("/")[2] for tag in one.tags} == {"Production", "Gold"} for one in tagged)


SRM = "SRM-com.vmware.vcDr:::"


@pytest.mark.parametrize(
    ("category", "tag", "replicated"),
    [
        (f"{SRM}status", "replicated", True),
        (f"{SRM}consistencyGroup", "cg-7", True),
        (f"{SRM}status", "non-replicated", None),
        ("Tier", "Gold", None),
    ],
)
def test_datastores_that_their_array_replicates(stand_in, tmp_path, category, tag, replicated):
    """Broadcom knowledge base, article 312732: what Site Recovery Manager tags them with."""
    server = stand_in(estate="empty")
    image = tmp_path / "disk.raw"
    image.write_bytes(bytes(1 << 20))
    server.inside.add_vm(MachineSpec(name="web", disks=(DiskSpec(image=image, size_bytes=512),)))
    server.inside.add_vm(MachineSpec(name="diskless", disks=()))
    with server.source() as source:
        (store,) = {disk.datastore for one in source.inventory().machines for disk in one.disks}
        moref = next(one.reference for one in source.inventory().datastores if one.name == store)
        server.inside.state.tags.attach(tag, "Datastore", moref, category)
        found = source.inventory()
    assert next(one.replicated for one in found.datastores if one.name == store) is replicated
    told = {one.name: one.replication for one in found.machines}
    assert told["diskless"] == ""
    assert told["web"] == (f"by the array of datastore {store}" if replicated else "")


def test_one_call_for_all_machines(site):
    with site.session() as session:
        read_tags(session, [f"vm-{number}" for number in range(1, 31)])
    asked = [one for one in site.inside.ledger.calls if "attached" in one.call.lower()]
    assert len(asked) <= 1


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_an_interface_that_does_not_answer_is_a_gap(site, status):
    site.inside.faults.arm("status", target="rest", at=status, seconds=60)
    with site.source() as source:
        found = source.inventory()
        assert len(found.machines) == 30
        assert [one.code for one in found.problems] == ["TAGS"]
    with site.session() as session, pytest.raises(V2xError):
        read_tags(session, ["vm-1"])


def test_a_host_has_none(stand_in):
    with stand_in(profile="esxi").session() as session:
        assert read_tags(session, ["1"]) == {}
