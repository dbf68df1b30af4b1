# SPDX-License-Identifier: Apache-2.0
"""A Debian package of a wheel, with its locked dependencies in a folder of its own (docs/adr/0030)."""

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.release.lock import ROOT

LIBRARY = "usr/lib/v2x"
LAUNCHER = """\
#!/usr/bin/python3 -IB
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib/v2x"))
from v2x.__main__ import main

main()
"""
SCRIPTS = {
    "postinst": f"#!/bin/sh\nset -e\npython3 -m compileall -q /{LIBRARY} || true\n",
    "prerm": f"#!/bin/sh\nset -e\nfind /{LIBRARY} -name __pycache__ -type d -prune -exec rm -rf {{}} +\n",
}
"""Compiled once for all users, and nothing left behind."""
CONTROL = """\
Package: v2x
Version: {version}
Architecture: {architecture}
Maintainer: v2x developers <v2x@example.org>
Installed-Size: {size}
Depends: python3 (>= {python}), python3 (<< {next_python}), ca-certificates, openssl
Recommends: qemu-utils, python3-libnbd, nbdkit, zstd
Suggests: python3-guestfs, python3-keyring, bash-completion
Section: admin
Priority: optional
Description: Moves virtual machines from VMware and Hyper-V to XCP-ng
 Assesses, plans and migrates machines from vSphere, ESXi, Hyper-V, OVA, OVF
 and VMX to an XCP-ng or XenServer pool, one by one or in batches, cold or warm.
"""
_SHELLS = {
    "share/bash-completion": "usr/share/bash-completion",
    "share/zsh/site-functions": "usr/share/zsh/vendor-completions",
    "share/fish": "usr/share/fish",
}


def write(version: str, wheel: Path, epoch: int, folder: Path, work: Path) -> Path:
    """Builds the package in `folder`; `work` is for what is packed. The same wheel and lock give the same bytes."""
    tree = work / "tree"
    _install(tree / LIBRARY, wheel)
    _share(tree)
    launcher = tree / "usr/bin/v2x"
    launcher.parent.mkdir(parents=True)
    launcher.write_text(LAUNCHER)
    _documents(tree / "usr/share/doc/v2x")
    for path in (tree, *tree.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path == launcher else 0o644)
    architecture = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout
    minor = sys.version_info.minor
    control = tree / "DEBIAN/control"
    control.parent.mkdir(mode=0o755)
    control.write_text(
        CONTROL.format(
            version=version,
            architecture=architecture.strip(),
            size=sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) // 1024,
            python=f"3.{minor}",
            next_python=f"3.{minor + 1}",
        )
    )
    for name, text in SCRIPTS.items():
        (control.parent / name).write_text(text)
        (control.parent / name).chmod(0o755)
    made = folder / f"v2x_{version}_{architecture.strip()}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", tree, made],
        check=True,
        capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
    )
    return made


def _install(library: Path, wheel: Path) -> None:
    """The locked packages and the wheel, as pip lays them, without what is of this machine or this minute."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", library]
    lock = ROOT / ".ci/runtime.lock"
    subprocess.run([*pip, "--require-hashes", "--requirement", lock, "--ignore-installed"], check=True)
    subprocess.run([*pip, "--no-deps", "--upgrade", wheel], check=True)
    shutil.rmtree(library / "bin", ignore_errors=True)
    for name in ("direct_url.json", "RECORD", "REQUESTED"):
        for path in library.glob(f"*.dist-info/{name}"):
            path.unlink()


def _share(tree: Path) -> None:
    """Pages and completion from where pip put the wheel's `share` to where Debian looks for them."""
    library = tree / LIBRARY
    for name, place in _SHELLS.items():
        shutil.copytree(library / name, tree / place, dirs_exist_ok=True)
    pages = tree / "usr/share/man/man1"
    pages.mkdir(parents=True)
    for page in sorted((library / "share/man/man1").glob("v2x*.1")):
        (pages / f"{page.name}.gz").write_bytes(gzip.compress(page.read_bytes(), mtime=0))
    shutil.rmtree(library / "share")


def _documents(folder: Path) -> None:
    shutil.copytree(ROOT / "docs", folder, ignore=shutil.ignore_patterns("pictures", "__pycache__"))
    shutil.copy(ROOT / "LICENSE", folder / "copyright")
    shutil.copy(ROOT / "CHANGELOG.md", folder / "CHANGELOG.md")
