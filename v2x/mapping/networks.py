# SPDX-License-Identifier: Apache-2.0
"""Finds the pool's network for an adapter: by the user's rules, or by source switch, pool uplink and VLAN together.

A VLAN id alone says nothing where several uplinks could carry it: VLAN 20 of two switches are two networks. What is
not certain stays unresolved, with the networks that it could be; nobody's machine is put on a network by a guess.
"""

import difflib
import fnmatch
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from v2x.errors import PlanError
from v2x.mapping.resolve import REST, find_network, is_offline, reference
from v2x.model.inventory import SourceNetwork
from v2x.model.machine import Machine, Nic, VlanRange
from v2x.model.placement import Rules, UplinkRule
from v2x.model.plan import PlanRow
from v2x.model.target import TargetFacts, TargetNetwork

TRUNK_VLAN = 4095
"""The VLAN id by which a port group of a standard switch says that it is a trunk (vSphere Networking guide)."""

_XVA_NETWORK = "Pool-wide network associated with eth0"
_SIMILAR = 0.75
_LISTED = 20


@dataclass(frozen=True, slots=True)
class NetworkChoice:
    """A network of the pool, and why it is the one."""

    network: TargetNetwork
    reason: str


@dataclass(frozen=True, slots=True)
class Unresolved:
    """No network is certain: `candidates` are those that it could be, or all where nothing speaks for any."""

    why: str
    candidates: tuple[TargetNetwork, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """The network of one adapter at the source, with the adapter's own VLAN settings over it.

    `twins` counts networks of this name that the source tells apart, where more than one could be meant.
    """

    name: str
    vlan: int | None = None
    switch: str = ""
    uplinks: tuple[str, ...] = ()
    internal: bool = False
    trunk: tuple[VlanRange, ...] = ()
    twins: int = 1

    @property
    def tag(self) -> str:
        """Its VLAN in words; empty where the source does not say."""
        if self.trunk:
            return "a trunk"
        return "" if self.vlan is None else f"VLAN {self.vlan}" if self.vlan else "untagged"


@dataclass(frozen=True, slots=True)
class NewNetwork:
    """A network to make: over the untagged network `uplink` (a uuid) of the interface `device`; internal without."""

    name: str
    vlan: int | None = None
    uplink: str = ""
    device: str = ""


class Places:
    """What is known of where things go: the user's rules and the networks of one source."""

    def __init__(self, rules: Rules | None = None, networks: Iterable[SourceNetwork] = ()) -> None:
        self.rules = rules or Rules()
        self._by_name: dict[str, list[SourceNetwork]] = defaultdict(list)
        self.switches: set[str] = set()
        self._asked: tuple[TargetNetwork, ...] = ()
        self._answers: dict[Origin, NetworkChoice | Unresolved] = {}
        for network in networks:
            self._by_name[network.name].append(network)
            if network.switch and not network.internal:
                self.switches.add(network.switch)

    def source_network(self, nic: Nic, machine: Machine) -> SourceNetwork | None:
        """The source's network of an adapter; None where it has none of that name, or several that differ."""
        found = self._known(nic, machine)
        return found[0] if len(found) == 1 else None

    def origin(self, nic: Nic, machine: Machine) -> Origin:
        found = self._known(nic, machine)
        network = found[0] if len(found) == 1 else SourceNetwork(name=nic.network)
        vlan = network.vlan if nic.vlan is None else nic.vlan
        # An access VLAN of the adapter itself overrides a trunk of its network.
        trunk = nic.trunk or (network.trunk if nic.vlan is None else ())
        if vlan == TRUNK_VLAN:
            trunk = trunk or (VlanRange(first=0, last=TRUNK_VLAN - 1),)
        return Origin(
            name=nic.network,
            vlan=None if trunk else vlan,
            switch=network.switch,
            uplinks=network.uplinks,
            internal=network.internal,
            trunk=trunk,
            twins=max(1, len(found)),
        )

    def answer(self, origin: Origin, facts: TargetFacts) -> NetworkChoice | Unresolved:
        """The network for an origin, worked out once for the thousands of adapters that share it."""
        if self._asked is not facts.networks:
            self._asked, self._answers = facts.networks, {}
        found = self._answers.get(origin)
        if found is None:
            found = self._answers[origin] = _resolve(origin, facts, self)
        return found

    def _known(self, nic: Nic, machine: Machine) -> list[SourceNetwork]:
        """Networks of the adapter's name that the machine's host has, one for each way in which they differ."""
        named = self._by_name.get(nic.network, [])
        near = [one for one in named if not one.hosts or not machine.host or machine.host in one.hosts]
        differing = {(one.switch, one.vlan, one.internal, one.trunk): one for one in near or named}
        return list(differing.values())


def resolve_network(nic: Nic, machine: Machine, facts: TargetFacts, places: Places) -> NetworkChoice | Unresolved:
    """The pool's network for an adapter, or what it could be. PlanError for a rule that names what the pool lacks."""
    return places.answer(places.origin(nic, machine), facts)


def _resolve(origin: Origin, facts: TargetFacts, places: Places) -> NetworkChoice | Unresolved:
    ruled = _by_rule(origin, facts, places.rules)
    if ruled is not None:
        return ruled
    if origin.twins > 1:
        return _unresolved(f"the source has {origin.twins} networks of this name", origin, facts)
    uplink = None if origin.internal else uplink_by_rule(origin, facts, places.rules)
    found = None if uplink is None else _over(uplink, origin, facts)
    found = found or _by_name(origin, facts)
    if found is None and uplink is None:
        only = _only_uplink(origin, facts, places)
        found = None if only is None else _over(only, origin, facts)
    return found or _unresolved(_why(origin, facts), origin, facts)


def _fits(pattern: str, text: str) -> bool:
    return text == pattern or fnmatch.fnmatchcase(text, pattern)


def _by_rule(origin: Origin, facts: TargetFacts, rules: Rules) -> NetworkChoice | None:
    vlan = TRUNK_VLAN if origin.trunk else origin.vlan
    for rule in rules.networks:
        if (
            (not rule.source or _fits(rule.source, origin.name))
            and (not rule.switch or _fits(rule.switch, origin.switch))
            and (rule.vlan is None or rule.vlan == vlan)
        ):
            return NetworkChoice(find_network(rule.target, facts), "by rule")
    return None


def uplinks(facts: TargetFacts) -> list[TargetNetwork]:
    """The untagged networks of interfaces and bonds that VLANs can go over."""
    return [network for network in facts.networks if network.is_uplink]


def find_uplink(wanted: str, facts: TargetFacts) -> TargetNetwork:
    """The untagged network of an interface named by device, bridge, name or uuid. PlanError lists what is valid."""
    known = uplinks(facts)
    found = [one for one in known if wanted in (one.uuid, one.name, one.bridge) or wanted in one.devices.values()]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(f"{one.uuid} ({one.name})" for one in found)
        raise PlanError(f"interface {wanted!r} belongs to {len(found)} networks", hint=f"use the uuid of one: {names}")
    raise PlanError(f"the pool has no interface {wanted!r} to carry networks", hint="valid: " + uplink_names(facts))


def uplink_names(facts: TargetFacts) -> str:
    return ", ".join(one.device_names for one in uplinks(facts)) or "none"


def uplink_by_rule(origin: Origin, facts: TargetFacts, rules: Rules) -> TargetNetwork | None:
    """The uplink that the first fitting rule names for the origin's switch."""
    rule = next((rule for rule in rules.uplinks if _fits(rule.source, origin.switch)), None)
    return None if rule is None else find_uplink(rule.target, facts)


def _only_uplink(origin: Origin, facts: TargetFacts, places: Places) -> TargetNetwork | None:
    """The pool's uplink where it has one only, and the source no second switch that it could stand for."""
    known = uplinks(facts)
    return known[0] if len(known) == 1 and len(places.switches) < 2 and not origin.internal else None


def _over(uplink: TargetNetwork, origin: Origin, facts: TargetFacts) -> NetworkChoice | Unresolved | None:
    """The network of the origin's VLAN over `uplink`; None where the source does not say the VLAN."""
    device = uplink.device_names
    if origin.trunk:
        return NetworkChoice(uplink, f"trunk: the untagged network of {device}, where all VLANs pass")
    if origin.vlan is None:
        return None
    if origin.vlan == 0:
        return NetworkChoice(uplink, f"untagged on {device}")
    tagged = [one for one in facts.networks if one.carrier == uplink.uuid and one.vlan == origin.vlan]
    if len(tagged) == 1:
        return NetworkChoice(tagged[0], f"VLAN {origin.vlan} on {device}")
    if tagged:
        return Unresolved(f"several networks have VLAN {origin.vlan} on {device}", tuple(tagged))
    return _unresolved(f"VLAN {origin.vlan} is not on {device}", origin, facts)


def _by_name(origin: Origin, facts: TargetFacts) -> NetworkChoice | None:
    """The one network of exactly that name, unless its VLAN or its wiring contradicts."""
    named = [one for one in facts.networks if origin.name and one.name == origin.name]
    if len(named) != 1 or _contradicts(origin, named[0]):
        return None
    return NetworkChoice(named[0], f"same name, {origin.tag}" if origin.tag else "same name")


def _contradicts(origin: Origin, network: TargetNetwork) -> bool:
    if network.in_bond:
        return True
    if origin.internal:
        return bool(network.devices)
    if origin.uplinks and not network.devices:
        return True
    if origin.trunk:
        return network.vlan is not None
    return origin.vlan is not None and (origin.vlan or None) != network.vlan


def _why(origin: Origin, facts: TargetFacts) -> str:
    if not facts.networks or not origin.name:
        return "the source does not say which network it is on" if facts.networks else "the pool has no networks"
    named = [one for one in facts.networks if one.name == origin.name]
    if len(named) > 1:
        return f"the pool has {len(named)} networks of this name"
    if named:
        tag = "untagged" if named[0].vlan is None else f"VLAN {named[0].vlan}"
        return f"the pool's network of this name differs ({tag} there, {origin.tag or 'not so'} at the source)"
    known = uplinks(facts)
    if origin.vlan and len(known) > 1:
        return f"the pool has none of this name, and VLAN {origin.vlan} could be on any of {uplink_names(facts)}"
    if origin.vlan and known:
        return (
            f"the pool has none of this name, and the source has several switches that {uplink_names(facts)} could be"
        )
    return "the pool has no network of this name"


def _unresolved(why: str, origin: Origin, facts: TargetFacts) -> Unresolved:
    """`why`, with the networks that speak for themselves: by name, VLAN or likeness; all where none does."""
    usable = [one for one in facts.networks if not one.in_bond]
    names = {one.name.casefold() for one in usable}
    close = difflib.get_close_matches(origin.name.casefold(), names, n=3, cutoff=_SIMILAR) if origin.name else []
    likely = [
        one
        for one in usable
        if (origin.vlan and one.vlan == origin.vlan)
        or (one.name.casefold() in close and not (origin.vlan and one.vlan not in (None, origin.vlan)))
        or ((origin.trunk or origin.vlan == 0) and one.is_uplink)
        or (origin.name and one.name == origin.name)
    ]
    return Unresolved(why, tuple(likely or usable))


def candidates(found: Unresolved, facts: TargetFacts) -> str:
    """The networks that it could be, as a plan would name them."""
    shown = [reference(one, facts.networks) for one in found.candidates[:_LISTED]]
    more = len(found.candidates) - len(shown)
    return (", ".join(shown) or "none") + (f", and {more} more" if more > 0 else "")


def wanted_network(nic: Nic, row: PlanRow) -> str:
    """What the plan says for an adapter; empty where it says nothing."""
    return row.networks.get(str(nic.position)) or row.networks.get(REST) or ""


def settle(
    machine: Machine, row: PlanRow, facts: TargetFacts, places: Places
) -> list[tuple[Nic, NetworkChoice | Unresolved]]:
    """The adapters in their order, each with the network that the plan or else something certain says for it.

    PlanError for a network that the plan or a rule names and the pool lacks. In an XVA file names stand for networks.
    """
    settled: list[tuple[Nic, NetworkChoice | Unresolved]] = []
    for nic in sorted(machine.nics, key=lambda nic: nic.position):
        wanted = wanted_network(nic, row)
        if is_offline(facts):
            name = wanted or nic.network or _XVA_NETWORK
            settled.append((nic, NetworkChoice(TargetNetwork(uuid=name, name=name), "by its name")))
        elif wanted:
            settled.append((nic, NetworkChoice(find_network(wanted, facts), "as the plan says")))
        else:
            settled.append((nic, resolve_network(nic, machine, facts, places)))
    return settled


def open_questions(machine: Machine, row: PlanRow, facts: TargetFacts, places: Places) -> list[tuple[Nic, Unresolved]]:
    """The adapters whose network neither the plan nor anything certain says."""
    settled = settle(machine, row, facts, places)
    return [(nic, found) for nic, found in settled if isinstance(found, Unresolved)]


def refuse_open_questions(asked: Sequence[tuple[Nic, Unresolved]], machine: Machine, facts: TargetFacts) -> None:
    """PlanError that names every unresolved network, what each could be, and how to say it."""
    if not asked:
        return
    told = {nic.network or f"adapter {nic.position}": found for nic, found in asked}
    names = "; ".join(f"{name!r}: {found.why} (it could be {candidates(found, facts)})" for name, found in told.items())
    keys = " ".join(dict.fromkeys(f"--network '{nic.network or nic.position}=…'" for nic, _ in asked))
    raise PlanError(
        f"machine {machine.name!r}: which network of the pool? {names}",
        code="NETWORK-UNRESOLVED",
        hint=f"give {keys}, or fill the networks column of the plan",
    )


def network_to_make(nic: Nic, machine: Machine, row: PlanRow, facts: TargetFacts, places: Places) -> NewNetwork | None:
    """The network that `--create-networks` makes for an adapter; None where the pool has one.

    PlanError where the source does not say the VLAN, or the uplink is not known: a network made by a guess would join
    what is to be kept apart.
    """
    origin, wanted = places.origin(nic, machine), wanted_network(nic, row)
    have = {name for one in facts.networks for name in (one.name, one.uuid)}
    if wanted in have or (not wanted and isinstance(resolve_network(nic, machine, facts, places), NetworkChoice)):
        return None
    what = f"machine {machine.name!r}: network {nic.network!r}"
    name = wanted or origin.name
    if not name:
        raise PlanError(f"{what} has no name to make it by", hint=f"give --network '{nic.position}=NAME'")
    if origin.internal:
        if name in have:
            raise PlanError(f"{what} is internal, the pool's is not", hint=f"give --network '{nic.network}=NEW NAME'")
        return NewNetwork(name)
    if not origin.vlan:
        said = "is untagged" if origin.vlan == 0 else "is a trunk" if origin.trunk else "has a VLAN unknown to v2x"
        raise PlanError(
            f"{what} {said}, so there is nothing to make for it",
            hint=f"give --vlan '{nic.network}=ID', or --network '{nic.network}=…' with a network of the pool",
        )
    uplink = uplink_by_rule(origin, facts, places.rules)
    if uplink is None:
        raise PlanError(
            f"{what}: over which interface shall VLAN {origin.vlan} go? The pool has {uplink_names(facts)}",
            hint="give --uplink DEVICE, or an [[uplink]] rule in v2x.toml",
        )
    same = next((one for one in facts.networks if one.carrier == uplink.uuid and one.vlan == origin.vlan), None)
    if same is not None:
        raise PlanError(
            f"{what}: VLAN {origin.vlan} on {uplink.device_names} is already the pool's network {same.name!r}",
            hint=f"give --network '{nic.network}={reference(same, facts.networks)}'",
        )
    name = name if name not in have else f"{name} (VLAN {origin.vlan})"
    return NewNetwork(name, origin.vlan, uplink.uuid, uplink.device_names)


def with_uplink(rules: Rules, device: str, facts: TargetFacts) -> Rules:
    """The rules with `device` for every switch that no rule names; without one, the pool's uplink if it has but one."""
    known = uplinks(facts)
    target = device or (known[0].uuid if len(known) == 1 else "")
    if not target:
        return rules
    find_uplink(target, facts)
    return replace(rules, uplinks=(*rules.uplinks, UplinkRule(source="*", target=target)))


def trunk_ids(trunk: Sequence[VlanRange]) -> tuple[int, ...]:
    """The VLAN ids of a trunk, in order; empty for one that passes all of 1 to 4094."""
    found = {vlan for one in trunk for vlan in range(max(0, one.first), min(one.last, 4094) + 1)}
    return () if found >= set(range(1, 4095)) else tuple(sorted(found))
