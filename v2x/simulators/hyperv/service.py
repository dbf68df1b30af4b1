# SPDX-License-Identifier: Apache-2.0
"""A simulated Hyper-V host or cluster: WinRM on loopback, Samba for the disks, faults, and a record of every effect."""

import hashlib
import json
import secrets
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psrpcore

from v2x.errors import UsageError
from v2x.files import write_whole
from v2x.model.codec import SchemaError, from_json, to_json
from v2x.simulators.certificate import certificate_of, certificate_pem, fingerprint, server_context
from v2x.simulators.faults import Faults
from v2x.simulators.hyperv.acting import Actor, Refused
from v2x.simulators.hyperv.contract import read_call
from v2x.simulators.hyperv.described import Estate, Host
from v2x.simulators.hyperv.profiles import Profile, profile_named
from v2x.simulators.hyperv.seed import seed
from v2x.simulators.hyperv.share import Share
from v2x.simulators.hyperv.shells import Outcome, Shells
from v2x.simulators.hyperv.soap import ACCESS_DENIED, NO_SUCH_CONFIGURATION, Fault
from v2x.simulators.hyperv.telling import Teller
from v2x.simulators.hyperv.wire import Door, Endpoint
from v2x.simulators.panel import Panel, json_page

USER = "hvadmin"
DEFAULT_CONFIGURATION = "Microsoft.PowerShell"
JEA_CONFIGURATION = "v2x"
_SCHEMA = "v2x.simulated-hyperv/1"

KINDS = {
    "http_error": "the next request is answered with the HTTP status `at` (503)",
    "only_basic": "the login offers Basic and nothing else",
    "access_denied": "the account may open no session (fault code 5)",
    "denied": "the session does not know the command `address`",
    "no_hyperv": "the host has no Hyper-V module",
    "no_rights": "the account is no administrator: no machine is listed",
    "error_record": "a script writes an error that does not end it; `address` is its identifier",
    "script_ends": "a script ends with an error; `address` is its identifier",
    "big_reply": "the collector's answer grows by `at` bytes (700 KB) of UTF-8",
    "slow": "a script has nothing to say for `at` requests (3), which time out",
    "half_closed": "half of an answer is sent, then the connection is closed",
    "in_clear": "an answer over HTTP comes without encryption",
    "entities": "an answer is a small document that would unfold to gigabytes",
    "lost_shells": "the service forgets all its shells",
}


@dataclass(frozen=True, slots=True)
class Effect:
    """Something a client did: `host`, what it was about, and what changed."""

    number: int
    host: str
    kind: str
    subject: str
    before: str = ""
    after: str = ""


class Ledger:
    """Effects, messages and logins in their order, kept in `ledger.jsonl`; nothing is ever taken back."""

    def __init__(self, path: Path) -> None:
        self.entries: list[Effect] = []
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8")

    def record(self, host: str, kind: str, subject: str, before: str = "", after: str = "") -> None:
        with self._lock:
            entry = Effect(len(self.entries), host, kind, subject, before, after)
            self.entries.append(entry)
            if not self._file.closed:
                self._file.write(json.dumps(self._plain(entry)) + "\n")
                self._file.flush()

    def of(self, kind: str) -> list[Effect]:
        return [one for one in list(self.entries) if one.kind == kind]

    def to_json(self) -> list[dict[str, Any]]:
        return [self._plain(one) for one in list(self.entries)]

    @staticmethod
    def _plain(entry: Effect) -> dict[str, Any]:
        return {name: getattr(entry, name) for name in Effect.__slots__}

    def close(self) -> None:
        with self._lock:
            self._file.close()


class _Node:
    """One host: its WinRM service with two listeners."""

    def __init__(self, service: "HyperV", host: Host, address: str) -> None:
        self.host = host
        self.address = address
        self.shells = Shells(self._run, self._enter)
        self._service = service
        pem = certificate_of(service.folder, host.name)
        self.certificate = certificate_pem(pem)
        context = server_context(pem)
        if service.client_certificates:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(cadata="\n".join(service.client_certificates.values()))
        door = service.door(self, ssl.PEM_cert_to_DER_cert(self.certificate))
        self.https = Endpoint(door(True), address, service.wanted_port, context)
        self.http = Endpoint(door(False), address, service.wanted_http_port, None)

    def _enter(self, configuration: str) -> None:
        service = self._service
        if service.faults.take("access_denied", self.host.name):
            raise Fault(ACCESS_DENIED, "Zugriff verweigert", "w:AccessDenied")
        if configuration not in {DEFAULT_CONFIGURATION, JEA_CONFIGURATION}:
            raise Fault(
                NO_SUCH_CONFIGURATION, f"Cannot find the {configuration} session configuration in the WSMan: drive"
            )

    def _run(self, pipeline: psrpcore.PowerShell, configuration: str) -> Outcome:
        service = self._service
        try:
            call = read_call(pipeline, jea=configuration != DEFAULT_CONFIGURATION, power=service.jea_power)
            service.ledger.record(self.host.name, "script", call.script, after=call.text("Action"))
            denied = service.faults.take("denied")
            if denied is not None:
                raise Refused("CommandNotFoundException", "wurde nicht erkannt", target=denied.address or "Get-VM")
            ended = service.faults.take("script_ends")
            if ended is not None:
                raise Refused(ended.address or "RuntimeException", "Unerwarteter Fehler")
            with service.lock:
                output = (
                    service.collected(self.host, call.texts("Id"))
                    if call.script == "collect"
                    else [service.act(self.host, call.text("Action"), call.text("Id"), call.text("Value"))]
                )
        except Refused as refused:
            return Outcome([], end=refused) if refused.ends else Outcome([], [refused])
        errors = []
        record = service.faults.take("error_record")
        if record is not None:
            errors.append(Refused(record.address or "WriteErrorException", "ein Fehler, der nichts beendet"))
        slow = service.faults.take("slow")
        return Outcome(output, errors, waits=(slow.at or 3) if slow else 0)

    def start(self) -> None:
        self.https.start()
        self.http.start()

    def close(self) -> None:
        self.https.close()
        self.http.close()


class HyperV:
    """All hosts of one stand-in. Used as a context manager; `describe` replaces the machines it makes itself.

    `client_certificates` are users with the PEM of their certificate. Without `smb` no disks are served.
    """

    def __init__(
        self,
        folder: Path,
        *,
        profile: str = "2022",
        hosts: int = 1,
        port: int = 0,
        estate: Estate | None = None,
        password: str = "",
        smb: bool = True,
        client_certificates: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Samba's processes change to another folder, so that a relative path in its configuration leads nowhere.
        folder = folder.resolve()
        self.folder = folder
        self.user = USER
        self.password = password or secrets.token_urlsafe(12)
        self.profile: Profile = profile_named(profile)
        self.faults = Faults(KINDS)
        self.lock = threading.RLock()
        self.jea_power = True
        self.client_certificates = dict(client_certificates or {})
        self.wanted_port, self.wanted_http_port = port, 0
        self.estate = estate or self._kept(hosts)
        if self.estate.profile != self.profile.name:
            raise UsageError(
                f"{folder} holds hosts of profile {self.estate.profile}, not {self.profile.name}",
                hint=f"give --profile {self.estate.profile}, or another --state",
            )
        self._accounts = folder / "accounts"
        self._accounts.touch(mode=0o600)
        self._accounts.write_text("".join(f"{domain}:{USER}:{self.password}\n" for domain in ("", "WORKSTATION")))
        self.ledger = Ledger(folder / "ledger.jsonl")
        self.share = self._shared() if smb else None
        self.nodes: list[_Node] = []
        self._panel = Panel(0, self._orders, {"/_ledger": lambda _: json_page(self.ledger.to_json())})

    def _kept(self, hosts: int) -> Estate:
        """The estate that the folder holds, or a new one."""
        path = self.folder / "estate.json"
        if path.is_file():
            try:
                return from_json(path.read_bytes(), Estate, _SCHEMA)
            except SchemaError as problem:
                raise UsageError(
                    f"{path} is no state of a simulated Hyper-V: {problem}", hint="choose another folder"
                ) from None
        made = Estate(profile=self.profile.name)
        seed(made, self.place, hosts)
        write_whole(path, to_json(made))
        return made

    def place(self, path: str) -> Path:
        """Where the file stands for a path of the hosts: drives beside the cluster's volumes."""
        drive, _, rest = path.partition(":\\")
        parts = rest.split("\\")
        if parts[0].lower() == "clusterstorage":
            return self.folder.joinpath("ClusterStorage", *parts[1:])
        return self.folder.joinpath("drives", drive.upper(), *parts)

    def _shared(self) -> Share:
        shares = {"ClusterStorage$": self.folder / "ClusterStorage"}
        for letter in ("C", "D"):
            shares[f"{letter}$"] = self.folder / "drives" / letter
        for folder in shares.values():
            folder.mkdir(parents=True, exist_ok=True)
        return Share(self.folder / "samba", shares, user=USER, password=self.password)

    @property
    def rules(self) -> list[str]:
        """Values of --share for these disks."""
        if self.share is None:
            return []
        return [f"C:\\ClusterStorage={self.share.unc('ClusterStorage$')}", *self.share.rules]

    @property
    def address(self) -> str:
        """The source address for HTTPS."""
        return f"hyperv://{USER}@{','.join(node.address for node in self.nodes)}:{self.nodes[0].https.port}"

    @property
    def http_address(self) -> str:
        """The source address for encrypted messages over HTTP; it needs the setting transport=http."""
        return f"hyperv://{USER}@{','.join(node.address for node in self.nodes)}:{self.nodes[0].http.port}"

    @property
    def fingerprint(self) -> str:
        """The pins of all hosts, in their order."""
        return ",".join(fingerprint(node.certificate) for node in self.nodes)

    @property
    def ca(self) -> str:
        """The hosts' own certificates, as the PEM of a CA file."""
        return "".join(node.certificate for node in self.nodes)

    @property
    def panel_url(self) -> str:
        return self._panel.url

    def door(self, node: _Node, certificate: bytes) -> Any:
        """Makes the door of a listener, with TLS or without."""
        known = {
            hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest(): user
            for user, pem in self.client_certificates.items()
        }

        def answer(data: bytes) -> tuple[bytes, bool]:
            if self.faults.take("lost_shells"):
                node.shells.drop_all()
            return node.shells.answer(data)

        def made(tls: bool) -> Door:
            return Door(
                accounts=self._accounts,
                answer=answer,
                faults=self.faults,
                record=lambda kind, text: self.ledger.record(node.host.name, kind, text),
                tls=tls,
                certificate=certificate,
                certificates=known,
            )

        return made

    def collected(self, host: Host, ids: list[str]) -> list[str]:
        """What the collector writes on a host."""
        if self.faults.take("no_hyperv"):
            return [json.dumps({"schema": "v2x.hyperv/1", "host": host.name, "hyperv": False, "vms": []})]
        rights = self.faults.take("no_rights") is None
        teller = Teller(self.estate, host, self.profile, self.place, f"CONTOSO\\{USER}", rights=rights)
        pieces = teller.pieces(ids)
        big = self.faults.take("big_reply")
        if big is not None:
            text = "Ünïcödé — 仮想マシン " * ((big.at or 700_000) // 33 + 1)
            filler = json.dumps([{"subject": "padding", "text": text, "id": ""}], ensure_ascii=False)
            pieces[0] = pieces[0].replace('"warnings": []', f'"warnings": {filler}', 1)
        return pieces

    def act(self, host: Host, action: str, id: str, value: str) -> str:
        def record(subject: str, what: str, before: str, after: str) -> None:
            self.ledger.record(host.name, what, subject, before, after)

        answer = Actor(self.estate, host, record, self.place).act(action, id, value)
        self.keep()
        return answer

    def keep(self) -> None:
        write_whole(self.folder / "estate.json", to_json(self.estate))

    def _orders(self, order: dict[str, Any]) -> dict[str, Any]:
        unknown = set(order) - {"arm", "clear"}
        if unknown:
            raise UsageError(f"The panel has no {', '.join(sorted(unknown))}")
        if order.get("clear"):
            self.faults.clear()
        for fault in order.get("arm", []):
            try:
                self.faults.arm(**fault)
            except TypeError as error:
                raise UsageError(f"A fault does not read: {error}") from None
        return {"armed": self.faults.armed(), "kinds": KINDS}

    def start(self) -> Self:
        """Returns once all listeners accept connections."""
        try:
            for number, host in enumerate(self.estate.hosts):
                node = _Node(self, host, f"127.0.0.{number + 1}")
                self.nodes.append(node)
                # All hosts of an address have one port.
                self.wanted_port, self.wanted_http_port = node.https.port, node.http.port
            for node in self.nodes:
                node.start()
            if self.share is not None:
                self.share.start()
            self._panel.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        for node in self.nodes:
            node.close()
        if self.share is not None:
            self.share.stop()
        self._panel.close()
        self.ledger.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
