# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from v2x.errors import PlanError
from v2x.mapping.resolve import (
    find_network,
    find_storage,
    has_room,
    needed_bytes,
    reference,
    storage_by_rule,
    suggest_storage,
)
from v2x.model.placement import Rules, StorageRule
from v2x.model.target import ImageFormat, TargetNetwork
from v2x.model.units import GIB, TIB


def test_of_networks_with_one_name_each_is_referred_to_by_uuid(facts):
    twins = (
        TargetNetwork(uuid="a", name="LAN", hosts=("h1",)),
        TargetNetwork(uuid="b", name="LAN", hosts=("h1", "h2")),
    )
    pool = replace(facts, networks=twins)
    assert reference(twins[1], twins) == "b"
    with pytest.raises(PlanError, match="borne by 2"):
        find_network("LAN", pool)
    assert find_network("b", pool).uuid == "b"


def test_a_name_is_used_where_it_is_enough(facts):
    by_uuid = {sr.uuid: reference(sr, facts.storage) for sr in facts.storage}
    assert by_uuid["sr-nfs"] == "NFS"
    assert by_uuid["sr-local1"] == "sr-local1"
    assert all(
        find_storage(word, facts).uuid == uuid for uuid, word in by_uuid.items() if uuid not in ("sr-iso", "sr-gone")
    )


def test_a_name_that_is_anothers_uuid_is_not_used(facts):
    networks = (TargetNetwork(uuid="a", name="b"), TargetNetwork(uuid="b", name="c"))
    assert [reference(network, networks) for network in networks] == ["a", "c"]


def test_the_list_of_valid_names_is_bounded(facts):
    many = tuple(TargetNetwork(uuid=f"u{number}", name=f"net{number}") for number in range(50))
    with pytest.raises(PlanError) as caught:
        find_network("x", replace(facts, networks=many))
    assert caught.value.hint.endswith("net19, and 30 more")


@pytest.mark.parametrize(
    ("capacity", "allocated", "uuid", "says"),
    [
        (16 * GIB, None, "sr-nfs", "default SR of the pool, 1 TiB free"),
        (2 * TIB - 8 * GIB, 100 * GIB, "sr-nfs", "default SR"),
        (1536 * GIB, None, "sr-lvm", "shared SR with most room, 18 TiB free; the default SR 'NFS' does not fit"),
        (3 * TIB, 512 * GIB, "sr-nfs", "default SR"),
        (3 * TIB, None, "sr-nfs", "no SR has room"),
        (30 * TIB, None, "sr-lvm", "no SR has room"),
    ],
)
def test_storage_suggestions(facts, tables, make_disk, capacity, allocated, uuid, says):
    disk = make_disk(0, capacity_bytes=capacity, allocated_bytes=allocated)
    choice = suggest_storage((disk,), facts, tables)
    assert choice.storage.uuid == uuid
    assert says in choice.reason


def test_local_storage_comes_after_shared(facts, tables, make_disk):
    local = replace(facts, storage=tuple(sr for sr in facts.storage if not sr.shared))
    choice = suggest_storage((make_disk(0),), local, tables)
    assert (choice.storage.uuid, choice.reason) == (
        "sr-local2",
        "local SR with most room, 600 GiB free; the pool has no default SR",
    )
    assert suggest_storage((), replace(facts, storage=()), tables) is None


def test_a_default_sr_that_holds_isos_is_not_taken(facts, tables, make_disk):
    storage = tuple(replace(sr, is_default=sr.uuid == "sr-iso") for sr in facts.storage)
    assert suggest_storage((make_disk(0),), replace(facts, storage=storage), tables).storage.uuid == "sr-lvm"


def test_needed_bytes_by_kind_of_sr(facts, make_disk):
    thin, thick = facts.storage[0], facts.storage[1]
    disk = make_disk(0, capacity_bytes=100 * GIB, allocated_bytes=10 * GIB)
    assert (needed_bytes(disk, thin), needed_bytes(disk, thick)) == (10 * GIB, 100 * GIB)
    assert needed_bytes(replace(disk, allocated_bytes=None), thin) == 100 * GIB
    assert needed_bytes(replace(disk, allocated_bytes=200 * GIB), thin) == 100 * GIB


def test_an_sr_of_unknown_size_has_room(facts):
    assert has_room(replace(facts.storage[0], size_bytes=0, used_bytes=0), 10**18)
    assert not has_room(facts.storage[0], 2 * TIB)


def test_large_disks_are_suggested_where_they_fit(facts, tables, make_disk):
    """The default SR cannot make QCOW2, another one can."""
    storage = (
        replace(facts.storage[0], image_formats=(ImageFormat.VHD,), used_bytes=0),
        replace(facts.storage[1], image_formats=(ImageFormat.VHD, ImageFormat.QCOW2)),
    )
    disk = make_disk(0, capacity_bytes=3 * TIB)
    assert suggest_storage((disk,), replace(facts, storage=storage), tables).storage.uuid == "sr-lvm"


def test_storage_by_rule_is_by_datastore_and_the_first_that_fits(facts, make_disk):
    rules = Rules(
        storage=(
            StorageRule(datastore="ssd[1]", target="sr-local1"),
            StorageRule(datastore="ssd*", target="SAN"),
            StorageRule(datastore="*", target="NFS"),
        )
    )

    def chosen(datastore):
        return storage_by_rule(make_disk(0, datastore=datastore), facts, rules).uuid

    assert [chosen(name) for name in ("ssd[1]", "ssd1", "ssd-fast", "SSD", "")] == [
        "sr-local1", "sr-local1", "sr-lvm", "sr-nfs", "sr-nfs",
    ]  # fmt: skip
    assert storage_by_rule(make_disk(0, datastore="x"), facts, Rules()) is None


def test_a_storage_rule_that_names_no_sr_for_disks_is_an_error(facts, make_disk):
    for target, says in (("ISOs", "holds iso content"), ("Unplugged", "not plugged"), ("Gone", "no storage")):
        rules = Rules(storage=(StorageRule(datastore="*", target=target),))
        with pytest.raises(PlanError, match=says):
            storage_by_rule(make_disk(0, datastore="a"), facts, rules)
