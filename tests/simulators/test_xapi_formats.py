# SPDX-License-Identifier: Apache-2.0
"""Invariants 24, 25 and 27 of the simulated pool: which formats there are, and what their query says."""

import os
import struct
import subprocess

import pytest

from v2x.simulators.xapi import PROFILES

MIB = 1024 * 1024


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_invariant_24_qcow2_exists_from_25_27_on(simulated_pool, client_of, profile, tmp_path):
    client = client_of(simulated_pool(profile=profile))
    content = os.urandom(2 * MIB)
    (tmp_path / "raw").write_bytes(content)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "raw", "out"], cwd=tmp_path, check=True)
    vdi, task = client.vdi(2 * MIB), client.task()
    answer = client.put("/import_raw_vdi", (tmp_path / "out").read_bytes(), vdi=vdi, task_id=task, format="qcow2")
    build = [int(n) for n in PROFILES[profile].xapi_build.split(".")[:2]]
    if build >= [25, 27]:
        assert answer.status == 200
        assert client.finished(task)["status"] == "success"
        assert client.export(vdi) == content
    else:
        assert answer.status == 404
        assert client.finished(task)["error_info"] == ["INTERNAL_ERROR", "Unknown format qcow2"]


@pytest.mark.parametrize("said", ["", "true", "false", "0"])
def test_invariant_25_chunked_is_said_by_its_presence_alone(client, said):
    vdi, part = client.vdi(2 * MIB), os.urandom(512)
    body = struct.pack("<QI", 1024, 512) + part + bytes(12)
    assert client.upload(vdi, body, chunked=said)["status"] == "success"
    assert client.export(vdi) == bytes(1024) + part + bytes(2 * MIB - 1536)
    without = client.vdi(2 * MIB)
    assert client.upload(without, body + bytes(-len(body) % 512))["status"] == "success"
    assert client.export(without)[:12] == struct.pack("<QI", 1024, 512)


@pytest.mark.parametrize("form", ["VHD", "Raw", "TAR"])
def test_invariant_24_the_name_of_a_format_is_taken_in_any_case(client, form):
    answer = client.put("/import_raw_vdi", b"", vdi=client.vdi(MIB), format=form)
    assert answer.status == 200


def test_invariant_24_chunked_ends_with_its_terminator_and_nothing_else(client):
    """Not with the end of the body, however well the chunks fit."""
    whole = struct.pack("<QI", 0, 2 * MIB) + os.urandom(2 * MIB)
    for body, status in ((whole, "failure"), (whole + bytes(11), "failure"), (whole + bytes(12), "success")):
        assert client.upload(client.vdi(2 * MIB), body, chunked="")["status"] == status


def test_invariant_27_a_qcow2_stream_shows_no_progress_and_is_not_cancelled(pool, client, tmp_path):
    with (tmp_path / "raw").open("wb") as file:
        file.write(os.urandom(4 * MIB))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "raw", "out"], cwd=tmp_path, check=True)
    pool.settings.read_rate, pool.settings.cancel_poll = 8 * MIB, 0
    vdi, task = client.vdi(4 * MIB), client.task()
    token = client.rpc("event.from", [f"task/{task}"], "", 1.0)["token"]
    client.put("/import_raw_vdi", (tmp_path / "out").read_bytes(), vdi=vdi, task_id=task, format="qcow2")
    client.rpc("task.cancel", task)
    seen = []
    while client.rpc("task.get_status", task) == "pending":
        told = client.rpc("event.from", [f"task/{task}"], token, 5.0)
        token = told["token"]
        seen += [e["snapshot"]["progress"] for e in told["events"] if e["snapshot"]["status"] == "pending"]
    assert set(seen) <= {0.0}
    assert client.rpc("task.get_status", task) == "success"
