# SPDX-License-Identifier: Apache-2.0
"""The state folder of the simulated hosts, as `--state` names it."""

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
