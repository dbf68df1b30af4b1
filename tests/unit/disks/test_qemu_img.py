# SPDX-License-Identifier: Apache-2.0
"""The wrapper around qemu-img, tried with the real program."""

import json
import os
import random
import subprocess
from pathlib import Path

import pytest

from v2x import proc
from v2x.disks import qemu_img
from v2x.errors import BadImage, InputRefused, NoSpace, SourceError, UnsafeImage, UsageError
from v2x.model.machine import DiskFormat

MIB = 1 << 20
QEMU = {DiskFormat.RAW: "raw", DiskFormat.VHD: "vpc", DiskFormat.VHDX: "vhdx", DiskFormat.QCOW2: "qcow2"}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "source.raw"
    with open(path, "wb") as out:
        out.seek(3 * MIB)
        out.write(random.Random(1).randbytes(MIB))
        out.truncate(10 * MIB)
    return path


@pytest.mark.parametrize("format", list(QEMU))
def test_convert_inspect_compare(format: DiskFormat, raw: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    qemu_img.convert(raw, DiskFormat.RAW, target, format)
    info = qemu_img.inspect(target, format)
    assert (info.format, info.virtual_size_bytes, info.parent) == (format, 10 * MIB, None)
    assert qemu_img.compare(raw, DiskFormat.RAW, target, format) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source.raw"]


def test_compare_says_where(raw: Path, tmp_path: Path) -> None:
    qemu_img.convert(raw, DiskFormat.RAW, tmp_path / "out", DiskFormat.QCOW2)
    with open(raw, "r+b") as file:
        file.seek(5 * MIB + 512)
        file.write(b"x")
    assert qemu_img.compare(raw, DiskFormat.RAW, tmp_path / "out", DiskFormat.QCOW2) == 5 * MIB + 512


def test_compare_of_other_sizes(raw: Path, tmp_path: Path) -> None:
    longer = tmp_path / "longer"
    longer.write_bytes(raw.read_bytes() + bytes(MIB))
    assert qemu_img.compare(raw, DiskFormat.RAW, longer, DiskFormat.RAW) is None
    with open(longer, "r+b") as file:
        file.seek(10 * MIB + 4096)
        file.write(b"x")
    assert qemu_img.compare(raw, DiskFormat.RAW, longer, DiskFormat.RAW) == 10 * MIB + 4096


@pytest.mark.parametrize(
    "name", ["-rf", "nbd:localhost:10809", "json:{}", "a,b=c,,d", "a:b", "with space", "'\"$(id)`", "ümlaut", "a\nb"]
)
def test_any_file_name_is_just_a_name(name: str, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(raw.read_bytes())
    assert qemu_img.inspect(name, DiskFormat.RAW).virtual_size_bytes == 10 * MIB
    qemu_img.convert(name, DiskFormat.RAW, f"{name}.out", DiskFormat.QCOW2)
    assert qemu_img.compare(name, DiskFormat.RAW, f"{name}.out", DiskFormat.QCOW2) is None
    qemu_img.create(f"{name}.new", DiskFormat.QCOW2, MIB)
    assert qemu_img.inspect(f"{name}.new", DiskFormat.QCOW2).virtual_size_bytes == MIB
    assert len(list(tmp_path.iterdir())) == 4


def test_a_name_that_is_no_utf8(raw: Path, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    path.write_bytes(raw.read_bytes())
    qemu_img.convert(path, DiskFormat.RAW, tmp_path / "out", DiskFormat.QCOW2)
    assert qemu_img.compare(raw, DiskFormat.RAW, tmp_path / "out", DiskFormat.QCOW2) is None


def test_progress_rises_to_one(raw: Path, tmp_path: Path) -> None:
    seen: list[float] = []
    qemu_img.convert(raw, DiskFormat.RAW, tmp_path / "out", DiskFormat.QCOW2, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 2


def test_progress_is_parsed_however_it_is_cut() -> None:
    text = b"".join(b"    (%d.%02d/100%%)\r" % (n, n % 100) for n in range(100)) + b"    (100.00/100%)\r\n"
    for step in (1, 7, len(text)):
        seen: list[float] = []
        parser = qemu_img._ProgressParser(seen.append)
        for at in range(0, len(text), step):
            parser.feed(text[at : at + step])
        assert seen[-1] == 1.0
        assert seen == sorted(set(seen))
        assert step == len(text) or len(seen) == 101


def test_a_raw_disk_that_begins_like_a_qcow2_stays_raw(tmp_path: Path) -> None:
    """The guest wrote another image's header at the start of its disk, naming a secret as backing file."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"s3cret" * 1000)
    inner = tmp_path / "guest.raw"
    backed = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", inner]
    subprocess.run(backed, check=True)
    qemu_img.convert(inner, DiskFormat.RAW, tmp_path / "out", DiskFormat.QCOW2)
    assert qemu_img.compare(inner, DiskFormat.RAW, tmp_path / "out", DiskFormat.QCOW2) is None
    plain = tmp_path / "plain.raw"
    qemu_img.convert(tmp_path / "out", DiskFormat.QCOW2, plain, DiskFormat.RAW)
    assert b"s3cret" not in plain.read_bytes()


def test_an_image_with_a_backing_file_does_not_reach_the_tool(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(MIB))
    backed = tmp_path / "backed.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", backed], check=True)
    for call in (
        lambda: qemu_img.inspect(backed, DiskFormat.QCOW2),
        lambda: qemu_img.convert(backed, DiskFormat.QCOW2, tmp_path / "out", DiskFormat.RAW),
        lambda: qemu_img.compare(secret, DiskFormat.RAW, backed, DiskFormat.QCOW2),
    ):
        with pytest.raises(UnsafeImage):
            call()
    assert not (tmp_path / "out").exists()


def test_the_node_switches_backing_off_even_if_a_check_let_it_pass() -> None:
    described = json.loads(qemu_img.node("/x", DiskFormat.QCOW2).removeprefix("json:"))
    assert described == {"driver": "qcow2", "file": {"driver": "file", "filename": "/x"}, "backing": None}


def test_links_are_not_followed(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(raw)
    with pytest.raises(UnsafeImage):
        qemu_img.inspect(tmp_path / "link", DiskFormat.RAW)


def test_damage_is_an_error_of_the_image(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"no such thing" * 1000)
    for format in (DiskFormat.QCOW2, DiskFormat.VHDX, DiskFormat.VHD):
        with pytest.raises(InputRefused):
            qemu_img.inspect(tmp_path / "bad", format)


def test_what_qemu_refuses_is_named_without_descriptors(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu_img, "check_image", lambda *_: None)
    with pytest.raises(BadImage) as caught:
        qemu_img.inspect(raw, DiskFormat.QCOW2)
    assert "source.raw" in caught.value.message
    assert "json:" not in caught.value.message
    assert "/proc/" not in caught.value.message


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("error while writing at byte 5: No space left on device", NoSpace),
        ('Could not open \'json:{"driver": "raw"}\': Invalid argument', BadImage),
        ("error while reading at byte 5: Input/output error", SourceError),
        ("something else", proc.ToolFailed),
    ],
)
def test_words_of_qemu_img_become_errors(said: str, expected: type) -> None:
    refined = qemu_img._refined(proc.ToolFailed(said), ["a.vhd", "b.raw"])
    assert type(refined) is expected
    assert refined.message.startswith("a.vhd to b.raw: ")


def test_an_existing_target_is_kept(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious")
    with pytest.raises(UsageError):
        qemu_img.convert(raw, DiskFormat.RAW, tmp_path / "out", DiskFormat.RAW)
    with pytest.raises(UsageError):
        qemu_img.create(tmp_path / "out", DiskFormat.RAW, MIB)
    assert (tmp_path / "out").read_text() == "precious"
    qemu_img.convert(raw, DiskFormat.RAW, tmp_path / "out", DiskFormat.RAW, replace=True)
    assert (tmp_path / "out").read_bytes() == raw.read_bytes()


def test_a_timeout_leaves_nothing_behind(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(proc.ToolTimeout):
        qemu_img.convert(raw, DiskFormat.RAW, tmp_path / "out", DiskFormat.QCOW2, timeout=0)
    assert [path.name for path in tmp_path.iterdir()] == ["source.raw"]


def test_options_reach_the_image_and_cannot_smuggle_more(raw: Path, tmp_path: Path) -> None:
    qemu_img.convert(
        raw, DiskFormat.RAW, tmp_path / "out", DiskFormat.QCOW2, options={"cluster_size": "4096", "compat": "1.1"}
    )
    assert qemu_img.inspect(tmp_path / "out", DiskFormat.QCOW2).cluster_bytes == 4096
    for options in ({"preallocation": "off,backing_file=/etc/passwd"}, {"x=y,backing_file": "z"}):
        with pytest.raises(UsageError):
            qemu_img.create(tmp_path / "new", DiskFormat.QCOW2, MIB, options=options)


def test_a_vhd_has_the_exact_size(tmp_path: Path) -> None:
    qemu_img.create(tmp_path / "new", DiskFormat.VHD, 100 * MIB + 7 * 512)
    assert qemu_img.inspect(tmp_path / "new", DiskFormat.VHD).virtual_size_bytes == 100 * MIB + 7 * 512


def test_version() -> None:
    assert [int(part) for part in qemu_img.version().split(".")] >= [5, 0]


def test_odd_answers_are_refused(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in (b"", b"[]", b'{"virtual-size": "x"}', b"{" * 5000, b"[" * 100_000):
        monkeypatch.setattr(
            qemu_img.proc, "run", lambda *_, answer=answer, **__: proc.Completed(("qemu-img",), 0, answer, "")
        )
        with pytest.raises(proc.ToolFailed, match="unknown way"):
            qemu_img.inspect(raw, DiskFormat.RAW)
