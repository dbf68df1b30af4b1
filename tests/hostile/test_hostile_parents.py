# SPDX-License-Identifier: Apache-2.0
"""Parents of VHD and VHDX files that lead elsewhere (row 4 of the threat table). Each test is named by its threat."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.hyperv_images import METADATA_AT, Vhd, Vhdx, linkage
from v2x.disks.interface import DiskReader
from v2x.disks.vhd import describe_vhd, open_vhd
from v2x.disks.vhdx import describe_vhdx, open_vhdx
from v2x.errors import BadImage, InputRefused, UnsafeImage, V2xError

MIB = 1 << 20
STAMP = 700_000_000


class Family:
    """One format: writes a file with an identity and maybe a parent, and opens a chain."""

    def __init__(self, images: Any, kind: str) -> None:
        self.images = images
        self.kind = kind

    def write(self, name: str, own: int, parent: int | None = None, path: str = "parent", byte: int = 1) -> str:
        full, identity = f"{name}.{self.kind}", uuid.UUID(int=own)
        above = uuid.UUID(int=parent) if parent is not None else None
        if self.kind == "vhd":
            link = (above, STAMP, path) if above is not None else None
            sectors: dict[int, set[int] | None] = {} if link else {0: None}
            Vhd(raw=bytes([byte]) * 4096, sectors=sectors, unique=identity, parent=link, block=4096).write(
                self.images.path(full)
            )
            return full
        values = linkage(above, path) if above is not None else None
        states = {0: 0} if values else {}
        raw = bytes([byte]) * 4096
        Vhdx(raw=raw, data_write=identity, parent=values, states=states).write(self.images.path(full))
        return full

    def open(self, name: str, chain: list[str] | None = None) -> DiskReader:
        opener = open_vhd if self.kind == "vhd" else open_vhdx
        return opener(self.images.listing, name, chain=chain)

    def describe(self, name: str) -> Any:
        return (describe_vhd if self.kind == "vhd" else describe_vhdx)(self.images.listing, name)

    def first_byte(self, name: str, chain: list[str] | None = None) -> int:
        reader = self.open(name, chain)
        buffer = bytearray(1)
        reader.read_into(100, buffer)
        reader.close()
        return buffer[0]


@pytest.fixture(params=["vhd", "vhdx"])
def family(request: pytest.FixtureRequest, images: Any) -> Family:
    return Family(images, request.param)


PATHS = [
    "/etc/passwd",
    "..\\..\\secret",
    "C:\\vm\\base",
    "\\\\10.0.0.1\\share\\base",
    "\\\\?\\Volume{1}\\b",
    "file:///b",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_parents_path_leads_outside(family: Family, tmp_path: Any, path: str) -> None:
    """The path is never opened: the parent is found by identity, or not at all."""
    child = family.write("child", 2, 1, f"{path}.{family.kind}")
    outside = Family(family.images, family.kind)
    outside.write("../secret", 1)
    with pytest.raises(InputRefused) as refused:
        family.open(child)
    assert refused.value.code == "MISSING-PARENT"
    family.write("another-name", 1, byte=7)
    assert family.first_byte(child) == 7


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret.vhdx", "..", "C:\\base.vhdx", "a/b", "\0"])
def test_a_chain_given_names_paths(family: Family, name: str) -> None:
    child = family.write("child", 2, 1)
    with pytest.raises(UnsafeImage):
        family.open(child, [child, name])


def test_a_parent_is_a_symbolic_link(family: Family) -> None:
    child = family.write("child", 2, 1)
    family.images.path("real").mkdir()
    family.write("real/base", 1)
    family.images.path(f"base.{family.kind}").symlink_to(family.images.path(f"real/base.{family.kind}"))
    with pytest.raises(V2xError):
        family.open(child)
    with pytest.raises(UnsafeImage):
        family.open(child, [child, f"base.{family.kind}"])


def test_a_file_of_the_parents_name_has_another_identity(family: Family) -> None:
    child = family.write("child", 2, 1, f"x:\\base.{family.kind}")
    base = family.write("base", 9)
    for chain in (None, [base], [child, base]):
        with pytest.raises(BadImage, match="not, or no longer") as refused:
            family.open(child, chain)
        assert refused.value.code == "PARENT-CHANGED"
    facts = family.describe(child)
    assert "no longer" in facts.problem
    assert facts.missing == ()


def test_a_parent_is_missing(family: Family) -> None:
    child = family.write("child", 2, 1, f"x:\\base.{family.kind}")
    for chain in (None, [child], [child, f"base.{family.kind}"]):
        with pytest.raises(InputRefused) as refused:
            family.open(child, chain)
        assert refused.value.code == "MISSING-PARENT"
        assert refused.value.hint
    facts = family.describe(child)
    assert facts.missing == (f"base.{family.kind}",)
    assert facts.chain == (child,)


def test_two_files_claim_to_be_the_parent(family: Family) -> None:
    child = family.write("child", 2, 1, f"x:\\Base.{family.kind}")
    family.write("copy one", 1, byte=3)
    family.write("copy two", 1, byte=4)
    with pytest.raises(BadImage) as refused:
        family.open(child)
    assert refused.value.code == "AMBIGUOUS-PARENT"
    assert family.first_byte(child, [f"copy two.{family.kind}"]) == 4
    family.write("base", 1, byte=5)
    assert family.first_byte(child) == 5


def test_a_disk_is_its_own_parent(family: Family) -> None:
    child = family.write("child", 1, 1)
    for chain in (None, [child, child]):
        with pytest.raises(BadImage, match="comes back to"):
            family.open(child, chain)


@pytest.mark.parametrize("length", [2, 3])
def test_a_chain_goes_in_a_circle(family: Family, length: int) -> None:
    names = [family.write(f"disk{number}", number + 1, (number + 1) % length + 1) for number in range(length)]
    with pytest.raises(BadImage, match="comes back to"):
        family.open(names[0])
    assert "comes back to" in family.describe(names[0]).problem


def test_a_chain_is_a_thousand_files_deep(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadImage, match="1001 files deep"):
        family.open(family.write("child", 99, 1), [f"p{number}.{family.kind}" for number in range(1000)])
    for number in range(70):
        family.write(f"disk{number}", number + 1, number + 2 if number < 69 else None)
    with pytest.raises(BadImage, match="65 files deep"):
        family.open(f"disk0.{family.kind}")
    assert family.first_byte(f"disk6.{family.kind}") == 1


def test_a_chain_given_goes_on_below_the_base(family: Family) -> None:
    base = family.write("base", 1)
    with pytest.raises(BadImage, match="has no parent"):
        family.open(base, [base, family.write("other", 2)])


def test_files_beside_it_are_damaged(family: Family) -> None:
    child = family.write("child", 2, 1)
    family.write("base", 1, byte=6)
    for number, junk in enumerate((b"", b"\0" * 9000, b"vhdxfile" * 100_000)):
        family.images.path(f"junk{number}.{family.kind}").write_bytes(junk)
    assert family.first_byte(child) == 6


def test_a_file_without_an_identity_offers_itself_as_parent(family: Family) -> None:
    """Hyper-V fills the second identifier of a parent with zeros, which must not match a file made of zeros."""
    child = family.write("child", 2, 1)
    nobody = family.write("nobody", 0)
    with pytest.raises(InputRefused) as refused:
        family.open(child)
    assert refused.value.code == "MISSING-PARENT"
    with pytest.raises(BadImage, match="not, or no longer"):
        family.open(child, [nobody])
    with pytest.raises(BadImage, match="which parent"):
        family.open(family.write("orphan", 3, 0))


LOCATORS = {
    "no linkage": {"relative_path": "x"},
    "linkage of letters": {"parent_linkage": "{not-an-identifier}"},
    "linkage empty": {"parent_linkage": ""},
    "linkage of a path": {"parent_linkage": "..\\..\\base.vhdx"},
}


@pytest.mark.parametrize("bad", list(LOCATORS))
def test_a_parent_locator_says_nothing_usable(images: Any, bad: str) -> None:
    Vhdx(raw=bytes(4096), parent=LOCATORS[bad]).write(images.path("x.avhdx"))
    with pytest.raises(BadImage):
        open_vhdx(images.listing, "x.avhdx")


@pytest.mark.parametrize(
    ("offset", "data"),
    [
        (0, b"\x55" * 16),  # another kind of parent
        (18, b"\xff\xff"),  # 65,535 values
        (20, b"\xff\xff\xff\xff"),  # a key beyond
        (24, b"\xf0\xff\xff\x7f"),  # a value beyond
        (28, b"\xff\xff"),  # a long key
        (30, b"\x03\x00"),  # half a character
    ],
)
def test_a_parent_locator_abuses_integers(images: Any, pattern: Callable[..., bytes], offset: int, data: bytes) -> None:
    Vhdx(raw=bytes(4096), parent=linkage(uuid.UUID(int=1))).write(images.path("x.avhdx"))
    start = images.path("x.avhdx").read_bytes().index(uuid.UUID("b04aefb7-d19e-4a81-b789-25b8e9445913").bytes_le)
    assert start > METADATA_AT
    images.patch("x.avhdx", start + offset, data)
    with pytest.raises(InputRefused):
        open_vhdx(images.listing, "x.avhdx")
