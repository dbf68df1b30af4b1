# SPDX-License-Identifier: Apache-2.0
"""Exactly the permissions that v2x names suffice for each use, a role has them; doctor names a missing one."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.claims import MAC, STAGE, Place, opened, spec
from v2x.errors import PermissionRefused
from v2x.model.target import HaPriority, StartGroup
from v2x.simulators.xapi import Account, Layout
from v2x.simulators.xapi.datamodel import load
from v2x.simulators.xapi.roles import HTTP, permissions_of
from v2x.target.keeping import Moment
from v2x.target.xapi.permissions import NEEDS

TARGET = Path(__file__).parents[3] / "v2x/target/xapi"
MODELS = ("1.249", "24.19", "26.1", "head")
READING = permissions_of(load("26.1"), "read-only")
CALL = re.compile(r"(?:Async\.)?([A-Za-z_]+\.[A-Za-z_]+)")
RARE = {
    "moving machines": {"VTPM.create", "VM.set_is_a_template", "VIF.destroy", "VDI.resize"},
    "networks": {"network.destroy", "VLAN.create", "VLAN.destroy"},
    "going back": {"VM.hard_shutdown"},
    "test copies": {"VM.remove_from_other_config"},
    "test copies on VLANs": {"VLAN.create"},
    "start with the pool": {"VM_appliance.destroy"},
}
"""What is called only where something is in the way: named, and not asked for below."""


def least_role(permission: str, version: str) -> str:
    model = load(version)
    return next(role for role in reversed(model.roles) if permission.lower() in permissions_of(model, role))


def named_in_the_code() -> set[str]:
    """Every call and transfer that a text in the target's code names, where a role above read-only is asked for it."""
    model, found = load("26.1"), set()
    for path in TARGET.glob("*.py"):
        if path.name == "permissions.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if (match := CALL.fullmatch(text)) and (message := model.calls.get(match[1].replace(".", "_"))):
                found |= {match[1]} if message.role != "read-only" else set()
    # Those whose class or direction is put in when they are made (tags.py, upload.py, export.py).
    tags = {f"{kind}.{verb}_other_config" for kind in ("VM", "VDI") for verb in ("add_to", "remove_from")}
    tags |= {"VBD.add_to_other_config"}
    return found | tags | {"http/put_import_raw_vdi", "http/get_export_raw_vdi"}


def test_every_call_that_changes_something_is_named_for_a_use() -> None:
    named = {one for need in NEEDS.values() for one in need.calls if one.lower() not in READING}
    assert named == named_in_the_code()


@pytest.mark.parametrize("version", MODELS)
@pytest.mark.parametrize("use", NEEDS)
def test_the_role_of_a_use_is_the_weakest_that_has_its_calls(use: str, version: str) -> None:
    roles = load(version).roles
    need = NEEDS[use]
    assert need.role == min((least_role(one, version) for one in need.calls), key=roles.index)
    assert all(one in HTTP or one.replace(".", "_") in load(version).calls for one in need.calls if "VTPM" not in one)


def read(here, target):
    target.facts()
    target.survey(here.spec)
    target.load([], [one.sr for one in here.spec.disks])


def moved(here, target, **changes):
    """A machine, cold and with a second pass, read back, begun again, taken back; and one that is sealed."""
    place = Place(here.pool, target, vtpm=False, name="moved", **changes)
    first = place.claim.disks[0]
    target.keep(place.claim, first)
    assert target.remember(place.claim, first, Moment.GUEST, 0)
    first = target.go_back(place.claim, first)
    place.claim = target.find("tag")
    place.write(target.find("tag").disks[0], 9, "p2")
    reader = target.reader(place.claim, first)
    reader.read_into(0, bytearray(4096))
    reader.close()
    assert not target.samples(place.claim, first), "no network of this pool is for NBD"
    target.remake(target.find("tag"), target.find("tag").disks[1])
    target.discard(target.find("tag"))
    return sealed(here, target, name="sealed", tags=("t",), vtpm=False, **changes)


def sealed(here, target, **changes):
    planned = spec(here.pool, **changes)
    claim = target.claim(planned, planned.name)
    for disk in claim.disks:
        writer = target.writer(claim, disk, [0], "p")
        writer.write(0, memoryview(bytearray(2 << 20)))
        writer.commit()
    claim = target.find(planned.name)
    target.seal(claim, planned)
    return target.find(planned.name)


def cleaned(here, target):
    target.discard(target.find("tag"))


def verified(here, target):
    assert target.sampler(here.whole, here.whole.disks[0]) is None  # asked, though nothing is offered
    reader = target.reader(here.whole, here.whole.disks[0])
    reader.read_into(0, bytearray(4096))
    reader.close()


def started(here, target):
    target.start(here.whole)


def gone_back(here, target):
    here.target.start(here.whole)
    target.halt(here.whole)
    target.first_start(here.whole)


def rehearsed(here, target, stage=STAGE):
    place = object.__new__(Place)
    place.pool, place.target, place.spec, place.claim = here.pool, target, here.spec, here.claim
    seclusion = place.seclude(stage)
    made = place.rehearse(seclusion)
    target.start_rehearsal(made, seclusion)
    target.end_rehearsal(target.rehearsals("tag")[0])
    target.strike("b1")


def rehearsed_on_vlans(here, target):
    rehearsed(here, target, replace(STAGE, vlans={"src/LAN": 99}))


def preferred(here, target):
    (host,) = (one["uuid"] for one in here.pool.records("host").values())
    claim = sealed(here, target, name="there", affinity=host, vtpm=False, nics=())
    assert target.remarks(claim) == ()


def networked(here, target):
    target.ensure_network("VLAN 77", 77)


def started_with_the_pool(here, target):
    group = StartGroup(name="g", key="k", order=1)
    wishes = {"ha_priority": HaPriority.RESTART, "start_group": group, "auto_start": True}
    claim = sealed(here, target, name="ha", vtpm=False, nics=(), **wishes)
    assert not any("was not set" in one for one in target.remarks(claim))


USES = {
    "reading": ((), read),
    "moving machines": ((), moved),
    "cleaning up": ((), cleaned),
    "verifying": ((), verified),
    "starting": ((), started),
    "going back": ((), gone_back),
    "test copies": ((), rehearsed),
    "test copies on VLANs": (("test copies",), rehearsed_on_vlans),
    "preferred host": (("moving machines",), preferred),
    "networks": ((), networked),
    "start with the pool": (("moving machines",), started_with_the_pool),
}
"""Use to those that it is a part of, and what is done."""


class Here(Place):
    """A claim begun by root, a whole machine beside it, and an account with exactly some permissions."""

    def __init__(self, pool, target):
        super().__init__(pool, target)
        self.whole = sealed(self, target, name="whole", disks=1, nics=(), vtpm=False)

    def account(self, permissions, role="read-only"):
        self.pool.state.sessions.accounts["mover"] = Account("mover", "secret", role, permissions=permissions)
        return opened(self.pool, "mover", "secret", pool_auto_start=True)


@pytest.fixture
def here(simulated_pool):
    pool = simulated_pool(layout=Layout(hosts=1))
    with opened(pool) as target:
        yield Here(pool, target)


def allowed(use: str) -> set[str]:
    uses = (*USES[use][0], use)
    return {one.lower() for name in uses for one in NEEDS[name].calls}


@pytest.mark.parametrize("use", USES)
def test_exactly_the_permissions_of_a_use_suffice_and_all_of_them_are_asked_for(here, use) -> None:
    with here.account(READING | allowed(use)) as target:
        USES[use][1](here, target)
    asked = here.pool.state.sessions.asked["mover"] - READING
    wanted = {one.lower() for one in NEEDS[use].calls} - READING
    assert asked <= allowed(use)
    assert wanted - asked <= {one.lower() for one in RARE.get(use, ())}


@pytest.mark.parametrize("use", USES)
def test_the_role_of_a_use_is_enough(here, use) -> None:
    roles = load("26.1").roles
    role = min((NEEDS[name].role for name in (*USES[use][0], use)), key=roles.index)
    with here.account(None, role) as target:
        USES[use][1](here, target)
        told = {one.name: one for one in target.rights()}
        assert all(told[name].ok for name in (*USES[use][0], use))


@pytest.mark.parametrize("use", [name for name, need in NEEDS.items() if not need.optional and name != "reading"])
def test_a_role_below_is_refused_and_the_missing_one_named(here, use) -> None:
    roles = load("26.1").roles
    below = roles[roles.index(NEEDS[use].role) + 1]
    with here.account(None, below) as target:
        (told,) = [one for one in target.rights() if one.name == use]
        assert not told.ok and f"role-name={NEEDS[use].role}" in told.remedy
        with pytest.raises(PermissionRefused):
            USES[use][1](here, target)


def test_each_permission_that_is_missing_is_named_for_each_use_that_takes_it(here) -> None:
    every = permissions_of(load("26.1"), "pool-admin")
    for missing in sorted({one for need in NEEDS.values() for one in need.calls}):
        with here.account(every - {missing.lower()}) as target:
            told = {one.name: one for one in target.rights()}
        lacking = {name for name, need in NEEDS.items() if missing in need.calls}
        assert {name for name, one in told.items() if not one.ok} == lacking, missing
        assert all(re.search(rf"lacks {re.escape(missing)},", told[name].found) for name in lacking)


def test_root_has_all_and_is_asked_nothing_else(here) -> None:
    assert all(one.ok for one in here.target.rights())
    assert MAC  # the claim's address is in use, which no right changes


def test_what_is_optional_is_left_out_and_told(here) -> None:
    with here.account(None, "vm-admin") as target:
        (host,) = (one["uuid"] for one in here.pool.records("host").values())
        claim = sealed(here, target, name="there", affinity=host, vtpm=False, nics=())
        assert any("preferred host was not set" in one for one in target.remarks(claim))
        told = {one.name: one for one in target.rights()}
        assert "the report says that it was not set" in told["preferred host"].found
