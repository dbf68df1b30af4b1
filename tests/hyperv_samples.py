# SPDX-License-Identifier: Apache-2.0
"""Files that Hyper-V itself wrote: fetched when a test wants them, kept outside of the repository, never committed.

They are test data of dissect.hypervisor 3.17 (AGPL-3.0), whose source distribution on the package index carries them.
Nothing of its code is used. V2X_TESTS_OFFLINE=1 skips the tests that need them.
"""

import gzip
import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import platformdirs
import pytest

PACKAGE, VERSION = "dissect.hypervisor", "3.17"
DIGESTS = {
    "test.vmcx": "31843716f2cb4b7685683627064b213c898a2f4863ef55e81c10f56c05fcb699",
    "test.VMRS": "68ef2b0dc4efe89b31a9df9149133fcdb59eb5b38d6004e9696f071625118683",
    "differencing.avhdx.gz": "bb33bf168983b320cafc27c6210f479fff337edac98655bd5d8f2df4a461cd69",
    "dynamic.vhd.gz": "46e03a38927ea9b8c54e2a75f13b8b9732abb443f283176874bb12e111855ff4",
    "dynamic.vhdx.gz": "c3739d311100cd122d8442644c2623645b96d4de4bd19dd888792198513b242d",
    "fixed.vhd.gz": "6a316ca76c038d0fc35645fb9c0c5b3cfe3862db979e7d4f034d07557b7b8f29",
    "fixed.vhdx.gz": "ca3953db3df15e4c1f9c0df1b7218621c04553148694ccebcad77d070e9f3a68",
}


def sample(name: str) -> bytes:
    """The content of one of `DIGESTS`, unpacked if it is a .gz."""
    raw = _kept(name)
    return gzip.decompress(raw) if name.endswith(".gz") else raw


def _kept(name: str) -> bytes:
    path = Path(platformdirs.user_cache_dir("v2x-tests")) / f"hyperv-{VERSION}" / name
    if not path.is_file():
        _fetch(path.parent)
    raw = path.read_bytes()
    assert hashlib.sha256(raw).hexdigest() == DIGESTS[name], f"{path} is not the sample; remove it"
    return raw


def _fetch(folder: Path) -> None:
    if os.environ.get("V2X_TESTS_OFFLINE"):
        pytest.skip("V2X_TESTS_OFFLINE is set, and the samples of Hyper-V are not here")
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", PACKAGE]
    done = subprocess.run(
        [*command, "--dest", folder, f"{PACKAGE}=={VERSION}"], capture_output=True, text=True, timeout=240, check=False
    )
    archives = list(folder.glob("*.tar.gz"))
    assert archives, f"cannot fetch {PACKAGE} {VERSION} (V2X_TESTS_OFFLINE=1 skips this): {done.stderr[-500:]}"
    with tarfile.open(archives[0]) as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            content = archive.extractfile(member) if member.isfile() and name in DIGESTS else None
            if content is not None:
                # Another test process may fetch at the same time: a file is there whole or not at all.
                partial = folder / f"{name}.{os.getpid()}"
                partial.write_bytes(content.read())
                partial.replace(folder / name)
    archives[0].unlink(missing_ok=True)
