# SPDX-License-Identifier: Apache-2.0
"""Descriptors that name files outside, blow up, or lie: rows 1, 7 and 8 of the threat table."""

import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from v2x.errors import BadImage, InputRefused, UnsafeImage, V2xError
from v2x.sources import open_source
from v2x.sources.ovf_envelope import read_envelope
from v2x.sources.ovf_xml import parse
from v2x.sources.vmx_file import parse_vmx

GOLDEN = Path(__file__).parents[1] / "golden" / "sources"


def _kit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("appliances", Path(__file__).parents[1] / "appliances.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kit = _kit()
_watchers: list[list[str]] = []


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        for watcher in _watchers:
            watcher.append(str(arguments[0]))


sys.addaudithook(_watch)


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """The names of all files that this process opens; a test clears it after its own preparations."""
    watcher: list[str] = []
    _watchers.append(watcher)
    yield watcher
    _watchers.remove(watcher)


OUTSIDE = [
    "/etc/passwd",
    "../canary.vmdk",
    "../../canary.vmdk",
    "a/../../canary.vmdk",
    "..\\canary.vmdk",
    "\\\\host\\share\\canary.vmdk",
    "C:\\canary.vmdk",
    "file:///etc/passwd",
    "http://192.0.2.1/canary.vmdk",
    "nbd://192.0.2.1/",
    "json:{}",
    "..%2Fcanary.vmdk",
    "/dev/zero",
    ".",
    "..",
    "",
]


@pytest.mark.parametrize("href", OUTSIDE)
def test_file_references_outside_are_never_opened(href: str, tmp_path: Path, opened: list[str]) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "canary.vmdk").write_text("canary")
    (inside / "t.ovf").write_text(kit.ovf([(href, 1 << 20)]))
    opened.clear()
    with open_source(inside / "t.ovf") as source:
        machine = source.inventory().machines[0]
        assert machine.disks[0].backing == "missing"
        at = source.checkpoint(machine, "t")
        with pytest.raises(InputRefused):
            source.reader(machine, machine.disks[0], at)
    assert not [name for name in opened if "canary" in name or "passwd" in name or "zero" in name]


@pytest.mark.parametrize("name", [name for name in OUTSIDE if name not in {"", "."}])
def test_vmx_disks_outside_are_never_opened(name: str, tmp_path: Path, opened: list[str]) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "canary.vmdk").write_text("canary")
    (inside / "t.vmx").write_text(kit.vmx({"scsi0:0.present": "TRUE", "scsi0:0.fileName": name}))
    opened.clear()
    with open_source(inside / "t.vmx") as source:
        machine = source.inventory().machines[0]
        assert machine.disks[0].backing == "missing"
        with pytest.raises(InputRefused):
            source.reader(machine, machine.disks[0], source.checkpoint(machine, "t"))
    assert not [found for found in opened if "canary" in found or "passwd" in found or "zero" in found]


def test_disk_that_is_a_link_or_a_pipe_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("canary")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "d.vmdk").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "in" / "e.vmdk")
    for name in ("d.vmdk", "e.vmdk"):
        (tmp_path / "in" / "t.ovf").write_text(kit.ovf([(name, 1 << 20)]))
        with open_source(tmp_path / "in" / "t.ovf") as source:
            assert source.inventory().machines[0].disks[0].backing == "missing"


def test_extent_and_parent_outside_are_refused(tmp_path: Path, opened: list[str]) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "canary.vmdk").write_text("canary")
    head = '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID={}\ncreateType="{}"\n'
    (inside / "flat.vmdk").write_text(head.format("ffffffff", "monolithicFlat") + 'RW 8 FLAT "../canary.vmdk" 0\n')
    child = head.format("00000002", "monolithicSparse") + 'parentFileNameHint="/etc/passwd"\nRW 8 ZERO\n'
    (inside / "child.vmdk").write_text(child)
    lines = {"scsi0:0.present": "TRUE", "scsi0:0.fileName": "flat.vmdk"}
    lines |= {"scsi0:1.present": "TRUE", "scsi0:1.fileName": "child.vmdk"}
    (inside / "t.vmx").write_text(kit.vmx(lines))
    opened.clear()
    with open_source(inside / "t.vmx") as source:
        machine = source.inventory().machines[0]
        for disk in machine.disks:
            with pytest.raises(InputRefused):
                source.reader(machine, disk, source.checkpoint(machine, "t"))
    assert not [name for name in opened if "canary" in name or name == "/etc/passwd"]


DOCTYPES = {
    "billion laughs": '<!DOCTYPE e [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><Envelope>&b;</Envelope>',
    "quadratic": f'<!DOCTYPE e [<!ENTITY a "{"x" * 10_000}">]><Envelope>{"&a;" * 1000}</Envelope>',
    "external entity": '<!DOCTYPE e [<!ENTITY a SYSTEM "file:///etc/passwd">]><Envelope>&a;</Envelope>',
    "external dtd": '<!DOCTYPE Envelope SYSTEM "http://192.0.2.1/x.dtd"><Envelope/>',
    "plain dtd": "<!DOCTYPE Envelope><Envelope/>",
    "parameter entity": '<!DOCTYPE e [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><Envelope/>',
}


@pytest.mark.parametrize("name", sorted(DOCTYPES))
def test_document_types_and_entities_are_refused(name: str, opened: list[str]) -> None:
    with pytest.raises(UnsafeImage, match="document type or entities"):
        parse(DOCTYPES[name].encode(), "t.ovf")
    assert not [found for found in opened if "passwd" in found]


def test_xml_of_any_encoding_gets_the_same_refusal() -> None:
    text = DOCTYPES["billion laughs"]
    with pytest.raises(UnsafeImage):
        parse(('<?xml version="1.0" encoding="UTF-16"?>' + text).encode("utf-16"), "t.ovf")
    for encoding in ("UTF-7", "zip", "punycode", "x" * 200, "EBCDIC-CP-US"):
        with pytest.raises((BadImage, UnsafeImage)):
            parse(f'<?xml version="1.0" encoding="{encoding}"?><Envelope/>é'.encode(), "t.ovf")


def test_depth_count_and_size_of_xml_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(UnsafeImage, match="deeper than 64"):
        parse(b"<a>" * 65 + b"</a>" * 65, "t.ovf")
    with pytest.raises(UnsafeImage, match="more than 100,000 elements"):
        parse(b"<a>" + b"<b/>" * 100_001 + b"</a>", "t.ovf")
    with pytest.raises(UnsafeImage, match="at most"):
        parse(b" " * (8 << 20) + b"<a/>", "t.ovf")
    with open(tmp_path / "t.ovf", "wb") as out:
        out.truncate(100 << 20)
    with pytest.raises(UnsafeImage, match="at most"):
        open_source(tmp_path / "t.ovf")


def test_processing_instructions_and_comments_are_no_content() -> None:
    text = kit.ovf(name="<?php x?>a<!-- b -->").replace('ovf:id="<?php x?>a<!-- b -->"', 'ovf:id="s"')
    assert read_envelope(text.encode(), "t.ovf").systems[0].id == "s"


@pytest.mark.parametrize(
    "text", ["", "<", "<a></b>", "\0", "<Envelope", "<html/>", "<Envelope/>", "<Envelope>&x;</Envelope>"]
)
def test_text_that_is_no_descriptor_is_damage(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.ovf").write_text(text)
    with pytest.raises(InputRefused):
        open_source(tmp_path / "t.ovf")


def test_disk_parents_in_a_loop_and_without_end_are_damage(tmp_path: Path) -> None:
    loop = kit.ovf([("a", 512), ("b", 512)])
    loop = loop.replace('ovf:diskId="d0"', 'ovf:diskId="d0" ovf:parentRef="d1"')
    loop = loop.replace('ovf:diskId="d1"', 'ovf:diskId="d1" ovf:parentRef="d0"')
    with pytest.raises(BadImage, match="loop"):
        read_envelope(loop.encode(), "t.ovf")
    deep = kit.ovf([(f"f{number}", 512) for number in range(100)])
    deep = re.sub(r'ovf:diskId="d(\d+)"', lambda m: f'{m[0]} ovf:parentRef="d{min(99, int(m[1]) + 1)}"', deep)
    with pytest.raises(BadImage, match="loop or more than 64"):
        read_envelope(deep.encode(), "t.ovf")


def test_a_flood_of_hardware_items_is_damage(tmp_path: Path) -> None:
    (tmp_path / "t.ovf").write_text(kit.ovf(items="".join(kit.item(21, number) for number in range(5000))))
    with open_source(tmp_path / "t.ovf") as source, pytest.raises(BadImage, match="more than 4,096"):
        source.inventory()


def test_names_with_control_characters_are_kept_as_data_only(tmp_path: Path) -> None:
    (tmp_path / "t.vmx").write_text(kit.vmx({}, "a|1B]0;owned|07\u202eb"))
    with open_source(tmp_path / "t.vmx") as source:
        assert source.inventory().machines[0].name == "a\x1b]0;owned\x07\u202eb"


def _mutations() -> st.SearchStrategy[list[tuple[int, bytes]]]:
    pieces = st.sampled_from(
        [
            b"",
            b"-1",
            b"9" * 25,
            b"\0",
            b"<",
            b">",
            b'"',
            b"${x}",
            b"../",
            b"\xff\xfe",
            b"1e9",
            b"</Item>",
            b"\n",
            b"|0",
            b"=",
        ]
    )
    return st.lists(st.tuples(st.integers(0, 20_000), pieces | st.binary(max_size=3)), min_size=1, max_size=6)


@settings(
    max_examples=200, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=_mutations(), number=st.integers(0, 1000))
def test_mutated_descriptors_raise_nothing_but_refusals(
    changes: list[tuple[int, bytes]], number: int, tmp_path: Path
) -> None:
    golden = sorted(path for path in GOLDEN.iterdir() if path.suffix in {".ovf", ".vmx"})
    chosen = golden[number % len(golden)]
    data = chosen.read_bytes()
    for position, piece in changes:
        at = position % len(data)
        data = data[:at] + piece + data[at + len(piece) :]
    path = tmp_path / f"m{chosen.suffix}"
    path.write_bytes(data)
    try:
        with open_source(path) as source:
            source.inventory()
    except V2xError as refused:
        assert refused.exit_code == 6


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.binary(max_size=300))
def test_any_bytes_as_a_vmx_raise_nothing_but_refusals(data: bytes) -> None:
    for prefix in (b"", b'a = "', b'.encoding = "GBK"\nx = "'):
        try:
            parse_vmx(prefix + data, "t.vmx")
        except V2xError as refused:
            assert refused.exit_code == 6
