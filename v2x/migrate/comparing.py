# SPDX-License-Identifier: Apache-2.0
"""Holds a guest after its start against what was recorded before its shutdown. Pure: no clock, no network.

What nobody can tell is not checked, with the reason; it never passes and never fails.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from v2x.migrate.reach import is_reachable
from v2x.model.health import Adapter, Check, GuestBefore, GuestNow, Port, Verdict
from v2x.model.machine import GuestAddress, Machine, ToolsState
from v2x.model.target import TargetMachine
from v2x.model.units import show_bytes
from v2x.text import plural

_NO_AGENT = "no agent in the guest has said anything"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A port's answer after the start: at which address (empty: none), and this machine's own address in it."""

    port: Port
    address: str = ""
    local: str = ""


def checks_of(
    before: GuestBefore, now: GuestNow, machine: Machine, spec: TargetMachine, answers: Sequence[Answer]
) -> tuple[Check, ...]:
    """All checks, in the order in which a person would make them."""
    return (
        _running(now),
        _disks(now, spec),
        _agent(now),
        _drivers(now),
        *_addresses(before, now, machine, spec, answers),
        _gateway(before, answers),
        *(_port(before, answer) for answer in answers),
        _volumes(before),
        _check("clock", None, "neither the source nor the pool's agent tells what the guest's clock says"),
    )


def _check(name: str, passed: bool | None, text: str, subject: str = "") -> Check:
    verdict = {True: Verdict.PASS, False: Verdict.FAIL, None: Verdict.NOT_CHECKED}[passed]
    return Check(name=name, verdict=verdict, text=text, subject=subject)


def _running(now: GuestNow) -> Check:
    return _check("power", now.running, "it runs" if now.running else "it was started and does not run any more")


def _disks(now: GuestNow, spec: TargetMachine) -> Check:
    wanted = [disk.size_bytes for disk in sorted(spec.disks, key=lambda disk: int(disk.device))]
    if not now.running:
        return _check("disks", None, "disks of a machine that does not run are attached to nothing")
    if len(now.disks) != len(wanted):
        return _check("disks", False, f"{len(now.disks)} of {plural(len(wanted), 'disk')} attached")
    short = [number for number, (size, least) in enumerate(zip(now.disks, wanted, strict=True)) if size < least]
    if short:
        number = short[0]
        sizes = f"{show_bytes(now.disks[number])} instead of {show_bytes(wanted[number])}"
        return _check("disks", False, f"disk {number} has {sizes}")
    return _check("disks", True, f"{plural(len(wanted), 'disk')} attached, {show_bytes(sum(now.disks))}")


def _agent(now: GuestNow) -> Check:
    if now.agent is None:
        return _check("agent", None, f"{_NO_AGENT}: install the guest tools to have it checked")
    system = f", {now.system}" if now.system else ""
    return _check("agent", now.agent, f"alive{system}" if now.agent else "it spoke and is not alive any more")


def _drivers(now: GuestNow) -> Check:
    if now.drivers is None:
        return _check("PV drivers", None, _NO_AGENT)
    version = f" {now.drivers_version}" if now.drivers_version else ""
    return _check("PV drivers", now.drivers, f"in use{version}" if now.drivers else f"not in use{version}")


def _addresses(
    before: GuestBefore, now: GuestNow, machine: Machine, spec: TargetMachine, answers: Sequence[Answer]
) -> Iterator[Check]:
    recorded = [
        (one, address) for one in before.addresses for address in one.addresses if is_reachable(_plain(address))
    ]
    if not recorded:
        why = "the source told none" if before.running else "the machine was off and its source told none"
        yield _check("address", None, why)
    answered = {answer.address: answer.port.word for answer in answers if answer.address}
    for where, address in recorded:
        adapter = _adapter(where, now, machine, spec)
        word = answered.get(_plain(address))
        if adapter is None:
            yield _check("address", False, f"no adapter for the one that had {where.mac}", _plain(address))
        elif _is_there(address, adapter):
            yield _check("address", True, f"on the adapter {adapter.mac}", _plain(address))
        elif word:
            yield _check("address", True, f"{word} answers there", _plain(address))
        elif now.agent is None:
            yield _check("address", None, _NO_AGENT, _plain(address))
        else:
            has = ", ".join(adapter.addresses) or "none"
            dhcp = " (it came by DHCP)" if where.dhcp else ""
            yield _check("address", False, f"the adapter {adapter.mac} has {has}{dhcp}", _plain(address))


def _adapter(where: GuestAddress, now: GuestNow, machine: Machine, spec: TargetMachine) -> Adapter | None:
    """The adapter of the same MAC address; where that was made anew, the one that was made for it."""
    mac = where.mac.lower()
    same = next((one for one in now.adapters if one.mac == mac), None)
    if same is not None:
        return same
    position = next((nic.position for nic in machine.nics if nic.mac == mac), None)
    device = next((nic.device for nic in spec.nics if nic.source_position == position), None)
    return next((one for one in now.adapters if str(one.position) == device), None)


def _plain(address: str) -> str:
    return address.partition("/")[0]


def _is_there(address: str, adapter: Adapter) -> bool:
    """The address itself; of IPv6 also another one of its network, since guests change theirs by themselves."""
    if _plain(address) in adapter.addresses:
        return True
    try:
        wanted = ipaddress.ip_interface(address)
        found = [ipaddress.ip_address(one) for one in adapter.addresses]
    except ValueError:
        return False
    if wanted.ip in found:
        return True
    return wanted.version == 6 and wanted.network.prefixlen < 128 and any(one in wanted.network for one in found)


def _gateway(before: GuestBefore, answers: Sequence[Answer]) -> Check:
    """Nobody tells a guest's gateway after its start; an answer to a machine outside of its network came through it."""
    gateways = sorted({gateway for one in before.addresses for gateway in one.gateways})
    if not gateways:
        return _check("gateway", None, "the source told none")
    subject = ", ".join(gateways)
    networks = [
        ipaddress.ip_interface(address).network
        for one in before.addresses
        for address in one.addresses
        if is_reachable(_plain(address)) and "/" in address
    ]
    for answer in answers:
        is_own = any(_plain(one) == answer.address for told in before.addresses for one in told.addresses)
        if not answer.local or not is_own or not networks:
            continue
        local = ipaddress.ip_address(answer.local.partition("%")[0])
        if not any(local in network for network in networks):
            return _check("gateway", True, f"{answer.port.word} answers to {local}, outside of its network", subject)
    return _check("gateway", None, "no port that answers to a machine outside of its network would show it", subject)


def _port(before: GuestBefore, answer: Answer) -> Check:
    was = next((one for one in before.ports if one.word == answer.port.word), None)
    word = answer.port.word
    if answer.address:
        return _check("port", True, f"answers at {answer.address}", word)
    if was is None or not before.running:
        return _check("port", None, "no answer, and the machine was off when it was recorded", word)
    if not was.answered:
        return _check("port", None, "no answer, and there was none to this machine before either", word)
    return _check("port", False, f"no answer; it answered at {', '.join(was.answered)} before", word)


def _volumes(before: GuestBefore) -> Check:
    if not before.volumes:
        return _check("mount points", None, "the source told none")
    paths = ", ".join(volume.path for volume in before.volumes[:6])
    return _check("mount points", None, f"the pool's agent tells none; there were {paths}")


def told_by_nobody(before: GuestBefore) -> bool:
    """Whether nothing was recorded that an agent in the guest could confirm."""
    return not before.addresses and before.tools is not ToolsState.RUNNING
