# SPDX-License-Identifier: Apache-2.0
"""qemu-img, qemu-nbd and nbdkit of this computer are brought to fail, and what they print finds its row."""

import os
import subprocess

import pytest

from v2x import proc
from v2x.causes import causes, said_by
from v2x.disks.qemu_img import compare
from v2x.model.machine import DiskFormat

DESCRIPTOR = """# Disk DescriptorFile
version=1
CID=fffffffe
parentCID=ffffffff
createType="{kind}"
RW 2048 FLAT "web01-flat.vmdk" 0
"""


def made(folder, *argv):
    subprocess.run(["qemu-img", "create", "-q", *argv], cwd=folder, check=True)


def printed(folder, *argv, code=None):
    """What a program says that fails, in English."""
    environment = {**os.environ, "LC_ALL": "C"}
    ran = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode != 0, f"{argv} did not fail"
    return ran.stderr


def poke(path, offset, data):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def in_use(folder):
    made(folder, "-f", "qcow2", "held.qcow2", "1M")
    holder = subprocess.Popen(
        ["qemu-io", "-f", "qcow2", "held.qcow2"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        holder.stdin.write(b"read 0 512\n")
        holder.stdin.flush()
        holder.stdout.readline()
        return printed(folder, "qemu-img", "snapshot", "-c", "x", "held.qcow2")
    finally:
        holder.kill()
        holder.communicate()


def full(folder):
    (folder / "some.raw").write_bytes(os.urandom(1 << 20))
    return printed(folder, "qemu-img", "convert", "-f", "raw", "-O", "raw", "some.raw", "/dev/full")


def too_large(folder):
    return printed(folder, "qemu-img", "create", "-f", "vpc", "-o", "subformat=fixed", "big.vhd", "9000T")


def no_backing(folder):
    made(folder, "-f", "raw", "base.raw", "1M")
    made(folder, "-f", "qcow2", "-b", "base.raw", "-F", "raw", "top.qcow2")
    (folder / "base.raw").unlink()
    return printed(folder, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", "top.qcow2", "out")


def no_extent(folder):
    (folder / "web01.vmdk").write_text(DESCRIPTOR.format(kind="monolithicFlat"))
    return printed(folder, "qemu-img", "info", "-f", "vmdk", "web01.vmdk")


def no_file(folder):
    return printed(folder, "qemu-img", "info", "-f", "raw", "gone.raw")


def corrupt(folder):
    made(folder, "-f", "qcow2", "bad.qcow2", "1M")
    poke(folder / "bad.qcow2", 79, b"\x02")
    return printed(folder, "qemu-img", "resize", "-f", "qcow2", "bad.qcow2", "2M")


def headless(folder):
    made(folder, "-f", "vhdx", "bad.vhdx", "10M")
    for header in (1 << 16, 2 << 16):
        poke(folder / "bad.vhdx", header + 4, b"\xff\xff")
    return printed(folder, "qemu-img", "info", "-f", "vhdx", "bad.vhdx")


def new_feature(folder):
    made(folder, "-f", "qcow2", "new.qcow2", "1M")
    poke(folder / "new.qcow2", 72, b"\xff")
    return printed(folder, "qemu-img", "info", "-f", "qcow2", "new.qcow2")


def odd_type(folder):
    (folder / "web01.vmdk").write_text(DESCRIPTOR.format(kind="vmfsRaw"))
    return printed(folder, "qemu-img", "info", "-f", "vmdk", "web01.vmdk")


def other_format(driver):
    def provoke(folder):
        (folder / "junk").write_bytes(b"x" * 4096)
        return printed(folder, "qemu-img", "info", "-f", driver, "junk")

    return provoke


def no_driver(folder):
    made(folder, "-f", "raw", "some.raw", "1M")
    return printed(folder, "qemu-img", "convert", "-f", "raw", "-O", "nosuch", "some.raw", "out")


def no_option(folder):
    made(folder, "-f", "raw", "some.raw", "1M")
    argv = ("qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "subformat=bogus", "some.raw", "out")
    return printed(folder, *argv)


def no_socket(folder):
    made(folder, "-f", "raw", "some.raw", "1M")
    return printed(folder, "qemu-nbd", "-f", "raw", "--socket=/nonexistent/s", "some.raw")


def nbd_other_format(folder):
    (folder / "junk").write_bytes(b"x" * 4096)
    return printed(folder, "qemu-nbd", "-r", "-f", "qcow2", f"--socket={folder}/s", "junk")


def no_plugin(folder):
    return printed(folder, "nbdkit", "nosuch")


def no_filter(folder):
    return printed(folder, "nbdkit", "--filter=nosuch", "null", "size=1M")


def no_parameter(folder):
    made(folder, "-f", "raw", "some.raw", "1M")
    return printed(folder, "nbdkit", "file", "some.raw", "foo=bar")


def nothing_listens(folder):
    return printed(folder, "nbdkit", "-U", "-", "curl", "http://127.0.0.1:1/x", "--run", 'nbdinfo "$uri"')


def no_name(folder):
    return printed(folder, "nbdkit", "-U", "-", "curl", "http://nosuch.invalid/x", "--run", 'nbdinfo "$uri"')


def denied(folder):
    """As root nothing is denied by rights; a folder in place of a file is refused to everybody."""
    secret = folder / "secret.raw"
    made(folder, "-f", "raw", "secret.raw", "1M")
    secret.chmod(0)
    folder.chmod(0o755)
    lowered = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--") if os.geteuid() == 0 else ()
    for parent in folder.parents[:3]:
        if os.geteuid() == 0 and parent != parent.parent:
            parent.chmod(parent.stat().st_mode | 0o011)
    return printed("/", *lowered, "qemu-img", "info", "-f", "raw", str(secret))


@pytest.mark.parametrize(
    ("provoke", "row"),
    [
        (in_use, "IMAGE-IN-USE"),
        (full, "IMAGE-NO-ROOM"),
        (too_large, "IMAGE-TOO-LARGE"),
        (no_backing, "BACKING-MISSING"),
        (no_extent, "EXTENT-MISSING"),
        (no_file, "IMAGE-MISSING"),
        (denied, "IMAGE-DENIED"),
        (corrupt, "IMAGE-DAMAGED"),
        (headless, "IMAGE-DAMAGED"),
        (new_feature, "IMAGE-FEATURE"),
        (odd_type, "IMAGE-FEATURE"),
        (other_format("vmdk"), "IMAGE-NOT-THAT-FORMAT"),
        (other_format("qcow2"), "IMAGE-NOT-THAT-FORMAT"),
        (other_format("vpc"), "IMAGE-NOT-THAT-FORMAT"),
        (other_format("vhdx"), "IMAGE-NOT-THAT-FORMAT"),
        (nbd_other_format, "IMAGE-NOT-THAT-FORMAT"),
        (no_driver, "UNKNOWN-FORMAT"),
        (no_option, "UNKNOWN-FORMAT"),
        (no_socket, "TOOL-SOCKET"),
        (no_plugin, "NBDKIT-PLUGIN"),
        (no_filter, "NBDKIT-PLUGIN"),
        (no_parameter, "NBDKIT-PARAMETER"),
        (nothing_listens, "SERVER-REFUSED"),
        (no_name, "NO-SUCH-HOST"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_a_program_prints_finds_its_row(tmp_path, provoke, row):
    said = provoke(tmp_path)
    found = said_by(said)
    assert found is not None and found.id == row, said


@pytest.mark.parametrize(
    ("said", "row"),
    [
        # What a test cannot bring about: a failing disk, a network without answers, a full memory.
        ("qemu-img: error while reading at byte 0: Input/output error", "IMAGE-IO"),
        ("nbdkit: curl[1]: error: Connection timed out", "SERVER-SILENT"),
        ("qemu-img: Could not open 'x': Cannot allocate memory", "TOOL-MEMORY"),
        ("qemu-img: out.raw: Could not create 'out.raw': Read-only file system", "IMAGE-READ-ONLY"),
        ("VHDX image file 'x' opened read-only, but contains a log that needs to be replayed", "IMAGE-LOG"),
    ],
)
def test_what_cannot_be_provoked_here_finds_its_row_too(said, row):
    assert said_by(said).id == row


def test_a_failure_that_nothing_fits_stays_as_it_was_said():
    assert said_by("something that no program said yet") is None
    assert {one.id for one in causes("tools").values() if not one.pattern} == set()


def test_the_remedy_reaches_the_error(tmp_path):
    """A comparison of two images, one of which another program has open for writing."""
    failed = proc.run(["qemu-img", "info", "-f", "raw", str(tmp_path / "gone")], timeout=60, check=False)
    assert proc.failure(failed).hint == causes("tools")["IMAGE-MISSING"].do
    made(tmp_path, "-f", "qcow2", "a.qcow2", "1M")
    (tmp_path / "b.qcow2").write_bytes((tmp_path / "a.qcow2").read_bytes())
    assert compare(tmp_path / "a.qcow2", DiskFormat.QCOW2, tmp_path / "b.qcow2", DiskFormat.QCOW2) is None
