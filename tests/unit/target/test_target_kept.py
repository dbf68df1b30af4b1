# SPDX-License-Identifier: Apache-2.0
"""Disks of a claim kept by snapshots on a simulated pool: put back without their source, and never mistaken."""

from dataclasses import replace

import pytest

from tests.claims import BLOCK, opened
from v2x.errors import Conflict, V2xError
from v2x.model.units import MIB
from v2x.simulators.xapi import Layout
from v2x.target.keeping import Moment, NotKept


def snapshots(here):
    return [one for one in here.pool.records("VDI").values() if one["is_a_snapshot"]]


def remember(here, moment=Moment.GUEST, number=0, room=0):
    here.claim = here.target.find("tag")
    return here.target.remember(here.claim, here.claim.disks[number], moment, room)


def back(here, point="", number=0):
    here.claim = here.target.find("tag")
    return here.target.go_back(here.claim, here.claim.disks[number], point)


def convert(here, seed=9):
    """Writes over the first disk what a conversion would."""
    disk = here.target.find("tag").disks[0]
    here.write(here.target.advance(here.claim, disk, "p1+guest:0"), seed, "p1+guest:0")


def test_a_disk_goes_back_in_its_place_and_nothing_is_sent(place):
    here = place()
    before = here.content(here.claim.disks[0].id)
    assert remember(here)
    (kept,) = snapshots(here)
    own = kept["other_config"]
    assert own["v2x-self"] == kept["uuid"] and own["v2x-kept"] == "guest" and own["v2x-point"] == "p1"
    assert kept["name_label"].startswith("[v2x] ") and "before its guest was converted" in kept["name_label"]
    disk = here.vdis(here.vm(here.claim.id))[0]
    assert not {"v2x-kept", "v2x-keeping"} & disk["other_config"].keys(), "a snapshot that a user takes copies neither"
    convert(here)
    assert here.content(disk) != before
    imports, vbds = len(here.pool.ledger.imports), len(here.vm(here.claim.id)["VBDs"])
    again = back(here, "p1")
    assert here.content(again.id) == before and len(here.pool.ledger.imports) == imports
    assert (again.point, again.mark_bytes) == ("p1", again.size_bytes) and again.id != disk["uuid"]
    assert here.target.find("tag").disks[0] == again
    vm = here.vm(here.claim.id)
    assert here.vdis(vm)[0]["uuid"] == again.id and len(vm["VBDs"]) == vbds
    held = here.vdis(vm)[0]
    assert held["name_label"] == disk["name_label"] and not held["is_a_snapshot"]
    assert not {"v2x-kept", "v2x-instead", "v2x-cloning"} & held["other_config"].keys()
    assert disk["uuid"] not in [one["uuid"] for one in here.pool.records("VDI").values()]
    assert here.write(again, 3, "p2") == here.content(again.id)[:BLOCK], "and it is patched as any"
    here.target.seal(here.target.claim(here.spec, "tag"), here.spec)
    assert not snapshots(here)


def test_one_of_the_same_point_is_left_and_one_of_another_replaced(place):
    here = place()
    assert remember(here) and remember(here)
    (first,) = snapshots(here)
    here.write(here.target.find("tag").disks[0], 5, "p2")
    assert remember(here)
    (second,) = snapshots(here)
    assert first["uuid"] != second["uuid"] and second["other_config"]["v2x-point-1"] == "p2"
    assert remember(here, Moment.DELTA), "there is one to go back to"
    assert len(snapshots(here)) == 1
    assert back(here, "p1") is None, "none holds that"


def test_the_verified_disk_serves_for_the_one_before_the_first_changes(place):
    here = place()
    assert remember(here, Moment.DELTA) and not here.target.keeps(here.claim, here.claim.disks[0])
    assert here.target.keep(here.claim, here.claim.disks[0])
    (kept,) = snapshots(here)
    assert kept["other_config"]["v2x-kept"] == "verified" and here.target.keeps(here.claim, here.claim.disks[0])
    convert(here)
    again = back(here)
    assert again.point == "p1"
    held = here.target.written(here.claim, again)
    assert not [one for one in held.extents(0, held.size) if one.data], "it is the base itself"
    held.close()
    here.write(again, 4, "p2")
    held = here.target.written(here.claim, again)
    assert [(one.start, one.length) for one in held.extents(0, held.size) if one.data] == [(0, BLOCK)]
    held.close()


def test_thick_storage_takes_none(place):
    here = place({"sr": "LVM storage"})
    assert not remember(here)
    assert back(here) is None
    assert not here.pool.ledger.calls_of("VDI.snapshot") and not snapshots(here)


@pytest.mark.parametrize("feature", ["VDI_SNAPSHOT", "VDI_CLONE"])
def test_a_driver_that_lacks_what_it_takes_is_not_asked(place, feature):
    here = place()
    store = here.pool.state.store
    for sm in store.refs("SM"):
        features = {key: value for key, value in store.get("SM", sm, "features").items() if key != feature}
        store.set("SM", sm, features=features)
    assert not remember(here) and not here.pool.ledger.calls_of("VDI.snapshot")


def test_a_full_chain_is_no_obstacle_but_a_reason(place):
    here = place()
    disk = here.act("VDI.get_by_uuid", here.claim.disks[0].id)
    made = [here.act("VDI.clone", disk, {}) for _ in range(29)]
    with pytest.raises(NotKept, match="chain is too long"):
        remember(here)
    assert "v2x-keeping" not in here.act("VDI.get_other_config", disk)
    here.act("VDI.destroy", made.pop())
    assert remember(here)
    (kept,) = snapshots(here)
    content = here.content(here.claim.disks[0].id)
    with pytest.raises(NotKept, match="chain is too long"):
        back(here)
    assert here.content(here.target.find("tag").disks[0].id) == content
    (kept,) = snapshots(here)
    assert "v2x-cloning" not in kept["other_config"]


def others(here):
    return [one for one in here.pool.records("VDI").values() if "v2x-disk" not in one["other_config"]]


def test_no_room_for_what_is_written_after_it_is_a_reason(place):
    here = place(layout=Layout(sr_bytes={"nfs": 20 * MIB}))
    with pytest.raises(NotKept, match="free, less than"):
        remember(here, room=17 * MIB)
    assert not snapshots(here)
    assert remember(here, room=16 * MIB)


def test_a_disk_that_somebody_has_attached_is_not_put_back(place):
    here = place()
    assert remember(here)
    vm = here.act("VM.get_by_uuid", here.claim.id)
    here.act("VM.set_blocked_operations", vm, {})
    other = here.act("VM.clone", vm, "mine")
    record = {
        "VM": other, "VDI": here.act("VDI.get_by_uuid", here.claim.disks[0].id), "userdevice": "9", "bootable": False,
        "mode": "RO", "type": "Disk", "empty": False, "other_config": {}, "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }  # fmt: skip
    here.act("VBD.create", record)
    assert back(here) is None


def test_a_snapshot_is_never_taken_for_the_disk(place):
    here = place()
    assert remember(here)
    (kept,) = snapshots(here)
    with pytest.raises(Conflict, match="is a snapshot"):
        here.target.patcher(here.claim, replace(here.claim.disks[0], id=kept["uuid"]), [0])
    gone = here.claim.disks[0].id
    here.act("VDI.destroy", here.act("VDI.get_by_uuid", gone))
    claim = here.target.claim(here.spec, "tag")
    assert kept["uuid"] not in [disk.id for disk in claim.disks] and claim.disks[0].point == ""
    assert not snapshots(here), "a fresh disk has nothing to go back to"


def users_copies(here, *uuids):
    """What a user makes of these disks: uuids."""
    found = [here.act("VDI.get_by_uuid", one) for one in uuids]
    made = [here.act(method, one, {}) for one in found for method in ("VDI.clone", "VDI.snapshot")]
    made += [here.act("VDI.copy", one, "OpaqueRef:NULL") for one in found]
    return {here.act("VDI.get_uuid", one) for one in made}


@pytest.mark.parametrize("end", ["seal", "discard", "remake"])
def test_what_users_made_of_them_is_neither_gone_back_to_nor_removed(place, end):
    here = place()
    assert remember(here)
    (kept,) = snapshots(here)
    theirs = users_copies(here, here.claim.disks[0].id, kept["uuid"])
    convert(here)
    theirs |= users_copies(here, here.target.find("tag").disks[0].id)
    assert back(here, "p1").id not in theirs
    theirs |= users_copies(here, here.target.find("tag").disks[0].id)
    claim = here.target.claim(here.spec, "tag")
    if end == "seal":
        here.target.seal(claim, here.spec)
    elif end == "discard":
        here.target.discard(claim)
    else:
        here.target.remake(claim, claim.disks[0])
    left = {one["uuid"] for one in here.pool.records("VDI").values()}
    assert theirs <= left and kept["uuid"] not in left


class Cut(Exception):
    """The program ends here."""


def cut_at(target, number, *, effect):
    """Ends the program at the n-th call that changes something, before or after it took effect."""
    call, done = target.client.call, [0]

    def counted(method, *params):
        verb = method.partition(".")[2]
        if verb.startswith(("get_", "record")) or verb in {"inject", "from"}:
            return call(method, *params)
        done[0] += 1
        if done[0] == number and not effect:
            raise Cut
        answer = call(method, *params)
        if done[0] == number:
            raise Cut
        return answer

    target.client.call = counted
    return done


@pytest.mark.parametrize("effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("doing", ["remember", "go back"])
def test_cut_off_at_any_call_it_goes_on_and_nothing_is_left(place, doing, effect):
    here = place()
    content, number = here.content(here.claim.disks[0].id), 0
    others_before = len(others(here))
    while True:
        number += 1
        if doing == "go back":
            assert remember(here)
            convert(here, number)
        first = opened(here.pool)
        done = cut_at(first, number, effect=effect)
        claim = first.find("tag")
        first._claims._ownership.owner = here.target._claims._ownership.owner
        try:
            if doing == "remember":
                first.remember(claim, claim.disks[0], Moment.GUEST, 0)
            else:
                first.go_back(claim, claim.disks[0], "p1")
        except Cut:
            pass
        first.close()
        assert len(here.target.find("tag").disks) == 2, number
        claim = here.target.claim(here.spec, "tag")
        assert len(claim.disks) == 2 and len(here.vdis(here.vm(claim.id))) == 2
        if doing == "remember":
            assert remember(here)
        else:
            point = claim.disks[0].point
            assert point in ("p1", "p1+guest:0")
            again = back(here, "p1")
            assert again is not None and here.content(again.id) == content
        held = [one for one in here.pool.records("VDI").values() if "v2x-disk" in one["other_config"]]
        assert len(held) == 3, (number, [one["name_label"] for one in held])
        here.claim = here.target.find("tag")
        here.target._claims.kept.forget("tag")
        if done[0] < number:
            break
    assert number > 4
    here.target.discard(here.target.find("tag"))
    assert len(here.pool.records("VDI")) == others_before


def test_a_users_snapshot_between_a_kill_and_the_next_run_stays(place):
    """Killed right before the snapshot took effect, or after: of two it cannot be told whose they are."""
    here = place()
    first = opened(here.pool)
    first._claims._ownership.owner = here.target._claims._ownership.owner
    claim, client = first.find("tag"), first.client
    call = client.call

    def dies(method, *params):
        answer = call(method, *params)
        if method == "VDI.snapshot":
            raise Cut
        return answer

    client.call = dies
    with pytest.raises(Cut):
        first.remember(claim, claim.disks[0], Moment.GUEST, 0)
    first.close()
    theirs = here.act("VDI.snapshot", here.act("VDI.get_by_uuid", claim.disks[0].id), {})
    here.target.claim(here.spec, "tag")
    assert here.act("VDI.get_is_a_snapshot", theirs)
    here.target.discard(here.target.find("tag"))
    assert here.act("VDI.get_is_a_snapshot", theirs)


def test_snapshots_without_their_disk_and_machine_are_found_and_removed(place):
    here = place()
    assert remember(here)
    (kept,) = snapshots(here)
    vm = here.act("VM.get_by_uuid", here.claim.id)
    here.act("VM.set_blocked_operations", vm, {})
    here.act("VM.destroy", vm)
    for disk in here.claim.disks:
        here.act("VDI.destroy", here.act("VDI.get_by_uuid", disk.id))
    assert here.target.find("tag") is None
    (left,) = here.target.leftovers()
    assert (left.tag, left.id, left.disks) == ("tag", "", ())
    here.target.discard(left)
    assert here.target.leftovers() == () and kept["uuid"] not in [
        one["uuid"] for one in here.pool.records("VDI").values()
    ]


def test_a_lost_answer_is_looked_into_and_not_repeated_blindly(place):
    here = place()
    here.claim = here.target.find("tag")
    call = here.target.client.call

    def lost(method, *params):
        answer = call(method, *params)
        if method == "VDI.snapshot":
            from v2x.target.xapi.failures import ConnectionLost

            raise ConnectionLost("the connection broke")
        return answer

    here.target.client.call = lost
    with pytest.raises(V2xError, match="broke"):
        here.target.remember(here.claim, here.claim.disks[0], Moment.GUEST, 0)
    here.target.client.call = call
    assert len(snapshots(here)) == 1
    assert remember(here)
    (kept,) = snapshots(here)
    assert kept["other_config"]["v2x-self"] == kept["uuid"], "the one of before is gone"
