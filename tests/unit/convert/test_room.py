# SPDX-License-Identifier: Apache-2.0
"""Room for rebuilt initial RAM disks: refused with numbers before anything is changed."""

from dataclasses import dataclass, field

import pytest

from v2x.convert.interface import Command, FileCopy, Proposal
from v2x.convert.room import refuse_shortage, shortages
from v2x.errors import InputRefused

MIB = 1 << 20


@dataclass
class Measured:
    """A guest with /boot and / as two file systems."""

    boot_free: int
    root_free: int
    there: set[str] = field(default_factory=set)

    def exists(self, path: str) -> bool:
        return path in self.there

    def size_bytes(self, path: str) -> int:
        return 20 * MIB

    def free_bytes(self, path: str) -> tuple[str, int]:
        return ("/boot", self.boot_free) if path == "/boot" else ("/", self.root_free)

    read = listdir = link_of = None


def rebuilt(*versions: str) -> Proposal:
    images = [f"/boot/initrd.img-{version}" for version in versions]
    copies = [FileCopy(path=one, to=f"{one}.pre-v2x", why="") for one in images]
    return Proposal(commands=tuple(Command(argv=("u",), why="", copies=(copy,)) for copy in copies))


def test_each_old_image_is_kept_and_one_is_written_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    two = rebuilt("1", "2")
    assert list(shortages(Measured(68 * MIB, 200 * MIB), two)) == []
    (found,) = shortages(Measured(67 * MIB, 200 * MIB), two)
    assert (found.mount_point, found.needed_bytes, found.free_bytes) == ("/boot", 68 * MIB, 67 * MIB)
    kept = Measured(28 * MIB, 200 * MIB, {f"/boot/initrd.img-{one}.pre-v2x" for one in "12"})
    assert list(shortages(kept, two)) == []


def test_the_tool_collects_its_files_on_another_file_system() -> None:
    (found,) = shortages(Measured(200 * MIB, 107 * MIB), rebuilt("1"))
    assert (found.mount_point, found.needed_bytes) == ("/", 108 * MIB)


def test_it_is_refused_with_both_numbers() -> None:
    with pytest.raises(InputRefused, match=r"/boot in the guest has 1 MiB free.*takes 48 MiB") as caught:
        refuse_shortage(Measured(MIB, 200 * MIB), rebuilt("1"))
    assert caught.value.code == "GUEST-ROOM"
    assert caught.value.exit_code == 6


def test_nothing_is_needed_where_nothing_is_rebuilt() -> None:
    assert list(shortages(Measured(0, 0), Proposal())) == []
