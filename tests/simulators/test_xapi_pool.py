# SPDX-License-Identifier: Apache-2.0
"""The pool as a whole: it starts, takes a disk that a real tool made, resumes, and carries out every call it names."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from v2x.errors import UsageError
from v2x.simulators.xapi import PROFILES, Pool, serve
from v2x.simulators.xapi.datamodel import load

MIB = 1024 * 1024


def test_a_disk_that_qemu_img_wrote_arrives_byte_for_byte(client, content_of, tmp_path):
    content = os.urandom(3 * MIB) + bytes(6 * MIB) + os.urandom(5 * MIB)
    raw = tmp_path / "disk.raw"
    raw.write_bytes(content)
    vdi = client.vdi(len(content))
    record = client.upload(vdi, raw.read_bytes())
    assert (record["status"], record["result"]) == ("success", f"<value>{vdi}</value>")
    assert content_of(vdi) == content
    assert client.export(vdi) == content
    vhd = tmp_path / "out.vhd"
    vhd.write_bytes(client.export(vdi, "vhd"))
    subprocess.run(
        ["qemu-img", "compare", "-f", "raw", "-F", "vpc", str(raw), str(vhd)], check=True, capture_output=True
    )


def test_a_stopped_pool_resumes_with_records_disks_and_certificate(simulated_pool, client_of, tmp_path):
    pool = simulated_pool(tmp_path / "state", password="secret")
    client = client_of(pool)
    vdi = client.vdi(4 * MIB)
    client.upload(vdi, b"x" * MIB)
    before = (pool.fingerprint, client.rpc("VDI.get_record", vdi), pool.address)
    pool.stop()
    pool.start()
    client = client_of(pool)
    assert client.rpc("task.get_all") == []
    assert before == (pool.fingerprint, client.rpc("VDI.get_record", vdi), pool.address)
    assert client.export(vdi)[:MIB] == b"x" * MIB
    pool.stop()
    with pytest.raises(UsageError):
        Pool(tmp_path / "state", profile="xcp-ng-8.2").start()


def test_stopping_in_the_middle_of_an_upload_leaves_nothing_attached(simulated_pool, client_of, tmp_path):
    pool = simulated_pool(tmp_path / "state", password="secret", read_rate=2 * MIB)
    client = client_of(pool)
    vdi, task = client.vdi(8 * MIB), client.task()
    client.put("/import_raw_vdi", b"x" * 8 * MIB, vdi=vdi, task_id=task)
    while not pool.ledger.imports[0].written_bytes:
        time.sleep(0.01)
    pool.stop()
    assert [e["outcome"] for e in pool_ledger(tmp_path / "state") if e["entry"] == "import"] == ["failure"]
    pool.start()
    client = client_of(pool)
    assert client.rpc("VDI.get_VBDs", vdi) == []
    assert client.export(vdi)[:1] == b"x"


def pool_ledger(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]


def test_serve_returns_a_running_pool(tmp_path: Path, client_of):
    pool = serve(0, tmp_path, "xcp-ng-8.3-2024", login_delay=0)
    try:
        assert client_of(pool).rpc("pool.get_all")
    finally:
        pool.stop()


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_every_profile_seeds_a_pool_of_its_version(simulated_pool, client_of, profile):
    pool = simulated_pool(profile=profile)
    host = next(iter(client_of(pool).rpc("host.get_all_records").values()))
    assert host["software_version"]["xapi_build"] == PROFILES[profile].xapi_build
    model = load(PROFILES[profile].datamodel)
    assert (int(host["API_version_major"]), int(host["API_version_minor"])) == model.api
    assert len([v for v in pool.records("VM").values() if v["is_default_template"]]) == 39


def test_the_command_knows_every_profile_and_says_so():
    from v2x.cli.simulate import _PROFILES

    assert set(_PROFILES) == set(PROFILES)
    assert _PROFILES[0] == "xcp-ng-8.3"


def test_an_unknown_profile_is_refused_with_the_names(capfd):
    from v2x.cli import run

    assert run(["simulate", "xapi", "--profile", "xcp-ng-9"]) != 0
    told = capfd.readouterr().err
    assert all(name in told for name in PROFILES)


def test_a_slash_behind_a_transfer_path_is_let_pass(client, content_of):
    vdi, task = client.vdi(2 * MIB), client.task()
    assert client.put("/import_raw_vdi/", b"x" * 2 * MIB, vdi=vdi, task_id=task).status == 200
    assert client.finished(task)["status"] == "success"
    assert content_of(vdi) == b"x" * 2 * MIB
