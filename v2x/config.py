# SPDX-License-Identifier: Apache-2.0
"""v2x.toml: sources and targets by alias, each with its own secret reference, CA or pin.

[source.vcenter]
address = "vsphere://administrator@vsphere.local@vc.example.org"
secret = "file:~/.config/v2x/vcenter.pw"
fingerprint = "sha256:…"

[source.hyperv]
address = "hyperv://CONTOSO\\\\v2x@hv1.example.org,hv2.example.org"
secret = "keyring:v2x/hyperv"
auth = "kerberos"
[source.exports]
address = "/srv/hyperv"
shares = ['D:\\VMs=\\\\fileserver\\vms']
smb_user = 'EXAMPLE\\reader'

[target.pool1]
address = "xapi://root@xcp1.example.org"
ca = "/etc/ssl/private-ca.pem"
resource_set = "U8kmJKszJC0"

how disks are read from vSphere, where a program of the user's is needed (see docs/vsphere-transports.md):

[vddk]
libdir = "/opt/vmware-vix-disklib-distrib"

[ssh]
known_hosts = "~/.ssh/known_hosts"

and rules for where networks and disks go, the first that fits wins:

[[network]]
source = "VM Network"
switch = "vSwitch0"
vlan = 10
target = "LAN"

[[uplink]]
source = "vSwitch0"
target = "bond0"

[[storage]]
datastore = "ssd*"
target = "Fast SR"

and limits of batches, as v2x batch throttle takes them; those that it sets go before:

[limits]
total = 8
rate = "50M@08:00-18:00,200M"
"source-host:esx1" = 2
strain.cpu = 80

and hooks, which a plan's rows name; the file must be mode 0600 then:

[hook.tell-monitoring]
at = ["before checkpoint", "after seal"]
command = ["/usr/local/bin/tell-monitoring", "v2x"]
seconds = 60
stops = false

and files and keys for guests that are converted; the file must be mode 0600 where it names keys:

[guest]
windows_drivers = "/srv/XenTools-x64.msi"
agent = "/srv/xe-guest-utilities.deb"
luks_key_files = ["~/.config/v2x/luks.key"]
bitlocker_key_files = ["~/.config/v2x/recovery.key"]
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from v2x.errors import UsageError
from v2x.model.hook import MOMENTS, Hook
from v2x.model.placement import NetworkRule, Rules, StorageRule, UplinkRule
from v2x.model.plan import Endpoint

_KEYS = ("address", "secret", "ca", "fingerprint")
_HYPERV_SETTINGS = ("auth", "transport", "configuration", "certificate", "certificate_key")
"""How to log in to Hyper-V hosts; the source itself checks the values."""
_SIDES = {
    "source": (*_KEYS, *_HYPERV_SETTINGS, "shares", "smb_user", "smb_encryption", "experimental_vmcx"),
    "target": (*_KEYS, "resource_set"),
}
_NOT_TEXTS = {"shares": list, "smb_encryption": bool, "experimental_vmcx": bool}
_TABLES = frozenset({"source", "target", "network", "uplink", "storage", "vddk", "ssh", "hook", "limits", "guest"})
_VDDK_KEYS = ("libdir", "plugin", "nbdkit", "transports", "config", "compression")
_SSH_KEYS = ("known_hosts", "user", "host", "port", "identity", "volumes")
_GUEST_KEYS = {"windows_drivers": str, "agent": str, "luks_key_files": list, "bitlocker_key_files": list}
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_VLAN_IDS = range(4096)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestTable:
    """Paths of what conversions of guests use: an .msi of PV drivers, a package of the agent, files that hold a key."""

    windows_drivers: str = ""
    agent: str = ""
    luks_key_files: tuple[str, ...] = ()
    bitlocker_key_files: tuple[str, ...] = ()

    @property
    def names_keys(self) -> bool:
        return bool(self.luks_key_files or self.bitlocker_key_files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a v2x.toml names by alias, its rules for networks and storage, and its texts for reading vSphere's disks."""

    sources: Mapping[str, Endpoint] = field(default_factory=dict)
    targets: Mapping[str, Endpoint] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    vddk: Mapping[str, str] = field(default_factory=dict)
    ssh: Mapping[str, str] = field(default_factory=dict)
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    guest: GuestTable = field(default_factory=GuestTable)


def load_config(path: str | Path | None) -> Config:
    """Reads `path`, or ./v2x.toml where there is one and `path` is None. UsageError names the key that is wrong."""
    if path is None:
        if not Path("v2x.toml").is_file():
            return Config()
        path = "v2x.toml"
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as problem:
        raise UsageError(f"cannot read {path}: {problem.strerror}", hint="check --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise UsageError(f"{path} is not valid TOML: {problem}", hint="see docs/cli.md for an example") from None
    unknown = sorted(set(document) - _TABLES)
    if unknown:
        raise UsageError(
            f"{path}: unknown table [{unknown[0]}]",
            hint="tables are [source.ALIAS], [target.ALIAS], [hook.NAME], [[network]], [[uplink]], [[storage]], "
            "[vddk], [ssh], [limits] and [guest]",
        )
    hooks = parse_hooks(str(path), document.get("hook", {}))
    guest = _guest(f"{path}: [guest]", document.get("guest", {}))
    if (hooks or guest.names_keys) and Path(path).stat().st_mode & 0o077:
        what = "commands" if hooks else "keys of guests"
        raise UsageError(
            f"{path} names {what} and others may write or read it", code="CONFIG-MODE", hint=f"chmod 600 {path}"
        )
    return Config(
        hooks=hooks,
        sources=_endpoints(path, "source", document.get("source", {})),
        targets=_endpoints(path, "target", document.get("target", {})),
        rules=_rules(path, document),
        vddk=_texts(path, "vddk", document, _VDDK_KEYS),
        ssh=_texts(path, "ssh", document, _SSH_KEYS),
        limits=_limits(path, document.get("limits", {})),
        guest=guest,
    )


def _guest(where: str, table: object) -> GuestTable:
    valid = f"keys are {', '.join(_GUEST_KEYS)}"
    if not isinstance(table, dict):
        raise UsageError(f"{where.replace('[guest]', 'guest')} must be a table", hint=f"write [guest]; {valid}")
    for key, value in table.items():
        if key not in _GUEST_KEYS:
            raise UsageError(f"{where}: unknown key {key}", hint=f"{valid}; a passphrase itself never stands there")
        fits = _are_texts(value) if _GUEST_KEYS[key] is list else isinstance(value, str) and value
        if not fits:
            word = "a list of paths" if _GUEST_KEYS[key] is list else "a path"
            raise UsageError(f"{where}: {key} must be {word}", hint=valid)
    paths: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return GuestTable(**paths)


def _limits(path: str | Path, table: object, before: str = "") -> dict[str, str]:
    """The table [limits] by dotted key, as texts; which keys and values there are is known to who sets them."""
    if not isinstance(table, dict):
        raise UsageError(f"{path}: limits must be a table", hint='write [limits]; for example total = 8, rate = "200M"')
    found: dict[str, str] = {}
    for key, value in table.items():
        if isinstance(value, dict) and not before:
            found |= _limits(path, value, f"{key}.")
        elif isinstance(value, bool) or not isinstance(value, int | str) or value == "":
            raise UsageError(
                f"{path}: [limits]: {before}{key} must be a number or a text", hint='total = 8, rate = "200M"'
            )
        else:
            found[f"{before}{key}"] = str(value)
    return found


def _texts(path: str | Path, kind: str, document: Mapping[str, object], keys: tuple[str, ...]) -> dict[str, str]:
    """The table [kind] of texts that are not empty; a port may be a number."""
    table = document.get(kind, {})
    valid = f"keys are {', '.join(keys)}"
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {kind} must be a table", hint=f"write [{kind}]; {valid}")
    found = {}
    for key, value in table.items():
        if key not in keys:
            raise UsageError(f"{path}: [{kind}]: unknown key {key}", hint=valid)
        text = str(value) if key == "port" else value
        if not isinstance(text, str) or not text or (key == "port" and not (text.isdecimal() and len(text) < 6)):
            raise UsageError(f"{path}: [{kind}]: {key} must be a {'number' if key == 'port' else 'text'}", hint=valid)
        found[key] = text
    return found


def _rules(path: str | Path, document: Mapping[str, object]) -> Rules:
    networks = _tables(path, "network", document, {"source", "switch", "vlan"})
    uplinks = _tables(path, "uplink", document, {"source"})
    storage = _tables(path, "storage", document, {"datastore"})
    for number, table in enumerate(networks, 1):
        vlan = table.get("vlan", 0)
        if isinstance(vlan, bool) or not isinstance(vlan, int) or vlan not in _VLAN_IDS:
            raise UsageError(f"{path}: [[network]] {number}: vlan must be a number", hint="VLAN ids are 0 to 4095")
    return Rules(
        networks=tuple(NetworkRule(**table) for table in networks),
        uplinks=tuple(UplinkRule(**table) for table in uplinks),
        storage=tuple(StorageRule(**table) for table in storage),
    )


def _tables(path: str | Path, kind: str, document: Mapping[str, object], keys: set[str]) -> list[dict[str, Any]]:
    """The tables [[kind]]: `target` and at least one of `keys`; all but vlan are texts that are not empty."""
    listed = document.get(kind, [])
    valid = f"keys are {', '.join(sorted(keys))} and target"
    if not isinstance(listed, list) or not all(isinstance(table, dict) for table in listed):
        raise UsageError(f"{path}: {kind} must be a list of tables", hint=f"write [[{kind}]]; {valid}")
    for number, table in enumerate(listed, 1):
        where = f"{path}: [[{kind}]] {number}"
        unknown = sorted(set(table) - keys - {"target"})
        if unknown:
            raise UsageError(f"{where}: unknown key {unknown[0]}", hint=valid)
        wrong = [key for key, value in table.items() if key != "vlan" and not (isinstance(value, str) and value)]
        if wrong:
            raise UsageError(f"{where}: {wrong[0]} must be a text", hint=valid)
        if "target" not in table or not keys & set(table):
            missing = "target" if "target" not in table else " or ".join(sorted(keys))
            raise UsageError(f"{where} has no {missing}", hint=valid)
    return listed


def _endpoints(path: str | Path, side: str, tables: object) -> dict[str, Endpoint]:
    if not isinstance(tables, dict):
        raise UsageError(f"{path}: {side} must be tables", hint=f"write [{side}.ALIAS]")
    found: dict[str, Endpoint] = {}
    keys = _SIDES[side]
    for alias, table in tables.items():
        where = f"{path}: [{side}.{alias}]"
        if not isinstance(table, dict):
            raise UsageError(f"{where} must hold keys", hint=f"keys are {', '.join(keys)}")
        _check_keys(where, table, keys)
        found[alias] = Endpoint(
            alias=alias,
            address=table["address"],
            ca_file=table.get("ca", ""),
            fingerprint=table.get("fingerprint", ""),
            secret=table.get("secret", ""),
            resource_set=table.get("resource_set", ""),
            settings={key: table[key] for key in _HYPERV_SETTINGS if key in table},
            shares=tuple(table.get("shares", ())),
            smb_user=table.get("smb_user", ""),
            smb_encryption=table.get("smb_encryption", True),
            experimental_vmcx=table.get("experimental_vmcx", False),
        )
    return found


def _check_keys(where: str, table: Mapping[str, object], keys: tuple[str, ...]) -> None:
    valid = f"keys are {', '.join(keys)}"
    unknown = sorted(set(table) - set(keys))
    if unknown:
        hint = valid
        if unknown[0] in {"password", "pass", "passwd"}:
            hint = 'a password is never written here: use secret = "file:PATH", "env:NAME" or "keyring:SERVICE/USER"'
        raise UsageError(f"{where}: unknown key {unknown[0]}", hint=hint)
    for key, value in table.items():
        wanted = _NOT_TEXTS.get(key, str)
        texts = not isinstance(value, list) or all(isinstance(one, str) for one in value)
        if not isinstance(value, wanted) or not texts:
            word = {str: "a text", list: "a list of texts", bool: "true or false"}[wanted]
            raise UsageError(f"{where}: {key} must be {word}", hint=valid)
    if "address" not in table:
        raise UsageError(f"{where} has no address", hint='add address = "…"')


def parse_hooks(path: str, tables: object) -> dict[str, Hook]:
    """The tables [hook.NAME] of v2x.toml. UsageError names the key that is wrong."""
    if not isinstance(tables, dict):
        raise UsageError(f"{path}: hook must be tables", hint="write [hook.NAME]")
    return {name: _hook(f"{path}: [hook.{name}]", name, table) for name, table in tables.items()}


def _hook(where: str, name: str, table: object) -> Hook:
    keys = {"at", "command", "url", "seconds", "stops"}
    if not isinstance(table, dict) or set(table) - keys:
        raise UsageError(f"{where} is no hook", hint=f"keys are {', '.join(sorted(keys))}")
    at, command, url = table.get("at"), table.get("command", []), table.get("url", "")
    seconds, stops = table.get("seconds", 300), table.get("stops", True)
    if not _are_texts(at) or not at or any(moment not in MOMENTS for moment in at):
        raise UsageError(f"{where}: at must be a list of moments", hint=f"moments are {', '.join(MOMENTS)}")
    if not _are_texts(command) or not isinstance(url, str) or bool(command) == bool(url):
        raise UsageError(f"{where} needs a command or a url", hint='command = ["/path/to/program", "word"]')
    if command and not command[0].startswith("/"):
        raise UsageError(f"{where}: {command[0]} is no absolute path", hint="name the program with its whole path")
    if url and not _allowed(url):
        raise UsageError(f"{where}: {url} is not https", hint="https://…, or http:// to this machine only")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
        raise UsageError(f"{where}: seconds must be a number above 0", hint="for example seconds = 60")
    if not isinstance(stops, bool):
        raise UsageError(f"{where}: stops must be true or false", hint="false makes a failure a warning")
    return Hook(name=name, at=tuple(at), command=tuple(command), url=url, seconds=float(seconds), stops=stops)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and one for one in value)


def _allowed(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
