# SPDX-License-Identifier: Apache-2.0
"""The NBD reader against real servers, compared with the raw disk that was put in."""

import os
import random
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from v2x.disks import libnbd, nbd
from v2x.disks.extent import Extent
from v2x.disks.interface import DiskReader
from v2x.disks.nbd import NbdReader, open_through_qemu, serve_image
from v2x.errors import InputRefused, SourceError, UnsafeImage, UsageError
from v2x.model.machine import DiskFormat

MIB = 1 << 20
SIZE = 40 * MIB
QEMU = {DiskFormat.VHD: "vpc", DiskFormat.VHDX: "vhdx", DiskFormat.QCOW2: "qcow2", DiskFormat.RAW: "raw"}
OPTIONS = {DiskFormat.VHD: ["-o", "subformat=dynamic,force_size=on"]}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[DiskFormat, Path]:
    """The same disk in each format: 3 MiB of data from 4 MiB on, and the last sector."""
    folder = tmp_path_factory.mktemp("images")
    raw = folder / "disk.raw"
    random_bytes = random.Random(7).randbytes
    with open(raw, "wb") as out:
        out.seek(4 * MIB)
        out.write(random_bytes(3 * MIB))
        out.seek(SIZE - 512)
        out.write(random_bytes(512))
    found = {}
    for format, driver in QEMU.items():
        found[format] = folder / f"disk.{format.value}"
        if format is not DiskFormat.RAW:
            subprocess.run(
                ["qemu-img", "convert", "-f", "raw", "-O", driver, *OPTIONS.get(format, []), raw, found[format]],
                check=True,
            )
    return found


def whole(reader: DiskReader) -> bytes:
    content = bytearray(reader.size)
    reader.read_into(0, content)
    return bytes(content)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("format", list(QEMU))
def test_content_and_map(format: DiskFormat, images: dict[DiskFormat, Path]) -> None:
    expected = images[DiskFormat.RAW].read_bytes()
    with serve_image(images[format], format) as reader:
        assert isinstance(reader, DiskReader)
        assert reader.size == SIZE
        assert whole(reader) == expected
        extents = list(reader.extents(0, SIZE))
        position = 0
        for extent in extents:
            assert extent.start == position
            assert extent.length > 0
            assert extent.data or not any(expected[extent.start : extent.end])
            position = extent.end
        assert position == SIZE
        if format is not DiskFormat.VHDX:  # QEMU's VHDX driver tells no map
            assert sum(extent.length for extent in extents if extent.data) <= 6 * MIB


def test_parts_of_any_alignment(images: dict[DiskFormat, Path]) -> None:
    expected = images[DiskFormat.RAW].read_bytes()
    with serve_image(images[DiskFormat.QCOW2], DiskFormat.QCOW2) as reader:
        for offset, length in [(0, 0), (4 * MIB - 3, 7), (4 * MIB + 1, 2 * MIB + 1), (SIZE - 1, 1), (SIZE, 0)]:
            buffer = bytearray(b"\xee" * (length + 2))
            reader.read_into(offset, memoryview(buffer)[1 : length + 1])
            assert buffer == b"\xee" + expected[offset : offset + length] + b"\xee"
        assert list(reader.extents(MIB + 1, 5)) == [Extent(MIB + 1, 5, False)]
        assert list(reader.extents(5 * MIB + 1, 5)) == [Extent(5 * MIB + 1, 5, True)]
        assert list(reader.extents(SIZE, 0)) == []


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (SIZE, 1), (SIZE - 1, 2)])
def test_beyond_the_end_is_a_value_error(offset: int, length: int, images: dict[DiskFormat, Path]) -> None:
    with serve_image(images[DiskFormat.RAW], DiskFormat.RAW) as reader:
        with pytest.raises(ValueError, match="beyond"):
            reader.read_into(offset, bytearray(length))
        with pytest.raises(ValueError, match="beyond"):
            reader.extents(offset, length)


def test_a_server_with_large_blocks_is_asked_in_its_blocks(images: dict[DiskFormat, Path], tmp_path: Path) -> None:
    """As VDDK serves whole sectors only; here nbdkit insists on 64 KiB."""
    socket = tmp_path / "s"
    policy = ["--filter=blocksize-policy", "file", images[DiskFormat.RAW], "blocksize-minimum=65536"]
    server = subprocess.Popen(
        ["nbdkit", "-f", "-r", "-U", socket, *policy, "blocksize-preferred=131072", "blocksize-error-policy=error"]
    )
    try:
        deadline = time.monotonic() + 20
        while not socket.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.1)
        reader = NbdReader(socket)
        assert reader.block == 131072
        expected = images[DiskFormat.RAW].read_bytes()
        buffer = bytearray(MIB)
        reader.read_into(5 * MIB + 511, buffer)
        assert buffer == expected[5 * MIB + 511 : 6 * MIB + 511]
        assert [extent.data for extent in reader.extents(5 * MIB + 511, 3 * MIB)] == [True, False]
        reader.close()
    finally:
        server.terminate()
        server.wait()


def test_a_map_is_asked_for_in_steps(tmp_path: Path) -> None:
    path = tmp_path / "large.raw"
    with open(path, "wb") as out:
        out.seek(3 << 30)
        out.write(b"x")
        out.truncate(5 << 30)
    with serve_image(path, DiskFormat.RAW) as reader:
        extents = list(reader.extents(0, 5 << 30))
    assert [extent.data for extent in extents] == [False, True, False]
    assert extents[1].start == 3 << 30


def test_clones_share_the_server_until_the_last_one_closes(images: dict[DiskFormat, Path]) -> None:
    first = open_through_qemu(images[DiskFormat.VHDX], DiskFormat.VHDX)
    pid = first._server._child.pid
    second = first.clone()
    first.close()
    first.close()
    assert alive(pid)
    assert whole(second) == images[DiskFormat.RAW].read_bytes()
    second.close()
    assert not alive(pid)
    assert not second._socket.parent.exists()


def test_many_clones_read_at_once(images: dict[DiskFormat, Path]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    expected = images[DiskFormat.RAW].read_bytes()
    with serve_image(images[DiskFormat.QCOW2], DiskFormat.QCOW2) as reader:
        clones = [reader.clone() for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            assert all(content == expected for content in pool.map(whole, clones))
        for clone in clones:
            clone.close()


def test_the_block_ends_the_server_even_with_a_clone_open(images: dict[DiskFormat, Path]) -> None:
    with serve_image(images[DiskFormat.QCOW2], DiskFormat.QCOW2) as reader:
        pid = reader._server._child.pid
        clone = reader.clone()
    assert not alive(pid)
    clone.close()


def test_a_server_that_dies_is_a_source_error(images: dict[DiskFormat, Path]) -> None:
    with serve_image(images[DiskFormat.QCOW2], DiskFormat.QCOW2) as reader:
        os.kill(reader._server._child.pid, signal.SIGKILL)
        with pytest.raises(SourceError, match=r"disk\.qcow2.*the server ended"):
            whole(reader)
        with pytest.raises(SourceError):
            list(reader.extents(0, SIZE))


def test_reading_keeps_no_memory(images: dict[DiskFormat, Path]) -> None:
    with serve_image(images[DiskFormat.QCOW2], DiskFormat.QCOW2) as reader:
        whole(reader)
        tracemalloc.start()
        try:
            for _ in range(4):
                whole(reader)
                reader.read_into(1, bytearray(1000))
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert kept < 2 * MIB


def test_a_closed_reader_says_so(images: dict[DiskFormat, Path]) -> None:
    reader = open_through_qemu(images[DiskFormat.QCOW2], DiskFormat.QCOW2)
    reader.close()
    with pytest.raises(SourceError, match="closed"):
        whole(reader)


def test_a_server_that_never_answers_is_given_up(
    images: dict[DiskFormat, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nbd, "_ANSWER_SECONDS", 0.3)
    with serve_image(images[DiskFormat.QCOW2], DiskFormat.QCOW2) as reader:
        os.kill(reader._server._child.pid, signal.SIGSTOP)
        with pytest.raises(SourceError, match="has not answered"):
            whole(reader)
        with pytest.raises(SourceError, match="closed"):
            whole(reader)


def test_images_are_checked_before_they_are_served(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(MIB))
    backed = tmp_path / "backed.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", tmp_path / "secret", "-F", "raw", backed], check=True
    )
    with pytest.raises(UnsafeImage):
        open_through_qemu(backed, DiskFormat.QCOW2)
    (tmp_path / "bad").write_bytes(b"no such thing" * 1000)
    with pytest.raises(InputRefused):
        open_through_qemu(tmp_path / "bad", DiskFormat.VHDX)


def test_what_qemu_nbd_refuses_is_told(images: dict[DiskFormat, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("v2x.disks.qemu_img.check_image", lambda *_: None)
    with pytest.raises(SourceError, match=r"qemu-nbd cannot serve it: .*qcow2"):
        open_through_qemu(images[DiskFormat.RAW], DiskFormat.QCOW2)


def test_no_server_at_the_socket(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="connecting"):
        NbdReader(tmp_path / "none")


def test_odd_names_are_served(images: dict[DiskFormat, Path], tmp_path: Path) -> None:
    odd = tmp_path / "-a,b:c=json:{}"
    odd.write_bytes(images[DiskFormat.VHD].read_bytes())
    with serve_image(odd, DiskFormat.VHD) as reader:
        assert reader.size == SIZE


def test_the_server_dies_with_a_killed_reader(images: dict[DiskFormat, Path], tmp_path: Path) -> None:
    code = (
        "import sys, time; from v2x.disks.nbd import open_through_qemu; from v2x.model.machine import DiskFormat\n"
        "reader = open_through_qemu(sys.argv[1], DiskFormat.QCOW2)\n"
        "print(reader._server._child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, images[DiskFormat.QCOW2]], stdout=subprocess.PIPE)
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 5
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_libnbd_is_found_from_a_bare_environment() -> None:
    """In a virtual environment that does not see the system's packages only libnbd's own modules are loaded."""
    code = (
        "import sys; sys.path[:] = [p for p in sys.path if 'dist-packages' not in p and 'site-packages' not in p]\n"
        f"sys.path.insert(0, {str(Path(nbd.__file__).parents[2])!r})\n"
        "from v2x.disks import nbd\n"
        "print(nbd.libnbd().NBD().get_version(), any('dist-packages' in p for p in sys.path))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    version, leaked = done.stdout.split()
    assert version[0].isdigit()
    assert leaked == "False"


def test_without_libnbd_the_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "nbd", None)
    monkeypatch.setattr(libnbd, "_DEBIAN_MODULES", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        nbd.libnbd()
    assert caught.value.code == "MISSING-TOOL"
    assert "python3-libnbd" in caught.value.hint
