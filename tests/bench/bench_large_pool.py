# SPDX-License-Identifier: Apache-2.0
"""How long `v2x assess` and `v2x plan` take against a pool of 10,000 VMs, with the pool in a process of its own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench.contest import ROOT, python
from tests.estate import write_inventory

VMS = 10_000


@pytest.mark.parametrize("machines", [1, 10_000])
def test_large_pool(tmp_path: Path, machines: int) -> None:
    inventory = write_inventory(tmp_path / "inventory.json", machines)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = python("large_pool.py", VMS)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as pool:
        assert pool.stdout is not None
        told = json.loads(pool.stdout.readline())
        environment["V2X_TARGET_PASSWORD"] = told["password"]
        for words in (
            ("assess", str(inventory), "--format", "json", "-o", str(tmp_path / "a.json")),
            ("plan", "draft", str(inventory), "-o", str(tmp_path / "plan.csv")),
            ("plan", "check", str(tmp_path / "plan.csv")),
        ):
            reach = ("--target-fingerprint", told["fingerprint"])
            if words[:2] != ("plan", "check"):
                reach = ("--target", told["address"], *reach)
            began = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-m", "v2x", *words, *reach],
                check=False,
                env=environment,
                cwd=tmp_path,
                capture_output=True,
                text=True,
            )
            print(f"\n{' '.join(words[:2]):12} {machines:6,} machines, {VMS:,} VMs on the pool: "
                  f"{time.monotonic() - began:5.1f} s (exit {done.returncode})", end="")  # fmt: skip
            assert done.returncode in (0, 2), done.stderr
