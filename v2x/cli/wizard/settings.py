# SPDX-License-Identifier: Apache-2.0
"""The questions about one machine: what it is called, where its parts go, what it gets, and when it is away."""

from collections.abc import Callable
from dataclasses import dataclass

from v2x.cli.wizard.machines import FOR_A_CHOICE, of_machine
from v2x.cli.wizard.prompts import Option, ask_line, ask_yes
from v2x.cli.wizard.talk import Talk
from v2x.cli.wizard.tools import why_not_converted
from v2x.cli.wizard.walk import Step, always
from v2x.errors import UsageError
from v2x.mapping.networks import NetworkChoice, resolve_network
from v2x.mapping.resolve import REST, is_offline, reference, usable_storage
from v2x.model.downtime import downtime_of, show_downtime
from v2x.model.forecast import DEFAULT_PACE
from v2x.model.machine import Disk, Firmware, Machine, Nic, PowerState
from v2x.model.plan import GuestConversion, MacPolicy, PlanRow, Running, Transfer
from v2x.model.target import StorageRepository, TargetNetwork
from v2x.model.units import GIB, show_bytes
from v2x.plan import parse_size, write_size
from v2x.text import printable

_MOST_VCPUS = 255
_USUAL_MEMORY_BYTES = 4 * GIB
_USUAL_VCPUS = 2
_LIVE = frozenset({"vsphere", "hyperv"})
_BROUGHT_DOWN = frozenset({Running.SHUTDOWN, Running.POWER_OFF})
_FIRMWARE = {Firmware.BIOS: "BIOS", Firmware.UEFI: "UEFI"}


@dataclass(frozen=True, slots=True)
class _Question:
    """`is_there` says whether it makes sense for the machine at all, `is_open` whether it has no certain answer."""

    ask: Callable[[], None]
    is_there: Callable[[], bool] = always
    is_open: Callable[[], bool] = lambda: False


def questions(talk: Talk, machine: Machine) -> list[Step]:
    """All that apply to the machine, in their order; without `talk.asks_all` only those without a certain answer."""
    asked = MachineQuestions(talk, machine)
    several_stores = len(usable_storage(talk.pool)) > 1
    found = (
        _Question(asked.name, is_open=asked.name_is_taken),
        *(_Question(asked.storage(disk), lambda: several_stores) for disk in machine.disks),
        *(_Question(asked.network(nic), asked.has_networks, asked.is_open(nic)) for nic in machine.nics),
        _Question(asked.mac, asked.mac_is_taken, always),
        _Question(asked.vcpus, is_open=lambda: machine.cpu.count < 1),
        _Question(asked.memory, is_open=lambda: machine.memory.size_bytes < 1),
        _Question(asked.firmware, is_open=lambda: not machine.firmware_stated),
        _Question(asked.convert),
        _Question(asked.transfer, asked.may_be_warm),
        _Question(asked.running, asked.has_to_stop, asked.has_to_stop),
        _Question(asked.start),
    )
    return [Step(one.ask, _applies(talk, one)) for one in found]


def _applies(talk: Talk, question: _Question) -> Callable[[], bool]:
    return lambda: question.is_there() and (talk.asks_all or question.is_open())


class MachineQuestions:
    def __init__(self, talk: Talk, machine: Machine) -> None:
        self._talk, self._machine, self._prompts = talk, machine, talk.prompts
        several = len(talk.chosen) > 1
        self._who = f"{printable(machine.name, 30)}: " if several else ""

    @property
    def _row(self) -> PlanRow:
        return self._talk.rows[self._machine.id]

    def name(self) -> None:
        known = self._row.target_name or self._machine.name
        others = {row.target_name for key, row in self._talk.rows.items() if key != self._machine.id}

        def wrong(text: str) -> str:
            if text in self._taken_names():
                return f"the target has a machine called {text}; type another name"
            return f"another machine of this plan is called {text}" if text in others else ""

        self._talk.change(
            self._machine, target_name=ask_line(self._prompts, f"{self._who}Name on the target", known, wrong)
        )

    def _taken_names(self) -> set[str]:
        return set(self._talk.pool.machine_names)

    def name_is_taken(self) -> bool:
        return self._row.target_name in self._taken_names()

    def storage(self, disk: Disk) -> Callable[[], None]:
        def ask() -> None:
            row, pool = self._row, self._talk.pool
            stores = usable_storage(pool)
            known = row.storage.get(disk.id) or row.storage.get(REST, "")
            options = [self._store(sr, known) for sr in stores]
            question = (
                f"{self._who}Storage for {printable(disk.label or disk.id, 40)}, {show_bytes(disk.capacity_bytes)}"
            )
            chosen = self._prompts.choose(question, options, known)
            self._talk.change(self._machine, storage={**row.storage, disk.id: chosen})

        return ask

    def _store(self, sr: StorageRepository, known: str) -> Option:
        pool = self._talk.pool
        value = reference(sr, pool.storage)
        words = [f"{show_bytes(sr.free_bytes)} free", sr.kind, "shared" if sr.shared else "local"]
        words += ["default of the pool"] if sr.is_default else []
        drafted = self._talk.drafted[self._machine.id].storage.values()
        note = "suggested" if value in drafted else ""
        name = printable(sr.name, 60)
        return Option(value, f"{name}  {', '.join(words)}", note, name if value == sr.name else value)

    def has_networks(self) -> bool:
        return bool(self.networks())

    def networks(self) -> list[TargetNetwork]:
        return [] if is_offline(self._talk.pool) else [one for one in self._talk.pool.networks if not one.in_bond]

    def is_open(self, nic: Nic) -> Callable[[], bool]:
        return lambda: not self._row.networks.get(str(nic.position)) and not self._row.networks.get(REST)

    def network(self, nic: Nic) -> Callable[[], None]:
        """The certain or likely ones come first, each with what speaks for it; a guess is never what Enter takes."""

        def ask() -> None:
            talk, row = self._talk, self._row
            found = resolve_network(nic, self._machine, talk.pool, talk.places)
            known = row.networks.get(str(nic.position)) or row.networks.get(REST, "")
            likely = (found.network,) if isinstance(found, NetworkChoice) else found.candidates
            if not isinstance(found, NetworkChoice):
                talk.prompts.tell(f"  {printable(nic.network) or printable(nic.label)}: {printable(found.why, 200)}")
            first = [one for one in self.networks() if one in likely]
            rest = [one for one in self.networks() if one not in likely]
            why = found.reason if isinstance(found, NetworkChoice) else "could be the one"
            is_hint = bool(rest)
            options = [self._network(one, why if is_hint else "") for one in first]
            options += [self._network(one, "") for one in rest]
            origin = talk.places.origin(nic, self._machine)
            tag = f", {origin.tag}" if origin.tag else ""
            question = (
                f"{self._who}Network for {printable(nic.label, 40)}, now on {printable(nic.network, 40) or 'none'}{tag}"
            )
            chosen = self._prompts.choose(question, options, known)
            talk.change(self._machine, networks={**row.networks, str(nic.position): chosen})

        return ask

    def _network(self, network: TargetNetwork, note: str) -> Option:
        value = reference(network, self._talk.pool.networks)
        tag = f", VLAN {network.vlan}" if network.vlan else ""
        name = printable(network.name, 60)
        label = f"{name}  {network.device_names or 'internal'}{tag}"
        return Option(value, label, note, name if value == network.name else value)

    def mac_is_taken(self) -> bool:
        return any(
            one.rule in FOR_A_CHOICE and one.rule.startswith("nic.") for one in of_machine(self._talk, self._machine)
        )

    def mac(self) -> None:
        self._prompts.tell("  A machine on the pool has a MAC address of this one; both cannot be on one network.")
        new = ask_yes(self._prompts, f"{self._who}Give it new MAC addresses?", default=True)
        self._talk.change(self._machine, mac=MacPolicy.NEW if new else MacPolicy.KEEP)

    def vcpus(self) -> None:
        if self._machine.cpu.count < 1:
            self._prompts.tell("  Only disks are known of this machine; its hardware is yours to say.")
        known = str((self._row.vcpus if self._machine.cpu.count > 0 else None) or _USUAL_VCPUS)

        def wrong(text: str) -> str:
            fits = text.isascii() and text.isdecimal() and 0 < int(text) <= _MOST_VCPUS
            return "" if fits else f"{text} is no number from 1 to {_MOST_VCPUS}"

        self._talk.change(self._machine, vcpus=int(ask_line(self._prompts, f"{self._who}Virtual CPUs", known, wrong)))

    def memory(self) -> None:
        known = write_size(self._row.memory_bytes or self._machine.memory.size_bytes or _USUAL_MEMORY_BYTES)

        def wrong(text: str) -> str:
            try:
                parse_size(text)
            except UsageError as problem:
                return f"{problem.message}; {problem.hint}" if problem.hint else problem.message
            return ""

        text = ask_line(self._prompts, f"{self._who}Memory", known, wrong)
        self._talk.change(self._machine, memory_bytes=parse_size(text))

    def firmware(self) -> None:
        machine = self._machine
        here = machine.firmware
        told = "as at the source" if machine.firmware_stated else "seems to be so, by its disks"
        other = "a system that was installed with the other one does not start" if machine.firmware_stated else ""
        options = [Option(one.value, _FIRMWARE[one], told if one is here else other) for one in Firmware]
        chosen = self._prompts.choose(f"{self._who}Firmware", options, (self._row.firmware or here).value)
        self._talk.change(machine, firmware=Firmware(chosen))

    def convert(self) -> None:
        lacking = why_not_converted(self._talk, self._machine)
        if lacking:
            self._prompts.tell(f"  Its system cannot be put right for Xen from here: {lacking}")
            self._talk.change(self._machine, convert=GuestConversion.OFF)
            return
        options = (
            Option("auto", "yes, on the copy", "drivers, device names and network settings; the source is left alone"),
            Option("off", "no, as it is", "for systems that have the Xen drivers already, and ones v2x does not know"),
        )
        question = f"{self._who}Put the system inside right for Xen?"
        chosen = self._prompts.choose(question, options, self._row.convert.value)
        self._talk.change(self._machine, convert=GuestConversion(chosen))

    def is_on(self) -> bool:
        return self._machine.power_state is PowerState.ON and self._talk.listed.source.kind in _LIVE

    def may_be_warm(self) -> bool:
        return self.is_on() and not is_offline(self._talk.pool)

    def has_to_stop(self) -> bool:
        return self.is_on() and self._row.transfer is Transfer.COLD

    def transfer(self) -> None:
        options = (
            Option(
                "cold",
                "cold: it is off while it is copied",
                f"away for about {away(self._talk, self._machine, self._row, warm=False)}",
            ),
            Option(
                "warm",
                "warm: it runs on, and is off at the end only",
                f"away for {away(self._talk, self._machine, self._row, warm=True)} at most",
            ),
        )
        pace = f"{show_bytes(DEFAULT_PACE.bytes_per_second)}/s, {DEFAULT_PACE.origin}"
        self._prompts.tell(f"  {show_bytes(self._machine.used_bytes)} to copy; times are foretold at {pace}.")
        chosen = self._prompts.choose(f"{self._who}How shall it move?", options, self._row.transfer.value)
        if chosen == "warm" and not self._tracking():
            chosen = "cold"
        running = Running.REFUSE if chosen == "warm" else self._row.running
        self._talk.change(self._machine, transfer=Transfer(chosen), running=running)

    def _tracking(self) -> bool:
        """Whether changes are told: they are, or may be turned on for it."""
        if self._talk.listed.source.kind != "vsphere" or self._machine.change_tracking:
            return True
        self._prompts.tell(
            "  Change tracking is off for this machine. Warm needs it; v2x turns it off again at the end."
        )
        allowed = ask_yes(
            self._prompts, "Turn change tracking on at the source?", default=True, no="it moves cold then"
        )
        self._talk.app.enable_tracking = self._talk.app.enable_tracking or allowed
        return allowed

    def running(self) -> None:
        self._prompts.tell(f"  {printable(self._machine.name, 60)} is running.")
        options = [
            Option("shutdown", "shut it down first", "its system is asked to, and it stays off afterwards"),
            Option(
                "power-off", "switch it off hard first", "only where its system does not answer; as pulling the plug"
            ),
        ]
        if self._talk.listed.source.kind != "hyperv":
            snapshot = "it goes on running, and what it writes from now on stays behind: for a trial"
            options.insert(1, Option("snapshot", "copy it as it is now", snapshot))
        known = self._row.running.value if self._row.running is not Running.REFUSE else ""
        chosen = self._prompts.choose(f"{self._who}What is to become of it?", options, known)
        self._talk.change(self._machine, running=Running(chosen))

    def start(self) -> None:
        yes = "its addresses must be free then: the source is off, or has another network"
        start = ask_yes(self._prompts, f"{self._who}Start it when all is done?", default=self._row.start, yes=yes)
        self._talk.change(self._machine, start=start)


def away(talk: Talk, machine: Machine, row: PlanRow, *, warm: bool) -> str:
    """How long a machine that runs will be out of service, at an assumed pace, in words."""
    outage = downtime_of(
        machine,
        warm=warm,
        verify=row.verify,
        brings_down=True,
        shutdown_seconds=talk.app.shutdown_minutes * 60,
        rollback_seconds=0,
        converts=row.convert is GuestConversion.AUTO,
    )
    return show_downtime(outage.seconds(DEFAULT_PACE.bytes_per_second))


def outage_words(talk: Talk, machine: Machine, row: PlanRow) -> str:
    """The foretold outage of a machine that runs and is stopped for its move; empty for any other."""
    warm = row.transfer is Transfer.WARM
    if machine.power_state is not PowerState.ON or (not warm and row.running not in _BROUGHT_DOWN):
        return ""
    return f"foretold to be away for {away(talk, machine, row, warm=warm)}{' at most' if warm else ''}"
