# SPDX-License-Identifier: Apache-2.0
"""`v2x simulate hyperv`: its state folder as `--state` names it, and what is left when it is killed."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.simulators.hyperv.test_hyperv_share import logged_in
from v2x.simulators.hyperv.service import HyperV


def test_disks_are_served_from_a_folder_that_was_named_relatively(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with HyperV(Path("state")) as served:
        assert served.folder == tmp_path / "state"
        assert f" path = {tmp_path / 'state' / 'drives' / 'D'}\n" in (tmp_path / "state/samba/smb.conf").read_text()
        with logged_in(served.share) as session:
            assert session.session_id


def test_killed_it_serves_no_disks_any_more(tmp_path):
    words = [sys.executable, "-m", "v2x", "simulate", "hyperv", "--json", "--state", str(tmp_path / "state")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        try:
            share = json.loads(process.stdout.readline())["shares"][0].partition("=")[2]
            port = int(share.split("\\")[2].rpartition(":")[2])
            assert answers(port)
        finally:
            process.kill()
    deadline = time.monotonic() + 20
    while answers(port):
        assert time.monotonic() < deadline, "Samba outlives the simulator"
        time.sleep(0.05)


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
