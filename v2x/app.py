# SPDX-License-Identifier: Apache-2.0
"""Composition root: builds sources, targets and engines from options; the only room that knows all others."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from v2x import __version__
from v2x.config import Config, load_config
from v2x.convert.interface import GuestWishes
from v2x.endpoints import address_of, no_source_network
from v2x.engine.hooks import check_hooks
from v2x.engine.inline import InlineEngine
from v2x.engine.interface import Engine, Order, Watcher
from v2x.engine.orders import converts
from v2x.engine.timeline import timed
from v2x.errors import LoginError, PlanError, UsageError
from v2x.mapping.build import build_machine, target_name
from v2x.mapping.networks import NewNetwork, Places, network_to_make, with_uplink
from v2x.mapping.tables import Tables, load_tables
from v2x.model.address import Address, Scheme
from v2x.model.downtime import ROLLBACK_SECONDS
from v2x.model.finding import Finding
from v2x.model.health import Aftercare, ports_of
from v2x.model.inventory import Inventory
from v2x.model.limits import SourceLimits
from v2x.model.migration import Report
from v2x.model.placement import NetworkRule, Rules
from v2x.model.plan import Endpoint, Plan, PlanRow, Transfer
from v2x.model.target import DeltaFormat, TargetFacts, UploadFormat
from v2x.passwords import Ask, Passwords
from v2x.plan.identity import machine_of, migration_tag, pool_host, tag_of_row
from v2x.plan.relations import Key, key_of, teams, waits_for
from v2x.plan.rules import NETWORK_MADE
from v2x.sources.hyperv.access import ShareOptions
from v2x.sources.interface import Source
from v2x.sources.vsphere.options import VsphereOptions
from v2x.target.interface import MakesNetworks, Target
from v2x.tls import Trust, parse_fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What the command line says of one side: trust, password, settings; it goes before what an alias says."""

    password_files: Mapping[str, str] = field(default_factory=dict)
    ca: Path | None = None
    fingerprint: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    shares: tuple[str, ...] = ()
    smb_user: str = ""
    smb_encryption: bool = True
    experimental_vmcx: bool = False


@dataclass(kw_only=True)
class App:
    """One run of the program: configuration, mapping tables, passwords asked for once.

    `ask` prompts for a password without echo; None where nobody can be asked. `vsphere` are the choices for vSphere
    sources, `shutdown_minutes` is how long a guest may take to shut down, `keep_off` turns automatic starts at the
    source off once a machine is migrated. `target_network` is the pool's network that disks travel over;
    `pool_autostart` lets machines that start with their host turn that on for the pool. `care` is what follows a start,
    `wishes` are the files and keys for guests that are converted.
    """

    config: Config
    tables: Tables
    source_side: Side = field(default_factory=Side)
    target_side: Side = field(default_factory=Side)
    ask: Ask | None = None
    stage: Path | None = None
    wishes: GuestWishes = field(default_factory=GuestWishes)
    read_all: bool = False
    keep_off: bool = False
    rules: Rules = field(default_factory=Rules)
    source_network: str = ""
    target_network: str = ""
    upload_format: UploadFormat = UploadFormat.AUTO
    delta_format: DeltaFormat = DeltaFormat.AUTO
    limits: SourceLimits = field(default_factory=SourceLimits)
    pool_autostart: bool = False
    vsphere: VsphereOptions = field(default_factory=VsphereOptions)
    enable_tracking: bool = False
    outage_seconds: float = 300.0
    care: Aftercare = field(default_factory=Aftercare)
    sync_minutes: float = 60.0
    rollback_seconds: float = ROLLBACK_SECONDS
    shutdown_minutes: float = 10.0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    passwords: Passwords = field(init=False)
    _smb_refusals: dict[str, dict[tuple[str, int], LoginError]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        files = {"source": self.source_side.password_files, "target": self.target_side.password_files}
        self.passwords = Passwords(files, lambda: self.ask)

    @classmethod
    def create(
        cls,
        *,
        config: Path | None = None,
        mappings: Path | None = None,
        source_side: Side | None = None,
        target_side: Side | None = None,
        ask: Ask | None = None,
    ) -> "App":
        known = load_config(config)
        return cls(
            config=known,
            rules=known.rules,
            tables=load_tables(mappings),
            source_side=source_side or Side(),
            target_side=target_side or Side(),
            ask=ask,
        )

    def endpoint(self, side: str, text: str) -> Endpoint:
        """The endpoint that `text` names: an alias of v2x.toml, else an address."""
        known = self.config.sources if side == "source" else self.config.targets
        found = known.get(text) or Endpoint(alias=text, address=text)
        given = self.source_side if side == "source" else self.target_side
        pin = given.fingerprint or found.fingerprint
        address = address_of(side, found.address)
        return replace(
            found,
            address=str(address),
            ca_file=str(given.ca) if given.ca else found.ca_file,
            fingerprint=",".join(parse_fingerprint(one) for one in pin.split(",")) if pin else "",
            settings={**found.settings, **given.settings},
            shares=given.shares or found.shares,
            smb_user=given.smb_user or found.smb_user,
            smb_encryption=given.smb_encryption and found.smb_encryption,
            experimental_vmcx=given.experimental_vmcx or found.experimental_vmcx,
        )

    def open_source(self, endpoint: Endpoint) -> Source:
        """Opens a source. AccessError, InputRefused or UsageError say what is wrong with it."""
        from v2x.sources import SERVERS, open_source

        address = address_of("source", endpoint.address)
        if self.source_network and address.scheme is not Scheme.VSPHERE:
            raise no_source_network(endpoint, address)
        if address.scheme is Scheme.HYPERV:
            return self._open_hyperv(address, endpoint)
        if address.scheme not in SERVERS:
            return open_source(
                address.path if address.scheme is Scheme.PATH else endpoint.address,
                clock=self.now,
                shares=self._shares(endpoint),
                experimental=endpoint.experimental_vmcx,
            )
        return open_source(
            endpoint.address,
            clock=self.now,
            password=self.passwords.of("source", endpoint),
            trust=Trust(ca_file=endpoint.ca_file, fingerprint=endpoint.fingerprint, option="source"),
            options=replace(self.vsphere, transport=replace(self.vsphere.transport, network=self.source_network)),
        )

    def _shares(self, endpoint: Endpoint) -> ShareOptions | None:
        """How the files of a Hyper-V host are reached over its shares; None where nothing says so."""
        if not endpoint.shares and not endpoint.smb_user:
            return None
        from v2x.disks.smb.paths import parse_rule

        return ShareOptions(
            user=endpoint.smb_user,
            password=lambda: self.passwords.of("source", endpoint, who=f"{endpoint.smb_user} on the file server"),
            rules=tuple(parse_rule(text) for text in endpoint.shares),
            encryption=endpoint.smb_encryption,
            refusals=self._smb_refusals.setdefault(endpoint.smb_user, {}),
        )

    def _open_hyperv(self, address: Address, endpoint: Endpoint) -> Source:
        from v2x.sources.hyperv.login import needs_password
        from v2x.sources.hyperv.opening import open_hyperv

        needed = needs_password(endpoint.settings)
        password = self.passwords.of("source", endpoint) if needed else self.passwords.if_given("source", endpoint)
        return open_hyperv(
            address,
            password,
            self._shares(replace(endpoint, smb_user=endpoint.smb_user or address.user)),
            ca_file=endpoint.ca_file,
            fingerprint=endpoint.fingerprint,
            settings=endpoint.settings,
            clock=self.now,
        )

    def open_target(self, endpoint: Endpoint) -> Target:
        """Opens a target: logs in to a pool, or makes ready to write XVA files."""
        from v2x.target import open_xapi, open_xva

        address = address_of("target", endpoint.address)
        if address.scheme is Scheme.XVA:
            return open_xva(address.path).__enter__()
        trust = Trust(ca_file=endpoint.ca_file, fingerprint=endpoint.fingerprint, option="target")
        password = self.passwords.of("target", endpoint)
        return open_xapi(
            address.host,
            address.port or 443,
            address.user,
            password,
            trust,
            upload_format=self.upload_format,
            delta_format=self.delta_format,
            transfer_network=self.target_network,
            pool_auto_start=self.pool_autostart,
        ).__enter__()

    def create_networks(self, plan: Plan) -> tuple[Plan, list[Finding]]:
        """Makes the networks that the plan's rows lack; the plan with the facts after it, and a finding for each.

        PlanError where a VLAN or its interface is not known; nothing is made then.
        """
        known = {alias: self.places(inventory) for alias, inventory in plan.inventories.items()}
        wanted: dict[str, dict[tuple[str | int, str], tuple[NewNetwork, PlanRow]]] = {}
        for row in plan.rows:
            inventory, facts = plan.inventories.get(row.source), plan.facts.get(row.target)
            if row.exclude or inventory is None or facts is None or facts.kind == "xva":
                continue
            machine, places = machine_of(inventory, row.machine_id, row.machine_name), known[row.source]
            found = (network_to_make(nic, machine, row, facts, places) for nic in machine.nics)
            new = wanted.setdefault(row.target, {})
            for network in found:
                if network is not None:
                    # Two names at the source for one VLAN of one interface are one network.
                    new.setdefault((network.vlan or network.name, network.uplink), (network, row))
        findings = [found for alias, new in wanted.items() if new for found in self._made(plan, alias, new.values())]
        endpoints = {one.alias: one for one in plan.targets}
        fresh = {alias: self.facts(endpoints[alias]) for alias, new in wanted.items() if new}
        return replace(plan, facts={**plan.facts, **fresh}), findings

    def _made(self, plan: Plan, alias: str, wanted: Iterable[tuple[NewNetwork, PlanRow]]) -> Iterator[Finding]:
        target = self.open_target(next(one for one in plan.targets if one.alias == alias))
        try:
            if not isinstance(target, MakesNetworks):
                return
            for network, row in wanted:
                made = target.ensure_network(network.name, network.vlan, network.uplink)
                over = f"VLAN {network.vlan} on {network.device}" if network.uplink else "internal"
                yield NETWORK_MADE.finding(f"{network.name} ({made}): {over}, on {alias}", row, network.name)
        finally:
            target.close()

    def places(self, inventory: Inventory) -> Places:
        """The rules of v2x.toml over the networks of a source."""
        return Places(self.rules, inventory.networks)

    def use_networks(self, given: Iterable[str]) -> None:
        """Takes SRC=DST, with a pattern for SRC, before the rules of v2x.toml."""
        found = []
        for text in given:
            source, sign, target = text.partition("=")
            if not sign or not source or not target:
                raise UsageError(f"--network {text} is not SRC=DST", hint="for example --network 'VM Network=LAN'")
            found.append(NetworkRule(source=source, target=target))
        self.rules = replace(self.rules, networks=(*found, *self.rules.networks))

    def use_uplink(self, device: str, facts: TargetFacts) -> None:
        """Takes `device`, or without one the pool's only uplink, for every switch that no rule names."""
        self.rules = with_uplink(self.rules, device, facts)

    def inventory(self, endpoint: Endpoint, select: Callable[[str], bool] | None = None) -> Inventory:
        source = self.open_source(endpoint)
        try:
            return source.inventory(select)
        finally:
            source.close()

    def facts(self, endpoint: Endpoint) -> TargetFacts:
        target = self.open_target(endpoint)
        try:
            return target.facts()
        finally:
            target.close()

    def doors(self, sources: Sequence[Endpoint], targets: Sequence[Endpoint]) -> "OpenDoors":
        self.passwords.expect("source", sources)
        self.passwords.expect("target", targets)
        return OpenDoors(self, {one.alias: one for one in sources}, {one.alias: one for one in targets})

    def engine(self, doors: "OpenDoors", watcher: Watcher) -> Engine:
        return InlineEngine(doors, watcher, now=self.now, hooks=self.config.hooks, wishes=self.wishes)

    def orders(self, plan: Plan) -> list[Order]:
        """The orders of a plan's rows, in the order of wave and order; excluded rows are left out."""
        wanted = sorted((row for row in plan.rows if not row.exclude), key=lambda row: (row.wave, row.order))
        places = {alias: self.places(inventory) for alias, inventory in plan.inventories.items()}
        before = waits_for(plan.rows)
        return [replace(self._order(plan, row, places), after=self._after(plan, row, before)) for row in wanted]

    def _after(self, plan: Plan, row: PlanRow, before: Mapping[Key, Sequence[PlanRow]]) -> tuple[tuple[str, str], ...]:
        """(id, name) of what a row comes after, also of rows that are left out: another run may have them."""
        tags = ((tag_of_row(plan, one), one.machine_name) for one in before.get(key_of(row), ()))
        return tuple((tag, name) for tag, name in tags if tag)

    def _order(self, plan: Plan, row: PlanRow, places: Mapping[str, Places]) -> Order:
        inventory = plan.inventories.get(row.source)
        facts = plan.facts.get(row.target)
        if inventory is None or facts is None:
            missing = row.source if inventory is None else row.target
            raise PlanError(f"{row.machine_name}: the plan does not know {missing}", hint="draft the plan again")
        check_hooks(row.hooks, self.config.hooks)
        machine = machine_of(inventory, row.machine_id, row.machine_name)
        spec = build_machine(machine, row, facts, self.tables, places=places[row.source])
        return Order(
            id=migration_tag(inventory, machine, facts, spec.name),
            machine=machine,
            spec=spec,
            source=row.source,
            target=row.target,
            verify=row.verify,
            start=row.start,
            # Transports of vSphere read everything by themselves, and once.
            read_all=self.read_all and inventory.source.kind != "vsphere",
            # Who cuts over wants the source to stay down; a cold copy of a machine that is off changes nothing there.
            keep_off=self.keep_off or row.transfer is Transfer.WARM,
            stage=str(self.stage) if self.stage else "",
            convert=converts(row, inventory, self.vsphere.transport.transport, staged=self.stage is not None),
            guest=row.guest,
            wave=row.wave,
            turn=row.order,
            pool_host=pool_host(facts, spec),
            hooks=row.hooks,
            role=row.role,
            warm=row.transfer is Transfer.WARM,
            enable_tracking=self.enable_tracking,
            outage_seconds=self.outage_seconds,
            sync_minutes=self.sync_minutes,
            limits=self.limits,
            running=row.running,
            shutdown_seconds=self.shutdown_minutes * 60,
            window=row.window,
            apart=teams(row),
            row=row,
            listed=inventory.taken_at,
            rollback_seconds=self.rollback_seconds,
            care=replace(self.care, ports=ports_of(row.checks), on_fail=row.on_fail),
        )

    def migrated(self, plan: Plan) -> set[str]:
        """Ids of the machines whose rows an earlier run finished, as far as the plan's facts tell."""
        tags = {alias: {one.tag for one in facts.migrated} for alias, facts in plan.facts.items()}
        machines = {
            (alias, machine.id): machine
            for alias, inventory in plan.inventories.items()
            for machine in inventory.machines
        }
        found = set()
        for row in plan.rows:
            machine, facts = machines.get((row.source, row.machine_id)), plan.facts.get(row.target)
            if machine is not None and facts is not None and tags[row.target]:
                tag = migration_tag(plan.inventories[row.source], machine, facts, target_name(machine, row))
                if tag in tags[row.target]:
                    found.add(row.machine_id)
        return found

    def is_on_target(self, plan: Plan, order: Order) -> bool:
        """Whether what an order made is there, as far as the plan's facts tell; a file's is taken to be."""
        facts = plan.facts.get(order.target)
        return facts is None or facts.kind == "xva" or any(one.tag == order.id for one in facts.migrated)

    def report(self, engine: Engine, plan: Plan, findings: Sequence[Finding]) -> Report:
        """What the engine did, with the findings that were known before."""
        migrations = timed(engine.status(), engine.events())
        return Report(
            id=hashlib.sha256(f"{plan.id}{self.now().isoformat()}".encode()).hexdigest()[:12],
            created=self.now(),
            version=__version__,
            plan_id=plan.id,
            migrations=tuple(migrations),
            findings=tuple(findings),
            mapping_tables=dict(self.tables.layers),
        )


class OpenDoors:
    """Opens by alias what a plan names."""

    def __init__(self, app: App, sources: Mapping[str, Endpoint], targets: Mapping[str, Endpoint]) -> None:
        self._app = app
        self._sources = sources
        self._targets = targets

    def source(self, alias: str) -> Source:
        return self._app.open_source(self._sources[alias])

    def target(self, alias: str) -> Target:
        return self._app.open_target(self._targets[alias])
