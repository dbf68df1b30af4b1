# SPDX-License-Identifier: Apache-2.0
"""Walks the way of somebody who sees v2x for the first time, in a clean folder and a terminal of 80 columns.

    python -m tests.strangers_path CLONE docs

CLONE is a fresh clone in which `make demo` was run once, so that everything is set up; `make demo` is run there again.
Writes docs/recordings/strangers-path.cast (asciinema play) and the pictures docs/pictures/wizard-*.svg. Needs
LibreOffice, as `make test-spreadsheet` does.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from tests.spreadsheet_edit import edit
from tests.terminal import DOWN, ENTER, ESCAPES, UP, Terminal, cast, picture

NETWORK = "Pool-wide"


@contextmanager
def simulator(clone, folder, kind, *words):
    """`v2x simulate` as in another terminal; what it prints to be reached by."""
    command = [clone / ".venv/bin/python", "-m", "v2x", "simulate", kind, "--json", *words]
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(clone)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder) as process:
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


class Walk:
    """A shell in `place`; `pictures` are screens that were worth one."""

    def __init__(self, clone, place, folder):
        self.pictures = {}
        (folder / "bin").mkdir()
        command = folder / "bin" / "v2x"
        command.write_text(f'#!/bin/sh\nexec {clone}/.venv/bin/python -m v2x "$@"\n')
        command.chmod(0o755)
        prompt = {"PS1": "$ ", "PATH": f"{folder}/bin:/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONPATH": str(clone),
                  "V2X_STATE": str(folder / "state"), "TERM": "xterm-256color", "HISTFILE": ""}  # fmt: skip
        self.terminal = Terminal(["bash", "--norc", "--noprofile"], cwd=place, environment=prompt, timeout=90)
        self.terminal.expect("$")

    def run(self, command, *shows, passwords=()):
        """Types a command, gives the passwords that it asks for, and waits for its end and what it has to show.

        `passwords` are pairs of how the question begins and what is typed, unseen.
        """
        before = len(self.terminal.raw)
        answered = dict.fromkeys((question for question, _ in passwords), 0)
        self.terminal.send(*command, ENTER)
        until = time.monotonic() + 600
        while self.terminal.text.rsplit("\n", 1)[-1].strip() != "$":
            assert time.monotonic() < until, self.terminal.scrolled
            self.terminal.settle(0.3)
            for question, password in passwords:
                asked = ESCAPES.sub("", self.terminal.raw[before:]).count(question)
                if asked > answered[question] and self.terminal.text.rsplit("\n", 1)[-1].startswith(question):
                    answered[question] = asked
                    self.terminal.send(password, ENTER)
        plain = " ".join(ESCAPES.sub("", self.terminal.raw[before:]).split())
        assert "command not found" not in plain, f"{command} was not given what it asked for:\n{self.terminal.scrolled}"
        for text in shows:
            assert text in plain, f"{command} does not show {text!r}:\n{self.terminal.scrolled}"
        return plain

    def answer(self, question, *keys, shot=""):
        self.terminal.expect(question)
        self.terminal.settle(0.4)
        if shot:
            self.pictures[shot] = picture(self.terminal.screen, "v2x wizard")
        self.terminal.send(*keys, ENTER)


def walk(clone, place, folder, *, demo=True):
    """The whole way, typed in `place`; AssertionError where something is not as a stranger would expect it."""
    way = Walk(clone, place, folder)
    if demo:
        way.run("make demo", "1 disk read back, every byte equal", "v2x wizard")
        way.run("v2x assess .v2x-demo/inventory.json | head -20", "Assessment of 1 machine")
    with (
        simulator(clone, folder, "vsphere", "--machines", "2000") as vcenter,
        simulator(clone, folder, "xapi") as pool,
    ):
        _wizard(way, vcenter, pool)
        plan = next(place.glob("wizard-*.plan.csv"))
        # The simulator's disks hold no system that could be put right.
        edit(plan, "shop-front", {"target_name": "front", "memory": "3 GiB", "convert": "off", "note": "moved first"})
        edit(plan, "shop-db", {"convert": "off"})
        passwords = (("Password of administrator", vcenter["password"]), ("Password of root", pool["password"]))
        way.run(f"v2x plan check {plan.name}", passwords=passwords)
        way.run(f"v2x batch run {plan.name}", "2 migrated", "How to go back", passwords=passwords)
        way.run("v2x batch status", "shop-db")
        way.run("v2x batch rollback --machine shop-front", "shop-front", passwords=passwords)
        way.run("v2x batch status", "rolled back")
    return way


def _wizard(way, vcenter, pool):
    host = vcenter["address"].rpartition("@")[2]
    way.terminal.send(*"v2x wizard", ENTER)
    way.answer("Where are the machines now?")
    way.answer("Name or IP address", host)
    way.answer("User:")
    way.answer("Trust exactly this certificate?", UP, shot="wizard-trust")
    way.answer("Password of", vcenter["password"])
    way.terminal.expect("Which machines shall move?")
    way.terminal.send(*"shop", " ", DOWN, " ")
    way.terminal.settle(0.5)
    assert "(2 of 2,050, 2 marked)" in way.terminal.text, way.terminal.text
    way.pictures["wizard-machines"] = picture(way.terminal.screen, "v2x wizard")
    way.terminal.send(ENTER)
    way.answer("Where shall they go?")
    way.answer("coordinator", pool["address"].rpartition("@")[2])
    way.answer("User:")
    way.answer("Trust exactly this certificate?", UP)
    way.answer("Password of root", pool["password"])
    way.answer("How shall they be set up?")
    for machine in ("shop-db", "shop-front"):
        way.answer(f"{machine}: Network for", *NETWORK, shot="wizard-network")
    way.answer("What now?", *"write", shot="wizard-review")
    way.terminal.expect("v2x batch run wizard-")


def main(clone, docs):
    with tempfile.TemporaryDirectory() as folder:
        way = walk(clone, clone, Path(folder))
    for name, image in way.pictures.items():
        (docs / "pictures" / f"{name}.svg").write_text(image, encoding="utf-8")
    (docs / "recordings").mkdir(exist_ok=True)
    recording = cast(way.terminal.frames, title="v2x: from a fresh clone to a rollback, against simulators")
    (docs / "recordings" / "strangers-path.cast").write_text(recording, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
