# SPDX-License-Identifier: Apache-2.0
"""Each concern where it is hard: what is certain is done, what is not is said and left."""

from pathlib import Path

import pytest

from tests.guests import MAC, OTHER_MAC, SYSTEMD, kernel, lay
from v2x.convert.boot_loader import command_lines
from v2x.convert.efi import fallback_loader
from v2x.convert.files import FolderFiles, bytes_of, text_of
from v2x.convert.fstab import device_tables
from v2x.convert.guest_tools import old_tools
from v2x.convert.initramfs import boot_drivers
from v2x.convert.inspect import inspect
from v2x.convert.interface import Adapter, Concern, Facts, Inspection, Proposal
from v2x.convert.interfaces import configured
from v2x.convert.modprobe import driver_aliases
from v2x.convert.network import cloud_init, interface_names
from v2x.errors import InputRefused

ONE, TWO = (Adapter(mac=MAC),), (Adapter(mac=MAC), Adapter(mac=OTHER_MAC))


def asked(concern: Concern, root: Path, files: dict[str, str], *adapters: Adapter, **stable: str) -> Proposal:
    laid = lay(root, files)
    names = {f"/dev/{name}": value for name, value in stable.items()}
    return concern(laid, Facts(inspection=inspect(laid), stable_names=names, adapters=adapters))


def test_disks_of_two_kinds_are_left_unless_known(tmp_path: Path) -> None:
    fstab = "/dev/sda1 / ext4 defaults 0 1\n/dev/nvme0n1p1 /data ext4 defaults 0 2\n"
    found = asked(device_tables, tmp_path, {"/etc/fstab": fstab}, sda1="UUID=a")
    assert found.edits[0].after == "UUID=a / ext4 defaults 0 1\n/dev/nvme0n1p1 /data ext4 defaults 0 2\n"
    assert "/dev/nvme0n1p1 in fstab" in found.remarks[0].text


@pytest.mark.parametrize("name", ["/dev/nvme1n1p1", "/dev/nvme0n27", "/dev/nvme0n0"])
def test_an_nvme_disk_whose_place_is_not_in_its_name_is_left(name: str, tmp_path: Path) -> None:
    found = asked(device_tables, tmp_path, {"/etc/fstab": f"{name} / ext4 defaults 0 1\n"})
    assert found.edits == ()
    assert name in found.remarks[0].text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/dev/sdaa12 /", "/dev/xvdaa12 /"),
        ("/dev/hda1 /", "/dev/xvda1 /"),
        ("LABEL=sda1 /dev/sda1", "LABEL=sda1 /dev/sda1"),
        ("/dev/sda1-old /", "/dev/sda1-old /"),
        ("/dev/sdabc1 /", "/dev/sdabc1 /"),
        ("/dev/xvda1 /", "/dev/xvda1 /"),
        ("\t/dev/sda2\tnone\tswap", "\t/dev/xvda2\tnone\tswap"),
        ("/dev/sda2", "/dev/xvda2"),
        ("//server/dev/sda1 /mnt cifs", "//server/dev/sda1 /mnt cifs"),
    ],
)
def test_only_the_device_of_a_line_is_renamed(before: str, after: str, tmp_path: Path) -> None:
    found = asked(device_tables, tmp_path, {"/etc/fstab": f"{before}\n"})
    assert (found.edits[0].after if found.edits else f"{before}\n") == f"{after}\n"


def test_bytes_that_are_no_text_come_back(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    raw = b"# caf\xe9\n/dev/sda1 /caf\xe9 ext4\r\n"
    (tmp_path / "etc/fstab").write_bytes(raw)
    (edit,) = device_tables(FolderFiles(tmp_path), Facts(inspection=Inspection())).edits
    assert bytes_of(edit.after or "") == raw.replace(b"sda1", b"xvda1")


def test_grubs_environment_keeps_its_size(tmp_path: Path) -> None:
    head = "# GRUB Environment Block\nkernelopts=root=/dev/sda2 ro\n"
    path = "/boot/grub2/grubenv"
    found = asked(command_lines, tmp_path, {path: head.ljust(1024, "#")}, sda2="UUID=0123-4567")
    after = found.edits[0].after or ""
    assert len(after) == 1024
    assert after.rstrip("#") == head.replace("/dev/sda2", "UUID=0123-4567")
    full = "# GRUB Environment Block\nkernelopts=root=/dev/sda2".ljust(1024, "x")
    assert asked(command_lines, tmp_path / "full", {path: full}, sda2="UUID=" + "9" * 36).edits == ()


def test_other_words_that_end_in_root_stay(tmp_path: Path) -> None:
    text = 'GRUB_CMDLINE_LINUX="myroot=/dev/sda1 rd.root=/dev/sda1 root=LABEL=x"\n'
    assert asked(command_lines, tmp_path, {"/etc/default/grub": text}).edits == ()


DRACUT = {"/usr/bin/dracut": "", "/etc/os-release": "ID=rhel\n"}


def test_a_kernel_without_xen_is_told_and_listed_drivers_exist(tmp_path: Path) -> None:
    found = asked(boot_drivers, tmp_path, {**DRACUT, **kernel("6.12.0", xen=False)})
    assert found.edits[0].after == 'add_drivers+=" nvme ahci ata_piix "\n'
    assert "kernel 6.12.0 has no xen-blkfront and no xen-netfront" in found.remarks[0].text


def test_every_kernel_is_rebuilt_and_a_removed_one_is_not(tmp_path: Path) -> None:
    files = {**DRACUT, **kernel("5.1"), **kernel("5.2"), "/lib/modules/4.9/misc/left.ko": ""}
    found = asked(boot_drivers, tmp_path, files)
    assert [one.argv[-1] for one in found.commands] == ["5.1", "5.2"]


def test_built_in_drivers_need_no_listing(tmp_path: Path) -> None:
    names = ("block/xen-blkfront", "net/xen-netfront", "nvme", "ahci", "ata_piix")
    built_in = "".join(f"kernel/drivers/{one}.ko\n" for one in names)
    files = {**DRACUT, "/lib/modules/6.1/modules.dep": "", "/lib/modules/6.1/modules.builtin": built_in}
    assert asked(boot_drivers, tmp_path, files) == Proposal()


def test_without_a_known_tool_it_is_said(tmp_path: Path) -> None:
    found = asked(boot_drivers, tmp_path, {"/etc/os-release": "ID=alpine\n", **kernel("6.1")})
    assert found.commands == () and "no driver was added" in found.remarks[-1].text


def test_shim_comes_with_what_it_loads(tmp_path: Path) -> None:
    esp = "/boot/efi/EFI"
    files = {f"{esp}/debian/{name}": "" for name in ("shimx64.efi", "grubx64.efi", "mmx64.efi", "fbx64.efi")}
    found = asked(fallback_loader, tmp_path, {**files, "/etc/fstab": "", f"{esp}/Boot/grubx64.efi": "own"})
    assert [(one.path.rsplit("/", 1)[1], one.to) for one in found.copies] == [
        ("shimx64.efi", f"{esp}/Boot/BOOTX64.EFI"),
        ("mmx64.efi", f"{esp}/Boot/mmx64.efi"),
    ]


def test_a_fallback_in_any_case_is_left_alone(tmp_path: Path) -> None:
    files = {"/boot/efi/EFI/boot/bootx64.efi": "", "/boot/efi/EFI/debian/grubx64.efi": "", "/etc/fstab": ""}
    assert asked(fallback_loader, tmp_path, files) == Proposal()


def test_a_unit_that_is_the_guests_own_file_is_left(tmp_path: Path) -> None:
    unit = "/etc/systemd/system/vmware-tools.service"
    found = asked(old_tools, tmp_path, {**SYSTEMD, "/etc/fstab": "", unit: "[Service]\n"})
    assert found.edits == () and unit in found.remarks[0].text


def test_run_level_links_go_where_there_is_no_systemd(tmp_path: Path) -> None:
    script = "/etc/rc.d/rc3.d/S03vmware-tools"
    files = {"/etc/fstab": "", "/etc/rc3.d": "->rc.d/rc3.d", script: "->../init.d/vmware-tools"}
    found = asked(old_tools, tmp_path, files)
    assert [(one.path, one.before, one.after) for one in found.edits] == [
        ("/etc/rc3.d/S03vmware-tools", "../init.d/vmware-tools", None)
    ]


RED_HAT = "/etc/sysconfig/network-scripts/ifcfg-"
KEYFILES = "/etc/NetworkManager/system-connections/"


@pytest.mark.parametrize(
    "files",
    [
        {f"{RED_HAT}ens192": f"HWADDR={OTHER_MAC.upper()}\nDEVICE=ens192\n"},
        {f"{KEYFILES}x.nmconnection": (
            f"[connection]\ntype=ethernet\ninterface-name=ens192\n[ethernet]\nmac-address={OTHER_MAC}\n")},
        {"/etc/systemd/network/a.network": f"[Match]\nName=ens192\nMACAddress={OTHER_MAC}\n"},
        {"/etc/netplan/a.yaml": (
            "network:\n  ethernets:\n    id0:\n      match:\n        name: ens192\n"
            f"        macaddress: '{OTHER_MAC}'\n")},
    ],
)  # fmt: skip
def test_a_mac_in_the_configuration_decides(files: dict[str, str], tmp_path: Path) -> None:
    (edit,) = asked(interface_names, tmp_path, {**SYSTEMD, **files, "/etc/fstab": ""}, *TWO).edits
    assert edit.path.endswith("/10-v2x-ens192.link")
    assert f"MACAddress={OTHER_MAC}\n" in (edit.after or "")


@pytest.mark.parametrize(
    "files",
    [
        {f"{RED_HAT}a": f"HWADDR={MAC}\nNAME=System\n"},
        {f"{KEYFILES}x": f"[connection]\ntype=ethernet\n[ethernet]\nmac-address={MAC}\n"},
        {"/etc/netplan/50-cloud-init.yaml": (
            f"network:\n    version: 2\n    ethernets:\n        ens192:\n            match:\n"
            f"                macaddress: {MAC}\n            set-name: ens192\n")},
        {"/etc/network/interfaces": "iface ens192 inet dhcp\n",
         "/etc/systemd/network/1.link": f"[Match]\nMACAddress={MAC}\n[Link]\nName=ens192\n"},
        {"/etc/network/interfaces": "iface eth0 inet dhcp\n",
         "/etc/udev/rules.d/70-persistent-net.rules": f'SUBSYSTEM=="net", ATTR{{address}}=="{MAC}", NAME="eth0"\n'},
        {"/etc/network/interfaces": "iface lo inet loopback\niface bond0 inet dhcp\n"},
    ],
)  # fmt: skip
def test_what_finds_its_adapter_by_itself_is_left(files: dict[str, str], tmp_path: Path) -> None:
    assert asked(interface_names, tmp_path, {**SYSTEMD, **files, "/etc/fstab": ""}, *ONE) == Proposal()


def test_a_rule_for_the_old_driver_is_replaced(tmp_path: Path) -> None:
    old = f'SUBSYSTEM=="net", DRIVERS=="vmxnet3", ATTR{{address}}=="{MAC}", NAME="eth0"'
    other = '# kept\nSUBSYSTEM=="net", ATTR{address}=="00:00:00:00:00:09", NAME="eth9"'
    files = {"/etc/udev/rules.d/70-persistent-net.rules": f"{other}\n{old}\n", f"{RED_HAT}eth0": "DEVICE=eth0\n"}
    (edit,) = asked(interface_names, tmp_path, {**files, "/etc/inittab": "", "/etc/fstab": ""}, *ONE).edits
    assert (edit.after or "").startswith(f"{other}\n")
    assert (edit.after or "").splitlines()[2] == (
        f'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{{address}}=="{MAC}", ATTR{{type}}=="1", NAME="eth0"'
    )


def test_two_adapters_and_no_way_to_tell(tmp_path: Path) -> None:
    files = {**SYSTEMD, "/etc/fstab": "", "/etc/network/interfaces": "iface ens192 inet dhcp\niface ens224 inet dhcp\n"}
    found = asked(interface_names, tmp_path, files, *TWO)
    assert found.edits == ()
    assert ["ens192" in found.remarks[0].text, "ens224" in found.remarks[1].text] == [True, True]


def test_a_mac_that_the_machine_will_not_have_is_told(tmp_path: Path) -> None:
    files = {**SYSTEMD, "/etc/fstab": "", f"{RED_HAT}a": "HWADDR=00:50:56:00:00:99\n"}
    assert "00:50:56:00:00:99" in asked(interface_names, tmp_path, files, *ONE).remarks[0].text


def test_netplan_with_several_sections(tmp_path: Path) -> None:
    text = (
        "network:\n  version: 2\n  renderer: networkd\n  bonds:\n    bond0:\n      interfaces: [a]\n  ethernets:\n"
        "    'ens3':\n      dhcp4: no\n    #ens4:\n    ens5: {}\n  bridges:\n    br0:\n      interfaces: [ens3]\n"
    )
    found = list(configured(lay(tmp_path, {"/etc/netplan/1.yaml": text})))
    assert [one.name for one in found] == ["ens3", "ens5"]


def test_cloud_init_that_is_off_is_left(tmp_path: Path) -> None:
    cloud = {"/etc/cloud/cloud.cfg": "", "/etc/network/interfaces": "iface eth0 inet dhcp\n"}
    off = {"/etc/cloud/cloud.cfg.d/99-x.cfg": "network:\n  config: disabled\n"}
    assert asked(cloud_init, tmp_path / "a", {**cloud, **off}).edits == ()
    assert asked(cloud_init, tmp_path / "b", {**cloud, "/etc/cloud/cloud-init.disabled": ""}) == Proposal()
    assert len(asked(cloud_init, tmp_path / "c", cloud).edits) == 1
    assert asked(cloud_init, tmp_path / "d", {"/etc/cloud/cloud.cfg": ""}).edits == ()


def test_links_of_a_guest_never_lead_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    files = lay(
        tmp_path / "guest",
        {
            "/etc/fstab": "->/../../secret",
            "/etc/crypttab": f"->{tmp_path}/secret",
            "/a": "->b",
            "/b": "->a",
            "/etc/one": "->/etc/two",
            "/etc/two": "inside",
        },
    )
    assert text_of(files, "/etc/fstab") is None
    assert text_of(files, "/etc/crypttab") is None
    assert text_of(files, "/etc/one") == "inside"
    with pytest.raises(InputRefused, match="circle"):
        files.exists("/a")
    files.write("/etc/fstab", b"x", 0o644)
    assert (tmp_path / "secret").read_text() == "outside"


def test_a_file_too_large_for_a_setting_is_refused(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    with open(tmp_path / "etc/fstab", "wb") as out:
        out.truncate(1 << 40)
    with pytest.raises(InputRefused, match="larger"):
        device_tables(FolderFiles(tmp_path), Facts(inspection=Inspection()))
    with pytest.raises(InputRefused, match="not a file"):
        FolderFiles(tmp_path).read("/etc")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("alias eth0 vmxnet3\n", "alias eth0 xen-netfront\n"),
        ("alias scsi_hostadapter1 mptspi\n", "alias scsi_hostadapter1 xen-blkfront\n"),
        ("alias eth1 r8169\nalias net-pf-10 off\n", None),
        ("# alias eth0 vmxnet\noptions vmxnet x=1\n", None),
    ],
)
def test_names_of_old_drivers_are_led_to_those_for_xen(before: str, after: str | None, tmp_path: Path) -> None:
    files = {"/etc/fstab": "", "/etc/modprobe.d/a.conf": before, **kernel("6.1")}
    assert [one.after for one in asked(driver_aliases, tmp_path, files).edits] == ([after] if after else [])


def test_names_of_drivers_stay_where_no_kernel_has_those_for_xen(tmp_path: Path) -> None:
    files = {"/etc/fstab": "", "/etc/modprobe.conf": "alias eth0 vmxnet\n", **kernel("6.1", xen=False)}
    assert asked(driver_aliases, tmp_path, files) == Proposal()
