# SPDX-License-Identifier: Apache-2.0
"""v2x.toml: sources and targets by alias, each with its own secret reference, CA or pin.

[source.vcenter]
address = "vsphere://administrator@vsphere.local@vc.example.org"
secret = "file:~/.config/v2x/vcenter.pw"
fingerprint = "sha256:…"

[target.pool1]
address = "xapi://root@xcp1.example.org"
ca = "/etc/ssl/private-ca.pem"
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from v2x.errors import UsageError
from v2x.model.plan import Endpoint

_KEYS = frozenset({"address", "secret", "ca", "fingerprint"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a v2x.toml names, by alias."""

    sources: Mapping[str, Endpoint] = field(default_factory=dict)
    targets: Mapping[str, Endpoint] = field(default_factory=dict)


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
    unknown = sorted(set(document) - {"source", "target"})
    if unknown:
        raise UsageError(f"{path}: unknown table [{unknown[0]}]", hint="tables are [source.ALIAS] and [target.ALIAS]")
    return Config(
        sources=_endpoints(path, "source", document.get("source", {})),
        targets=_endpoints(path, "target", document.get("target", {})),
    )


def _endpoints(path: str | Path, side: str, tables: object) -> dict[str, Endpoint]:
    if not isinstance(tables, dict):
        raise UsageError(f"{path}: {side} must be tables", hint=f"write [{side}.ALIAS]")
    found: dict[str, Endpoint] = {}
    for alias, table in tables.items():
        where = f"{path}: [{side}.{alias}]"
        if not isinstance(table, dict) or any(not isinstance(value, str) for value in table.values()):
            raise UsageError(f"{where} must hold texts only", hint="keys are address, secret, ca, fingerprint")
        unknown = sorted(set(table) - _KEYS)
        if unknown:
            hint = "keys are address, secret, ca, fingerprint"
            if unknown[0] in {"password", "pass", "passwd"}:
                hint = (
                    'a password is never written here: use secret = "file:PATH", "env:NAME" or "keyring:SERVICE/USER"'
                )
            raise UsageError(f"{where}: unknown key {unknown[0]}", hint=hint)
        if "address" not in table:
            raise UsageError(f"{where} has no address", hint='add address = "…"')
        found[alias] = Endpoint(
            alias=alias,
            address=table["address"],
            ca_file=table.get("ca", ""),
            fingerprint=table.get("fingerprint", ""),
            secret=table.get("secret", ""),
        )
    return found
