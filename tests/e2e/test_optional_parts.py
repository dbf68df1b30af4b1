# SPDX-License-Identifier: Apache-2.0
"""v2x without the parts that are optional: each is missed where it is needed only, and doctor says what brings it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from v2x.simulators.appliance import ApplianceSpec, DiskSpec, write_ova

ROOT = Path(__file__).parents[2]
OPTIONAL = ("nbd", "libnbdmod", "guestfs", "keyring", "gssapi", "krb5")
WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

ABSENT = set(sys.argv.pop(1).split(","))
sys.meta_path.insert(0, Absent())
import importlib.machinery
searched = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda cls, name, path=None, target=None: None if name in ABSENT else searched(name, path, target)
)
from v2x.cli import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.fixture
def bare(bench, tmp_path):
    """v2x in a process of its own, without the optional modules, and with nothing on PATH."""

    def run(*words, path="/nonexistent"):
        return subprocess.run(
            [sys.executable, "-c", WITHOUT, ",".join(OPTIONAL), *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "V2X_TARGET_PASSWORD": bench.pool.password},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_doctor_passes_and_names_what_is_missing_with_its_remedy(bare):
    ran = bare("doctor", "--json")
    assert ran.returncode == 0, ran.stderr
    checks = {one["check"]: one for one in json.loads(ran.stdout)["checks"]}
    for name in ("qemu-img", "qemu-nbd", "nbdkit", "nbd", "gssapi", "keyring"):
        assert not checks[name]["ok"] and not checks[name]["required"], name
        assert "install" in checks[name]["remedy"], name
    assert all(one["ok"] for one in checks.values() if one["required"])


def test_an_appliance_is_assessed_migrated_and_verified(bare, bench, raw):
    write_ova(bench.folder / "web.ova", ApplianceSpec(name="web", disks=(DiskSpec(raw=raw("odd")),)))
    to = ("--target", bench.target, "--target-fingerprint", bench.pool.fingerprint)
    assert bare("assess", "web.ova", *to).returncode == 0
    ran = bare("migrate", "web.ova", *to, "--verify", "full", "--report", "report.json")
    assert ran.returncode == 0, ran.stderr
    ran = bare("verify", "report.json", *to)
    assert ran.returncode == 0, ran.stderr
    assert bare("convert", "web.ova", "web.xva").returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("convert", "disk.qcow2", "disk.raw"), 2, "MISSING-TOOL"),
        (("inventory", "kr", "--config", "keyring.toml"), 2, "v2x[keyring]"),
    ],
)
def test_what_needs_a_missing_part_says_so(bare, bench, words, code, told):
    packed = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", "compression_type=zstd", bench.folder / "disk.qcow2"]
    subprocess.run([*packed, "1M"], check=True)
    (bench.folder / "keyring.toml").write_text(
        '[source.kr]\naddress = "vsphere://root@127.0.0.1:9"\nsecret = "keyring:v2x/root"\n'
    )
    ran = bare(*words)
    assert ran.returncode == code and told in ran.stderr, (ran.returncode, ran.stderr)
    assert "Traceback" not in ran.stderr
