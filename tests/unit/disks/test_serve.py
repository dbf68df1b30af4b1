# SPDX-License-Identifier: Apache-2.0
"""The NBD export against real clients: nbdinfo, nbdcopy, qemu-img and libnbd."""

import contextlib
import json
import random
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from v2x.disks import serve
from v2x.disks.bytesource import FileSource
from v2x.disks.libnbd import libnbd
from v2x.disks.nbd import NbdReader
from v2x.disks.raw import RawReader
from v2x.disks.serve import DiskExport
from v2x.errors import SourceError, TargetError, UsageError, V2xError

MIB = 1 << 20
SIZE = 40 * MIB + 512


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 MiB of data from 4 MiB on, and the last sector."""
    path = tmp_path_factory.mktemp("serve") / "disk.raw"
    with open(path, "wb") as out:
        out.seek(4 * MIB)
        out.write(random.Random(3).randbytes(3 * MIB))
        out.seek(SIZE - 512)
        out.write(b"\x5a" * 512)
    return path


@pytest.fixture
def export(disk: Path):
    reader = RawReader(FileSource.open(disk))
    with DiskExport(reader) as served:
        yield served
    reader.close()


@pytest.fixture
def client(export: DiskExport):
    handle = libnbd().NBD()
    handle.connect_uri(export.uri)
    yield handle
    with contextlib.suppress(libnbd().Error):
        handle.shutdown()


def printed(*argv: object) -> str:
    return subprocess.run(list(map(str, argv)), check=True, capture_output=True, text=True, timeout=60).stdout


def test_nbdinfo_sees_a_read_only_disk_of_the_exact_size(export: DiskExport) -> None:
    (found,) = json.loads(printed("nbdinfo", "--json", export.uri))["exports"]
    assert found["export-size"] == SIZE
    assert found["is_read_only"]
    assert found["can_multi_conn"]
    assert "base:allocation" in found["contexts"]


def test_nbdinfo_lists_the_one_export(export: DiskExport) -> None:
    assert [
        one["export-name"] for one in json.loads(printed("nbdinfo", "--list", "--json", export.uri))["exports"]
    ] == [""]


def test_the_map_tells_data_from_holes(export: DiskExport) -> None:
    ranges = json.loads(printed("nbdinfo", "--map", "--json", export.uri))
    assert [(one["offset"], one["length"], one["type"]) for one in ranges if one["type"] == 0] == [
        (4 * MIB, 3 * MIB, 0),
        (40 * MIB, 512, 0),
    ]
    assert {one["type"] for one in ranges} == {0, 3}
    mapped = json.loads(printed("qemu-img", "map", "--output=json", "-f", "raw", export.uri))
    assert sum(one["length"] for one in mapped if one["data"]) == 3 * MIB + 512


def test_nbdcopy_takes_every_byte_over_several_connections(export: DiskExport, disk: Path, tmp_path: Path) -> None:
    printed("nbdcopy", "--connections=4", export.uri, tmp_path / "copy.raw")
    assert (tmp_path / "copy.raw").read_bytes() == disk.read_bytes()


def test_qemu_img_finds_it_equal_to_its_disk(export: DiskExport, disk: Path) -> None:
    assert "identical" in printed("qemu-img", "compare", "-f", "raw", "-F", "raw", export.uri, disk)


def test_our_own_reader_reads_it(export: DiskExport, disk: Path) -> None:
    reader = NbdReader(export.path)
    part = bytearray(1000)
    reader.read_into(4 * MIB - 100, part)
    assert bytes(part) == disk.read_bytes()[4 * MIB - 100 : 4 * MIB + 900]
    assert [one.length for one in reader.extents(0, SIZE) if one.data] == [3 * MIB, 512]
    reader.close()


@pytest.mark.parametrize("structured", [True, False])
def test_writing_is_refused_and_reading_goes_on(export: DiskExport, disk: Path, structured: bool) -> None:
    nbd = libnbd()
    handle = nbd.NBD()
    handle.set_request_structured_replies(structured)
    handle.set_strict_mode(0)  # so that libnbd sends what it knows to be refused
    handle.connect_uri(export.uri)
    assert handle.get_structured_replies_negotiated() is structured
    before = disk.read_bytes()
    for refused in (
        lambda: handle.pwrite(b"x" * 4096, 4 * MIB),
        lambda: handle.trim(4096, 0),
        lambda: handle.zero(512, 0),
    ):
        with pytest.raises(nbd.Error) as caught:
            refused()
        assert caught.value.errno == "EPERM"
    assert bytes(handle.pread(4096, 4 * MIB)) == before[4 * MIB : 4 * MIB + 4096]
    handle.cache(4096, 0)
    handle.shutdown()
    assert disk.read_bytes() == before


@pytest.mark.parametrize(
    ("offset", "length", "errno"), [(SIZE, 512, "EINVAL"), (SIZE - 1, 2, "EINVAL"), (0, 33 * MIB, "EOVERFLOW")]
)
def test_reads_out_of_bounds_are_refused(export: DiskExport, offset: int, length: int, errno: str) -> None:
    nbd = libnbd()
    handle = nbd.NBD()
    handle.set_strict_mode(0)
    handle.connect_uri(export.uri)
    with pytest.raises(nbd.Error) as caught:
        handle.pread(length, offset)
    assert caught.value.errno == errno
    assert len(handle.pread(1, SIZE - 1)) == 1
    handle.shutdown()


def test_another_export_is_unknown(export: DiskExport) -> None:
    nbd = libnbd()
    handle = nbd.NBD()
    handle.set_export_name("other")
    with pytest.raises(nbd.Error):
        handle.connect_unix(str(export.path))


def test_only_the_owner_may_connect(export: DiskExport) -> None:
    assert stat.S_IMODE(export.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(export.path.parent.stat().st_mode) == 0o700


class Failing(RawReader):
    """Reads nothing from `bad` on: `kind` is raised."""

    kind: Exception = SourceError("the datastore is gone")

    def read_into(self, offset, buffer):
        if offset >= 5 * MIB:
            raise self.kind
        super().read_into(offset, buffer)

    def clone(self):
        return type(self)(self._source.clone())


class Faulty(Failing):
    kind = KeyError("a defect")


@pytest.mark.parametrize("kind", [Failing, Faulty])
def test_a_failed_read_is_an_answer_and_is_remembered(disk: Path, kind: type[Failing]) -> None:
    heard: list[V2xError] = []
    nbd = libnbd()
    reader = kind(FileSource.open(disk))
    with DiskExport(reader, on_problem=heard.append) as served:
        handle = nbd.NBD()
        handle.connect_uri(served.uri)
        with pytest.raises(nbd.Error) as caught:
            handle.pread(512, 6 * MIB)
        assert caught.value.errno == "EIO"
        assert len(handle.pread(512, 4 * MIB)) == 512
        with pytest.raises(nbd.Error):
            handle.pread(512, 7 * MIB)
        assert [served.problem] == heard
        assert isinstance(heard[0], SourceError)
        handle.shutdown()
    reader.close()


def test_a_chosen_socket_takes_no_file_s_place(disk: Path, tmp_path: Path) -> None:
    taken = tmp_path / "socket"
    taken.write_text("mine")
    reader = RawReader(FileSource.open(disk))
    with pytest.raises(UsageError, match="exists"):
        DiskExport(reader, path=taken)
    with pytest.raises(TargetError, match="No such file"):
        DiskExport(reader, path=tmp_path / "missing" / "socket")
    with pytest.raises(UsageError, match="too long"):
        DiskExport(reader, path=tmp_path / ("x" * 108))
    with DiskExport(reader, path=tmp_path / "free") as served:
        assert stat.S_IMODE(served.path.stat().st_mode) == 0o600
        assert json.loads(printed("nbdinfo", "--json", served.uri))
    reader.close()
    assert [one.name for one in tmp_path.iterdir()] == ["socket"]
    assert taken.read_text() == "mine"


def test_closing_ends_idle_clients_and_removes_everything(export: DiskExport, client) -> None:
    folder = export.path.parent
    assert len(client.pread(512, 0)) == 512
    export.close()
    export.close()
    assert not folder.exists()
    with pytest.raises(libnbd().Error):
        client.pread(512, 0)


def test_too_many_clients_are_turned_away_until_one_leaves(
    export: DiskExport, client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "_CONNECTIONS", 1)
    nbd = libnbd()
    with pytest.raises(nbd.Error):
        nbd.NBD().connect_unix(str(export.path))
    assert len(client.pread(512, 0)) == 512


def test_convert_serves_a_disk_until_it_is_ended(disk: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "v2x", "convert", disk, "--serve", tmp_path / "nbd.sock", "--json"]
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        ready = json.loads(running.stdout.readline())
        assert ready["size_bytes"] == SIZE
        assert "identical" in printed("qemu-img", "compare", "-f", "raw", "-F", "raw", ready["uri"], disk)
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 0
    assert not Path(ready["socket"]).exists()


def test_convert_refuses_an_output_beside_the_socket(disk: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "v2x", "convert", disk, tmp_path / "out.vhd", "--serve", tmp_path / "nbd.sock"]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "--serve writes nothing" in ran.stderr
    assert list(tmp_path.iterdir()) == []
