# SPDX-License-Identifier: Apache-2.0
"""Cut, late, garbled, short and refused at the n-th call: of a reader, of a file, of the pool, of vSphere and Hyper-V.

Each seed draws which calls and how. However the run ends, it names its cause; then the same migration is run again
undisturbed: the disk is the source's byte for byte, once, and nothing is left over.
"""

import random

import pytest

from tests.faults.test_fault_pool_sweep import CONTENT, Bench
from tests.following import follow
from tests.storm.sources import HyperVSite
from tests.unit.migrate.conftest import MemorySource
from v2x.disks import bytesource
from v2x.disks.wrap import Faults, Faulty, Retry
from v2x.errors import SourceError, V2xError
from v2x.model.units import MIB
from v2x.simulators.appliance import ApplianceSpec, DiskSpec, NicSpec, write_ova

CALLS = ("status", "status_late", "cut_answer", "broken", "slow")


def seeds(quick, all_of_them):
    """The first few in every run, the others with the slow tests."""
    return [pytest.param(n, marks=() if n < quick else pytest.mark.slow) for n in range(all_of_them)]


# a reader


class Troubled(MemorySource):
    """Gives readers whose requests fail as drawn, with the wrapper that sources put around theirs or without."""

    def __init__(self, machine, content, faults, tries):
        super().__init__(machine, content)
        self.faults, self.tries = faults, tries

    def reader(self, machine, disk, at):
        def made():
            return Faulty(MemorySource.reader(self, machine, disk, at), self.faults)

        return Retry(made(), self.tries, reopen=made, sleep=lambda _: None)


@pytest.mark.parametrize("seed", range(16))
def test_a_reader_that_fails_at_the_nth_request(simulated_pool, seed):
    chance = random.Random(seed)
    bench, tag = Bench(simulated_pool()), f"reader-{seed}"
    drawn = [frozenset({chance.randint(1, 3), *chance.sample(range(4, 12), chance.randint(0, 4))}) for _ in range(2)]
    late = chance.choice((0.0, 0.001))
    faults = Faults(fail_at=drawn[0], short_at=drawn[1], delay_seconds=late)
    with bench.open() as target:
        work = bench.work(target, tag)
        work.source = Troubled(work.machine, {"d": CONTENT}, faults, tries=chance.choice((1, 3)))
        try:
            follow(work)
            stop = None
        except V2xError as problem:
            stop = problem
    assert faults.requests >= min(drawn[0] | drawn[1]), "nothing was struck"
    assert stop is None or isinstance(stop, SourceError), stop
    if stop is not None:
        assert bench.pool.records("VM") and work.claim is not None, "the claim is kept"
    assert bench.run(tag) is None
    bench.check(tag)


# a file


class Corrupted:
    """The module os, one of whose reads of a file has a bit turned over."""

    def __init__(self, real, number):
        self._real, self._left = real, number

    def __getattr__(self, name):
        return getattr(self._real, name)

    def preadv(self, fd, buffers, offset):
        count = self._real.preadv(fd, buffers, offset)
        self._left -= 1
        if self._left == 0:
            buffers[0][count // 2] ^= 0x10
        return count


@pytest.mark.parametrize("seed", seeds(6, 40))
def test_a_file_whose_nth_read_is_not_what_was_written_is_never_sealed_with_it(bench, tmp_path, monkeypatch, seed):
    """An appliance has digests and checksums: what does not hold is refused, and what was begun is removed."""
    chance = random.Random(seed)
    raw = tmp_path / "d.raw"
    raw.write_bytes(chance.randbytes(3 * MIB) + bytes(2 * MIB) + chance.randbytes(MIB))
    spec = ApplianceSpec(name="web", disks=(DiskSpec(raw=raw),), nics=(NicSpec(),))
    ova = write_ova(tmp_path / "web.ova", spec).path
    real = bytesource.os
    monkeypatch.setattr(bytesource, "os", Corrupted(real, chance.randint(1, 150)))
    ran = bench.migrate(ova)
    monkeypatch.setattr(bytesource, "os", real)
    if ran.code:
        assert ran.code in (4, 6) and "try:" in ran.err and "V2X-BUG" not in ran.err, ran.err
        if ran.code == 6:
            assert not bench.leftovers(), "what was begun is removed"
        ran = bench.migrate(ova)
        assert ran.code == 0, ran.err
    (held,) = (path.read_bytes() for path in bench.vdis_of(bench.vm("web")))
    assert held[: 6 * MIB] == raw.read_bytes()
    assert not bench.leftovers()


# the pool


@pytest.mark.parametrize("seed", seeds(12, 60))
def test_the_pool_fails_at_the_nth_call(simulated_pool, seed):
    chance = random.Random(seed)
    pool = simulated_pool()
    bench, tag = Bench(pool), f"calls-{seed}"
    for _ in range(chance.randint(1, 4)):
        kind = chance.choice(CALLS)
        at = {"status": 503, "status_late": 500, "cut_answer": chance.choice((0, 50))}.get(kind, 0)
        target, after = chance.choice(("effect", "look", "rpc")), chance.randrange(60)
        pool.faults.arm(kind, target=target, after=after, times=chance.choice((1, 2)), at=at, seconds=0.05)
    stop = bench.run(tag)
    if stop is not None:
        assert stop.message and stop.hint, stop
        assert stop.code != "V2X-BUG", stop
    pool.faults.clear()
    assert bench.run(tag) is None
    bench.check(tag)
    # A task whose creation, or end, was not answered cannot be told from another run's: the pool collects it by itself.
    assert all(one["name_label"] == f"v2x: {tag}" for one in pool.records("task").values())
    assert not [one for one in pool.ledger.imports if one.outcome == "running"]


# live sources


@pytest.mark.parametrize("seed", seeds(3, 16))
@pytest.mark.parametrize("transport", ["https", "nfc"])
def test_vsphere_fails_at_the_nth_call(site, seed, transport):
    chance = random.Random(seed)
    machine = site.add("web01", 5 * MIB, power="poweredOff")
    for _ in range(chance.randint(1, 3)):
        kind = chance.choice(("slow", "status", "cut", "broken", "lose_session"))
        where = chance.choice(("soap", "soap", "folder" if transport == "https" else "nfc"))
        site.vcenter.faults.arm(
            kind, target="" if kind in ("broken", "lose_session") else where, seconds=0.05, after=chance.randrange(30),
            at={"status": 503, "cut": chance.choice((0, 200, 90_000))}.get(kind, 0),
        )  # fmt: skip
    pins = ("--source-fingerprint", site.vcenter.fingerprint, "--transport", transport)
    ran = site.bench.migrate(site.address, "web01", *pins)
    if ran.code:
        assert ran.code in (4, 5) and "try:" in ran.err and "V2X-BUG" not in ran.err, ran.err
    site.vcenter.faults.clear()
    ran = site.bench.migrate(site.address, "web01", *pins)
    assert ran.code == 0, ran.err
    site.identical("web01", machine)
    assert not site.bench.leftovers() and not site.vcenter.untouched()


@pytest.mark.parametrize("seed", seeds(2, 12))
def test_hyperv_fails_at_the_nth_call(bench, tmp_path, monkeypatch, seed):
    chance = random.Random(seed)
    served = HyperVSite(tmp_path, chance, many=False)
    served.open()
    try:
        monkeypatch.setenv("V2X_SOURCE_PASSWORD", served.password)
        for _ in range(chance.randint(1, 2)):
            served.trouble()
        (name,) = served.names
        ran = bench.migrate(served.words[0], name, *served.options)
        if ran.code:
            assert ran.code in (4, 5) and "try:" in ran.err and "V2X-BUG" not in ran.err, ran.err
        served.calm()
        ran = bench.migrate(served.words[0], name, *served.options)
        assert ran.code == 0, ran.err
        for path, wanted in zip(bench.vdis_of(bench.vm(name)), served.content(name), strict=True):
            assert path.read_bytes()[: len(wanted)] == wanted
        served.check()
        assert not bench.leftovers()
    finally:
        served.close()
