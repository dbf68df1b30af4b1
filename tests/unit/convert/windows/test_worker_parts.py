# SPDX-License-Identifier: Apache-2.0
"""The program that has libguestfs, with a handle that notes what it is asked."""

import base64
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.windows_guests import SOFTWARE, SYSTEM, WindowsFolder
from v2x.convert import guestfs_windows, guestfs_worker


class Handle:
    """libguestfs's answers for one disk."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            self.asked.append((name, *arguments))
            answer = self._answers.get(name)
            if isinstance(answer, Exception):
                raise answer
            return answer(*arguments) if callable(answer) else answer

        return call


@pytest.mark.parametrize(
    ("table", "kind", "found"),
    [
        ("msdos", 0x42, True),
        ("msdos", 0x07, False),
        ("gpt", "AF9B60A0-1431-4F62-BC68-3311714A69AD", True),
        ("gpt", "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3", True),
        ("gpt", "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", False),
    ],
)
def test_dynamic_disks_are_known_by_their_partitions(table: str, kind: Any, found: bool) -> None:
    handle = Handle(
        list_devices=["/dev/vda"],
        part_list=[{"part_num": 1}],
        part_get_parttype=table,
        part_get_gpt_type=kind,
        part_get_mbr_id=kind,
        canonical_device_name="/dev/sda",
    )
    assert guestfs_windows.dynamic(handle) == (["/dev/sda"] if found else [])


def test_a_disk_without_partitions_is_not_dynamic() -> None:
    assert guestfs_windows.dynamic(Handle(list_devices=["/dev/vda"], part_list=RuntimeError("no table"))) == []


@pytest.mark.parametrize(("flag", "unclean"), [(4096, False), (4097, True)])
def test_ntfs_is_written_to_only_with_an_empty_journal(flag: int, unclean: bool) -> None:
    handle = Handle(
        inspect_os=["/dev/sda2"],
        inspect_get_mountpoints={"/": "/dev/sda2"},
        vfs_type="ntfs",
        statvfs={"flag": flag},
    )
    found = guestfs_worker.mount(handle, readonly=False)
    assert (found["ntfs"], found["unclean"]) == (True, unclean)
    assert ("mount_options", "norecover", "/dev/sda2", "/") in handle.asked
    readonly = guestfs_worker.mount(handle, readonly=True)
    assert not readonly["unclean"] and ("mount_ro", "/dev/sda2", "/") in handle.asked


def test_private_files_come_with_their_folders_and_rights(tmp_path: Path) -> None:
    package = tmp_path / "x.msi"
    package.write_bytes(b"drivers")
    seen: list[tuple[str, bytes | None, str]] = []

    def unpack(path: str, folder: str) -> None:
        assert folder == "/"
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member)
                rights = member.pax_headers["SCHILY.xattr.system.ntfs_acl"].encode("utf-8", "surrogateescape")
                assert rights == guestfs_windows.PRIVATE
                seen.append((member.name, file.read() if file else None, oct(member.mode)))

    handle = Handle(exists=lambda path: path == "/Program Files", tar_in=unpack)
    guestfs_windows.lay(handle, {"path": "/Program Files/v2x/a.txt", "data": base64.b64encode(b"text").decode()})
    guestfs_windows.lay(handle, {"path": "/Program Files/x.msi", "source": str(package)})
    assert seen == [
        ("Program Files/v2x", None, "0o700"),
        ("Program Files/v2x/a.txt", b"text", "0o600"),
        ("Program Files/x.msi", b"drivers", "0o600"),
    ]


def test_one_hive_is_open_at_a_time_and_written_once(guest: WindowsFolder) -> None:
    assert guest.value(f"/{SYSTEM}", "Select", "current") is not None
    assert guest.subkeys(f"/{SOFTWARE}", "Microsoft") == ["Windows", "Windows NT"]
    assert guest.values(f"/{SOFTWARE}", "No\\Such") is None and guest.subkeys(f"/{SYSTEM}", "No") == []
    assert guest.value(f"/{SYSTEM}", "Select", "none") is None
    data = base64.b64encode(b"\1\0\0\0").decode()
    edits = [
        {"key": "A\\B\\C", "name": "new", "kind": 4, "data": data},
        {"key": "A\\B\\D", "name": "new", "kind": 4, "data": data},
        {"key": "A\\B\\D", "remove": True},
        {"key": "A\\B\\E", "remove": True},
    ]
    guest.change_hive(f"/{SYSTEM}", edits)
    assert guest.handle.commits == ["SYSTEM"]
    assert guest.subkeys(f"/{SYSTEM}", "A\\B") == ["C"]
    assert guest.value(f"/{SYSTEM}", "a\\b\\c", "NEW") == ["new", 4, data]


def test_more_than_a_part_is_refused() -> None:
    with pytest.raises(RuntimeError, match="too much"):
        guestfs_windows.part(Handle(), {"path": "/x", "offset": 0, "count": (1 << 20) + 1})
    with pytest.raises(RuntimeError, match="only a part"):
        guestfs_windows.write_part(Handle(pwrite_device=3), {"device": "/dev/sda1", "offset": 0, "data": "AAAAAAA="})
