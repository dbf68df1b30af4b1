# SPDX-License-Identifier: Apache-2.0
import stat

import pytest

from v2x.files import write_whole


def test_the_new_content_takes_the_place_of_the_old(tmp_path):
    file = tmp_path / "report.json"
    write_whole(file, b"old")
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch):
    file = tmp_path / "report.json"
    write_whole(file, b"old")

    def full(_fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("v2x.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
