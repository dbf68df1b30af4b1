# SPDX-License-Identifier: Apache-2.0
"""A VHDX and a checkpoint chain read over SMB 3 from a Samba on loopback, encrypted and signed, beside a local file."""

import random
import time
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from tests.hyperv_images import ABSENT, Vhdx, linkage
from v2x.disks.listing import FolderListing
from v2x.disks.readahead import ReadAhead
from v2x.disks.smb.connection import SmbAccess
from v2x.disks.smb.listing import SmbFolder
from v2x.disks.smb.paths import parse_unc
from v2x.disks.smb.server import SmbServers
from v2x.disks.vhdx import open_vhdx
from v2x.secrets import Secret
from v2x.simulators.hyperv.share import Share

MIB = 1 << 20
SIZE = 256 * MIB


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`one.vhdx`, and `top.avhdx` on `base.vhdx`, whose clusters of 64 KiB alternate with its parent's."""
    folder = tmp_path_factory.mktemp("images")
    raw = random.Random(1).randbytes(32 * MIB) * (SIZE // (32 * MIB))
    for name, identity in (("one.vhdx", 1), ("base.vhdx", 2)):
        Vhdx(raw=raw, block=2 * MIB, data_write=uuid.UUID(int=identity)).write(folder / name)
    own = {sector for sector in range(4096) if sector // 128 % 2}
    count = SIZE // (2 * MIB)
    sectors = dict.fromkeys(range(0, count, 2), own)
    states = dict.fromkeys(range(1, count, 2), ABSENT)
    link = linkage(uuid.UUID(int=2))
    Vhdx(raw=raw, block=2 * MIB, data_write=uuid.UUID(int=3), parent=link, sectors=sectors, states=states).write(
        folder / "top.avhdx"
    )
    return folder


@pytest.mark.parametrize("name", ["one.vhdx", "top.avhdx"])
@pytest.mark.parametrize("way", ["local", "encrypted", "signed"])
def test_reading(images: Path, tmp_path: Path, way: str, name: str) -> None:
    if way == "local":
        with closing(FolderListing(images)) as listing:
            measured(way, name, open_vhdx(listing, name))
        return
    with Share(tmp_path / "samba", {"D$": images}, encryption="required" if way == "encrypted" else "off") as share:
        access = SmbAccess(user=share.user, password=Secret(share.password), encryption=way == "encrypted")
        servers = SmbServers(access)
        measured(way, name, open_vhdx(SmbFolder(servers, parse_unc(share.unc("D$"))), name))
        servers.close()


def measured(way: str, name: str, inner: object) -> None:
    reader = ReadAhead(inner, workers=2)  # type: ignore[arg-type]
    buffer = bytearray(2 * MIB)
    begun = time.perf_counter()
    for offset in range(0, reader.size, len(buffer)):
        reader.read_into(offset, buffer)
    seconds = time.perf_counter() - begun
    reader.close()
    print(f"{name:10} {way:10} {SIZE / 1e6 / seconds:8.0f} MB/s")
