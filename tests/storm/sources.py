# SPDX-License-Identifier: Apache-2.0
"""What a round of the storm migrates: small machines at each kind of source, and what must stay as it was there."""

import hashlib
import random
import threading
from dataclasses import dataclass, field

from tests.hyperv_images import read_by_libvhdi
from v2x.model.units import MIB
from v2x.simulators.appliance import ApplianceSpec, CreateType, NicSpec, write_ova, write_vmx_folder
from v2x.simulators.appliance import DiskSpec as ApplianceDisk
from v2x.simulators.hyperv.checkpoints import Checkpoints
from v2x.simulators.hyperv.service import HyperV
from v2x.simulators.vsphere import DiskSpec, MachineSpec, VsphereSimulator, events
from v2x.simulators.vsphere import NicSpec as VsphereNic

BLOCK = 64 * 1024


def raw_disk(path, chance):
    """A sparse raw image of a few MiB with islands of random bytes."""
    size = chance.randint(3, 12) * MIB + chance.choice((0, 512, BLOCK, MIB - 512))
    with path.open("wb") as file:
        file.truncate(size)
        for _ in range(chance.randint(1, 4)):
            length = chance.choice((512, 70_000, MIB, 3 * MIB))
            file.seek(chance.randrange(size // 512) * 512)
            file.write(chance.randbytes(min(length, size - file.tell())))
    return path


def digests(folder):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()}


@dataclass
class Site:
    """One source. `words` name it, `options` go with every command and `run_options` with those that begin a migration.

    `names` are its machines; `warm` ones run and write until their cutover.
    """

    folder: object
    chance: random.Random
    many: bool
    warm: bool = False
    words: list = field(default_factory=list)
    options: list = field(default_factory=list)
    run_options: list = field(default_factory=list)
    names: list = field(default_factory=list)
    password: str = ""

    def open(self): ...

    def trouble(self):
        """Arms something that may go wrong at the source; returns its name."""
        return ""

    def calm(self): ...

    def close(self): ...

    def calls(self):
        """Events that could be struck while a program runs."""
        return []


class Files(Site):
    """OVAs, or folders with a .vmx, whose disks have every layout."""

    kind = "ova"

    def open(self):
        exports = self.folder / "exports"
        exports.mkdir()
        self.raws = {}
        for number in range(self.chance.randint(2, 3) if self.many else 1):
            name = f"{self.kind}{number}"
            raws = [raw_disk(self.folder / f"{name}-{n}.raw", self.chance) for n in range(self.chance.randint(1, 2))]
            disks = tuple(ApplianceDisk(raw=raw, unit=unit) for unit, raw in enumerate(raws))
            spec = ApplianceSpec(name=name, disks=disks, nics=(NicSpec(mac=f"00:50:56:00:02:{number:02x}"),))
            self.written(exports / name, spec)
            self.raws[name] = [raw.read_bytes() for raw in raws]
            for raw in raws:
                raw.unlink()
        self.names = list(self.raws)
        self.words = [str(exports)] if self.many else [str(next(exports.iterdir()))]
        self.before = digests(exports)

    def written(self, path, spec):
        write_ova(path.with_suffix(".ova"), spec)

    def content(self, name):
        return self.raws[name]

    def check(self, off=None):
        assert digests(self.folder / "exports") == self.before, "the source was written to"


class VmxFolders(Files):
    kind = "vmx"

    def written(self, path, spec):
        layouts = (CreateType.MONOLITHIC_FLAT, CreateType.MONOLITHIC_SPARSE, CreateType.VMFS, CreateType.TWO_GB_SPARSE)
        write_vmx_folder(path, spec, expected=self.folder / "expected", disk_type=self.chance.choice(layouts))


class Writing(threading.Thread):
    """A guest that acts whenever its machine is on, until the round is over."""

    def __init__(self, act, pause):
        super().__init__(daemon=True)
        self.act, self.pause = act, pause
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(self.pause):
            self.act()

    def end(self):
        self.ended.set()
        self.join()


class Vsphere(Site):
    kind = "vsphere"

    def open(self):
        self.vcenter = VsphereSimulator(self.folder / "vsphere", estate="empty", password="secret")
        self.vcenter.settings.lease_timeout = 5.0  # minutes on a real one: what a killed run exported is waited for
        self.vcenter.start()
        self.password = "secret"
        self.guests, self.machines = [], {}
        self.tracked = self.chance.random() < 0.6
        for number in range(self.chance.randint(2, 3) if self.many else 1):
            name = f"vs{number}"
            images = [raw_disk(self.folder / f"{name}-{n}.raw", self.chance) for n in range(self.chance.randint(1, 2))]
            disks = tuple(DiskSpec(image=image, size_bytes=512) for image in images)
            state = {"power": "poweredOn", "tracking": self.tracked} if self.warm else {"power": "poweredOff"}
            spec = MachineSpec(name=name, disks=disks, nics=(VsphereNic(),), **state)
            self.machines[name] = self.vcenter.add_vm(spec)
            for image in images:
                image.unlink()
            if self.warm:
                self.guests.append(Writing(self.guest(self.machines[name], number), 0.02))
                self.guests[-1].start()
        self.names = list(self.machines)
        self.words = [f"vsphere://{self.vcenter.user}@127.1:{self.vcenter.port}"]
        self.options = ["--source-fingerprint", self.vcenter.fingerprint]
        if self.warm:
            self.run_options = ["--enable-cbt"]
        else:
            self.run_options = ["--transport", self.chance.choice(("auto", "https", "nfc"))]

    def guest(self, machine, seed):
        chance, disks = random.Random(seed), list(self.vcenter.disks(machine).values())

        def act():
            with self.vcenter.state.store.lock:
                if str(machine.values["runtime"].powerState) != "poweredOn":
                    return
                disk = chance.choice(disks)
                length = chance.choice((512, 4096, BLOCK, 3 * BLOCK))
                offset = chance.randrange(0, (disk.size_bytes - length) // 512) * 512
                if chance.random() < 0.3:
                    disk.zero(offset, length)
                else:
                    disk.write(offset, chance.randbytes(length))

        return act

    def trouble(self):
        chance, faults = self.chance, self.vcenter.faults
        kind = chance.choice(
            ("slow", "status", "cut", "cut", "broken", "lose_session", "vmotion", "host_reboot", "fail")
        )
        after = chance.randrange(40)
        where = chance.choice(("soap", "folder", "nfc"))
        if kind == "slow":
            faults.arm("slow", target=where, seconds=0.5, times=3, after=after)
        elif kind == "status":
            faults.arm("status", target=where, at=503, after=after)
        elif kind == "cut":
            faults.arm(
                "cut", target=where, at=chance.choice((0, 100, 5000, MIB)), after=after // (1 + 9 * (where != "soap"))
            )
        elif kind in ("broken", "lose_session"):
            faults.arm(kind, after=after)
        elif kind in ("vmotion", "host_reboot"):
            faults.arm(kind, at=chance.randrange(2 * MIB))
        else:
            call = chance.choice(("CreateSnapshot_Task", "RemoveSnapshot_Task", "ReconfigVM_Task", "PowerOffVM_Task"))
            faults.arm("fail_task", target=call, name="vim.fault.TaskInProgress", at=50)
            kind = f"{call} fails"
        return f"{kind} {where} after {after}"

    def calm(self):
        """Hosts that fell away are back, and what ran on them was started again, as vSphere HA does it."""
        self.vcenter.faults.clear()
        state = self.vcenter.state
        for host in list(state.closed_hosts):
            ran = [one for one in self.machines.values() if str(one.values["runtime"].powerState) == "poweredOn"]
            events.host_up(state, state.store.find(host))
            for machine in ran:
                events.set_power(state, machine, "poweredOn", "vSphere HA")

    def calls(self):
        return [self.vcenter.expire_sessions]

    def content(self, name):
        return [disk.read(0, disk.size_bytes) for disk in self.vcenter.disks(self.machines[name]).values()]

    def check(self, off=None):
        """`off` are the machines that are through; None is all of them. A warm one that was given up goes on."""
        assert not self.vcenter.untouched(), "the source was written to"
        for name, machine in self.machines.items():
            assert "snapshot" not in machine.values, f"a snapshot of {name} is left"
            goes_on = self.warm and off is not None and name not in off
            assert str(machine.values["runtime"].powerState) == ("poweredOn" if goes_on else "poweredOff"), name
            tracked = machine.values["config"].changeTrackingEnabled
            assert bool(tracked) == (self.warm and self.tracked), f"change tracking of {name} is {tracked}"

    def close(self):
        for guest in self.guests:
            guest.end()
        self.vcenter.stop()


class HyperVSite(Site):
    kind = "hyperv"

    def open(self):
        self.served = HyperV(self.folder / "hyperv").start()
        self.password = self.served.password
        machines = {one.name: one for one in self.served.estate.machines}
        if self.many:
            self.names = ["web01", "old01"]
        else:
            self.names = ["db01"] if self.warm else [self.chance.choice(("web01", "old01"))]
        self.machines = {name: machines[name] for name in self.names}
        self.files = self.paths()
        self.before = {} if self.warm else digests(self.folder / "hyperv" / "drives")
        self.words = [self.served.address]
        self.options = ["--source-fingerprint", self.served.fingerprint]
        self.options += [word for rule in self.served.rules for word in ("--share", rule)]
        self.guests = []
        if self.warm:
            self.hands = Checkpoints(self.served.estate, self.served.place)
            self.guests = [Writing(self.guest(self.machines["db01"]), 0.05)]
            self.guests[0].start()

    def paths(self):
        return sorted(path for path in (self.folder / "hyperv" / "drives").rglob("*") if path.is_file())

    def guest(self, vm):
        chance = random.Random(3)

        def act():
            with self.served.lock:
                if vm.state != "Running":
                    return
                path = vm.disks[0].path
                size = self.served.estate.images[path.lower()].size
                if chance.random() < 0.15:
                    self.hands.trim(path, chance.randrange(size // MIB))
                else:
                    length = chance.choice((512, 4096, BLOCK))
                    at = chance.randrange((size - length) // 512) * 512
                    self.hands.write(path, at, chance.randbytes(length))

        return act

    def trouble(self):
        kind = self.chance.choice(("http_error", "half_closed", "lost_shells", "slow", "script_ends", "big_reply"))
        after = self.chance.randrange(12)
        self.served.faults.arm(kind, after=after)
        return f"{kind} after {after}"

    def calm(self):
        self.served.faults.clear()

    def content(self, name):
        chain = self.served.estate.chain
        disks = sorted(
            self.machines[name].disks, key=lambda disk: (disk.controller != "IDE", disk.number, disk.location)
        )
        return [read_by_libvhdi([self.served.place(one.path) for one in chain(disk.path)]) for disk in disks]

    def check(self, off=None):
        assert self.paths() == self.files, "files at the source came or went"
        for name, vm in self.machines.items():
            assert not [one.name for one in vm.checkpoints if one.name.startswith("v2x ")], name
            goes_on = self.warm and off is not None and name not in off
            assert vm.state == ("Running" if goes_on else "Off"), name
        if not self.warm:
            assert digests(self.folder / "hyperv" / "drives") == self.before, "the source was written to"

    def close(self):
        for guest in self.guests:
            guest.end()
        self.served.stop()


KINDS = (
    (Files, False), (VmxFolders, False), (Vsphere, False), (Vsphere, True), (Vsphere, True), (HyperVSite, False),
    (HyperVSite, True),
)  # fmt: skip
"""What a round may draw, warm or not."""
