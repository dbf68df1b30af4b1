# SPDX-License-Identifier: Apache-2.0
"""Paths of a Hyper-V host and the places on shares where they are found."""

import pytest

from v2x.disks.smb.paths import UncPath, checked, parse_rule, parse_unc, places_of
from v2x.errors import UnsafeImage, UsageError

FOUND = {
    r"D:\VMs\web.vhdx": [r"\\hv1\D$\VMs\web.vhdx"],
    r"d:/VMs/web.vhdx": [r"\\hv1\D$\VMs\web.vhdx"],
    r"\\?\D:\VMs\web.vhdx": [r"\\hv1\D$\VMs\web.vhdx"],
    r"\\fs\vms\a b\web.vhdx": [r"\\fs\vms\a b\web.vhdx"],
    r"\\?\UNC\fs\vms\web.vhdx": [r"\\fs\vms\web.vhdx"],
    r"C:\ClusterStorage\Volume1\x\web.vhdx": [
        r"\\hv1\ClusterStorage$\Volume1\x\web.vhdx",
        r"\\hv1\C$\ClusterStorage\Volume1\x\web.vhdx",
        r"\\hv2\ClusterStorage$\Volume1\x\web.vhdx",
        r"\\hv2\C$\ClusterStorage\Volume1\x\web.vhdx",
    ],
    r"c:\clusterstorage\VOLUME1\web.vhdx": [
        r"\\hv1\ClusterStorage$\VOLUME1\web.vhdx",
        r"\\hv1\C$\clusterstorage\VOLUME1\web.vhdx",
        r"\\hv2\ClusterStorage$\VOLUME1\web.vhdx",
        r"\\hv2\C$\clusterstorage\VOLUME1\web.vhdx",
    ],
    r"C:\ClusterStorageOld\web.vhdx": [r"\\hv1\C$\ClusterStorageOld\web.vhdx"],
}


@pytest.mark.parametrize("path", list(FOUND))
def test_where_a_path_is_found_without_rules(path: str) -> None:
    assert [str(place) for place in places_of(path, ["hv1", "hv2"])] == FOUND[path]


def test_without_a_host_only_shares_are_found() -> None:
    assert places_of(r"D:\x.vhdx", []) == ()
    assert len(places_of(r"\\fs\vms\x.vhdx", [])) == 1


def test_a_rule_goes_before_all_and_the_longest_decides() -> None:
    rules = [parse_rule(r"D:=\\fs\drive"), parse_rule(r"d:\vms=\\fs:4450\vms\all"), parse_rule(r"D:\VMs\web=\\ws\web")]
    wanted = {
        r"D:\VMs\db\db.vhdx": r"\\fs:4450\vms\all\db\db.vhdx",
        r"D:\vms\WEB\x.vhdx": r"\\ws\web\x.vhdx",
        r"D:\VMs2\x.vhdx": r"\\fs\drive\VMs2\x.vhdx",
        r"D:\x.vhdx": r"\\fs\drive\x.vhdx",
        r"E:\x.vhdx": r"\\hv1\E$\x.vhdx",
    }
    for path, place in wanted.items():
        assert [str(one) for one in places_of(path, ["hv1"], rules)] == [place]


def test_rules_lead_from_shares_and_cluster_volumes_too() -> None:
    rules = [parse_rule(r"\\old\vms=\\new\vms"), parse_rule(r"C:\ClusterStorage\Volume1=\\fs\csv1")]
    assert [str(one) for one in places_of(r"\\OLD\vms\x.vhdx", [], rules)] == [r"\\new\vms\x.vhdx"]
    assert [str(one) for one in places_of(r"C:\clusterstorage\volume1\x", ["a", "b"], rules)] == [r"\\fs\csv1\x"]
    assert len(places_of(r"C:\ClusterStorage\Volume10\x", ["a"], rules)) == 2


TRICKS = [
    "",
    "web.vhdx",
    r"VMs\web.vhdx",
    r"D:web.vhdx",
    r"\VMs\web.vhdx",
    r"D:\VMs\..\secret.vhdx",
    r"D:\VMs\.\web.vhdx",
    r"D:\..\x",
    r"\\fs\vms\..\x",
    r"\\fs\..\x",
    r"D:\web.vhdx:stream",
    r"D:\web.vhdx::$DATA",
    r"D:\VMs:stream\web.vhdx",
    r"\\.\PhysicalDrive1",
    r"\\?\PhysicalDrive1",
    r"\\?\GLOBALROOT\Device\Harddisk0\x",
    r"\\?\Volume{12345678-0000-0000-0000-000000000000}\web.vhdx",
    r"D:\con",
    r"D:\NUL.vhdx",
    r"D:\COM1\web.vhdx",
    "D:\\lpt³.vhdx",
    r"D:\aux .vhdx",
    r"D:\web.vhdx.",
    r"D:\web.vhdx ",
    r"D:\a\\b.vhdx",
    r"D:\we*b.vhdx",
    "D:\\we\0b.vhdx",
    "D:\\we\nb.vhdx",
    r"D:\we|b.vhdx",
    "\\\\",
    r"\\fs",
    "\\\\fs\\",
    r"\\a:b:c\share\x",
    r"\\fs:99999\share\x",
    "file://fs/share",
    "D:\\" + "x" * 256,
    "D:\\" + "x\\" * 20_000,
]


@pytest.mark.parametrize("path", TRICKS, ids=range(len(TRICKS)))
def test_whatever_is_no_plain_file_of_a_share_is_refused(path: str) -> None:
    with pytest.raises(UnsafeImage) as refused:
        for place in places_of(path, ["hv1"]) or [parse_unc(path)]:
            parse_unc(str(place))
    assert refused.value.hint or "characters" in refused.value.message


def test_names_that_only_look_like_devices_are_taken() -> None:
    for name in ("console.vhdx", "com10.vhdx", "nulls.vhdx", "lpt.vhdx", "a.con"):
        assert checked(f"D:\\{name}") == f"D:\\{name}"


def test_unc_paths_with_ports_and_addresses() -> None:
    assert parse_unc(r"\\127.0.0.1:4450\D$\x") == UncPath(server="127.0.0.1", share="D$", path="x", port=4450)
    place = parse_unc(r"\\[2001:db8::1]:4450\vms")
    assert (place.server, place.port, str(place)) == ("2001:db8::1", 4450, r"\\[2001:db8::1]:4450\vms")
    assert parse_unc(r"\\fs\vms").child("a").child("b").folder.name == "a"
    with pytest.raises(UnsafeImage):
        parse_unc(r"D:\x")


@pytest.mark.parametrize(
    "text", ["", "D:", r"D:\VMs=", r"=\\fs\x", r"VMs=\\fs\x", r"D:\VMs=E:\x", r"D:\..=\\fs\x", r"D:\=\\fs"]
)
def test_a_rule_that_is_none_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--share") as refused:
        parse_rule(text)
    assert "for example" in refused.value.hint
