# SPDX-License-Identifier: Apache-2.0
"""How busy the control domains and the storage of a simulated pool are, which the fault panel sets.

Nothing else in the simulated pool slows down by it: what is measured changes, and whoever looks may take heed.
"""

from dataclasses import dataclass, field

from v2x.simulators.xapi.store import Store

IDLE_CPU = 0.02
IDLE_LATENCY_SECONDS = 0.0009


@dataclass(slots=True)
class Strain:
    """By reference: share of the control domain's CPU by host, seconds per request by SR; `off` are data sources that
    are not recorded, as (owner, name)."""

    cpu: dict[str, float] = field(default_factory=dict)
    latency: dict[str, float] = field(default_factory=dict)
    off: set[tuple[str, str]] = field(default_factory=set)


def is_active(store: Store, sr: str, host: str) -> bool:
    """Whether a tapdisk on `host` serves a disk of the SR: only then is there a latency (rrdp_iostat.ml)."""
    for vdi in store.get("SR", sr, "VDIs"):
        for vbd in store.get("VDI", vdi, "VBDs"):
            vm = store.get("VBD", vbd, "VM")
            if store.get("VBD", vbd, "currently_attached") and store.get("VM", vm, "resident_on") == host:
                return True
    return False


def source_name(key: str, sr_uuid: str) -> str:
    """The name of a host's data source about an SR: only the first eight digits tell which (rrdp_iostat.ml)."""
    return f"{key}_{sr_uuid[:8]}"
