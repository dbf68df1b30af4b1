# SPDX-License-Identifier: Apache-2.0
"""Whole migrations with secrets that are known, which must be found nowhere afterwards, nor on the way.

Looked through are the words and the environment of every program that v2x starts while it runs, what it prints with all
its messages on, every file it leaves or has open meanwhile (plan, reports, state, journal, evidence), and a core file.
"""

import base64
import contextlib
import csv
import io
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.luks_guest import PASSPHRASE, encrypted_disk
from tests.places import nbdkit_with
from tests.vsphere_estate import patterned
from v2x.model.units import MIB
from v2x.secrets import Secret
from v2x.simulators.hyperv.service import HyperV
from v2x.simulators.vsphere import DiskSpec, MachineSpec
from v2x.simulators.vsphere import sessions as vsphere_sessions
from v2x.simulators.xapi import sessions as pool_sessions
from v2x.target import open_xapi
from v2x.tls import Trust

TREE = Path(__file__).resolve().parents[2]
NETWORK = "Pool-wide network associated with eth0"
# With a sign that changes in a URL, so that its other spelling is one to look for.
SOURCE_WORD, HOST_WORD, TARGET_WORD = "Planted/vSphere+71c0", "Planted/HyperV-9d2e", "Planted/Pool+b34f"


class Secrets:
    """What must not be seen: `words` may grow while programs run."""

    def __init__(self) -> None:
        self.words: set[str] = {SOURCE_WORD, TARGET_WORD}

    def spellings(self) -> set[bytes]:
        found = set()
        for word in list(self.words):
            raw = word.encode()
            found |= {raw, quote(word, safe="").encode(), word.encode("utf-16-le"), base64.b64encode(raw).rstrip(b"=")}
        return found

    def within(self, data: bytes) -> set[str]:
        return {repr(one) for one in self.spellings() if one in data}


def children_of(root: int) -> set[int]:
    """All below a process, from /proc."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found, grown = {root}, True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        grown = bool(more)
        found |= more
    return found - {root}


class Looker(threading.Thread):
    """Looks at a process and all below it until it is told to end.

    Between fork and exec a child still is its parent, whose own environment is its user's: it is known by its words.
    """

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.root, self.over = root, threading.Event()
        self.words: set[bytes] = set()
        self.environments: set[bytes] = set()
        self.programs: set[str] = set()

    def run(self) -> None:
        own = b""
        while not self.over.wait(0.004):
            with contextlib.suppress(OSError):
                own = Path(f"/proc/{self.root}/cmdline").read_bytes()
                self.words.add(own)
            for pid in children_of(self.root):
                with contextlib.suppress(OSError):
                    words, environment = (Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
                    if own in {words, Path(f"/proc/{pid}/cmdline").read_bytes()}:
                        continue
                    self.words.add(words)
                    self.environments.add(environment)
                    self.programs.add(Path(os.fsdecode(words.split(b"\0")[0])).name)


class Place:
    """A folder in which v2x is run as a program of its own, with everything it writes below it."""

    def __init__(self, folder: Path, secrets: Secrets) -> None:
        self.folder, self.secrets = folder, secrets
        self.home, self.temporary = folder / "home", folder / "t"
        for one in (folder, self.home, self.temporary):
            one.mkdir()
        self.programs: set[str] = set()
        self.printed: list[bytes] = []

    def run(self, *words: object, code: int = 0, **environment: str) -> str:
        """What it printed. Fails for each secret that shows while it runs."""
        argv = [sys.executable, "-m", "v2x", *(str(word) for word in words), "--verbose"]
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        env = {
            **kept, "HOME": str(self.home), "TMPDIR": str(self.temporary), "PYTHONPATH": str(TREE),
            "V2X_STATE": str(self.folder / "state"), **environment,
        }  # fmt: skip
        with subprocess.Popen(argv, cwd=self.folder, env=env, stdout=-1, stderr=-1) as child:
            looker = Looker(child.pid)
            looker.start()
            out, err = child.communicate(timeout=240)
            looker.over.set()
            looker.join()
        self.printed += [out, err]
        self.programs |= looker.programs
        assert child.returncode == code, err.decode()
        for where, seen in (("words", looker.words), ("environment", looker.environments), ("output", {out, err})):
            for one in seen:
                assert not self.secrets.within(one), (where, one)
        return out.decode()

    def searched(self) -> list[str]:
        """The names of all files below; fails where a secret is in one."""
        found = []
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                found.append(str(path.relative_to(self.folder)))
                assert not self.secrets.within(path.read_bytes()), path
        return found


@pytest.fixture
def secrets(monkeypatch):
    """Collects every session that a server gives out."""
    made = Secrets()

    def noting(cls, name, of):
        real = getattr(cls, name)

        def open_(self, *given, **more):
            result = real(self, *given, **more)
            made.words.add(of(result))
            return result

        monkeypatch.setattr(cls, name, open_)

    noting(pool_sessions.Sessions, "open", lambda reference: reference.removeprefix("OpaqueRef:"))
    noting(vsphere_sessions.Sessions, "_new", lambda session: session.token)
    return made


@pytest.fixture
def place(tmp_path, secrets):
    return Place(tmp_path / "work", secrets)


@pytest.fixture
def pool(simulated_pool, tmp_path):
    return simulated_pool(tmp_path / "pool", password=TARGET_WORD, save=False)


@pytest.fixture
def vcenter(simulated_vsphere, tmp_path):
    """A vCenter with a machine whose disk is web.raw."""
    made = simulated_vsphere(tmp_path / "vc", estate="empty", password=SOURCE_WORD)
    image = patterned(tmp_path / "web.raw", 8 * MIB, seed=3)
    made.add_vm(MachineSpec(name="web", disks=(DiskSpec(image=image, size_bytes=512),), tracking=True))
    return made


@pytest.fixture
def keys(tmp_path, secrets):
    """A maker of private password files, outside of what is searched."""

    def write(name: str, word: str) -> Path:
        secrets.words.add(word)
        path = tmp_path / f"{name}.key"
        path.write_text(word + "\n")
        path.chmod(0o600)
        return path

    return write


def target_words(pool):
    return ("--target", f"xapi://{pool.user}@{pool.address}", "--target-fingerprint", pool.fingerprint)


def offer_nbd(pool):
    host, _, port = pool.address.partition(":")
    trust = Trust(fingerprint=pool.fingerprint)
    with open_xapi(host, int(port), pool.user, Secret(pool.password), trust) as target:
        network = target.client.call("network.get_by_name_label", NETWORK)[0]
        target.client.call("network.add_purpose", network, "nbd")


def with_vddk(vcenter, tmp_path, place):
    """Words that have v2x read through a VDDK of ours, which is given the password by a descriptor."""
    libdir = tmp_path / "vmware-vix-disklib-distrib"
    (libdir / "lib64").mkdir(parents=True)
    (libdir / "lib64" / "libvixDiskLib.so.8").touch()
    expected = {
        "libdir": str(libdir), "server": "127.1", "user": vcenter.user, "thumbprint": vcenter.thumbprint,
        "vm": f"moref={vcenter.machine('web').moid}", "transports": "file:nbdssl:nbd",
        "file": "[vmfs6-ssd] web/web.vmdk",
    }  # fmt: skip
    play = {
        "disk": str(tmp_path / "web.raw"),
        "expect": expected,
        "password": SOURCE_WORD,
        "log": str(tmp_path / "log"),
    }
    (tmp_path / "play.json").write_text(json.dumps(play))
    program = nbdkit_with(TREE / "tests" / "vddk_fake.py", tmp_path / "play.json")
    (place.folder / "v2x.toml").write_text(f'[vddk]\nnbdkit = "{program}"\n')
    return ("--transport", "vddk", "--vddk-libdir", libdir)


def test_a_migration_with_a_program_that_logs_in_by_itself(place, pool, vcenter, tmp_path, keys):
    """vSphere to pool, by nbdkit, sampled over NBD: passwords go by a variable, a file and a descriptor."""
    offer_nbd(pool)
    address = f"vsphere://{vcenter.user}@127.1:{vcenter.port}"
    place.run(
        "migrate", address, "web", "--source-fingerprint", vcenter.fingerprint, *target_words(pool),
        "--target-password-file", keys("pool", TARGET_WORD), "--network", f"*={NETWORK}", "--verify", "sample",
        "--log-json", "--report", "report.json", *with_vddk(vcenter, tmp_path, place),
        V2X_SOURCE_PASSWORD=SOURCE_WORD,
    )  # fmt: skip
    assert json.loads((tmp_path / "log").read_text().splitlines()[0])["word"], "the program did log in"
    assert "nbdkit" in place.programs, place.programs
    (migration,) = json.loads((place.folder / "report.json").read_text())["migrations"]
    assert migration["disks"][0]["verified_over"] == "NBD"
    assert len(place.secrets.words) > 4, "sessions were given out"
    assert "report.json" in place.searched()
    place.run("verify", "report.json", *target_words(pool), V2X_TARGET_PASSWORD=TARGET_WORD)


def test_a_batch_from_two_kinds_of_source(place, pool, vcenter, tmp_path, keys):
    """Plan, batch, journal, evidence and reports of every kind, with aliases and their secrets in v2x.toml."""
    with HyperV(tmp_path / "hv") as hyperv:
        hyperv_key = keys("hv", hyperv.password)
        rules = ", ".join(f"'{rule}'" for rule in hyperv.rules)
        (place.folder / "v2x.toml").write_text(
            f'[source.vc]\naddress = "vsphere://{vcenter.user}@127.1:{vcenter.port}"\n'
            f'fingerprint = "{vcenter.fingerprint}"\nsecret = "file:{keys("vc", SOURCE_WORD)}"\n'
            f'[source.hv]\naddress = "{hyperv.address}"\nfingerprint = "{hyperv.fingerprint}"\n'
            f'shares = [{rules}]\nsecret = "file:{hyperv_key}"\n'
            f'[target.pool]\naddress = "xapi://{pool.user}@{pool.address}"\nfingerprint = "{pool.fingerprint}"\n'
            f'secret = "file:{keys("pool", TARGET_WORD)}"\n'
        )
        place.run("inventory", "vc", "-o", "inventory.json")
        place.run("assess", "vc", "--target", "pool", "--format", "html", "-o", "assess.html", code=0)
        place.run("plan", "draft", "vc", "hv", "--target", "pool", "-o", "plan.csv", "--network", f"*={NETWORK}")
        only(place.folder / "plan.csv", {"web", "web01"})
        out = place.run("batch", "run", "plan.csv", "--json", "--log-json")
        assert {one["machine_name"]: one["outcome"] for one in json.loads(out)["migrations"]} == {
            "web": "migrated", "web01": "migrated",
        }  # fmt: skip
        place.run("batch", "status", "--json")
        place.run("batch", "report", "--format", "html", "-o", "batch.html")
    names = place.searched()
    assert any(name.endswith("journal.sqlite") for name in names), names
    assert {"plan.csv", "plan.json", "inventory.json", "assess.html", "batch.html"} <= set(names), names


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_key_of_an_encrypted_disk(place, keys, tmp_path):
    """It goes through a program of its own and a virtual machine, and is in neither's words, environment and files."""
    (tmp_path / "luks").mkdir()
    encrypted, given = encrypted_disk(tmp_path / "luks"), keys("luks", PASSPHRASE)
    out = place.run("convert", encrypted, "--guest-plan", "--json", "--luks-key-file", given)
    assert json.loads(out)["edits"], "it was opened"
    assert any(one.startswith("qemu") for one in place.programs), place.programs
    wrong = keys("wrong", "Planted/Luks+00ff")
    place.run("convert", encrypted, "--guest-plan", "--json", "--luks-key-file", wrong, code=6)
    place.searched()


def only(path: Path, names: set[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows({**row, "running": "snapshot"} for row in rows if row["machine_name"] in names)
    path.write_text(out.getvalue())


@pytest.mark.parametrize("leak", ["words", "environment"])
def test_the_look_sees_what_a_programs_program_is_given(leak, secrets):
    word = SOURCE_WORD if leak == "words" else "x"
    env = {"WORD": SOURCE_WORD} if leak == "environment" else {}
    starts = f"import subprocess; subprocess.run(['sh', '-c', 'sleep 0.3; true', {word!r}], env={env!r})"
    with subprocess.Popen([sys.executable, "-c", f"import time; time.sleep(0.2); {starts}"]) as child:
        looker = Looker(child.pid)
        looker.start()
        child.wait(30)
        looker.over.set()
        looker.join()
    seen = looker.words if leak == "words" else looker.environments
    assert any(secrets.within(one) for one in seen)


def test_a_wrong_password_is_not_repeated_to_anyone(place, pool, vcenter, keys, secrets):
    wrong = keys("wrong", "Planted/Wrong+5500")
    place.run("doctor", "--target", f"xapi://{pool.user}@{pool.address}", "--target-fingerprint", pool.fingerprint,
              "--target-password-file", wrong, code=5)  # fmt: skip
    place.run("inventory", f"vsphere://{vcenter.user}@127.1:{vcenter.port}", "--source-fingerprint",
              vcenter.fingerprint, "--source-password-file", wrong, code=5)  # fmt: skip
    place.searched()


HOLDS = """
import os, resource, signal, sys
word = os.environ.pop("WORD") + "!"
signal.raise_signal(signal.SIGABRT)
"""


def test_a_core_file_is_never_left(place, secrets, tmp_path):
    """With cores allowed, a program that is ended by a signal leaves one with all its secrets; v2x leaves none."""
    unlimited = ["prlimit", "--core=unlimited", "--"]
    assert resource.getrlimit(resource.RLIMIT_CORE)[1] != 0 or os.geteuid() == 0, "cores cannot be had here"
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    (tmp_path / "control").mkdir()
    subprocess.run(
        [*unlimited, sys.executable, "-c", HOLDS], cwd=tmp_path / "control", env={"WORD": SOURCE_WORD}, check=False
    )
    cores = list((tmp_path / "control").iterdir())
    if not pattern.startswith("|") and "/" not in pattern:
        (core,) = cores
        assert SOURCE_WORD.encode() in core.read_bytes(), "the control tells nothing"
    for path in cores:
        path.unlink()
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(TREE), "V2X_SOURCE_PASSWORD": SOURCE_WORD}
    argv = [*unlimited, sys.executable, "-m", "v2x", "inventory", "vsphere://admin@127.0.0.1:9", "--verbose"]
    with silent_server() as port:
        argv[-2] = f"vsphere://admin@127.0.0.1:{port}"
        with subprocess.Popen(argv, cwd=place.folder, env=env, stdout=-1, stderr=-1) as child:
            deadline = time.monotonic() + 30
            while not connected_to(port) and time.monotonic() < deadline:
                time.sleep(0.02)
            limits = Path(f"/proc/{child.pid}/limits").read_text()
            child.send_signal(signal.SIGABRT)
            child.communicate(timeout=30)
    assert child.returncode == -signal.SIGABRT
    assert "Max core file size        1                    1" in limits
    assert not [name for name in place.searched() if "core" in name]


@contextlib.contextmanager
def silent_server():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def connected_to(port: int) -> bool:
    wanted = f"0100007F:{port:04X}"
    return any(line.split()[2] == wanted for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
