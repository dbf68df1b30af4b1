# SPDX-License-Identifier: Apache-2.0
"""A simulated vCenter or ESXi host in this process: the way in for tests and `v2x simulate vsphere`."""

import secrets
import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pyVmomi import VmomiSupport, vim

from v2x.errors import UsageError
from v2x.simulators import programs
from v2x.simulators.certificate import certificate_of, certificate_pem, fingerprint, server_context, sha1_thumbprint
from v2x.simulators.faults import Faults, apply_settings
from v2x.simulators.listener import Listener
from v2x.simulators.panel import Panel
from v2x.simulators.vsphere import events, printing, properties
from v2x.simulators.vsphere.calls import service
from v2x.simulators.vsphere.disks.guest import GuestDisk
from v2x.simulators.vsphere.estate.crowd import populate
from v2x.simulators.vsphere.estate.files import disks_of
from v2x.simulators.vsphere.estate.inventory import Inventory
from v2x.simulators.vsphere.estate.machines import add_machine
from v2x.simulators.vsphere.estate.places import Places
from v2x.simulators.vsphere.estate.seed import seed
from v2x.simulators.vsphere.estate.specs import MachineSpec
from v2x.simulators.vsphere.faults import KINDS, LASTING, Settings
from v2x.simulators.vsphere.ledger import Ledger
from v2x.simulators.vsphere.panel import panel_of
from v2x.simulators.vsphere.profiles import DEFAULT_PROFILE, profile_named
from v2x.simulators.vsphere.sessions import Account, Sessions
from v2x.simulators.vsphere.state import State
from v2x.simulators.vsphere.store import Entity, Store
from v2x.simulators.vsphere.web.connection import serving
from v2x.simulators.vsphere.writer import GuestWriter

_USERS = {True: "administrator@vsphere.local", False: "root"}

assert properties  # importing it registers the computed properties


class VsphereSimulator:
    """A vCenter or a lone ESXi host, on TLS at `address`, and the hosts of a vCenter each at a port of its own.

    `profile` is a key of PROFILES, or `vcenter` or `esxi`; `estate` is `standard` or `empty`. `accounts` adds users to
    the administrator. Settings (`task_delay`, `lease_timeout`, …: faults.Settings) may be given by name and changed
    later in `settings`. Everything lies below `folder`, or in a folder of its own that goes with the stand-in;
    certificates and ledger outlive a run, the estate is made anew, alike for a like `seed`. `machines` adds so many
    ordinary machines.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        profile: str = DEFAULT_PROFILE,
        estate: str = "standard",
        port: int = 0,
        password: str | None = None,
        accounts: Sequence[Account] = (),
        seed: int = 1,
        machines: int = 0,
        panel_port: int = 0,
        **settings: Any,
    ) -> None:
        self._own_folder = folder is None
        self.folder = Path(folder or tempfile.mkdtemp(prefix="v2x-vsphere-"))
        self.profile = profile_named(profile)
        self.user = _USERS[self.profile.vcenter]
        self.password = password or secrets.token_urlsafe(18)
        self.settings = Settings()
        apply_settings(self.settings, settings)
        self.faults = Faults(KINDS, LASTING)
        self._accounts = [Account(self.user, self.password), *accounts]
        self._estate = estate
        self._port = port
        self._seed = seed
        self._machines = machines
        self._panel_port = panel_port
        self._panel: Panel | None = None
        self.certificates: dict[str, str] = {}
        """PEM by host id; "" is the API's."""
        self.writers: dict[str, list[GuestWriter]] = {}
        """The guests that are writing, by machine id."""
        self._listeners: dict[str, Listener] = {}
        self._state: State | None = None
        self._inventory: Inventory | None = None

    # life

    def start(self) -> Self:
        """Fills the estate and listens. OSError when the port is taken."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.folder / "datastores", ignore_errors=True)
        store = Store()
        state = self._state = State(
            self.profile,
            store,
            self.settings,
            self.faults,
            Ledger(self.folder / "ledger.jsonl"),
            Sessions(self.settings, self._accounts),
            self.folder,
            Places(self.folder / "datastores"),
            "7a9f4a0e-5c64-4e8b-9d3c-0f5f6b2a1e01",
        )
        store.context = state
        version = VmomiSupport.versionMap[f"vim25/{self.profile.api}"]
        store.imitate = lambda entity, name: printing.imitated(store, entity, name, version)
        try:
            self._inventory = Inventory(state, self._seed)
            service.install(state, self._inventory.root.ref)
            seed(self._inventory, self._estate)
            populate(self._inventory, self._machines)
            self._listen(state)
            self._panel = panel_of(self, self._panel_port)
            self._panel.start()
        except BaseException:
            self.stop()
            raise
        return self

    def _listen(self, state: State) -> None:
        """One listener for the API, and one for each host of a vCenter."""
        hosts = [e.moid for e in state.store.all(vim.HostSystem)] if self.profile.vcenter else []
        for moid in ["", *hosts]:
            path = certificate_of(self.folder, moid or "api")
            pem = certificate_pem(path)
            listener = Listener(serving(state, moid), server_context(path), 0 if moid else self._port)
            self._listeners[moid] = listener
            state.ports[moid] = listener.port
            state.thumbprints[moid] = sha1_thumbprint(pem)
            self.certificates[moid] = pem
        for lone in state.store.all(vim.HostSystem):
            state.ports.setdefault(lone.moid, state.ports[""])
            state.thumbprints.setdefault(lone.moid, state.thumbprints[""])
        for listener in self._listeners.values():
            listener.start()

    def stop(self) -> None:
        """Ends all connections. The files stay. Safe to call twice."""
        state, self._state = self._state, None
        if state is None:
            return
        for machine in list(self.writers):
            for writer in self.writers.pop(machine):
                writer.stop()
        state.stopping.set()
        if self._panel is not None:
            self._panel.close()
            self._panel = None
        with state.store.lock:
            state.store.changed.notify_all()
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
        state.places.close()
        state.ledger.close()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # looking in

    @property
    def state(self) -> State:
        """The parts of the running stand-in. UsageError when it is not running."""
        if self._state is None:
            raise UsageError("The simulated vSphere is not running")
        return self._state

    @property
    def port(self) -> int:
        return self.state.ports[""]

    @property
    def address(self) -> str:
        """`127.0.0.1:PORT` of the API."""
        return f"127.0.0.1:{self.port}"

    @property
    def fingerprint(self) -> str:
        """`sha256:<hex>` of the API's certificate."""
        return fingerprint(self.certificates[""])

    @property
    def certificate(self) -> str:
        """The API's certificate as PEM, for a client that pins it."""
        return self.certificates[""]

    @property
    def thumbprint(self) -> str:
        """SHA-1 of the API's certificate as VMware writes it: `AA:BB:…`."""
        return self.state.thumbprints[""]

    @property
    def ledger(self) -> Ledger:
        return self.state.ledger

    @property
    def inventory(self) -> Inventory:
        if self._inventory is None:
            raise UsageError("The simulated vSphere is not running")
        return self._inventory

    def machine(self, name: str) -> Entity:
        """The first machine with this name, as the API shows it. UsageError for none."""
        return self.inventory.named(vim.VirtualMachine, name)

    def add_vm(self, spec: MachineSpec | str, *images: Path, **more: Any) -> Entity:
        """Adds a machine: a spec, or a name with raw images of its disks and other fields of MachineSpec."""
        from v2x.simulators.vsphere.estate.specs import DiskSpec

        if isinstance(spec, str):
            if images:
                more.setdefault("disks", tuple(DiskSpec(image=image, size_bytes=512) for image in images))
            spec = MachineSpec(name=spec, **more)
        with self.state.store.lock:
            return add_machine(self.inventory, spec)

    def add_vm_from(self, image: Path) -> Entity:
        """A running machine named like the image file, in any format that qemu-img reads. V2xError where it cannot."""
        raw = self.folder / "images" / f"{image.stem}.raw"
        raw.parent.mkdir(exist_ok=True)
        programs.run(
            ["qemu-img", "convert", "-O", "raw", str(image.absolute()), str(raw)], cwd=self.folder, timeout=3600
        )
        try:
            return self.add_vm(image.stem, raw, power="poweredOn", tracking=True)
        finally:
            raw.unlink()

    def disks(self, machine: Entity) -> dict[int, GuestDisk]:
        """The disks of a machine by device key: read them, or write to them as the guest does."""
        return disks_of(self.state, machine)

    def entity(self, kind: Any, name: str) -> Entity:
        """An object by its name as the API shows it, or by its id. UsageError for none."""
        found = self.state.store.find(name)
        if found is not None and issubclass(found.kind, kind):
            return found
        return self.inventory.named(kind, name)

    def start_writing(
        self, machine: Entity, *, seed: int = 1, per_second: float = 20, grow_to: int = 0
    ) -> list[GuestWriter]:
        """The machine's guest begins to change its disks; up to `grow_to` bytes they grow as well (0: not)."""
        writers = [
            GuestWriter(
                disk,
                seed=seed + number,
                per_second=per_second,
                grow_to=grow_to,
                grow=partial(events.grow, self.state, machine, key),
            ).start()
            for number, (key, disk) in enumerate(self.disks(machine).items())
        ]
        self.writers.setdefault(machine.moid, []).extend(writers)
        return writers

    def stop_writing(self, machine: Entity) -> None:
        for writer in self.writers.pop(machine.moid, []):
            writer.stop()

    def untouched(self) -> list[str]:
        """Machines and disks whose bytes are not what they were though no guest wrote: must always be empty."""
        facts = self.disk_facts()
        return [
            f"{disks['name']} {key}"
            for moid, disks in facts.items()
            for key, fact in disks.items()
            if key != "name" and not fact["untouched"]
        ]

    def disk_facts(self) -> dict[str, dict[str, Any]]:
        """The digest of every disk now, by machine id and device key, and whether it is what the guest left."""
        state = self.state
        told: dict[str, dict[str, Any]] = {}
        for moid, disks in list(state.disks.items()):
            entity = state.store.find(moid)
            if entity is None:
                continue
            told[moid] = {"name": entity.values["name"]}
            for key, disk in disks.items():
                told[moid][str(key)] = disk.facts()
        return told

    @property
    def panel_url(self) -> str:
        """`http://127.0.0.1:PORT` of the fault panel."""
        if self._panel is None:
            raise UsageError("The simulated vSphere is not running")
        return self._panel.url

    def expire_sessions(self) -> int:
        """Ends every session now; returns how many there were."""
        return self.state.sessions.expire_all()
