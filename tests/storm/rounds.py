# SPDX-License-Identifier: Apache-2.0
"""One round of the storm: migrations that are killed, stopped and troubled at random, then run undisturbed once.

All that is drawn comes from the seed and the number of the round; when things happen also depends on the machine.
"""

import csv
import faulthandler
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.storm import oracle
from tests.storm.sources import KINDS
from v2x.migrate.itinerary import COLD, WARM
from v2x.model.migration import Phase
from v2x.model.units import MIB
from v2x.simulators.xapi import Layout, Pool

ROOT = Path(__file__).parents[2]
NETWORK = "Pool-wide network associated with eth0"
PROMISED_SECONDS = 5.0
"""How soon a signal ends the program, and how much a busy machine may add."""
BUSY_SECONDS = 10.0
BUGS = ("Traceback", "V2X-BUG")


class Round:
    """`counts` collects what happened; a finding is an AssertionError with the story of the round."""

    def __init__(self, folder, seed, number, counts=None):
        self.chance = random.Random(f"{seed}/{number}")
        self.seed, self.number = seed, number
        self.folder = folder
        self.counts = counts if counts is not None else Counter()
        self.story = []
        self.slowest_stop = 0.0

    # what it is

    def open(self):
        chance = self.chance
        kind, self.warm = chance.choice(KINDS)
        self.batch = chance.random() < 0.35
        self.many = self.batch and not (kind.kind == "hyperv" and self.warm)
        self.home, self.temporary, self.stage = (self.folder / name for name in ("home", "tmp", "stage"))
        for one in (self.home, self.temporary, self.stage):
            one.mkdir(parents=True)
        self.pool = Pool(self.folder / "pool", layout=Layout(hosts=chance.choice((1, 1, 2))), save=False)
        self.pool.settings.login_delay = 0
        self.pool.start()
        self.held = oracle.Ledgered(self.pool)
        self.source = kind(self.folder, chance, self.many, self.warm)
        self.source.open()
        self.archives = self.folder / "xva"
        self.to_files = not self.batch and not self.warm and chance.random() < 0.15
        self.target = f"xva:{self.archives}" if self.to_files else f"xapi://{self.pool.user}@{self.pool.address}"
        if self.to_files:
            self.archives.mkdir()
        self.wishes = ["--verify", chance.choice(("auto", "none", "sample", "full"))]
        if not self.to_files and chance.random() < 0.5:
            self.wishes += ["--start", "--health-minutes", "0.01"]
        if not self.batch and not self.warm and chance.random() < 0.2:
            self.wishes += ["--stage", str(self.stage)]
        what = f"{kind.kind} {'warm' if self.warm else 'cold'} {'batch' if self.batch else 'single'}"
        where = self.target.partition(":")[0]
        self.tell(f"{what} of {', '.join(self.source.names)} to {where} {' '.join(self.wishes)}")
        self.counts[f"{kind.kind} {'warm' if self.warm else 'cold'}"] += 1
        self.counts["batch" if self.batch else "single"] += 1

    def tell(self, text):
        self.story.append(text)

    # the program

    def pins(self):
        pins = list(self.source.options)
        return pins if self.to_files else [*pins, "--target-fingerprint", self.pool.fingerprint]

    def environment(self, **more):
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "VIRTUAL_ENV"}}
        return {
            **kept, "PYTHONPATH": str(ROOT), "HOME": str(self.home), "TMPDIR": str(self.temporary),
            "V2X_TARGET_PASSWORD": self.pool.password, "V2X_SOURCE_PASSWORD": self.source.password or "none", **more,
        }  # fmt: skip

    def start(self, *words, **more):
        arguments = [sys.executable, "-m", "tests.storm.program", *map(str, words)]
        return subprocess.Popen(
            arguments, cwd=self.folder, env=self.environment(**more), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def run(self, *words, seconds=120):
        running = self.start(*words)
        out, err = running.communicate(timeout=seconds)
        self.judge(running.returncode, err, words[:2])
        return running.returncode, out, err

    def words(self):
        """The command that is run again and again."""
        if self.batch:
            if self.chance.random() < 0.5 and self.is_begun():
                return ["batch", "resume", *self.pins(), "--state", self.folder / "state", "--quiet"]
            more = ["--sync-every", "0.02", "--health-minutes", "0.01", *self.source.run_options]
            return ["batch", "run", "plan.csv", *self.pins(), *more, "--state", self.folder / "state", "--quiet"]
        name = [] if self.source.kind in ("ova", "vmx") else self.source.names
        network = [] if self.to_files else ["--network", f"*={NETWORK}"]
        warm = ["--warm", "--outage", "60"] if self.warm else []
        return ["migrate", *self.source.words, *name, "--target", self.target, *network, *self.pins(),
                *self.source.run_options, *self.wishes, *warm, "--report", "r.json", "--quiet"]  # fmt: skip

    def draft(self):
        code, _, err = self.run(
            "plan", "draft", *self.source.words, "--target", self.target, *self.pins(), "--network", f"*={NETWORK}",
            "-o", "plan.csv",
        )  # fmt: skip
        assert code == 0, err
        path = self.folder / "plan.csv"
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
        starts = "--start" in self.wishes
        for row in rows:
            row["transfer"] = "warm" if self.warm else "cold"
            row["verify"] = self.wishes[1]
            row["start"] = "yes" if starts else "no"
        rows = [row for row in rows if row["machine_name"] in self.source.names]
        assert len(rows) == len(self.source.names)
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def is_begun(self):
        """Whether the state knows a batch yet: `resume` takes no plan."""
        if not (self.folder / "state").is_dir():
            return False
        code, _, _ = self.run("batch", "status", "--state", self.folder / "state")
        return code == 0

    # what happens to it

    def troubles(self):
        """Arms what may go wrong while the next attempt runs; returns what to do to it meanwhile."""
        chance, pool = self.chance, self.pool
        strikes = []
        pool.settings.read_rate = chance.choice((0, 4 * MIB, 20 * MIB))
        pool.settings.attach_delay = chance.choice((0.0, 0.0, 0.2))
        for _ in range(chance.choice((0, 1, 1, 2, 3))):
            if chance.random() < 0.4:
                self.tell(f"source: {self.source.trouble()}")
                self.counts["source faults"] += 1
                continue
            if self.to_files:
                continue
            self.counts["pool faults"] += 1
            self.tell(f"pool: {self.pool_trouble(strikes)}")
        if self.source.calls() and chance.random() < 0.2:
            strikes += self.source.calls()
            self.counts["source faults"] += 1
        return strikes

    def pool_trouble(self, strikes):
        chance, faults = self.chance, self.pool.faults
        kind = chance.choice(
            ("cut_import", "cut_import", "sr_full", "vanish_task", "unauthorized", "hold_busy", "busy", "sessions",
             "status", "status_late", "cut_answer", "broken", "slow")
        )  # fmt: skip
        after, place = 0, chance.randrange(8 * MIB)
        target = chance.choice(("effect", "effect", "look", "rpc"))
        if kind == "sessions":
            strikes.append(self.pool.expire_sessions)
        elif kind in ("cut_import", "sr_full"):
            after = chance.randrange(4)
            faults.arm(kind, at=place, after=after, times=chance.choice((1, 1, 3)))
        elif kind == "hold_busy":
            faults.arm(kind, seconds=chance.uniform(0.2, 2))
            faults.arm("cut_import", at=place)
        elif kind == "busy":
            target = chance.choice(("VDI.destroy", "VM.destroy", "VBD.create", "VM.add_to_other_config", "VDI.resize"))
            faults.arm(kind, target=target, times=chance.choice((1, 3, 20)))
        elif kind in ("vanish_task", "unauthorized"):
            faults.arm(kind, after=chance.randrange(3))
        else:
            after = chance.randrange(60)
            at = {"status": 503, "status_late": 500, "cut_answer": chance.choice((0, 60))}.get(kind, 0)
            faults.arm(kind, target=target, at=at, after=after, seconds=0.3, times=chance.choice((1, 1, 4)))
        return f"{kind} {target} at {place} after {after}"

    def attempt(self):
        """One run that does not end well, or happens to."""
        chance = self.chance
        strikes = self.troubles()
        more = {}
        if chance.random() < 0.3:
            more["V2X_CRASH_AT"] = chance.choice(places(WARM if self.warm else COLD))
        if self.source.kind in ("ova", "vmx") and chance.random() < 0.4:
            more["V2X_STORM_READS"] = str(chance.randrange(10**6))
            self.counts["source faults"] += 1
        end = chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, None))
        moment = chance.uniform(0.3, 3.5)
        words = self.words()
        self.tell(f"{' '.join(map(str, words[:2]))} {more} {end!r} after {moment:.2f} s")
        running = self.start(*words, **more)
        for strike in strikes:
            threading.Timer(chance.uniform(0.5, 2.5), quietly, (strike,)).start()
        if self.batch and self.warm and chance.random() < 0.6:
            threading.Timer(chance.uniform(0.8, 2.0), self.cut_over).start()
        self.ends(running, end, moment)

    def ends(self, running, end, moment):
        try:
            _, err = running.communicate(timeout=moment if end else 60)
        except subprocess.TimeoutExpired:
            begun = time.monotonic()
            running.send_signal(end or signal.SIGTERM)
            _, err = self.stops(running)
            seconds = time.monotonic() - begun
            if end != signal.SIGKILL:
                self.slowest_stop = max(self.slowest_stop, seconds)
                self.tell(f"stopped within {seconds:.1f} s")
                assert seconds < BUSY_SECONDS, f"it took {seconds:.1f} s to stop\n{err}"
                self.counts["stopped"] += 1
            else:
                self.counts["killed"] += 1
        code = running.returncode
        self.counts["crashed"] += code == 137
        self.judge(code, err, "attempt")

    def stops(self, running):
        try:
            return running.communicate(timeout=BUSY_SECONDS)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGUSR1)  # the stacks of all threads, to stderr
        try:
            return running.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            faulthandler.dump_traceback(all_threads=True)  # the stand-ins', which live here
            running.kill()
            _, err = running.communicate()
            raise AssertionError(f"a signal does not end it\n{err}") from None

    def judge(self, code, err, what):
        self.tell(f"{what}: {code} {' | '.join(err.strip().splitlines()[-3:])}")
        early = code in (-signal.SIGINT, -signal.SIGTERM)  # while Python itself begins or ends
        assert early or not any(bug in err for bug in BUGS), err
        assert code in (
            0,
            2,
            4,
            5,
            6,
            75,
            130,
            137,
            143,
            *(-number for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)),
        ), f"exit {code}: {err}"

    def cut_over(self):
        with suppress(subprocess.TimeoutExpired, AssertionError):
            self.run("batch", "cutover", "--all", "--state", self.folder / "state")

    # its end

    def calm(self):
        self.source.calm()
        self.pool.faults.clear()
        self.pool.settings.read_rate, self.pool.settings.attach_delay = 0, 0.0

    def clean_up(self):
        """What was begun is given up, and nothing of it may stay; whether it is given up for good."""
        self.calm()
        self.counts["given up"] += 1
        wait(lambda: not self.held.transfers(), 30, "the pool waits for a transfer")
        if self.batch:
            code, _, err = self.run("batch", "cancel", "--all", "--state", self.folder / "state")
            if "no batch has been run" in err:
                return False
            assert code in (0, 4), err
            code, _, err = self.run("batch", "resume", *self.pins(), "--state", self.folder / "state", "--quiet")
            assert code == 0, err
            return True
        where = ["--target", self.target]
        where += ["--source", *self.source.words] if self.source.options else []
        code, out, err = self.run("cleanup", *where, *self.pins(), "--yes")
        assert code == 0, f"{out}{err}"
        code, out, err = self.run("cleanup", *where, *self.pins())
        assert "nothing is left over" in out, out
        return False

    def finish(self):
        """Undisturbed, to the end."""
        self.calm()
        words = self.words()
        if self.batch and self.warm:
            running = self.start(*words)
            until = time.monotonic() + 180
            while running.poll() is None:
                assert time.monotonic() < until, self.stuck(running)
                self.cut_over()
                with suppress(subprocess.TimeoutExpired):
                    running.wait(1)
            _, err = running.communicate()
            code = running.returncode
        else:
            code, _, err = self.run(*words)
        self.tell(f"undisturbed: {code} {err.strip()}")
        assert code == 0, f"undisturbed it ended with {code}: {err}"

    def stuck(self, running):
        running.kill()
        _, err = running.communicate()
        _, out, _ = self.run("batch", "status", "--state", self.folder / "state")
        return f"it does not end\n{err}\n{out}"

    def check(self):
        wanted = {name: self.source.content(name) for name in self.source.names}
        if self.to_files:
            found = sorted(self.archives.iterdir())
            assert [one.name for one in found] == [f"{name}.xva" for name in wanted], found
            for path, (name, disks) in zip(found, wanted.items(), strict=True):
                oracle.same(archived_like(path, disks), disks, name)
            self.held.holds({})
        else:
            self.held.holds(wanted)
        self.source.check()
        self.at_rest()

    def check_given_up(self):
        """Of a batch that was cancelled: what was through by then is whole, and nothing else is there."""
        _, out, _ = self.run("batch", "status", "--state", self.folder / "state", "--json")
        rows = [row["migration"] for row in json.loads(out)["rows"]]
        through = {row["machine_name"] for row in rows if row["outcome"] in ("migrated", "already migrated")}
        assert {row["outcome"] for row in rows} <= {"migrated", "already migrated", "cancelled"}, out
        self.held.holds({name: self.source.content(name) for name in through})
        self.source.check(off=through)
        self.at_rest()

    def at_rest(self):
        wait(lambda: not list(oracle.processes(self.home)), 5, "a child lives on")
        oracle.no_process(self.home)
        oracle.nothing_in(self.temporary, self.stage)
        parts = [one.name for one in self.folder.iterdir() if one.name.endswith((".tmp", ".part"))]
        assert not parts, f"left behind: {parts}"
        wait(lambda: not self.held.transfers(), 30, "the pool waits for a transfer")

    def close(self):
        for pid, _ in oracle.processes(self.home):
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        self.source.close()
        self.pool.stop()

    def all(self):
        self.open()
        try:
            if self.batch:
                self.draft()
            for _ in range(self.chance.randint(1, 4)):
                self.attempt()
                if self.chance.random() < 0.5:
                    self.calm()
            if self.chance.random() < 0.15 and self.clean_up():
                self.check_given_up()
            else:
                self.finish()
                self.check()
            self.counts["rounds"] += 1
        except (AssertionError, subprocess.TimeoutExpired, OSError) as finding:
            told = "\n  ".join(self.story)
            raise AssertionError(f"round {self.number} of seed {self.seed}: {finding}\n  {told}") from finding
        finally:
            self.close()


def places(itinerary):
    return [
        f"{step.phase}:{when}"
        for step in itinerary
        if step.phase is not Phase.MARK
        for when in ("before", "mid", "after")
        if when != "mid" or step.phase in ("copy", "sync", "last sync")
    ]


def archived_like(path, disks):
    """The disks of an XVA; what it leaves out at their ends is zeros."""
    held = oracle.archived(path)
    return [one + bytes(max(0, len(other) - len(one))) for one, other in zip(held, disks, strict=True)]


def quietly(strike):
    with suppress(Exception):
        strike()


def wait(condition, seconds, what):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.05)
