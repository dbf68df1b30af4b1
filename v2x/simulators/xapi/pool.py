# SPDX-License-Identifier: Apache-2.0
"""A simulated XCP-ng pool in this process: the way in for tests, the demo and `v2x simulate xapi`."""

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from v2x.errors import UsageError
from v2x.simulators.certificate import certificate_of, certificate_pem, fingerprint, server_context
from v2x.simulators.faults import Faults, apply_settings
from v2x.simulators.listener import Listener
from v2x.simulators.panel import Panel
from v2x.simulators.xapi import computed, tasks
from v2x.simulators.xapi.cabling import note_nics
from v2x.simulators.xapi.calls.vm_life import halt
from v2x.simulators.xapi.collecting import Collector
from v2x.simulators.xapi.datamodel import load
from v2x.simulators.xapi.faults import KINDS, LASTING, Settings
from v2x.simulators.xapi.keeping import Keeper
from v2x.simulators.xapi.ledger import Ledger
from v2x.simulators.xapi.machines import Machines
from v2x.simulators.xapi.nbd import NbdListener
from v2x.simulators.xapi.panel import panel_of
from v2x.simulators.xapi.populating import populate
from v2x.simulators.xapi.profiles import DEFAULT_PROFILE, profile_named
from v2x.simulators.xapi.seed import Layout, seed
from v2x.simulators.xapi.sessions import Account, Sessions
from v2x.simulators.xapi.state import PoolState
from v2x.simulators.xapi.store import Store
from v2x.simulators.xapi.transfer.connection import serving
from v2x.simulators.xapi.volumes import Volumes


class Pool:
    """A pool of one or more hosts, each with its own TLS listener on 127.0.0.1.

    `host.address` of every host is `127.0.0.1:PORT`, so `https://<address>` reaches it; the first host is the
    coordinator and takes `port` (0: a free one). `accounts` adds users with an RBAC role beside root. Settings
    (`attach_delay`, `login_delay`, …: faults.Settings) may be given by name and changed later in `settings`.
    A folder that holds a saved pool is resumed, and `resumed` says so; `save` says whether the records are kept
    there, as they change.
    `boot` makes VM.start run the VM's disks in QEMU (no KVM), its serial console in `console`.
    """

    def __init__(
        self,
        state_dir: Path | str,
        *,
        profile: str = DEFAULT_PROFILE,
        hosts: int = 1,
        port: int = 0,
        panel_port: int = 0,
        password: str | None = None,
        accounts: Sequence[Account] = (),
        layout: Layout | None = None,
        save: bool = True,
        boot: bool = False,
        **settings: Any,
    ) -> None:
        self.folder = Path(state_dir)
        self.profile = profile_named(profile)
        self.layout = layout or Layout(hosts=hosts)
        self.user = "root"
        self.password = password or secrets.token_urlsafe(18)
        self.settings = Settings()
        apply_settings(self.settings, settings)
        self.faults = Faults(KINDS, LASTING)
        self.resumed = False
        self._save = save
        self._boot = boot
        self._accounts = [Account(self.user, self.password, superuser=True), *accounts]
        self._ports = [port] + [0] * (self.layout.hosts - 1)
        self._panel_port = panel_port
        self._listeners: list[Listener] = []
        self._nbd: list[NbdListener] = []
        self._keeper: Keeper | None = None
        self._collector: Collector | None = None
        self._panel: Panel | None = None
        self._state: PoolState | None = None

    # life

    def start(self) -> Self:
        """Listens.

        UsageError when the folder holds a pool of another profile, or when QEMU is missing for `boot`; OSError when a
        port is taken.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        machines = Machines(self.folder / "guests") if self._boot else None
        state = self._open_state(machines)
        self._state = state
        try:
            self._fill(state)
            self._listen(state)
            self._panel = panel_of(state, self._panel_port, self._orders())
        except (OSError, UsageError):
            self.stop()
            raise
        for listener in self._listeners:
            listener.start()
        for nbd in self._nbd:
            nbd.start()
        self._panel.start()
        if self._keeper is not None:
            self._keeper.start()
        self._collector = Collector(state)
        self._collector.start()
        return self

    def _open_state(self, machines: Machines | None) -> PoolState:
        model = load(self.profile.datamodel)
        store = Store(model)
        state = PoolState(
            self.profile,
            model,
            store,
            self.settings,
            self.faults,
            Ledger(self.folder / "ledger.jsonl"),
            Sessions(model, store, self.settings, self._accounts),
            Volumes(self.folder / "vdi"),
            self.folder,
            machines=machines,
            kernel_vlans=self.layout.kernel_vlans,
        )
        computed.install(state)
        return state

    def _fill(self, state: PoolState) -> None:
        """What the folder holds, or a fresh pool."""
        if self._save or (self.folder / "pool.sqlite").exists():
            self._keeper = Keeper(state, self.folder)
        self.resumed = self._keeper is not None and self._keeper.resume()
        if not self.resumed:
            seed(state, self.layout)
        elif state.machines is not None:
            up = [v for power in ("Running", "Paused") for v in state.store.find("VM", power_state=power)]
            for vm in up:
                if not state.store.get("VM", vm, "is_control_domain"):
                    halt(state, vm)  # its guest ended with the pool
        if self._keeper is not None and not self._save:
            self._keeper.discard()
            self._keeper = None
        note_nics(state)
        self._ports += [0] * (len(state.store.refs("host")) - len(self._ports))

    def _listen(self, state: PoolState) -> None:
        """One listener per host, the coordinator first, and the addresses written into the host records."""
        others = [h for h in state.store.refs("host") if h != state.master]
        for number, host in enumerate([state.master, *others]):
            name = state.store.get("host", host, "hostname")
            path = certificate_of(self.folder, name)
            state.certificates[host] = certificate_pem(path)
            listener = Listener(serving(state, host), server_context(path), self._ports[number])
            self._listeners.append(listener)
            self._ports[number] = listener.port
            nbd = NbdListener(state, host, server_context(path))
            self._nbd.append(nbd)
            state.nbd_ports[host] = nbd.port
            state.store.set("host", host, address=listener.address)

    def stop(self) -> None:
        """Ends all connections and guests. The disks stay, and the records when they are kept. Safe to call twice."""
        state, self._state = self._state, None
        if state is None:
            return
        state.stopping.set()
        with state.store.lock:
            state.store.changed.notify_all()
        for listener in self._listeners:
            listener.close()
        for nbd in self._nbd:
            nbd.close()
        self._listeners, self._nbd = [], []
        if self._collector is not None:
            self._collector.close()
        if self._panel is not None:
            self._panel.close()
            self._panel = None
        if state.machines is not None:
            state.machines.close()
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
        state.ledger.close()
        state.volumes.close()

    def __enter__(self) -> Self:
        return self if self._state is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # looking in

    @property
    def state(self) -> PoolState:
        """The parts of the running pool. UsageError when it is not running."""
        if self._state is None:
            raise UsageError("The simulated pool is not running")
        return self._state

    @property
    def address(self) -> str:
        """`127.0.0.1:PORT` of the coordinator."""
        return self.addresses[0]

    @property
    def addresses(self) -> list[str]:
        """`127.0.0.1:PORT` of every host, the coordinator first."""
        return [f"127.0.0.1:{p}" for p in self._ports]

    @property
    def fingerprint(self) -> str:
        """`sha256:<hex>` of the coordinator's certificate."""
        return fingerprint(self.state.certificates[self.state.master])

    @property
    def fingerprints(self) -> dict[str, str]:
        """Address → `sha256:<hex>` of every host's certificate."""
        state = self.state
        return {state.store.get("host", host, "address"): fingerprint(pem) for host, pem in state.certificates.items()}

    @property
    def panel_url(self) -> str:
        """`http://127.0.0.1:PORT` of the fault panel."""
        if self._panel is None:
            raise UsageError("The simulated pool is not running")
        return self._panel.url

    @property
    def ledger(self) -> Ledger:
        return self.state.ledger

    def records(self, cls: str) -> dict[str, dict[str, Any]]:
        """All records of a class by reference, as get_all_records shows them."""
        store = self.state.store
        with store.lock:
            return {ref: store.record(cls, ref) for ref in store.refs(cls)}

    def ref_by_name(self, cls: str, name: str) -> str:
        """The one record of `cls` called `name`; UsageError when it is not exactly one."""
        found = self.state.store.find(cls, name_label=name)
        if len(found) != 1:
            raise UsageError(f"{len(found)} records of {cls} are called {name!r}")
        return found[0]

    def vdi_path(self, uuid: str) -> Path:
        """The raw file with the content of a VDI, of exactly virtual_size bytes."""
        return self.state.volumes.get(uuid).path

    def close_host(self, number: int) -> None:
        """Host `number` (0 is the first) refuses connections from now on, as one that reboots."""
        self._listeners[number].close()

    def open_host(self, number: int) -> None:
        """The host listens again at its old address."""
        state = self.state
        address = self.addresses[number]
        host = state.store.find("host", address=address)[0]
        path = certificate_of(self.folder, state.store.get("host", host, "hostname"))
        listener = Listener(serving(state, host), server_context(path), self._ports[number])
        self._listeners[number] = listener
        listener.start()

    def promote(self, number: int) -> None:
        """Host `number` is the coordinator from now on; the others answer HOST_IS_SLAVE with its address."""
        self.state.store.set("pool", self.state.pool_ref, master=self._host(number))

    def fail_over(self, number: int) -> None:
        """The coordinator dies and host `number` takes its place: sessions and tasks are lost, as its database has
        neither; open connections to the dead host end, and it refuses new ones until `open_host`.
        """
        state = self.state
        dead = state.master
        address = state.store.get("host", dead, "address")
        self.close_host(self.addresses.index(address))
        with state.store.lock:
            metrics = state.store.get("host", dead, "metrics")
            state.store.set("host_metrics", metrics, live=False)
            state.sessions.expire_all()
            for task in state.store.refs("task"):
                state.store.remove("task", task)
            self.promote(number)

    def _host(self, number: int) -> str:
        return self.state.store.find("host", address=self.addresses[number])[0]

    def _orders(self) -> dict[str, Callable[[int], None]]:
        """What the panel can do to a host by its number."""
        return {
            "close_host": self.close_host,
            "open_host": self.open_host,
            "promote": self.promote,
            "fail_over": self.fail_over,
        }

    def console(self, uuid: str) -> str:
        """What the serial console of a VM has said. UsageError when the pool does not boot its VMs."""
        if self.state.machines is None:
            raise UsageError("The simulated pool does not boot its VMs", hint="Pool(boot=True), or --boot")
        return self.state.machines.console(uuid)

    def populate(self, vms: int, **options: Any) -> list[str]:
        """Adds `vms` halted VMs with a disk and a NIC each (see populating.populate); returns their references."""
        return populate(self.state, vms, **options)

    def vanish_task(self, ref: str) -> None:
        """The task is gone now, as after a restart of the coordinator's database."""
        tasks.vanish(self.state, ref)

    def expire_sessions(self) -> int:
        """Ends every session now; returns how many there were."""
        return self.state.sessions.expire_all()


def serve(port: int, state_dir: Path | str, profile: str = DEFAULT_PROFILE, *, hosts: int = 1, **options: Any) -> Pool:
    """A running pool for the command line; prints nothing. The caller stops it."""
    return Pool(state_dir, profile=profile, hosts=hosts, port=port, **options).start()
