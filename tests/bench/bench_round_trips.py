# SPDX-License-Identifier: Apache-2.0
"""Sources that are far away: how much of a line of 1 Gbit/s a disk takes at 5, 20 and 50 ms.

The line is a proxy on loopback; each way reads as v2x does it there, without being told how far it is.
"""

import json
import random
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench.contest import python, written
from tests.bench.goals import reached
from tests.bench.programs.slow_line import BYTES_PER_SECOND
from tests.bench.servers import qemu_nbd, running
from tests.hyperv_images import Vhdx
from v2x.disks.http import HttpSource, parallel_requests
from v2x.disks.http_origin import HttpOrigin
from v2x.disks.interface import DiskReader
from v2x.disks.nbd import NbdReader
from v2x.disks.raw import RawReader
from v2x.disks.readahead import ReadAhead
from v2x.disks.smb.connection import SmbAccess
from v2x.disks.smb.listing import SmbFolder
from v2x.disks.smb.paths import parse_unc
from v2x.disks.smb.server import SmbServers
from v2x.disks.stream.feed import BLOCK_BYTES, data_blocks
from v2x.disks.vhdx import open_vhdx
from v2x.migrate.digests import digest_of
from v2x.migrate.pump import pumped
from v2x.model.units import MIB
from v2x.secrets import Secret
from v2x.simulators.hyperv.share import Share

SIZE = 512 * MIB
ROUNDS = 3
ROUND_TRIPS = (0.005, 0.02, 0.05)


@pytest.fixture(scope="module")
def disk(folder) -> Path:
    """A full raw disk, and a VHDX of it beside it."""
    chance = random.Random(1)
    raw = b"".join(chance.randbytes(32 * MIB) for _ in range(SIZE // (32 * MIB)))
    (folder / "far").mkdir()
    (folder / "far" / "disk.raw").write_bytes(raw)
    Vhdx(raw=raw, block=2 * MIB).write(folder / "far" / "disk.vhdx")
    return folder / "far" / "disk.raw"


@contextmanager
def line(port: int, round_trip: float, path: str = "") -> Iterator[str]:
    """What to connect to in the place of `port`."""
    with running(python("slow_line.py", port, round_trip, *([path] if path else []))) as proxy:
        yield proxy.stdout.readline().strip()


@contextmanager
def https(disk: Path, round_trip: float) -> Iterator[Callable[[], DiskReader]]:
    with running(python("ranges_server.py", disk.parent, disk)) as server:
        told = json.loads(server.stdout.readline())
        with line(told["port"], round_trip) as port:

            def opened() -> DiskReader:
                origin = HttpOrigin(
                    host="127.0.0.1", port=int(port), tls=ssl.create_default_context(cafile=told["pem"])
                )
                plain = RawReader(HttpSource.open(origin, "/disk", "disk"))
                count = parallel_requests(origin, BLOCK_BYTES)
                return ReadAhead(plain, depth=count, workers=count)

            yield opened


@contextmanager
def nbd(disk: Path, round_trip: float) -> Iterator[Callable[[], DiskReader]]:
    path = str(disk.with_name(f"nbd-{round_trip}"))
    with qemu_nbd(disk, "raw") as server, line(server.port, round_trip, path):
        yield lambda: ReadAhead(NbdReader(path))


@contextmanager
def smb(disk: Path, round_trip: float) -> Iterator[Callable[[], DiskReader]]:
    with Share(disk.parent / f"samba-{round_trip}", {"D$": disk.parent}) as share, line(share.port, round_trip) as port:
        servers = SmbServers(SmbAccess(user=share.user, password=Secret(share.password)))
        yield lambda: ReadAhead(open_vhdx(SmbFolder(servers, parse_unc(rf"\\127.0.0.1:{port}\D$")), "disk.vhdx"))
        servers.close()


def drained(reader: DiskReader) -> float:
    """Bytes per second as a copy reads: the map, then the blocks in order, with digests."""
    began = time.monotonic()
    with pumped(reader, data_blocks(reader), BLOCK_BYTES, digest=digest_of) as blocks:
        count = sum(len(block.data) for block in blocks)
    assert count == SIZE
    took = time.monotonic() - began
    reader.close()
    return count / took


@pytest.mark.parametrize("way", [https, nbd, smb], ids=lambda way: way.__name__)
def test_round_trips(way, disk):
    found = []
    for round_trip in ROUND_TRIPS:
        with way(disk, round_trip) as opened:
            shares = [drained(opened()) / BYTES_PER_SECOND for _ in range(ROUNDS)]
        found.append(reached(f"late-{way.__name__}", f"{round_trip * 1000:g} ms", shares))
        print(f"\n{way.__name__:6}{round_trip * 1000:4g} ms: {found[-1].median:.2f} of the line "
              f"({found[-1].least:.2f}–{found[-1].most:.2f})", end="")  # fmt: skip
    written(f"round-trips-{way.__name__}", {"bytes": SIZE, "line_bytes_per_second": BYTES_PER_SECOND}, found)
