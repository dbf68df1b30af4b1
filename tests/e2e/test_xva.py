# SPDX-License-Identifier: Apache-2.0
"""An XVA file imports into the simulated pool, whose own reader is the judge, with the same bytes and addresses."""

import http.client
import re
import ssl

import pytest

from v2x.model.machine import Firmware
from v2x.simulators.appliance import ApplianceSpec, DiskSpec, NicSpec, write_ova

MACS = ("00:50:56:00:00:01", "00:50:56:00:00:02")


@pytest.fixture
def ova(raw, tmp_path):
    raws = [raw("islands", "a.raw"), raw("odd", "b.raw"), raw("empty", "c.raw")]
    spec = ApplianceSpec(
        name="web",
        disks=tuple(DiskSpec(raw=one, unit=unit) for unit, one in enumerate(raws)),
        nics=tuple(NicSpec(mac=mac) for mac in MACS),
        firmware=Firmware.UEFI,
    )
    return write_ova(tmp_path / "web.ova", spec).path, raws


def import_xva(bench, file, restore):
    """PUT /import, with the standard library only."""
    import xmlrpc.client

    context = ssl._create_unverified_context()
    api = xmlrpc.client.ServerProxy(f"https://{bench.pool.address}/RPC2", context=context)
    session = api.session.login_with_password(bench.pool.user, bench.pool.password)["Value"]
    task = api.task.create(session, "import", "")["Value"]
    sr = next(ref for ref, sr in bench.pool.records("SR").items() if sr["type"] == "ext")
    connection = http.client.HTTPSConnection(bench.pool.address, context=context)
    query = f"session_id={session}&task_id={task}&sr_id={sr}&restore={'true' if restore else 'false'}"
    connection.request("PUT", f"/import?{query}", body=file.read_bytes())
    connection.getresponse().read()
    for _ in range(100):
        record = api.task.get_record(session, task)["Value"]
        if record["status"] != "pending":
            break
    assert record["status"] == "success", record["error_info"]
    return re.search(r"OpaqueRef:[0-9a-f-]+", record["result"])[0]


@pytest.mark.parametrize("restore", [True, False])
def test_it_imports_with_the_same_bytes(bench, ova, same_bytes, tmp_path, restore):
    file, raws = ova
    ran = bench.v2x("migrate", file, "--target", f"xva:{tmp_path / 'out'}", "--report", "r.json", pool=False)
    assert ran.code == 0, ran.err
    made = tmp_path / "out" / "web.xva"
    imported = import_xva(bench, made, restore)
    vm = bench.pool.records("VM")[imported]
    for vdi, one in zip(bench.vdis_of(vm), raws, strict=True):
        wanted = one.read_bytes()
        held = vdi.read_bytes()
        assert held[: len(wanted)] == wanted
        assert not any(held[len(wanted) :])
    macs = sorted(bench.pool.records("VIF")[ref]["MAC"] for ref in vm["VIFs"])
    assert (macs == sorted(MACS)) is restore
    assert vm["HVM_boot_params"]["firmware"] == "uefi"


def test_again_it_says_that_it_is_there(bench, ova, tmp_path):
    file, _ = ova
    words = ("migrate", file, "--target", f"xva:{tmp_path / 'out'}", "--report", "r.json")
    assert bench.v2x(*words, pool=False).code == 0
    before = (tmp_path / "out" / "web.xva").read_bytes()
    ran = bench.v2x(*words, "--json", pool=False)
    assert ran.code == 0, ran.err
    assert ran.json["migrations"][0]["outcome"] == "already migrated"
    assert (tmp_path / "out" / "web.xva").read_bytes() == before


def test_convert_makes_one_directly(bench, ova, tmp_path):
    file, _ = ova
    ran = bench.v2x("convert", file, tmp_path / "direct.xva", "--json", pool=False)
    assert ran.code == 0, ran.err
    assert ran.json["disks"] == 3
    assert import_xva(bench, tmp_path / "direct.xva", True)
