# SPDX-License-Identifier: Apache-2.0
"""The goals that v2x's speed is held against: one line each, in the order of docs/performance.md.

What a bench finds is kept beside its JSON as `Reached`; nothing here fails a run, docs/performance.md says what is met.
"""

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass

VMDK = "sparse/flat VMDK → VHD stream → TCP sink"
VHDX = "VHDX → VHD stream → TCP sink"
TLS = "the same → TLS null sink"
NBD = "NBD source → VHD stream"
STREAM = "streamOptimized VMDK/OVA → VHD stream"
FILE = "VHDX → VHD file"
WIRE = "bytes on the wire"
LATE = "source with 5 / 20 / 50 ms round trip"
MAPS = "extents of a 2 TiB disk"
MEMORY = "memory"
MANY = "8 disks at once"
DIGEST = "digest while streaming (xxh3_128)"
INVENTORY = "inventory of 10,000 machines"
ASSESS = "assess + HTML of 10,000 machines"
START = "`v2x --help`, `v2x assess` of 10 machines"


@dataclass(frozen=True)
class Goal:
    """`what` is measured of the work `row`; reached when it is at least (or, with `least` false, at most) `wanted`."""

    row: str
    what: str
    wanted: float
    least: bool = True


GOALS = {
    "vmdk-nbdcopy": Goal(VMDK, "times the speed of nbdcopy", 1.8),
    "vmdk-floor": Goal(VMDK, "share of the speed of sendall alone", 0.72),
    "vmdk-xo": Goal(VMDK, "times the speed of Xen Orchestra's NbdDisk + ReadAhead", 3.3),
    "vmdk-cpu": Goal(
        VMDK, "CPU, as share of the NBD path (qemu-nbd, nbdcopy, the server that receives)", 0.35, least=False
    ),
    "vhdx-nbdcopy": Goal(VHDX, "times the speed of nbdcopy", 1.45),
    "vhdx-floor": Goal(VHDX, "share of the speed of sendall alone", 0.57),
    "vhdx-xo": Goal(VHDX, "times the speed of Xen Orchestra's NbdDisk + ReadAhead", 2.7),
    "tls-floor": Goal(TLS, "share of the speed of TLS sendall alone", 0.85),
    "tls-stage": Goal(TLS, "times the speed of qemu-img convert, then upload", 3.0),
    "nbd-nbdcopy": Goal(NBD, "times the speed of nbdcopy", 1.1),
    "stream-stage": Goal(STREAM, "times the speed of qemu-img convert, then upload", 3.5),
    "stream-xo": Goal(STREAM, "times the speed of xo-vmdk-to-vhd", 2.4),
    "stream-one": Goal(STREAM, "times the speed of qemu-img, with one worker that inflates", 1.8),
    "ova-stage": Goal(
        STREAM, "`v2x migrate` of an OVA to a simulated pool over TLS: times qemu-img convert, then upload", 3.5
    ),
    "file-qemu": Goal(FILE, "times the speed of qemu-img convert", 3.0),
    "wire": Goal(WIRE, "bytes over 1.01 × blocks that hold data, MiB", 8.0, least=False),
    "late-https": Goal(LATE, "HTTPS ranges: share of a line of 1 Gbit/s", 0.8),
    "late-nbd": Goal(LATE, "NBD: share of a line of 1 Gbit/s", 0.8),
    "late-smb": Goal(LATE, "SMB 3: share of a line of 1 Gbit/s", 0.8),
    "maps-qemu": Goal(MAPS, "time, as share of qemu-img map", 1.2, least=False),
    "maps-nbd": Goal(MAPS, "times the speed of the same map through qemu-nbd", 5.0),
    "memory-one": Goal(MEMORY, "one stream: peak of the process, MiB", 64.0, least=False),
    "memory-eight": Goal(MEMORY, "eight streams: peak of the process, MiB", 200.0, least=False),
    "many-aggregate": Goal(MANY, "together, as share of the best of 2, 3 and 4", 0.9),
    "many-fair": Goal(MANY, "time of the slowest, as share of the fastest", 2.0, least=False),
    "digest": Goal(DIGEST, "time with digests, as share of the time without", 1.05, least=False),
    "inventory-floor": Goal(INVENTORY, "time, as share of fetching the pages and parsing them alone", 1.5, least=False),
    "inventory-calls": Goal(INVENTORY, "round trips per 1,000 machines", 5.0, least=False),
    "inventory-memory": Goal(INVENTORY, "peak of the process, MiB", 200.0, least=False),
    "assess": Goal(ASSESS, "assess, seconds", 5.0, least=False),
    "assess-html": Goal(ASSESS, "HTML from it, seconds", 5.0, least=False),
    "start-help": Goal(START, "`v2x --help`, seconds", 0.3, least=False),
    "start-assess": Goal(START, "`v2x assess` of 10 machines, seconds", 1.0, least=False),
}

RIVALS = {
    "vmdk-nbdcopy": ("v2x", "nbdcopy"),
    "vmdk-floor": ("v2x", "sendall"),
    "vmdk-xo": ("v2x", "Xen Orchestra"),
    "vhdx-nbdcopy": ("v2x", "nbdcopy"),
    "vhdx-floor": ("v2x", "sendall"),
    "vhdx-xo": ("v2x", "Xen Orchestra"),
    "tls-floor": ("v2x", "TLS sendall"),
    "tls-stage": ("v2x", "qemu-img, then send"),
    "nbd-nbdcopy": ("v2x", "nbdcopy"),
    "stream-stage": ("v2x", "qemu-img, then send"),
    "stream-xo": ("v2x", "xo-vmdk-to-vhd"),
    "stream-one": ("v2x, one worker", "qemu-img"),
}
"""Who is compared with whom, where that is a ratio of speeds and start-up is a part of it."""


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What a bench found for a goal on one input."""

    goal: str
    subject: str
    median: float
    least: float
    most: float

    @property
    def met(self) -> bool:
        goal = GOALS[self.goal]
        return self.median >= goal.wanted if goal.least else self.median <= goal.wanted

    def plain(self) -> dict[str, object]:
        return asdict(self)


def reached(goal: str, subject: str, values: Iterable[float]) -> Reached:
    """The median of what was found, with its least and greatest."""
    assert goal in GOALS, goal
    found = list(values)
    return Reached(goal=goal, subject=subject, median=statistics.median(found), least=min(found), most=max(found))
