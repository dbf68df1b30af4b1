# SPDX-License-Identifier: Apache-2.0
"""Wrong input: its exit code, one line with the reason, a remedy, and nothing left on the pool."""

import gzip
import tarfile

import pytest

from v2x.model.units import MIB
from v2x.simulators.appliance import (
    ApplianceSpec,
    CreateType,
    DiskSpec,
    NicSpec,
    write_ova,
    write_ovf_folder,
    write_vmx_folder,
)
from v2x.simulators.xapi import Pool


@pytest.fixture
def ova(raw, tmp_path):
    spec = ApplianceSpec(name="web", disks=(DiskSpec(raw=raw()),), nics=(NicSpec(mac="00:50:56:00:00:01"),))
    return write_ova(tmp_path / "web.ova", spec).path


def refused(bench, ran, exit_code, code, *words, clean=True):
    assert ran.code == exit_code, ran.err
    lines = [line for line in ran.err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, ran.err
    assert f"[{code}]" in lines[0]
    for word in words:
        assert word in lines[0] + ran.err.split(lines[0])[1].splitlines()[1]
    assert "  try: " in ran.err
    assert "Traceback" not in ran.err + ran.out
    if clean:
        assert not bench.leftovers()
        assert not [one for one in bench.pool.records("VM").values() if "web" in one["name_label"]]


def test_not_an_ova(bench, tmp_path):
    file = tmp_path / "web.ova"
    file.write_bytes(b"this is no archive at all" * 100)
    refused(bench, bench.migrate(file), 6, "INPUT", "web.ova", "OVA")


def test_an_empty_file(bench, tmp_path):
    file = tmp_path / "web.ova"
    file.touch()
    ran = bench.migrate(file)
    assert ran.code == 6, ran.err


def test_a_truncated_ova(bench, ova):
    data = ova.read_bytes()
    ova.write_bytes(data[: len(data) * 2 // 3])
    refused(bench, bench.migrate(ova), 6, "BAD-IMAGE", "web")


def test_a_digest_that_does_not_match(bench, ova):
    data = bytearray(ova.read_bytes())
    with tarfile.open(ova) as archive:
        member = next(one for one in archive if one.name.endswith(".vmdk"))
    # A byte of padding between grains: the disk still reads, only the manifest can tell.
    data[member.offset_data + 100] ^= 0xFF
    ova.write_bytes(data)
    ran = bench.migrate(ova)
    refused(bench, ran, 6, "DIGEST-MISMATCH", ".vmdk")


def test_a_missing_disk(bench, raw, tmp_path):
    spec = ApplianceSpec(name="web", disks=(DiskSpec(raw=raw()),))
    made = write_ovf_folder(tmp_path / "web", spec)
    next((tmp_path / "web").glob("*.vmdk")).unlink()
    refused(bench, bench.migrate(made.path), 6, "MISSING-DISK", ".vmdk")


def test_a_missing_parent(bench, raw, tmp_path):
    from v2x.simulators.appliance import Change, SnapshotSpec

    snapshot = SnapshotSpec(name="s", changes={0: [Change(0, b"x" * 512)]})
    spec = ApplianceSpec(name="web", disks=(DiskSpec(raw=raw()),))
    made = write_vmx_folder(tmp_path / "web", spec, expected=tmp_path / "expected", snapshots=[snapshot])
    made.chains[0].descriptors[0].unlink()
    ran = bench.migrate(made.vmx)
    assert ran.code == 6, ran.err
    assert not bench.leftovers()


def test_a_compressed_disk(bench, raw, tmp_path):
    spec = ApplianceSpec(name="web", disks=(DiskSpec(raw=raw(), compression="gzip"),))
    refused(bench, bench.migrate(write_ova(tmp_path / "web.ova", spec).path), 6, "UNSUPPORTED", "gzip")


def test_a_device_instead_of_a_file(bench, raw, tmp_path):
    spec = ApplianceSpec(name="web", disks=(DiskSpec(raw=raw()),))
    made = write_vmx_folder(tmp_path / "web", spec, expected=tmp_path / "e", disk_type=CreateType.VMFS_RDM)
    ran = bench.migrate(made.vmx)
    assert ran.code == 6, ran.err
    assert not bench.leftovers()


def test_an_unknown_guest_falls_back_with_a_warning(bench, raw, tmp_path):
    spec = ApplianceSpec(
        name="web", disks=(DiskSpec(raw=raw()),), vmware_os="templeOs64Guest", cim_os=1, os_name="TempleOS"
    )
    file = write_ova(tmp_path / "web.ova", spec).path
    ran = bench.v2x("assess", file, "--target", bench.target, "--format", "json")
    assert ran.code == 0
    assert any(one["rule"] == "guest.unknown-os" for one in _findings(ran.json)), ran.out
    assert bench.migrate(file).code == 0
    assert bench.vm("web")["HVM_boot_policy"] == "BIOS order"


def _findings(document):
    if isinstance(document, dict):
        if "rule" in document:
            yield document
        for value in document.values():
            yield from _findings(value)
    elif isinstance(document, list):
        for value in document:
            yield from _findings(value)


def test_a_name_that_is_on_the_pool(bench, ova, raw, tmp_path):
    other = ApplianceSpec(name="web", disks=(DiskSpec(raw=raw("odd", "o.raw")),))
    assert bench.migrate(write_ova(tmp_path / "other.ova", other).path).code == 0
    ran = bench.migrate(ova)
    refused(bench, ran, 4, "NAME-USED", "web", "--name", clean=False)
    assert bench.migrate(ova, "--name", "web2").code == 0
    assert bench.vm("web2")


def test_a_mac_that_is_on_the_pool(bench, ova, raw, tmp_path):
    nic = NicSpec(mac="00:50:56:00:00:01")
    other = ApplianceSpec(name="other", disks=(DiskSpec(raw=raw("odd", "o.raw")),), nics=(nic,))
    assert bench.migrate(write_ova(tmp_path / "other.ova", other).path).code == 0
    refused(bench, bench.migrate(ova), 4, "MAC-USED", "00:50:56:00:00:01", "other")
    assert bench.migrate(ova, "--mac", "new").code == 0


def test_no_space_on_the_sr(bench, tmp_path):
    sr = next(sr for sr in bench.pool.records("SR").values() if sr["type"] == "lvm")
    name = sr["name_label"]
    big = tmp_path / "big.raw"
    with big.open("wb") as file:
        file.truncate((int(sr["physical_size"]) // (2 * MIB) + 1) * 2 * MIB)
    spec = ApplianceSpec(name="web", disks=(DiskSpec(raw=big),))
    made = write_vmx_folder(tmp_path / "web", spec, expected=tmp_path / "e", disk_type=CreateType.VMFS)
    refused(bench, bench.migrate(made.vmx, "--sr", name), 4, "NO-SPACE", name)


def test_a_wrong_password_is_tried_once(bench, ova, monkeypatch):
    monkeypatch.setenv("V2X_TARGET_PASSWORD", "wrong")
    refused(bench, bench.migrate(ova), 5, "LOGIN")
    tries = [one for one in bench.pool.ledger.calls if one.call == "session.login_with_password"]
    assert len(tries) == 1
    assert not (bench.folder / "report.json").exists()


def test_an_untrusted_certificate(bench, ova):
    ran = bench.migrate(ova, pin=False)
    refused(bench, ran, 5, "TRUST", bench.pool.fingerprint, "--target-fingerprint")


def test_another_certificate_than_the_pinned_one(bench, ova):
    ran = bench.v2x("migrate", ova, "--target", bench.target, "--target-fingerprint", "sha256:" + "0" * 64, pool=False)
    refused(bench, ran, 5, "TRUST", bench.pool.fingerprint)


def test_nobody_at_the_address(bench, ova):
    ran = bench.v2x("migrate", ova, "--target", "xapi://root@127.0.0.1:9", pool=False)
    refused(bench, ran, 5, "CONNECT", "127.0.0.1:9")


def test_a_member_instead_of_the_coordinator(bench, ova, tmp_path, monkeypatch):
    with Pool(tmp_path / "two", hosts=2, save=False) as pool:
        pool.settings.login_delay = 0
        monkeypatch.setenv("V2X_TARGET_PASSWORD", pool.password)
        member = next(address for address in pool.addresses if address != pool.address)
        pin = pool.fingerprints[member]
        ran = bench.v2x("migrate", ova, "--target", f"xapi://root@{member}", "--target-fingerprint", pin, pool=False)
        refused(bench, ran, 5, "NOT-COORDINATOR", pool.address)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("migrate", "x.ova"), "USAGE"),
        (("migrate", "x.ova", "--target", "ftp://x"), "ADDRESS"),
        (("migrate", "x.ova", "--target", "./folder"), "ADDRESS"),
        (("migrate", "xapi://root@h", "--target", "xva:/tmp"), "ADDRESS"),
        (("inventory", "x.docx"), "USAGE"),
        (("batch", "test", "--state", "x"), "USAGE"),
        (("batch", "approve", "--by", "Ada", "--state", "x"), "USAGE"),
        (("simulate", "vsphere", "--vm-disk", "nothing.raw"), "USAGE"),
        (("worker", "--state", "x"), "USAGE"),
        (("batch", "status", "--state", "x"), "USAGE"),
        (("batch", "throttle", "moon=1", "--state", "x"), "USAGE"),
        (("batch", "throttle", "total=many", "--state", "x"), "USAGE"),
        (("batch", "cancel", "--state", "x"), "USAGE"),
        (("batch", "report", "--format", "docx", "--state", "x"), "USAGE"),
        (("assess", "x.ova", "--format", "csv", "--baseline", "old.json"), "USAGE"),
        (("explain", "NO-SUCH-CODE"), "USAGE"),
        (("cleanup",), "USAGE"),
        (("migrate", "x.ova", "--no-such-option"), "USAGE"),
        (("no-such-command",), "USAGE"),
        (("migrate",), "USAGE"),
        (("migrate", "x.ova", "--vcpus", "many"), "USAGE"),
    ],
)
def test_wrong_usage(bench, words, code, tmp_path):
    (tmp_path / "x.ova").write_bytes(gzip.compress(b"x"))
    (tmp_path / "x.docx").touch()
    ran = bench.v2x(*words, pool=False)
    assert ran.code == 2, ran.err
    assert f"[{code}]" in ran.err


def test_an_error_as_json(bench, ova):
    ran = bench.migrate(ova, "--json", pin=False)
    assert ran.json["schema"] == "v2x.error/1"
    assert ran.json["code"] == "TRUST"
    assert ran.json["exit_code"] == 5


def test_each_wrong_cell_of_a_plan_has_its_line(bench, ova, tmp_path):
    assert bench.v2x("plan", "draft", ova, "--target", bench.target, "-o", "plan.csv").code == 0
    text = (tmp_path / "plan.csv").read_text(encoding="utf-8-sig")
    (tmp_path / "plan.csv").write_text(text.replace(",bios,", ",bois,").replace(",keep,", ",kept,", 1))
    ran = bench.v2x("plan", "check", "plan.csv", "--json", pool=False)
    assert ran.code == 2 and ran.json["message"] == "plan.csv: 2 errors" and len(ran.json["details"]) == 2
    lines = ran.err.splitlines()
    assert lines[0] == "error: plan.csv: 2 errors [PLAN]" and lines[3].startswith("  try: ")
    assert lines[1].startswith("  - row 2, column mac") and "'bois'" in lines[2]


@pytest.mark.parametrize("what", ["xapi", "vsphere", "hyperv"])
def test_a_simulator_needs_a_port_that_is_free(bench, what):
    ran = bench.v2x("simulate", what, "--port", bench.pool.address.rpartition(":")[2], pool=False)
    refused(bench, ran, 2, "USAGE", "cannot be used", "--port")
