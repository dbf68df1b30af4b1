# SPDX-License-Identifier: Apache-2.0
"""The watch over hostile tests fails a test for each look outside, also where the code under test hides it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.conftest import TREE, Watch

INNER = """
import contextlib, os, socket, subprocess
import pytest

OUTSIDE = {
    "open": lambda folder: open("/etc/passwd"),
    "write": lambda folder: open("/nowhere/v2x", "w"),
    "up": lambda folder: open(str(folder) + "/../../../../../../etc/hostname"),
    "link": lambda folder: ((folder / "link").symlink_to("/etc/passwd"), open(folder / "link")),
    "bytes": lambda folder: os.open(b"/etc/passwd", os.O_RDONLY),
    "device": lambda folder: os.open("/dev/zero", os.O_RDONLY),
    "list": lambda folder: os.listdir("/etc"),
    "other process": lambda folder: open("/proc/1/environ"),
    "program": lambda folder: subprocess.run(["true"]),
    "shell": lambda folder: os.system("true"),
    "connect": lambda folder: socket.create_connection(("127.0.0.2", 9), 0.1),
    "metadata": lambda folder: socket.socket().connect(("169.254.169.254", 80)),
    "name": lambda folder: socket.getaddrinfo("collector.example.org", 443),
    "unix": lambda folder: socket.socket(socket.AF_UNIX).connect("/run/dbus/system_bus_socket"),
    "memory": None,
}

@pytest.mark.parametrize("look", OUTSIDE)
def test_outside(look, tmp_path):
    if look == "memory":
        bytearray(3 << 30)
    socket.setdefaulttimeout(0.2)
    with contextlib.suppress(OSError):
        OUTSIDE[look](tmp_path)

def test_inside(tmp_path):
    (tmp_path / "x").write_text("x")
    assert os.listdir(tmp_path) == ["x"]
    fd = os.open(tmp_path, os.O_RDONLY)
    os.close(os.open("x", os.O_RDONLY, dir_fd=fd))
    os.close(fd)
    bytearray(300 << 20)
    with socket.create_server(("127.0.0.1", 0)) as one:
        socket.create_connection(one.getsockname()).close()
"""


def test_each_look_outside_fails_its_test(tmp_path: Path, watched: Watch) -> None:
    (tmp_path / "test_inner.py").write_text(INNER)
    argv = [sys.executable, "-m", "pytest", "-p", "tests.hostile.conftest", "-p", "no:cacheprovider", "-q", "-rA"]
    watched.allow_program(sys.executable)
    ran = subprocess.run(
        [*argv, "--rootdir", tmp_path, "-c", "/dev/null", tmp_path / "test_inner.py"],
        cwd=TREE, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    looks = re.findall(r'^    "([a-z ]+)": ', INNER, re.M)
    assert len(looks) == 15
    for look in looks:
        outcome = "FAILED" if look == "memory" else "ERROR"
        assert re.search(rf"^{outcome} .*test_outside\[{look}\]", ran.stdout, re.M), (look, ran.stdout, ran.stderr)
    assert "MemoryError" in ran.stdout
    assert re.search(r"^PASSED .*test_inside", ran.stdout, re.M), ran.stdout
    assert not re.search(r"^ERROR .*(test_inside|memory)", ran.stdout, re.M), ran.stdout


@pytest.mark.parametrize("path", ["..", "/etc", "/", "/proc/1/maps", "/dev/sda", "/root/.ssh/id_ed25519"])
def test_places_that_are_nobodys_here(path: str, watched: Watch) -> None:
    assert not watched.may_open(path)


def test_the_limit_is_a_gibibyte_or_close_above_what_is_there() -> None:
    import resource

    from v2x.model.units import GIB, MIB

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    assert soft >= GIB
    with pytest.raises(MemoryError):
        bytearray(soft)
    with pytest.raises(MemoryError):
        bytearray(max(GIB, 513 * MIB))
