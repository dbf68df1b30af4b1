# SPDX-License-Identifier: Apache-2.0
"""Changed images: never other bytes than qemu-img and libvhdi deliver; nothing passes that oslo.utils calls unsafe."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.differential import run
from v2x.model.machine import DiskFormat

IMAGES = {DiskFormat.VMDK: 60, DiskFormat.VHD: 40, DiskFormat.VHDX: 20, DiskFormat.QCOW2: 400}


@pytest.mark.parametrize("form", list(IMAGES), ids=lambda form: form.value)
def test_nothing_is_delivered_or_passed_that_others_deny(form: DiskFormat, tmp_path: Path, watched: Any) -> None:
    watched.allow_program("python3")  # libvhdi's
    counts = run(form, tmp_path, range(IMAGES[form]), time.monotonic() + 240)
    assert counts["images"] > IMAGES[form] * 0.8
    assert counts["passed the gate"] > 5
    assert counts["as qemu"] > 5
    if form in {DiskFormat.VHD, DiskFormat.VHDX}:
        assert counts["as libvhdi"] > 3
