# SPDX-License-Identifier: Apache-2.0
"""vSphere's transports against one another, and ranges over a slow line: ratios on this machine, not promises.

The other side is our stand-in, in a process of its own on the same processors; sshd is real; VDDK is nowhere, and
nbdkit's file plugin stands in its place, so that what is measured is v2x's own side of that transport.
"""

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests import sshd
from tests.bench.contest import PROGRAMS, ROOT
from tests.ranges import serving
from v2x.disks.http import HttpSource, parallel_requests
from v2x.disks.http_origin import HttpOrigin
from v2x.disks.raw import RawReader
from v2x.disks.readahead import ReadAhead
from v2x.disks.stream.feed import BLOCK_BYTES, data_blocks
from v2x.migrate.digests import digest_of
from v2x.migrate.pump import pumped
from v2x.model.address import parse_address
from v2x.secrets import Secret
from v2x.sources.vsphere.options import VsphereOptions
from v2x.sources.vsphere.source import VsphereSource
from v2x.sources.vsphere.transports import opening
from v2x.sources.vsphere.transports.options import (
    Allocation,
    SshOptions,
    TransportChoice,
    TransportOptions,
    VddkOptions,
)
from v2x.tls import Trust

MIB = 1 << 20
SIZE = 512 * MIB
ROUNDS = 3


def image(folder: Path) -> Path:
    """Two fifths full, in runs of 24 MiB, of bytes that compress by half."""
    path, chance = folder / "bench.raw", random.Random(1)
    with path.open("wb") as file:
        file.truncate(SIZE)
        for at in range(0, SIZE, 64 * MIB):
            file.seek(at)
            for _ in range(24):
                file.write(chance.randbytes(MIB // 2) + b"\x5a" * (MIB // 2))
    return path


def drained(reader) -> int:
    """As a copy reads: the map, then the blocks in order, with digests."""
    try:
        numbers = data_blocks(reader)
        with pumped(reader, numbers, BLOCK_BYTES, digest=digest_of) as blocks:
            return sum(len(block.data) for block in blocks)
    finally:
        reader.close()


def cpu() -> float:
    own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime


def test_transports(folder):
    raw = image(folder)
    libdir, program = folder / "vix", folder / "nbdkit"
    libdir.mkdir()
    (libdir / "libvixDiskLib.so").touch()
    program.write_text(
        '#!/bin/sh\nfor word; do shift; case $word in\nvddk) set -- "$@" file ;;\n'
        f'file=*) set -- "$@" \'{raw}\' ;;\nmulti-conn-mode=*|minblock=*|maxdata=*|--*) set -- "$@" "$word" ;;\n'
        '*=*) ;;\n*) set -- "$@" "$word" ;;\nesac; done\nexec nbdkit "$@"\n'
    )
    program.chmod(0o755)
    command = [sys.executable, str(PROGRAMS / "vsphere_stand_in.py"), str(raw)]
    server = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        told = json.loads(server.stdout.readline())
        volumes = folder / "volumes"
        volumes.mkdir()
        for datastore in Path(told["datastores"]).iterdir():
            if (datastore / "bench").is_dir():
                (volumes / "vmfs6-ssd").symlink_to(datastore)
        with sshd.running(folder / "sshd") as ssh:
            options = {
                "https, map from change tracking": {"transport": "https"},
                "https, everything read": {"transport": "https", "allocation": Allocation.READ_ALL},
                "nfc, two passes": {"transport": "nfc"},
                "nfc, map from change tracking": {"transport": "nfc", "allocation": Allocation.CBT},
                "vddk (nbdkit file in its place)": {
                    "transport": "vddk", "vddk": VddkOptions(libdir=libdir, program=str(program)),
                },
                "ssh": {
                    "transport": "ssh",
                    "ssh": SshOptions(
                        known_hosts=ssh.known, identity=ssh.identity, user=ssh.user, port=ssh.port, host="127.0.0.1",
                        volumes=str(volumes),
                    ),
                },
            }  # fmt: skip
            measure(told, options)
    finally:
        server.stdin.close()
        server.wait(30)


def measure(told, options) -> None:
    source = VsphereSource.open(
        parse_address(f"vsphere://{told['user']}@127.1:{told['port']}"),
        password=Secret("secret"),
        trust=Trust(fingerprint=told["pin"], option="source"),
        options=VsphereOptions(),
    )
    with source:
        (machine,) = source.inventory().machines
        at = source.checkpoint(machine, "bench")
        seconds: dict[str, list[float]] = {name: [] for name in options}
        used: dict[str, list[float]] = {name: [] for name in options}
        order, chance = list(options), random.Random(7)
        for turn in range(ROUNDS + 1):
            chance.shuffle(order)
            for name in order:
                chosen = dict(options[name])
                chosen["transport"] = TransportChoice(chosen["transport"])
                began, busy = time.monotonic(), cpu()
                drained(opening.open_disk(source.session, machine, machine.disks[0], at, TransportOptions(**chosen)))
                if turn:
                    seconds[name].append(time.monotonic() - began)
                    used[name].append(cpu() - busy)
    first = seconds["https, map from change tracking"]
    print(f"\n512 MiB, 192 MiB of it in use; {ROUNDS} rounds; ratios within rounds")
    for name, taken in seconds.items():
        ratios = [one / other for one, other in zip(taken, first, strict=True)]
        print(
            f"{name:34} {statistics.median(taken):6.2f} s  cpu {statistics.median(used[name]):5.2f} s  "
            f"{statistics.median(ratios):5.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"
        )


def test_ranges_over_a_slow_line(folder):
    """Requests that are answered late: as many at once as the round trip asks for, against one."""
    content = os.urandom(96 * MIB)
    with serving(folder / "ranges", tls=False) as server:
        server.files["/disk"] = content
        for delay in (0.0, 0.005, 0.02, 0.05):
            server.delay = delay
            found = {}
            for name in ("one", "auto"):
                origin = HttpOrigin(host=server.host, port=server.port, tls=None)
                plain = RawReader(HttpSource.open(origin, "/disk", "disk"))
                count = 1 if name == "one" else parallel_requests(origin, BLOCK_BYTES)
                began = time.monotonic()
                assert drained(plain if count == 1 else ReadAhead(plain, depth=count, workers=count)) == len(content)
                found[name] = (len(content) / 1e6 / (time.monotonic() - began), count)
                origin.close()
            (alone, _), (together, count) = found["one"], found["auto"]
            print(
                f"{delay * 1000:3.0f} ms: one request at a time {alone:5.0f} MB/s, "
                f"{count} at once {together:5.0f} MB/s, {together / alone:.1f} times"
            )
