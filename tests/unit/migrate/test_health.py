# SPDX-License-Identifier: Apache-2.0
"""What is recorded of a guest before its outage, and what is made of it after its start."""

import socket
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from v2x.errors import TargetError
from v2x.migrate import health
from v2x.migrate.comparing import Answer, checks_of
from v2x.migrate.reach import answers, is_reachable
from v2x.model.health import (
    Adapter,
    Aftercare,
    GuestBefore,
    GuestNow,
    Port,
    Verdict,
    ports_of,
    unread_ports,
)
from v2x.model.machine import Guest, GuestAddress, GuestVolume, Nic, NicModel, PowerState, ToolsState
from v2x.model.target import TargetNic

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MAC = "00:50:56:00:00:01"
HOME = GuestAddress(mac=MAC, addresses=("192.0.2.7/24", "fe80::1/64"), gateways=("192.0.2.1",))
PORT = Port(number=443)
WELL = GuestNow(
    running=True, agent=True, drivers=True, drivers_version="9.4", disks=(2**40, 2**40), started="t1",
    adapters=(Adapter(position=0, mac=MAC, addresses=("192.0.2.7",)),),
)  # fmt: skip
BEFORE = GuestBefore(
    taken_at=NOW, running=True, addresses=(HOME,), tools=ToolsState.RUNNING,
    ports=(replace(PORT, answered=("192.0.2.7",)),),
)  # fmt: skip


@pytest.fixture
def judged(world):
    """The verdict and text of each check by its label."""
    nic = TargetNic(source_position=0, device="0", network="n", network_name="n")
    machine = replace(world.machine, nics=(Nic(position=0, label="n", model=NicModel.E1000, network="n", mac=MAC),))
    spec = replace(world.spec, nics=(nic,))

    def judge(before=BEFORE, now=WELL, answer=None):
        given = [answer or Answer(port=PORT, address="192.0.2.7", local="192.0.2.99")]
        return {one.label: (one.verdict, one.text) for one in checks_of(before, now, machine, spec, given)}

    return judge


def test_all_that_was_recorded_is_back(judged):
    found = judged()
    passed = {label for label, (verdict, _) in found.items() if verdict is Verdict.PASS}
    assert passed == {"power", "disks", "agent", "PV drivers", "address 192.0.2.7", "port tcp:443"}
    assert {found[label][0] for label in found.keys() - passed} == {Verdict.NOT_CHECKED}
    assert found["PV drivers"][1] == "in use 9.4"


@pytest.mark.parametrize(
    ("label", "now", "verdict", "says"),
    [
        ("power", replace(WELL, running=False), Verdict.FAIL, "does not run any more"),
        ("disks", replace(WELL, disks=(2**40,)), Verdict.FAIL, "1 of 2 disks"),
        ("disks", replace(WELL, disks=(2**40, 512)), Verdict.FAIL, "disk 1 has 512 bytes instead of"),
        ("agent", replace(WELL, agent=False), Verdict.FAIL, "not alive any more"),
        ("agent", replace(WELL, agent=None), Verdict.NOT_CHECKED, "install the guest tools"),
        ("PV drivers", replace(WELL, drivers=False), Verdict.FAIL, "not in use"),
        ("PV drivers", replace(WELL, drivers=None), Verdict.NOT_CHECKED, "no agent"),
    ],
)
def test_what_the_pool_tells(judged, label, now, verdict, says):
    found = judged(now=now)[label]
    assert found[0] is verdict and says in found[1]


def test_an_address_is_looked_for_on_the_adapter_of_the_same_mac(judged):
    silent = Answer(port=PORT)
    other = replace(WELL, adapters=(Adapter(position=0, mac=MAC, addresses=("192.0.2.50",)),))
    verdict, text = judged(now=other, answer=silent)["address 192.0.2.7"]
    assert verdict is Verdict.FAIL and f"the adapter {MAC} has 192.0.2.50" in text
    swapped = replace(WELL, adapters=(Adapter(position=1, mac="02:00:00:00:00:01", addresses=("192.0.2.7",)),))
    assert judged(now=swapped, answer=silent)["address 192.0.2.7"][0] is Verdict.FAIL
    new_mac = replace(WELL, adapters=(Adapter(position=0, mac="02:00:00:00:00:01", addresses=("192.0.2.7",)),))
    assert judged(now=new_mac, answer=silent)["address 192.0.2.7"][0] is Verdict.PASS
    mute = replace(WELL, agent=None, adapters=(Adapter(position=0, mac=MAC),))
    assert judged(now=mute, answer=silent)["address 192.0.2.7"][0] is Verdict.NOT_CHECKED
    assert judged(now=mute)["address 192.0.2.7"] == (Verdict.PASS, "tcp:443 answers there")


def test_of_ipv6_another_address_of_the_same_network_is_as_good(judged):
    six = replace(BEFORE, addresses=(GuestAddress(mac=MAC, addresses=("2001:db8::dead/64",)),))
    near = replace(WELL, adapters=(Adapter(position=0, mac=MAC, addresses=("2001:db8::1",)),))
    far = replace(WELL, adapters=(Adapter(position=0, mac=MAC, addresses=("2001:db8:0:1::1",)),))
    assert judged(six, near)["address 2001:db8::dead"][0] is Verdict.PASS
    assert judged(six, far)["address 2001:db8::dead"][0] is Verdict.FAIL


def test_a_gateway_passes_only_where_an_answer_must_have_come_through_it(judged):
    inside, outside = "192.0.2.99", "198.51.100.9"
    for local, verdict in ((inside, Verdict.NOT_CHECKED), (outside, Verdict.PASS)):
        answer = Answer(port=PORT, address="192.0.2.7", local=local)
        assert judged(answer=answer)["gateway 192.0.2.1"][0] is verdict
    elsewhere = Answer(port=Port(number=443, address="192.0.2.200"), address="192.0.2.200", local=outside)
    assert judged(answer=elsewhere)["gateway 192.0.2.1"][0] is Verdict.NOT_CHECKED, "another machine answered"


def test_a_port_fails_only_where_it_answered_before(judged):
    silent = Answer(port=PORT)
    assert judged(answer=silent)["port tcp:443"][0] is Verdict.FAIL
    never = replace(BEFORE, ports=(PORT,))
    verdict, text = judged(never, answer=silent)["port tcp:443"]
    assert verdict is Verdict.NOT_CHECKED and "none to this machine before either" in text
    off = replace(BEFORE, running=False, ports=(PORT,))
    assert judged(off, answer=silent)["port tcp:443"][0] is Verdict.NOT_CHECKED
    assert judged(off)["port tcp:443"][0] is Verdict.PASS


def test_the_words_of_a_row():
    assert ports_of("tcp:443, tcp:22@10.0.0.5; log in as Ada tcp:443") == (PORT, Port(number=22, address="10.0.0.5"))
    assert ports_of("ping https://x/") == ()
    assert unread_ports("tcp:0 tcp:65536 tcp:http tcp:65535 tcpdump") == ("tcp:0", "tcp:65536", "tcp:http")


def test_what_a_guest_says_of_itself_never_leads_back_here():
    for address in ("127.0.0.1", "::1", "169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "::ffff:127.0.0.1", "x"):
        assert not is_reachable(address), address
    assert is_reachable("10.0.0.5") and is_reachable("2001:db8::1")


def test_a_port_is_really_asked():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert answers("127.0.0.1", port) == "127.0.0.1"
    assert answers("127.0.0.1", port) is None


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds


@pytest.fixture
def started(world):
    """A work whose machine was started; `looks` are what its guest is at each look, the last for good."""
    clock = Clock()
    asked = []

    def make(*looks, before=BEFORE, care=None, reach=None):
        def guest(_claim):
            found = looks[min(len(asked), len(looks) - 1)]
            asked.append(clock.seconds)
            if isinstance(found, Exception):
                raise found
            return found

        world.target.guest = guest
        work = world.work(
            started=True, before=before, care=care or Aftercare(health_seconds=300), clock=clock, sleep=clock.sleep,
            reach=reach or (lambda *_: None),
        )  # fmt: skip
        work.claim = world.target.claim(world.spec, "tag")
        return work

    make.clock, make.asked = clock, asked
    return make


BOOTING = replace(WELL, agent=None, drivers=None, adapters=(Adapter(position=0, mac=MAC),))


def test_it_is_waited_until_all_is_well_and_no_longer(started):
    work = started(BOOTING, BOOTING, WELL)
    health.check(work)
    assert work.health.verdict is Verdict.PASS
    assert len(started.asked) == 3 and started.clock.seconds == 4


def test_at_the_end_of_its_time_the_verdict_is_as_it_is(started):
    lost = replace(WELL, adapters=(Adapter(position=0, mac=MAC, addresses=("192.0.2.99",)),))
    work = started(lost)
    health.check(work)
    assert [one.label for one in work.health.failed] == ["address 192.0.2.7"]
    assert 300 <= started.clock.seconds < 305


def test_an_agent_that_nothing_promised_is_waited_for_a_minute(started):
    work = started(BOOTING, before=replace(BEFORE, addresses=(), tools=ToolsState.UNKNOWN, ports=()))
    health.check(work)
    assert work.health.verdict is Verdict.PASS and not work.health.failed
    assert 60 <= started.clock.seconds < 65


def test_who_stops_v2x_makes_no_machine_ill(started):
    """Ctrl-C while a guest boots must not send it back."""
    work = started(replace(BOOTING, running=False), before=BEFORE, care=Aftercare(ports=(PORT,)))
    work.stopping = lambda: len(started.asked) > 2
    health.check(work)
    assert not work.health.failed and started.clock.seconds < 10
    found = {one.name: one for one in work.health.checks}
    assert "v2x was stopped" in found["power"].text and "v2x was stopped" in found["port"].text


def test_reboots_are_counted(started):
    work = started(BOOTING, replace(BOOTING, started="t2"), replace(WELL, started="t2"))
    health.check(work)
    assert work.health.reboots == 1 and work.health.reboot_seconds == 2
    assert work.health.verdict is Verdict.PASS


def test_a_pool_that_does_not_answer_makes_no_machine_ill(started):
    work = started(TargetError("gone"), WELL)
    health.check(work)
    assert work.health.verdict is Verdict.PASS
    work = started(TargetError("gone"))
    started.asked.clear()
    health.check(work)
    assert work.health.verdict is Verdict.NOT_CHECKED and "gone" in work.health.checks[0].text


def test_ports_are_asked_where_they_answered_and_where_the_guest_is_now(started):
    seen = []
    moved = replace(WELL, adapters=(Adapter(position=0, mac=MAC, addresses=("127.0.0.1", "192.0.2.8")),))

    def reach(address, port):
        seen.append((address, port))
        return "198.51.100.9" if address == "192.0.2.8" else None

    work = started(moved, before=replace(BEFORE, addresses=()), care=Aftercare(ports=(PORT,)), reach=reach)
    health.check(work)
    assert seen == [("192.0.2.7", 443), ("192.0.2.8", 443)]
    assert next(one for one in work.health.checks if one.name == "port").verdict is Verdict.PASS


@pytest.mark.parametrize("change", [{"started": False}, {"care": Aftercare(health_seconds=0)}])
def test_nothing_is_looked_at_where_nothing_was_started_or_asked(started, change):
    work = started(WELL)
    for name, value in change.items():
        setattr(work, name, value)
    health.check(work)
    assert work.health is None and not started.asked


def test_a_guest_is_recorded_as_its_source_has_it_now(world):
    world.source.state = lambda _machine: PowerState.ON
    world.source.shutdown = world.source.power_on = lambda *_: None
    volume = GuestVolume(path="/", capacity_bytes=2**30)
    world.source.machine = replace(world.machine, guest=Guest(addresses=(HOME,), volumes=(volume,), tools_version="12"))
    asked = []

    def reach(address, port):
        asked.append((address, port))
        return "198.51.100.9"

    care = Aftercare(ports=(PORT, Port(number=22, address="gate.example")))
    work = world.work(care=care, reach=reach, now=lambda: NOW)
    health.record(work)
    assert work.before.running and work.before.volumes == (volume,) and work.before.taken_at == NOW
    assert asked == [("192.0.2.7", 443), ("gate.example", 22)], "only what the row names, never a link-local address"
    assert [one.answered for one in work.before.ports] == [("192.0.2.7",), ("gate.example",)]


def test_of_a_machine_that_is_off_no_port_is_asked(world):
    work = world.work(care=Aftercare(ports=(PORT,)), reach=lambda *_: pytest.fail("asked"))
    work.machine = replace(world.machine, power_state=PowerState.OFF, guest=Guest(addresses=(HOME,)))
    health.record(work)
    assert not work.before.running and work.before.addresses == (HOME,)
