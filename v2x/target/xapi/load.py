# SPDX-License-Identifier: Apache-2.0
"""How strained a pool is: the CPU of its control domains, the latency of its storage, chains that wait for coalescing.

CPU and latency come from data sources that the pool records by itself (rrdp_cpu.ml, rrdp_iostat.ml): `cpu_usage` of a
control domain, on older pools `cpu0`, `cpu1`, …; `latency_<first eight digits of the SR's uuid>` of each host that has
disks of the SR attached, which is the worst of these disks over some seconds. A source that is off stays off: what it
would say is not measured. Lists of data sources hold no values (data_source.ml), so each one is asked for by name.

A chain waits for coalescing where a hidden parent has exactly one child (`sm_config` `vhd-parent`); one with two
children is shared and stays. Parents of QCOW2 disks are counted as far as they stand under the same key.

None of this was compared with a real pool yet.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from v2x.errors import PermissionRefused, TargetError
from v2x.target.interface import Load, StorageLoad
from v2x.target.xapi.client import Client
from v2x.target.xapi.listing import records

_SECONDS = {"s": 1.0, "ms": 1e-3, "milliseconds": 1e-3, "μs": 1e-6, "µs": 1e-6, "us": 1e-6, "microseconds": 1e-6}
_LISTED_SECONDS = 300.0
"""How long a list of data sources is taken to hold. Those of latencies come and go with disks and are looked for."""
_CHAINS_SECONDS = 60.0
"""Chains are worked off over minutes, and counting them lists every disk of the pool: no more of the time goes there
than _CHAINS_SHARE."""
_CHAINS_SHARE = 0.05
_MOST_CPUS = 64


class Unmeasured(Exception):
    """Why something was not measured, as the end of a sentence."""


class LoadMeter:
    """Measures one pool again and again; keeps what need not be asked each time. For one thread."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lists: dict[str, tuple[float, dict[str, Mapping[str, Any]]]] = {}
        self._counted: dict[str, int] = {}
        self._count_again = -math.inf
        self._storage_names: dict[str, str] = {}

    def load(self, hosts: Collection[str], storage: Collection[str]) -> Load:
        """The CPU of these hosts' control domains and the strain of these SRs, by uuid; no host named means all.

        What cannot be measured is None, and `missing` says why. ConnectError and AccessError where nothing can be.
        """
        known = records(self._client, "host", "uuid", "name_label", "enabled", "control_domain")
        live = {str(one.get("uuid")): (reference, one) for reference, one in known.items() if one.get("enabled")}
        missing: dict[str, str] = {}
        cpu = {uuid: self._cpu(uuid, live, missing) for uuid in (hosts or live)}
        chains = self._chains(missing) if storage else {}
        names = {str(one.get("uuid")): str(one.get("name_label", "")) for one in known.values()}
        return Load(
            cpu=cpu,
            storage={
                uuid: StorageLoad(latency_seconds=self._latency(uuid, live, missing), chains=chains.get(uuid))
                for uuid in storage
            },
            names={**names, **self._storage_names},
            missing=missing,
        )

    def _cpu(
        self, uuid: str, live: Mapping[str, tuple[str, Mapping[str, Any]]], missing: dict[str, str]
    ) -> float | None:
        try:
            if uuid not in live:
                raise Unmeasured("the host is not enabled")
            domain = str(live[uuid][1].get("control_domain"))
            sources = self._sources("VM", domain)
            names = ["cpu_usage"] if _is_on(sources, "cpu_usage") else _cpus(sources)
            if not names:
                raise Unmeasured("its data sources cpu_usage and cpu0 are off")
            values = [self._value("VM", domain, name) for name in names]
            return sum(values) / len(values)
        except Unmeasured as why:
            missing[f"cpu of {uuid}"] = str(why)
            return None

    def _latency(
        self, uuid: str, live: Mapping[str, tuple[str, Mapping[str, Any]]], missing: dict[str, str]
    ) -> float | None:
        """The worst of all hosts: guests on another one than we send to feel it as well.

        Where no host has disks of it attached there is none, and nothing is missing.
        """
        name, found, why = f"latency_{uuid[:8]}", list[float](), ""
        for reference, _ in live.values():
            try:
                source = self._sources("host", reference, name).get(name)
                if source is None:
                    continue
                if not source.get("enabled"):
                    raise Unmeasured(f"the data source {name} is off")
                unit = _SECONDS.get(str(source.get("units")))
                if unit is None:
                    raise Unmeasured(f"the data source {name} has the unit {source.get('units')}")
                found.append(self._value("host", reference, name) * unit)
            except Unmeasured as problem:
                why = str(problem)
        if not found and why:
            missing[f"latency of {uuid}"] = why
        return max(found, default=None)

    def _chains(self, missing: dict[str, str]) -> dict[str, int]:
        """Elements that wait to be coalesced, by the SR's uuid; counted once a minute at most."""
        began = self._client.now()
        if began < self._count_again:
            return self._counted
        try:
            storage = records(self._client, "SR", "uuid", "name_label")
            self._storage_names = {str(sr.get("uuid")): str(sr.get("name_label", "")) for sr in storage.values()}
            places = {reference: str(sr.get("uuid")) for reference, sr in storage.items()}
            found = dict.fromkeys(places.values(), 0)
            for place, count in count_chains(records(self._client, "VDI", "uuid", "SR", "sm_config")).items():
                if place in places:
                    found[places[place]] = count
        except (TargetError, PermissionRefused) as problem:
            missing["chains"] = problem.message
            return {}
        took = self._client.now() - began
        self._counted, self._count_again = found, began + max(_CHAINS_SECONDS, took / _CHAINS_SHARE)
        return found

    def _sources(self, kind: str, reference: str, wanted: str = "") -> dict[str, Mapping[str, Any]]:
        """The data sources of an object by name; asked for again where `wanted` is not among those known."""
        now = self._client.now()
        kept = self._lists.get(reference)
        fresh = kept is not None and now - kept[0] < _LISTED_SECONDS
        if kept is not None and fresh and (not wanted or wanted in kept[1]):
            return kept[1]
        told = self._asked(f"{kind}.get_data_sources", reference)
        listed = told if isinstance(told, list) else []
        found: dict[str, Mapping[str, Any]] = {
            str(one.get("name_label")): one for one in listed if isinstance(one, dict)
        }
        self._lists[reference] = (now, found)
        return found

    def _value(self, kind: str, reference: str, name: str) -> float:
        found = self._asked(f"{kind}.query_data_source", reference, name)
        if not isinstance(found, int | float) or not math.isfinite(found) or found < 0:
            # Before the first reading, and while a plugin of the pool is silent, a source says "not a number".
            self._lists.pop(reference, None)
            raise Unmeasured(f"the data source {name} has no value now")
        return float(found)

    def _asked(self, method: str, *parameters: str) -> Any:
        try:
            return self._client.call(method, *parameters)
        except (TargetError, PermissionRefused) as problem:
            self._lists.pop(parameters[0], None)
            raise Unmeasured(problem.message) from None


def count_chains(vdis: Mapping[str, Mapping[str, Any]]) -> Counter[str]:
    """How many elements wait to be coalesced, by the reference of the SR: parents with exactly one child."""
    children: Counter[str] = Counter()
    for vdi in vdis.values():
        config = vdi.get("sm_config")
        if isinstance(config, dict) and config.get("vhd-parent"):
            children[str(config["vhd-parent"])] += 1
    return Counter(str(vdi.get("SR")) for vdi in vdis.values() if children[str(vdi.get("uuid"))] == 1)


def _is_on(sources: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    return name in sources and bool(sources[name].get("enabled"))


def _cpus(sources: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Those that are on; all of them or none, since the idle ones alone would say too little."""
    names = [f"cpu{number}" for number in range(_MOST_CPUS) if f"cpu{number}" in sources]
    return names if all(_is_on(sources, name) for name in names) else []
