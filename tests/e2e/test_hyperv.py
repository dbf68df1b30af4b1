# SPDX-License-Identifier: Apache-2.0
"""Exported Hyper-V machines to a simulated pool: from a folder, and with disks that stayed on their host's shares."""

import csv
import os
import random
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from tests.hyperv_exports import Stored, export
from tests.hyperv_images import (
    ABSENT,
    BAT_AT,
    FULL,
    LogEntry,
    Vhdx,
    linkage,
    put_log,
    read_by_libvhdi,
    write_sparse,
)
from v2x.disks.smb.server import SmbHandle
from v2x.migrate import steps

MIB = 1 << 20
NETWORK = "Pool-wide network associated with eth0"
LOG = bytes(range(1, 17))
HOST_FOLDER = r"D:\VMs\web"


def three_levels(folder: Path, size: int) -> list[Path]:
    """A base and two checkpoints on it, with blocks stored in part; the one in use first."""
    chance = random.Random(11)
    count = size // MIB
    base = bytearray(random.Random(1).randbytes(size))
    base[3 * MIB : 5 * MIB] = bytes(2 * MIB)
    Vhdx(raw=bytes(base), data_write=uuid.UUID(int=1), shuffle=2).write(folder / "web.vhdx")
    paths = [folder / "web.vhdx"]
    for level in (2, 3):
        states = dict.fromkeys(range(count), ABSENT)
        sectors = {number: set(chance.sample(range(2048), 900)) for number in chance.sample(range(count), 3)}
        whole = chance.choice([number for number in range(count) if number not in sectors])
        states = {number: state for number, state in states.items() if number not in sectors} | {whole: FULL}
        path = folder / f"web_{uuid.UUID(int=level)}.avhdx"
        Vhdx(
            raw=random.Random(level).randbytes(size),
            data_write=uuid.UUID(int=level),
            parent=linkage(uuid.UUID(int=level - 1), f"Z:\\gone\\{paths[0].name}"),
            states=states,
            sectors=sectors,
            shuffle=level,
        ).write(path)
        paths.insert(0, path)
    return paths


def same(vdi: Path, wanted: bytes) -> None:
    held = vdi.read_bytes()
    assert held[: len(wanted)] == wanted
    assert not any(held[len(wanted) :])


@pytest.fixture
def share(tmp_path, hyperv_share):
    """The drive D: of a host."""
    (tmp_path / "drive" / "VMs" / "web").mkdir(parents=True)
    return hyperv_share(D=tmp_path / "drive")


@pytest.fixture
def host(tmp_path, share, monkeypatch):
    """(folder of the host's drive D:, words for v2x that reach it over its share)."""
    drive = tmp_path / "drive"
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", share.password)
    (rule,) = share.rules
    return drive / "VMs" / "web", ("--share", rule, "--smb-user", share.user)


def test_generation_2_with_a_chain_of_three_on_a_share(bench, host, tmp_path):
    """Byte-identical to what libvhdi reads; the configuration is that of Windows Server 2012 R2."""
    folder, words = host
    paths = three_levels(folder, 12 * MIB)
    stored = Stored(generation=2, scsi={(0, 0): f"{HOST_FOLDER}\\{paths[0].name}"})
    config = export(tmp_path / "config", stored, {})
    ran = bench.migrate(config, "web", *words)
    assert ran.code == 0, ran.err
    vm = bench.vm("web")
    assert vm["HVM_boot_params"]["firmware"] == "uefi"
    (vdi,) = bench.vdis_of(vm)
    same(vdi, read_by_libvhdi(paths))
    assert bench.leftovers() == []
    inventory = bench.v2x("inventory", config, *words, "--json", pool=False).json
    (disk,) = inventory["machines"][0]["disks"]
    assert disk["files"] == [f"{HOST_FOLDER}\\{path.name}" for path in paths]
    assert inventory["problems"] == []


def test_connections_that_break_again_and_again_cost_time_only(bench, host, share, tmp_path, monkeypatch):
    folder, words = host
    raw = random.Random(12).randbytes(16 * MIB)
    Vhdx(raw=raw, shuffle=4).write(folder / "web.vhdx")
    config = export(tmp_path / "config", Stored(ide={(0, 0): f"{HOST_FOLDER}\\web.vhdx"}), {})
    plain, reads = SmbHandle.read_into, []

    def read_into(self, offset, view):
        reads.append(offset)
        if len(reads) % 9 == 0:
            share.cut()
        plain(self, offset, view)

    monkeypatch.setattr(SmbHandle, "read_into", read_into)
    ran = bench.migrate(config, "web", *words)
    assert ran.code == 0, ran.err
    assert len(reads) > 18
    same(bench.vdis_of(bench.vm("web"))[0], raw)


def test_a_log_that_was_not_written_and_blocks_out_of_order_on_a_share(bench, host, tmp_path):
    """Equal to what qemu-img reads from a copy after its own repair."""
    folder, words = host
    raw = random.Random(3).randbytes(9 * MIB)
    file = Vhdx(raw=raw, shuffle=5).packed()
    sector = bytes(file[BAT_AT : BAT_AT + 4096])
    file[BAT_AT : BAT_AT + 4096] = bytes(4096)
    put_log(
        file,
        [(8192, LogEntry(sequence=7, tail=8192, changes=[(BAT_AT, sector)], flushed=len(file), last=len(file)))],
        LOG,
    )
    write_sparse(folder / "web.vhdx", file)
    shutil.copyfile(folder / "web.vhdx", tmp_path / "copy.vhdx")
    for command in (
        ["qemu-img", "check", "-q", "-f", "vhdx", "-r", "all", "copy.vhdx"],
        ["qemu-img", "convert", "-f", "vhdx", "-O", "raw", "copy.vhdx", "copy.raw"],
    ):
        subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    before = (folder / "web.vhdx").read_bytes()
    config = export(tmp_path / "config", Stored(ide={(0, 0): f"{HOST_FOLDER}\\web.vhdx"}), {})
    ran = bench.migrate(config, "web", *words)
    assert ran.code == 0, ran.err
    (vdi,) = bench.vdis_of(bench.vm("web"))
    same(vdi, (tmp_path / "copy.raw").read_bytes())
    assert (tmp_path / "copy.raw").read_bytes() == raw
    assert (folder / "web.vhdx").read_bytes() == before


@pytest.mark.parametrize("binary", [False, True])
def test_an_export_folder_of_generation_1(bench, tmp_path, binary):
    """IDE before SCSI, a checkpoint's disk, MAC address and names; nothing in the folder changes."""
    system, data = random.Random(1).randbytes(4 * MIB), random.Random(2).randbytes(5 * MIB + 512)
    delta = Vhdx(
        raw=random.Random(3).randbytes(4 * MIB),
        data_write=uuid.UUID(int=8),
        parent=linkage(uuid.UUID(int=7)),
        states={0: ABSENT, 1: FULL, 2: ABSENT, 3: ABSENT},
    )
    stored = Stored(ide={(0, 0): r"C:\x\sys_1.AVHDX", (1, 0): r"C:\cd.iso"}, scsi={(0, 0): r"E:\data.vhdx"})
    disks = {
        "sys_1.avhdx": delta.packed(),
        "sys.vhdx": Vhdx(raw=system, data_write=uuid.UUID(int=7), shuffle=1).packed(),
        "data.vhdx": Vhdx(raw=data, data_write=uuid.UUID(int=9)).packed(),
    }
    folder = export(tmp_path / "export", stored, disks, binary=binary)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}
    ran = bench.migrate(folder, "web")
    assert ran.code == 0, ran.err
    vm = bench.vm("web")
    first, second = bench.vdis_of(vm)
    same(first, system[:MIB] + delta.raw[MIB : 2 * MIB] + system[2 * MIB :])
    same(second, data)
    assert vm["HVM_boot_params"].get("firmware", "bios") == "bios"
    vifs = [bench.pool.records("VIF")[ref] for ref in vm["VIFs"]]
    assert [vif["MAC"] for vif in vifs] == ["00:15:5d:01:02:03"]
    assert {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()
    } == before


def test_disks_alone_take_their_hardware_from_the_options(bench, tmp_path):
    folder = tmp_path / "web"
    folder.mkdir()
    raw = random.Random(5).randbytes(3 * MIB)
    Vhdx(raw=raw).write(folder / "web.vhdx")
    ran = bench.migrate(folder)
    assert ran.code == 2
    assert "vCPUs" in ran.err
    ran = bench.migrate(folder, "--vcpus", "2", "--memory", "1 GiB", "--firmware", "uefi", "--json")
    assert ran.code == 0, ran.err
    vm = bench.vm("web")
    assert (vm["VCPUs_max"], vm["memory_static_max"]) == (2, 1 << 30)
    assert vm["HVM_boot_params"]["firmware"] == "uefi"
    same(bench.vdis_of(vm)[0], raw)


def edit(path: Path, **changes: str) -> None:
    """Fills cells of the only row of a plan."""
    head, row = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    for column, value in changes.items():
        row[head.index(column)] = value
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, row])


def test_disks_alone_take_their_hardware_from_the_plan(bench, tmp_path):
    folder = tmp_path / "web"
    folder.mkdir()
    raw = random.Random(5).randbytes(3 * MIB)
    Vhdx(raw=raw).write(folder / "web.vhdx")
    ran = bench.v2x("plan", "draft", folder, "--target", bench.target, "-o", "plan.csv")
    assert ran.code == 0, ran.err
    assert "0 vCPUs" in Path("plan.csv").read_text(encoding="utf-8-sig")
    edit(Path("plan.csv"), vcpus="4", memory="2 GiB", firmware="bios", exclude="")
    ran = bench.v2x("batch", "run", "plan.csv", "--json")
    assert ran.code == 0, ran.err + ran.out
    vm = bench.vm("web")
    assert (vm["VCPUs_max"], vm["memory_static_max"]) == (4, 2 << 30)
    same(bench.vdis_of(vm)[0], raw)


def test_a_batch_reads_shares_that_an_alias_names(bench, host, tmp_path):
    """The plan holds where the disks are and who logs in, not the password."""
    folder, words = host
    raw = random.Random(8).randbytes(5 * MIB)
    Vhdx(raw=raw, shuffle=3).write(folder / "web.vhdx")
    config = export(tmp_path / "config", Stored(ide={(0, 0): f"{HOST_FOLDER}\\web.vhdx"}, switch=NETWORK), {})
    secret = tmp_path / "host.pw"
    secret.write_text(os.environ["V2X_SOURCE_PASSWORD"])
    secret.chmod(0o600)
    os.environ.pop("V2X_SOURCE_PASSWORD")
    Path("v2x.toml").write_text(
        f"[source.host]\naddress = '{config}'\nshares = ['{words[1]}']\n"
        f"smb_user = '{words[3]}'\nsecret = 'file:{secret}'\n"
    )
    ran = bench.v2x("plan", "draft", "host", "--target", bench.target, "-o", "plan.csv")
    assert ran.code == 0, ran.err
    plan = Path("plan.csv").read_text(encoding="utf-8-sig") + Path("plan.json").read_text()
    assert secret.read_text() not in plan
    ran = bench.v2x("batch", "run", "plan.csv", "--json")
    assert ran.code == 0, ran.err + ran.out
    same(bench.vdis_of(bench.vm("web"))[0], raw)


def test_sectors_of_4096_bytes_are_refused_and_their_bytes_given_on_request(bench, tmp_path):
    raw = random.Random(5).randbytes(3 * MIB)
    Vhdx(raw=raw, sector=4096).write(tmp_path / "web.vhdx")
    ran = bench.v2x("convert", "web.vhdx", "web.raw", pool=False)
    assert ran.code == 6
    assert "4Kn" in ran.err
    assert "--large-sectors" in ran.err
    assert bench.v2x("convert", "web.vhdx", "web.raw", "--large-sectors", "--tool", "qemu-img", pool=False).code == 2
    ran = bench.v2x("convert", "web.vhdx", "web.raw", "--large-sectors", pool=False)
    assert ran.code == 0, ran.err
    assert Path("web.raw").read_bytes() == raw
    folder = export(
        tmp_path / "export", Stored(ide={(0, 0): r"D:\web.vhdx"}), {"web.vhdx": Path("web.vhdx").read_bytes()}
    )
    ran = bench.migrate(folder, "web")
    assert ran.code in {3, 6}
    assert "4096" in ran.err or "4,096" in ran.err


@pytest.mark.parametrize("where", ["folder", "share"])
def test_a_machine_that_ran_during_the_copy_fails_and_the_next_run_copies_anew(
    bench, host, tmp_path, monkeypatch, where
):
    """The write identifier in the file changes, as a host's opening does, with the file time put back."""
    folder, words = host
    raw = random.Random(6).randbytes(4 * MIB)
    Vhdx(raw=raw, data_write=uuid.UUID(int=21)).write(folder / "web.vhdx")
    config = export(tmp_path / "config", Stored(ide={(0, 0): f"{HOST_FOLDER}\\web.vhdx"}), {})
    if where == "folder":
        shutil.move(folder / "web.vhdx", config / "Virtual Hard Disks" / "web.vhdx")
        folder, words = config / "Virtual Hard Disks", ()
    newer = random.Random(7).randbytes(4 * MIB)
    copied = steps.copy_disk

    def and_then_the_machine_runs(*arguments, **options):
        done = copied(*arguments, **options)
        times = (folder / "web.vhdx").stat()
        with (folder / "web.vhdx").open("r+b") as file:
            file.write(bytes(Vhdx(raw=newer, data_write=uuid.UUID(int=22)).packed()))
        os.utime(folder / "web.vhdx", ns=(times.st_atime_ns, times.st_mtime_ns))
        return done

    with monkeypatch.context() as patch:
        patch.setattr(steps, "copy_disk", and_then_the_machine_runs)
        ran = bench.migrate(config, "web", *words)
    assert ran.code == 4
    assert "changed since the copy began" in ran.err
    ran = bench.migrate(config, "web", *words)
    assert ran.code == 0, ran.err
    same(bench.vdis_of(bench.vm("web"))[0], newer)


def test_what_keeps_the_shares_from_being_read_is_said(bench, host, tmp_path, monkeypatch):
    folder, words = host
    Vhdx(raw=bytes(MIB)).write(folder / "web.vhdx")
    config = export(tmp_path / "config", Stored(ide={(0, 0): f"{HOST_FOLDER}\\web.vhdx"}), {})
    ran = bench.migrate(config, "web")
    assert ran.code == 6
    assert "web.vhdx" in ran.err
    ran = bench.migrate(config, "web", *words[:2])
    assert ran.code == 2
    assert "--smb-user" in ran.err
    ran = bench.v2x("inventory", config, *words[2:], "--share", f"{words[1]}nowhere", "--json", pool=False)
    assert "has no share D$nowhere" in ran.json["problems"][0]["text"]
    ran = bench.v2x("inventory", config, "--share", r"D:=\\x\..\y", pool=False)
    assert ran.code == 2
    assert "--share" in ran.err
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", "wrong")
    ran = bench.migrate(config, "web", *words)
    assert ran.code == 5
    assert "user name or password is wrong" in ran.err
    assert "Traceback" not in ran.err
