# SPDX-License-Identifier: Apache-2.0
"""The wizard in a terminal of 80 columns and 24 lines, against simulators, from the first question to the last byte."""

import csv
import random
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyVmomi import vim

from tests.hyperv_images import Vhdx
from tests.terminal import BACKSPACE, CTRL_C, DOWN, ENTER, ESC, UP, Terminal
from tests.vsphere_estate import everything, finished, patterned, service_of
from v2x.model.units import MIB
from v2x.simulators.appliance import ApplianceSpec, NicSpec, write_ova
from v2x.simulators.appliance import DiskSpec as ApplianceDisk
from v2x.simulators.hyperv.service import HyperV
from v2x.simulators.vsphere import DiskSpec, MachineSpec
from v2x.simulators.vsphere.sessions import Sessions

NETWORK = "Pool-wide network associated with eth0"
PASSWORD = "q back secret"  # words that lead back or out must not do so in a password
OTHER = {"guest_id": "otherGuest64", "guest_name": "Other (64-bit)"}  # no Linux, which would be converted by default
WIZARD = (sys.executable, "-m", "v2x", "wizard")
COLOUR = re.compile(r"\x1b\[[0-9;]*?\b(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[0-9;]*m")


@pytest.fixture
def vcenter(simulated_vsphere):
    return simulated_vsphere(estate="empty", password=PASSWORD)


@pytest.fixture
def logins(monkeypatch):
    """Every password that the vCenter was sent."""
    seen, check = [], Sessions._check

    def kept(sessions, user, password):
        seen.append(password)
        return check(sessions, user, password)

    monkeypatch.setattr(Sessions, "_check", kept)
    return seen


@pytest.fixture
def start(bench):
    """Starts the wizard; all of them are closed at the end."""
    opened = []

    def begin(*words, environment=None, **options):
        settings = {"V2X_STATE": str(bench.folder / "state"), **(environment or {})}
        opened.append(Terminal([*WIZARD, *words], cwd=bench.folder, environment=settings, **options))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def add(vcenter, bench, name, *sizes, **more):
    images = [patterned(bench.folder / f"{name}-{n}.raw", size, seed=n + 7) for n, size in enumerate(sizes)]
    specs = tuple(DiskSpec(image=image, size_bytes=512) for image in images)
    vcenter.add_vm(MachineSpec(name=name, disks=specs, **{"power": "poweredOff", **OTHER, **more}))
    return images


def same(bench, name, images, same_bytes):
    for image, held in zip(images, bench.vdis_of(bench.vm(name)), strict=True):
        same_bytes(held, image, "raw", bench.folder)


def to_vcenter(terminal, vcenter, password=PASSWORD):
    terminal.answer("Where are the machines now?")
    terminal.answer("Name or IP address", f"127.1:{vcenter.port}")
    terminal.answer("User:")
    terminal.answer("Trust exactly this certificate?", UP)
    terminal.answer("Password of administrator@vsphere.local@127.1", password)


def to_pool(terminal, bench):
    terminal.answer("Where shall they go?")
    terminal.answer("coordinator", bench.pool.address)
    terminal.answer("User:")
    terminal.answer("Trust exactly this certificate?", UP)
    terminal.answer("Password of root@", bench.pool.password)


def defaults(terminal, *, until="What now?", network=NETWORK, **answers):
    """Takes what is suggested for one machine; the network is named, the guest is left as it is."""
    given = {
        "Name on the target": (), "Storage for": (), "Network for": (network[:9],), "Virtual CPUs": (), "Memory": (),
        "Firmware": (), "Put the system inside right": ("no",), "How shall it move?": (),
        "What is to become of it?": (DOWN,), "Start it when all is done?": (), **answers,
    }  # fmt: skip
    asked = []
    while True:
        found = wait_for_any(terminal, [until, *given])
        if found == until:
            return asked
        asked.append(found)
        terminal.send(*given[found], ENTER)


def wait_for_any(terminal, texts):
    """The one of the texts that is asked now: the one written last, with a list below it or the cursor behind it.

    An answer is told with its question once more, which is no question.
    """
    until = time.monotonic() + terminal.timeout
    while time.monotonic() < until:
        terminal.settle(0.2)
        new = terminal.new
        places = {text: new.rfind(text) for text in texts}
        best = max(places, key=lambda text: places[text])
        if places[best] >= 0 and ("Esc back" in new[places[best] :] or "\n" not in new[places[best] :]):
            return best
    raise AssertionError(f"none of {texts}:\n{terminal.scrolled}")


def test_one_machine_from_a_vcenter(start, bench, vcenter, same_bytes, monkeypatch):
    images = add(vcenter, bench, "web01", 3 * MIB, MIB)
    add(vcenter, bench, "other", MIB)
    terminal = start()
    to_vcenter(terminal, vcenter)
    terminal.answer("Which machines shall move?", "eb0")
    to_pool(terminal, bench)
    asked = defaults(terminal)
    assert asked.count("Storage for") == 2, "a storage repository for each disk"
    assert "How shall it move?" not in asked, "a machine that is off has no outage"
    terminal.expect("web01 becomes web01")
    assert "What changes" in terminal.scrolled or "what changes:" in terminal.scrolled
    terminal.send(ENTER)
    assert terminal.ended() == 0, terminal.scrolled
    same(bench, "web01", images, same_bytes)
    assert bench.leftovers() == []
    seen = terminal.scrolled
    assert "2 disks not read back; all of it was taken" in seen and "100%" in seen
    assert not COLOUR.search(terminal.raw), "nothing is said by colour"
    kept = [path for path in bench.folder.rglob("*") if path.is_file() and path.stat().st_size < MIB]
    for secret in (PASSWORD, bench.pool.password):
        assert secret not in terminal.raw
        assert not [path for path in kept if "pool/" not in str(path) and "vsphere" not in str(path)
                    and secret.encode() in path.read_bytes()]  # fmt: skip
    assert list((bench.folder / "state" / "wizard").iterdir()) == [], "nothing is left to go on with"
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", PASSWORD)
    said = commands_in(seen)
    assert [words[1:3] for words in said] == [
        ["verify", "web01.plan.report.json"], ["batch", "status"], ["batch", "rollback"], ["batch", "finalize"],
    ]  # fmt: skip
    for words, answer in zip(said, ("identical", "1 migrated", "web01 is back at its source"), strict=False):
        ran = bench.v2x(*words[1:], pin=False)
        assert ran.code == 0, ran.err
        assert answer in ran.out


def commands_in(text):
    """The command lines that are offered, indented, as the words that a shell makes of them."""
    found = re.findall(r"^  (v2x .*(?:(?<=\\)\n.*)*)$", text, re.MULTILINE)
    return [shlex.split(one.replace("\\\n", " ")) for one in found]


def test_what_is_written_for_the_next_time_does_the_same(start, bench, vcenter, same_bytes, monkeypatch):
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", PASSWORD)
    images = add(vcenter, bench, "it's one", 2 * MIB)
    add(vcenter, bench, "other", MIB)
    terminal = start()
    to_vcenter(terminal, vcenter)
    terminal.answer("Which machines shall move?", "it's")
    to_pool(terminal, bench)
    defaults(terminal, **{"Memory": ("\x15", "3 GiB"), "Storage for": ("NFS",), "Name on the target": ("-new",)})
    command = re.search(r"^v2x migrate .*?(?=^What now)", terminal.scrolled, re.S | re.M)[0]
    terminal.send("write", ENTER)
    assert terminal.ended() == 0, terminal.scrolled
    assert bench.pool.records("VM").keys() == {
        ref for ref, vm in bench.pool.records("VM").items() if vm["is_a_template"] or vm["is_control_domain"]
    }, "writing a plan makes no machine"
    plan = next(Path.cwd().glob("*.plan.csv"))
    (row,) = csv.DictReader(plan.read_text(encoding="utf-8-sig").splitlines())
    assert row["target_name"] == "it's one-new" and "NFS" in row["storage"]
    words = shlex.split(command.replace("\\\n", " "))
    dry = bench.v2x(*words[1:], "--dry-run", "--json", pin=False)
    assert dry.code == 0, dry.err
    made = dry.json["machine"]
    assert bench.v2x("plan", "check", plan).code == 0
    ran = bench.v2x("batch", "run", plan, "--json")
    assert ran.code == 0, ran.err
    same(bench, "it's one-new", images, same_bytes)
    vm = bench.vm("it's one-new")
    assert (made["name"], made["memory_bytes"]) == (vm["name_label"], int(vm["memory_static_max"]))
    assert dry.json["id"] == ran.json["migrations"][0]["id"], "it is the same migration, by the same tag"


def test_several_machines_and_one_that_fails(start, bench, vcenter, same_bytes):
    images = {name: add(vcenter, bench, name, 2 * MIB) for name in ("web01", "web02", "web03")}
    add(vcenter, bench, "db01", MIB)
    terminal = start()
    to_vcenter(terminal, vcenter)
    terminal.expect("Which machines shall move?")
    terminal.send("web", " ", DOWN, " ", DOWN, " ")
    assert "(3 of 4, 3 marked)" in terminal.text
    terminal.send(ENTER)
    to_pool(terminal, bench)
    terminal.answer("How shall they be set up?")
    asked = defaults(terminal, network=NETWORK)
    assert set(asked) == {"Network for"}, "only what is not certain is asked"
    (machine,) = (
        one for one, told in everything(service_of(vcenter), vim.VirtualMachine, "name") if told["name"] == "web02"
    )
    finished(machine.PowerOnVM_Task())
    terminal.send(ENTER)
    assert terminal.ended() == 4
    for name in ("web01", "web03"):
        same(bench, name, images[name], same_bytes)
    assert "1 machine did not get through" in terminal.scrolled
    assert "v2x batch resume" in terminal.scrolled


def test_back_from_anywhere(start, bench, vcenter):
    add(vcenter, bench, "web01", MIB)
    add(vcenter, bench, "web02", MIB)
    terminal = start()
    to_vcenter(terminal, vcenter)
    terminal.answer("Which machines shall move?", "web01")
    to_pool(terminal, bench)
    terminal.expect("Name on the target: web01")
    terminal.send(ESC)
    terminal.expect("User: root")
    terminal.send(ESC)
    terminal.expect("coordinator")
    terminal.send(ESC)
    terminal.expect("Where shall they go?")
    terminal.send(ESC)
    terminal.expect("Which machines shall move?")
    terminal.send(BACKSPACE, "02", ENTER)
    for question in ("Where shall they go?", "coordinator", "User: root"):
        terminal.answer(question)
    terminal.expect("Name on the target: web02")  # the same pool: nothing is trusted or logged in to a second time
    assert "Trust exactly" not in terminal.new
    terminal.send(ENTER)
    terminal.expect("Storage for")
    terminal.send(ESC)
    terminal.expect("Name on the target: web02")
    defaults(terminal)
    terminal.send(ESC)
    terminal.expect("Start it when all is done?")
    terminal.send(CTRL_C)
    assert terminal.ended() == 130
    assert "Nothing was changed" in terminal.scrolled


def test_leaving_before_the_go_leaves_no_trace(start, bench, vcenter):
    add(vcenter, bench, "web01", MIB)
    before = {path.name for path in bench.folder.iterdir()}
    terminal = start()
    to_vcenter(terminal, vcenter)
    to_pool(terminal, bench)
    defaults(terminal)
    terminal.send(CTRL_C)
    assert terminal.ended() == 130
    assert {path.name for path in bench.folder.iterdir()} == before
    assert bench.leftovers() == []
    assert not vcenter.ledger.calls_of("CreateSnapshot_Task") and not vcenter.ledger.calls_of("ShutdownGuest")


def test_a_certificate_that_is_not_the_right_one(start, bench, vcenter, logins):
    add(vcenter, bench, "web01", MIB)
    terminal = start()
    terminal.answer("Where are the machines now?")
    terminal.answer("Name or IP address", f"127.1:{vcenter.port}")
    terminal.answer("User:")
    screen = terminal.expect("Trust exactly this certificate?")
    digits = vcenter.fingerprint.removeprefix("sha256:").upper()
    pairs = ":".join(digits[at : at + 2] for at in range(0, 64, 2))
    assert pairs in re.sub(r"\s", "", screen), "as openssl prints it"
    assert "/etc/vmware/ssl/rui.crt" in screen
    terminal.send(ENTER)  # no is what Enter takes
    terminal.expect("nothing was sent to it")
    terminal.expect("User:")
    terminal.send(CTRL_C)
    assert terminal.ended() == 130
    assert logins == [], "the password was not even asked for"


def test_a_pin_that_does_not_fit_is_not_asked_away(start, bench, vcenter):
    terminal = start("--source-fingerprint", "sha256:" + "0" * 64)
    terminal.answer("Where are the machines now?")
    terminal.answer("Name or IP address", f"127.1:{vcenter.port}")
    terminal.answer("User:")
    terminal.expect("somebody stands in between")
    terminal.expect("User:")
    assert "Trust exactly" not in terminal.scrolled
    terminal.send(CTRL_C)
    assert terminal.ended() == 130


def test_a_wrong_password_is_tried_once(start, bench, vcenter, logins):
    add(vcenter, bench, "web01", MIB)
    terminal = start()
    to_vcenter(terminal, vcenter, password="wrong")
    terminal.expect("What next?")
    assert logins == ["wrong"]
    terminal.send(ENTER)
    terminal.answer("Password of administrator@vsphere.local@127.1", PASSWORD)
    terminal.expect("Where shall they go?")
    assert logins[0] == "wrong" and set(logins[1:]) == {PASSWORD}
    terminal.send(CTRL_C)
    terminal.ended()


def test_a_server_that_does_not_answer(start, bench, vcenter):
    add(vcenter, bench, "web01", MIB)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    terminal = start()
    terminal.answer("Where are the machines now?")
    terminal.answer("Name or IP address", f"127.0.0.1:{port}")
    terminal.answer("User:")
    for _ in range(2):
        terminal.expect(f"cannot connect to 127.0.0.1:{port}")
        terminal.expect("What next?")
        terminal.send(ENTER)  # try again
    terminal.expect("What next?")
    terminal.send(DOWN, ENTER)  # another address or user
    terminal.expect("User:")
    terminal.send(ESC)
    terminal.answer("Name or IP address", "\x15", f"127.1:{vcenter.port}")
    terminal.answer("User:")
    terminal.answer("Trust exactly this certificate?", UP)
    terminal.answer("Password of", PASSWORD)
    terminal.expect("Where shall they go?")
    terminal.send(CTRL_C)
    assert terminal.ended() == 130


@pytest.mark.parametrize("how", ["ctrl-c", "killed", "chosen anew"])
def test_a_run_that_was_cut_off_goes_on(start, bench, vcenter, same_bytes, how):
    images = [bench.folder / "full.raw"]
    images[0].write_bytes(bytes(range(256)) * (24 * MIB // 256))
    vcenter.add_vm(MachineSpec(name="web01", disks=(DiskSpec(image=images[0], size_bytes=512),), power="poweredOff"))
    slow = Path("v2x.toml")
    slow.write_text('[limits]\nrate = "2M"\n')
    terminal = start()
    to_vcenter(terminal, vcenter)
    to_pool(terminal, bench)
    defaults(terminal)
    terminal.send(ENTER)
    terminal.expect("copy Hard disk 1")
    time.sleep(3)
    if how != "ctrl-c":
        terminal.child.kill(9)
        terminal.ended()
    else:
        terminal.send(CTRL_C)
        assert terminal.ended() == 130
        assert "not at its end" in terminal.scrolled
    (memo,) = (bench.folder / "state" / "wizard").iterdir()
    assert memo.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in memo.read_text() and bench.pool.password not in memo.read_text()
    slow.write_text('[limits]\nrate = "1000M"\n')
    again = start()
    if how == "chosen anew":
        again.answer("What about it?", DOWN)
        to_vcenter(again, vcenter)
        to_pool(again, bench)
        defaults(again)
        assert "An earlier run began to move web01" in again.scrolled
        again.send(ENTER)
    else:
        again.answer("What about it?")
        again.answer("Password of administrator@vsphere.local@127.1", PASSWORD)
        again.answer("Password of root@", bench.pool.password)
    assert again.ended() == 0, again.scrolled
    same(bench, "web01", images, same_bytes)
    assert bench.leftovers() == []
    last = start()
    last.expect("Where are the machines now?")
    assert "not at its end" not in last.scrolled
    last.send(CTRL_C)
    last.ended()


def test_line_by_line(start, bench, vcenter, same_bytes):
    images = add(vcenter, bench, "web01", 2 * MIB, power="poweredOn")
    add(vcenter, bench, "web02", MIB)
    terminal = start(environment={"TERM": "dumb"})
    terminal.answer("Number or name [1]:", "7")
    terminal.answer("nothing has '7' in its name", "1")
    terminal.answer("Name or IP address", "two words")
    terminal.answer("is not a host", f"127.1:{vcenter.port}")
    terminal.answer("User [administrator@vsphere.local]:")
    terminal.answer("Trust exactly this certificate?", "yes")
    terminal.answer("Password of administrator@vsphere.local@127.1 (not shown; empty goes back)", PASSWORD)
    terminal.answer("Which machines shall move?", "web0")
    terminal.answer("2 matches for 'web0'", "b")
    terminal.answer("User [administrator@vsphere.local]:")
    terminal.answer("Which machines shall move?", "1")
    terminal.answer("chosen: web01")
    terminal.answer("Where shall they go?")
    terminal.answer("coordinator", bench.pool.address)
    terminal.answer("User [root]:")
    terminal.answer("Trust exactly this certificate?", "yes")
    terminal.answer("Password of root@", bench.pool.password)
    terminal.answer("Name on the target [web01]:")
    terminal.answer("Storage for")
    terminal.answer("Network for", "1")
    terminal.answer("Virtual CPUs", "many")
    terminal.answer("is no number from 1 to", "3")
    terminal.answer("Memory", "1.5 GiB")
    terminal.answer("Firmware")
    terminal.answer("Put the system inside right", "off")
    terminal.answer("How shall it move?", "cold")
    terminal.answer("What is to become of it?", "snapshot")
    terminal.answer("Start it when all is done?", "no")
    terminal.answer("What now?", "go")
    assert terminal.ended() == 0, terminal.scrolled
    same(bench, "web01", images, same_bytes)
    assert "\x1b" not in terminal.raw and "\b" not in terminal.raw, "nothing is drawn over"
    assert "web01: copy Hard disk 1" in terminal.scrolled
    vm = bench.vm("web01")
    assert (int(vm["VCPUs_max"]), int(vm["memory_static_max"])) == (3, 3 << 29)
    assert not re.search(r"[^\r]\n\r", terminal.raw)


def test_a_warm_move_with_tracking_turned_on(start, bench, vcenter):
    add(vcenter, bench, "web01", 2 * MIB, power="poweredOn", tracking=False)
    terminal = start("--plain")
    for question, keys in (
        ("Where are the machines now?", ""), ("Name or IP address", f"127.1:{vcenter.port}"), ("User", ""),
        ("Trust exactly", "yes"), ("Password of", PASSWORD), ("Where shall they go?", ""),
        ("coordinator", bench.pool.address), ("User", ""), ("Trust exactly", "yes"),
        ("Password of root", bench.pool.password), ("Name on the target", ""), ("Storage for", ""),
        ("Network for", "1"), ("Virtual CPUs", ""), ("Memory", ""), ("Firmware", ""),
        ("Put the system inside right", "off"), ("How shall it move?", "warm"), ("Turn change tracking on", "yes"),
        ("Start it when all is done?", "no"),
    ):  # fmt: skip
        terminal.answer(question, keys)
    terminal.expect("What now?")
    assert "--warm --enable-cbt" in terminal.scrolled
    assert re.search(r"away for \d+ minutes at most", terminal.scrolled)
    terminal.send("go", ENTER)
    assert terminal.ended() == 0, terminal.scrolled
    assert bench.vm("web01")
    assert len(vcenter.ledger.calls_of("ShutdownGuest")) == 1


def test_no_colour_is_asked_for(start, bench, vcenter):
    add(vcenter, bench, "web01", MIB)
    terminal = start(environment={"NO_COLOR": "1", "TERM": "xterm-256color"})
    to_vcenter(terminal, vcenter)
    terminal.expect("Where shall they go?")
    assert not COLOUR.search(terminal.raw)
    terminal.send(CTRL_C)
    terminal.ended()


def test_a_hyper_v_host(start, bench, tmp_path):
    with HyperV(tmp_path / "hyperv") as served:
        words = [word for rule in served.rules for word in ("--share", rule)]
        terminal = start(*words)
        terminal.answer("Where are the machines now?", DOWN)
        host = served.address.rpartition("@")[2]
        terminal.answer("Name of the Hyper-V host", host)
        terminal.answer("User:", "\x15", served.user)
        screen = terminal.expect("Trust exactly this certificate?")
        assert "PowerShell" in screen
        terminal.send(UP, ENTER)
        terminal.answer("Password of", served.password)
        terminal.answer("Which machines shall move?", "web01")
        to_pool(terminal, bench)
        defaults(terminal)
        assert "--share" in terminal.scrolled
        terminal.send(ENTER)
        assert terminal.ended() == 0, terminal.scrolled
    assert bench.vm("web01")["HVM_boot_params"]["firmware"] == "uefi"


def test_an_appliance_and_saved_places(start, bench, raw):
    nics = (NicSpec(network="VM Network", mac="00:50:56:00:00:01"), NicSpec(network="DMZ", mac="00:50:56:00:00:02"))
    disks = (ApplianceDisk(raw=raw()),)
    ova = write_ova(bench.folder / "web.ova", ApplianceSpec(name="web", disks=disks, nics=nics)).path
    (bench.folder / "pw").write_text(bench.pool.password)
    (bench.folder / "pw").chmod(0o600)
    Path("v2x.toml").write_text(
        f'[target.home]\naddress = "{bench.target}"\nfingerprint = "{bench.pool.fingerprint}"\nsecret = "file:pw"\n'
    )
    terminal = start()
    terminal.answer("Where are the machines now?", "file")
    terminal.answer("File or folder", "not-there.ova")
    terminal.expect("does not exist")
    terminal.answer("File or folder", "\x15", str(ova))
    assert "from v2x.toml" in terminal.expect("Where shall they go?")
    terminal.send(ENTER)  # home is the first
    terminal.answer("Name on the target")
    terminal.answer("Storage for")
    terminal.expect("the pool has no network of this name")
    terminal.answer("Network for", "VLAN 10")
    terminal.answer("Network for", "Internal")
    defaults(terminal)
    assert "--target home" in terminal.scrolled and "--target-fingerprint" not in terminal.scrolled
    terminal.send(ENTER)
    assert terminal.ended() == 0, terminal.scrolled
    vifs = sorted((bench.pool.records("VIF")[ref] for ref in bench.vm("web")["VIFs"]), key=lambda vif: vif["device"])
    names = [bench.pool.records("network")[vif["network"]]["name_label"] for vif in vifs]
    assert names == ["VLAN 10", "Internal"]


@pytest.mark.slow
def test_ten_thousand_machines(start, bench, simulated_vsphere):
    vcenter = simulated_vsphere(estate="empty", password=PASSWORD, machines=10_000)
    terminal = start(timeout=120)
    to_vcenter(terminal, vcenter)
    terminal.expect("Which machines shall move?")
    assert "(10,000, 0 marked)" in terminal.text
    assert len(terminal.text.splitlines()) <= 24
    begun = time.monotonic()
    terminal.send(*"00042")
    terminal.expect("of 10,000")
    assert time.monotonic() - begun < 10
    terminal.send(CTRL_C)
    assert terminal.ended() == 130


def test_in_tmux(bench, vcenter, same_bytes, tmp_path):
    """A real terminal multiplexer between, as most people have one over SSH."""
    images = add(vcenter, bench, "web01", MIB)
    socket = tmp_path / "tmux"

    def tmux(*words):
        command = ["tmux", "-f", "/dev/null", "-S", str(socket), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout

    def answer(question, *keys):
        until = time.monotonic() + 60
        while question not in " ".join(tmux("capture-pane", "-p").split()):
            assert time.monotonic() < until, tmux("capture-pane", "-p", "-S", "-200")
            time.sleep(0.1)
        time.sleep(0.3)
        for key in keys:
            tmux("send-keys", *(("-l",) if key not in {"Enter", "Up", "Down"} else ()), key)
        tmux("send-keys", "Enter")
        time.sleep(0.5)

    root = Path(__file__).parents[2]
    command = shlex.join(
        ["env", "-u", "V2X_TARGET_PASSWORD", f"PYTHONPATH={root}", f"V2X_STATE={tmp_path / 'state'}", *WIZARD]
    )
    tmux("new-session", "-d", "-x", "80", "-y", "24", "-c", str(bench.folder), f"{command}; echo ended $?; sleep 600")
    try:
        answer("Where are the machines now?")
        answer("Name or IP address", f"127.1:{vcenter.port}")
        answer("User:")
        answer("Trust exactly this certificate?", "Up")
        answer("Password of administrator", PASSWORD)
        answer("Where shall they go?")
        answer("coordinator", bench.pool.address)
        answer("User: root")
        answer("openssl x509 -in /etc/xensource/xapi-ssl.pem", "Up")
        answer("Password of root", bench.pool.password)
        for question in ("Name on the target", "Storage for"):
            answer(question)
        answer("Network for", "Down")
        for question in ("Virtual CPUs", "Memory:", "Firmware"):
            answer(question)
        answer("Put the system inside right", "no")
        answer("Start it when all is done?")
        answer("What now?")
        answer("ended 0")
    finally:
        tmux("kill-server")
    same(bench, "web01", images, same_bytes)


def test_disks_alone_are_given_hardware(start, bench):
    folder = bench.folder / "web"
    folder.mkdir()
    content = random.Random(5).randbytes(3 * MIB)
    Vhdx(raw=content).write(folder / "web.vhdx")
    terminal = start()
    terminal.answer("Where are the machines now?", "file")
    terminal.answer("File or folder", str(folder))
    to_pool(terminal, bench)
    asked = defaults(terminal, **{"Virtual CPUs": (BACKSPACE, "3"), "Memory": ("\x15", "1 GiB"), "Firmware": ("UEFI",)})
    assert "Only disks are known" in terminal.scrolled
    assert "Network for" not in asked
    assert "--vcpus 3 --memory '1 GiB' --firmware uefi" in " ".join(terminal.scrolled.replace("\\\n", " ").split())
    terminal.send(ENTER)
    assert terminal.ended() == 0, terminal.scrolled
    vm = bench.vm("web")
    assert (int(vm["VCPUs_max"]), vm["HVM_boot_params"]["firmware"]) == (3, "uefi")
    held = bench.vdis_of(vm)[0].read_bytes()
    assert held[: len(content)] == content
