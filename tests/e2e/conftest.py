# SPDX-License-Identifier: Apache-2.0
"""The whole program against a simulated pool, in this process, with an independent reader as the judge."""

import importlib.util
import json
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.warming import Site
from v2x.cli import run
from v2x.model.units import MIB
from v2x.simulators.xapi import Pool

NETWORK = "Pool-wide network associated with eth0"


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@dataclass
class Bench:
    pool: Pool
    folder: Path
    capfd: object
    target: str = ""

    def __post_init__(self):
        self.target = f"xapi://{self.pool.user}@{self.pool.address}"

    def v2x(self, *words, pin=True, pool=True) -> Ran:
        """Runs one command; the pin goes with it where the command takes a target."""
        arguments = [str(word) for word in words]
        if pool and "--target" in arguments and pin:
            arguments += ["--target-fingerprint", self.pool.fingerprint]
        self.capfd.readouterr()
        code = run(arguments)
        captured = self.capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    def migrate(self, source, *words, network=NETWORK, **options) -> Ran:
        """`network` is where all adapters go that the words say nothing of; None leaves that to v2x."""
        report = self.folder / "report.json"
        rest = () if network is None else ("--network", f"*={network}")
        return self.v2x("migrate", source, *rest, *words, "--target", self.target, "--report", report, **options)

    def vm(self, name):
        found = [one for one in self.pool.records("VM").values() if one["name_label"] == name]
        assert len(found) == 1, f"{len(found)} machines named {name}"
        return found[0]

    def vdis_of(self, vm):
        """Paths of the disks of a machine, in device order."""
        vbds = [self.pool.records("VBD")[ref] for ref in vm["VBDs"]]
        disks = sorted((vbd for vbd in vbds if vbd["type"] == "Disk"), key=lambda vbd: int(vbd["userdevice"]))
        return [self.pool.vdi_path(self.pool.records("VDI")[vbd["VDI"]]["uuid"]) for vbd in disks]

    def leftovers(self):
        """Machines and disks that carry a claim tag."""
        return [
            one["uuid"]
            for cls in ("VM", "VDI")
            for one in self.pool.records(cls).values()
            if "v2x-migration" in one["other_config"]
        ]


@pytest.fixture
def bench(tmp_path, capfd, monkeypatch):
    with Pool(tmp_path / "pool", save=False) as pool:
        pool.settings.login_delay = 0
        monkeypatch.setenv("V2X_TARGET_PASSWORD", pool.password)
        monkeypatch.setenv("V2X_STATE", str(tmp_path / "state"))
        monkeypatch.chdir(tmp_path)
        yield Bench(pool, tmp_path, capfd)


@pytest.fixture
def site(bench, simulated_vsphere, monkeypatch):
    """tests/warming.py: a vCenter with guests that write, beside the pool."""
    vcenter = simulated_vsphere(estate="empty", password="secret")
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", "secret")
    made = Site(bench, vcenter)
    yield made
    made.close()


def make_raw(path: Path, size: int, islands: list[tuple[int, int]], seed: int = 1) -> Path:
    """A sparse raw disk with seeded random bytes in `islands` of (offset, length)."""
    with path.open("wb") as file:
        file.truncate(size)
        chance = random.Random(seed)
        for offset, length in islands:
            file.seek(offset)
            file.write(chance.randbytes(length))
    return path


@pytest.fixture
def raw(tmp_path):
    """A factory of raw disks by kind."""

    def factory(kind: str = "islands", name: str = "disk.raw") -> Path:
        kinds = {
            "islands": (24 * MIB, [(0, 70000), (5 * MIB + 512, 3 * MIB), (20 * MIB, 512)]),
            "odd": (9 * MIB + 7 * 512, [(0, 4096), (9 * MIB, 7 * 512)]),
            "one-sector": (512, [(0, 512)]),
            "empty": (8 * MIB, []),
            "full": (6 * MIB, [(0, 6 * MIB)]),
            "64k": (4 * MIB + 65536, [(4 * MIB, 65536)]),
        }
        size, islands = kinds[kind]
        return make_raw(tmp_path / name, size, islands, seed=len(kind))

    return factory


@pytest.fixture
def same_bytes():
    """Asserts that a VDI holds exactly the disk that qemu-img reads from `image`, and zeros beyond."""

    def check(vdi: Path, image: Path, driver: str, folder: Path):
        oracle = folder / "oracle.raw"
        oracle.unlink(missing_ok=True)
        subprocess.run(
            ["qemu-img", "convert", "-f", driver, "-O", "raw", str(image), str(oracle)], check=True, timeout=120
        )
        wanted, held = oracle.read_bytes(), vdi.read_bytes()
        assert held[: len(wanted)] == wanted
        assert not any(held[len(wanted) :])
        assert len(held) % (2 * MIB) == 0

    return check


@pytest.fixture(scope="session")
def rvtools_book():
    """tests/rvtools_book.py: builders of RVTools exports."""
    spec = importlib.util.spec_from_file_location("rvtools_book", Path(__file__).parents[1] / "rvtools_book.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
