# SPDX-License-Identifier: Apache-2.0
"""Whole guests, one per distribution: what is changed, what is left, and that a second conversion changes nothing."""

from pathlib import Path

import pytest

from tests import guests
from tests.guests import MAC, NULL, OTHER_MAC, lay
from v2x.convert.apply import apply
from v2x.convert.files import FolderFiles
from v2x.convert.interface import Adapter, BootLoader, Conversion, Family, Initramfs
from v2x.convert.linux import plan_linux
from v2x.errors import TargetError

ONE, TWO = (Adapter(mac=MAC),), (Adapter(mac=MAC), Adapter(mac=OTHER_MAC))
GUESTS = {
    "debian11": (guests.debian("11"), ONE),
    "debian12": (guests.debian("12"), ONE),
    "ubuntu2204": (guests.ubuntu(), (Adapter(mac=MAC, interface="ens160"), Adapter(mac=OTHER_MAC, interface="ens192"))),
    "rhel8": (guests.rhel("8"), ONE),
    "rhel9": (guests.rhel("9"), ONE),
    "sles15": (guests.sles(), TWO),
    "arch": (guests.arch(), ONE),
}


class Converted(FolderFiles):
    """A folder whose guest's programs are noted instead of run."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.ran: list[tuple[str, ...]] = []

    def run(self, argv: tuple[str, ...]) -> str:
        self.ran.append(argv)
        return ""


def planned(name: str, root: Path, stable: dict[str, str] | None = None) -> Conversion:
    files, adapters = GUESTS[name]
    return plan_linux(lay(root, files), stable_names=stable, adapters=adapters)


def after(conversion: Conversion, path: str) -> str:
    (edit,) = [one for one in conversion.proposal.edits if one.path == path]
    assert edit.after is not None
    return edit.after


def link(name: str, mac: str = MAC) -> str:
    return f"[Match]\nMACAddress={mac}\nType=ether\n\n[Link]\nName={name}\n"


@pytest.mark.parametrize("name", GUESTS)
def test_done_once_nothing_is_left_to_do(name: str, tmp_path: Path) -> None:
    conversion = planned(name, tmp_path)
    paths = [one.path for one in conversion.proposal.edits]
    assert paths and len(paths) == len(set(paths))
    guest = Converted(tmp_path)
    apply(guest, conversion.proposal)
    assert guest.ran == [one.argv for one in conversion.proposal.commands]
    again = plan_linux(guest, adapters=GUESTS[name][1])
    assert again.changes_nothing, again.proposal


@pytest.mark.parametrize("name", GUESTS)
def test_planning_writes_nothing(name: str, tmp_path: Path) -> None:
    lay(tmp_path, GUESTS[name][0])
    before = {one: one.lstat().st_mtime_ns for one in tmp_path.rglob("*")}
    plan_linux(FolderFiles(tmp_path), adapters=GUESTS[name][1])
    assert {one: one.lstat().st_mtime_ns for one in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    ("name", "family", "packages", "initramfs", "loader"),
    [
        ("debian12", Family.DEBIAN, "apt", Initramfs.INITRAMFS_TOOLS, BootLoader.GRUB),
        ("ubuntu2204", Family.DEBIAN, "apt", Initramfs.INITRAMFS_TOOLS, BootLoader.GRUB),
        ("rhel9", Family.RHEL, "dnf", Initramfs.DRACUT, BootLoader.GRUB),
        ("sles15", Family.SUSE, "zypper", Initramfs.DRACUT, BootLoader.GRUB),
        ("arch", Family.ARCH, "pacman", Initramfs.MKINITCPIO, BootLoader.SYSTEMD_BOOT),
    ],
)
def test_what_a_guest_is(
    name: str, family: Family, packages: str, initramfs: Initramfs, loader: BootLoader, tmp_path: Path
) -> None:
    found = planned(name, tmp_path).inspection
    assert (found.family, found.package_manager, found.initramfs, found.boot_loader) == (
        family,
        packages,
        initramfs,
        loader,
    )
    assert found.init == "systemd"
    (kernel,) = found.kernels
    assert kernel.modules == {"xen-blkfront", "xen-netfront", "nvme", "ahci", "ata_piix"}
    assert found.efi is (name in {"rhel9", "arch"})
    assert found.lvm is (name == "ubuntu2204")
    assert found.luks is (name == "debian12")
    assert found.btrfs is (name == "sles15")
    assert found.selinux is (name == "rhel9")


def test_debian_names_of_disks(tmp_path: Path) -> None:
    conversion = planned("debian12", tmp_path, {"/dev/sda1": "UUID=aa-11", "/dev/sda5": "UUID=bb-22"})
    assert after(conversion, "/etc/fstab") == (
        "# / was on /dev/hda1 during installation\n"
        "UUID=aa-11\t/ ext4  errors=remount-ro 0 1\n"
        "UUID=bb-22 none swap sw 0 0\n"
        "UUID=0123 /home ext4 defaults 0 2\n"
        "/dev/xvdb1 /srv/sda1 xfs defaults 0 2\n"
        "/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0\n"
    )
    assert after(conversion, "/etc/crypttab") == "# name device key\nvault /dev/xvdc1 none luks\n"
    assert 'LINUX="root=UUID=aa-11 console=ttyS0"' in after(conversion, "/etc/default/grub")
    assert after(conversion, "/boot/grub/grub.cfg") == (
        "linux /boot/vmlinuz root=UUID=aa-11 ro quiet\nset root='hd0,msdos1'\n"
    )
    assert after(conversion, "/etc/initramfs-tools/conf.d/resume") == "RESUME=UUID=bb-22\n"
    assert after(conversion, "/boot/grub/device.map") == "(hd1) /dev/xvdb\n"


@pytest.mark.parametrize(("name", "number"), [("debian11", "5.10.0-28-amd64"), ("debian12", "6.1.0-21-amd64")])
def test_debian_drivers_and_the_way_back(name: str, number: str, tmp_path: Path) -> None:
    conversion = planned(name, tmp_path)
    assert after(conversion, "/etc/initramfs-tools/modules").splitlines()[2:] == [
        *("xen-blkfront", "xen-netfront", "nvme", "ahci", "ata_piix")
    ]
    (command,) = conversion.proposal.commands
    assert command.argv == ("update-initramfs", "-u", "-k", number)
    apply(Converted(tmp_path), conversion.proposal)
    assert (tmp_path / f"boot/initrd.img-{number}.pre-v2x").read_text() == f"image of {number}"


def test_debian_keeps_its_interface_and_leaves_vmware(tmp_path: Path) -> None:
    conversion = planned("debian12", tmp_path)
    assert after(conversion, "/etc/systemd/network/10-v2x-ens192.link") == link("ens192")
    apply(Converted(tmp_path), conversion.proposal)
    for unit in ("open-vm-tools", "vmtoolsd", "vgauth"):
        mask = tmp_path / f"etc/systemd/system/{unit}.service"
        assert f"->{mask.readlink()}" == NULL
    (edit,) = [one for one in conversion.proposal.edits if one.path.endswith("/vmtoolsd.service")]
    assert edit.before == "/lib/systemd/system/open-vm-tools.service"


def test_ubuntu_netplan_cloud_init_and_a_list_without_a_line_end(tmp_path: Path) -> None:
    conversion = planned("ubuntu2204", tmp_path)
    assert after(conversion, "/etc/systemd/network/10-v2x-ens160.link") == link("ens160")
    assert after(conversion, "/etc/systemd/network/10-v2x-ens192.link") == link("ens192", OTHER_MAC)
    assert after(conversion, "/etc/cloud/cloud.cfg.d/99-v2x-network.cfg") == "network: {config: disabled}\n"
    assert after(conversion, "/etc/initramfs-tools/modules") == "nvme\nxen_blkfront\nxen-netfront\nahci\nata_piix\n"
    assert not [one for one in conversion.proposal.edits if one.path == "/etc/fstab"]
    assert any("host keys" in one.text for one in conversion.proposal.remarks)


@pytest.mark.parametrize(("name", "number"), [("rhel8", "4.18.0-553.el8.x86_64"), ("rhel9", "5.14.0-427.el9.x86_64")])
def test_red_hat(name: str, number: str, tmp_path: Path) -> None:
    conversion = planned(name, tmp_path, {"/dev/sda3": "UUID=root"})
    assert after(conversion, "/etc/dracut.conf.d/v2x-xen.conf") == (
        'add_drivers+=" xen-blkfront xen-netfront nvme ahci ata_piix "\n'
    )
    (command,) = conversion.proposal.commands
    assert command.argv == ("dracut", "--force", f"/boot/initramfs-{number}.img", number)
    assert [one.to for one in command.copies] == [f"/boot/initramfs-{number}.img.pre-v2x"]
    assert after(conversion, f"/boot/loader/entries/abc-{number}.conf") == (
        "title RHEL\noptions root=UUID=root ro resume=/dev/xvda2 rd.lvm.lv=a/b\n"
    )
    assert after(conversion, "/etc/kdump.conf") == "#raw /dev/vg/lv_kdump\next4 /dev/xvdb1\npath /var/crash\n"
    assert after(conversion, "/etc/systemd/network/10-v2x-eth0.link") == link("eth0")
    assert after(conversion, "/etc/systemd/system/hypervkvpd.service") == "/dev/null"
    assert after(conversion, "/.autorelabel") == ""
    assert conversion.proposal.copies == ()
    said = " ".join(one.text for one in conversion.proposal.remarks)
    assert "takes the time from the old host only" in said
    assert "hardware clock in local time" in said


def test_suse_with_wicked_and_two_adapters_in_order(tmp_path: Path) -> None:
    conversion = planned("sles15", tmp_path)
    assert after(conversion, "/etc/systemd/network/10-v2x-eth0.link") == link("eth0")
    assert after(conversion, "/etc/systemd/network/10-v2x-eth1.link") == link("eth1", OTHER_MAC)
    number = "5.14.21-150500.55.62-default"
    assert [one.argv for one in conversion.proposal.commands] == [
        ("dracut", "--force", f"/boot/initrd-{number}", number)
    ]
    assert after(conversion, "/etc/fstab") == "/dev/xvda3 / btrfs defaults 0 0\n/dev/xvda2 swap swap defaults 0 0\n"
    assert after(conversion, "/etc/systemd/system/hv_kvp_daemon.service") == "/dev/null"


def test_arch_on_nvme_without_a_fallback_loader(tmp_path: Path) -> None:
    conversion = planned("arch", tmp_path)
    assert after(conversion, "/etc/fstab") == "/dev/xvda2 / ext4 rw 0 1\n/dev/xvdb1 /data ext4 rw 0 2\n"
    assert "MODULES=(vmw_pvscsi xen-blkfront xen-netfront nvme ahci ata_piix)\nHOOKS" in after(
        conversion, "/etc/mkinitcpio.conf"
    )
    (command,) = conversion.proposal.commands
    assert command.argv == ("mkinitcpio", "-p", "linux")
    apply(Converted(tmp_path), conversion.proposal)
    assert (tmp_path / "boot/EFI/BOOT/BOOTX64.EFI").read_text() == "loader"
    assert (tmp_path / "boot/initramfs-linux.img.pre-v2x").read_text() == "image"


def test_an_unknown_guest_passes_untouched(tmp_path: Path) -> None:
    conversion = plan_linux(lay(tmp_path, {"/Windows/System32/ntoskrnl.exe": "MZ"}))
    assert conversion.changes_nothing
    assert conversion.inspection.os == ""
    assert len(conversion.proposal.remarks) == 1


def test_a_guest_that_changed_since_it_was_planned_is_left_alone(tmp_path: Path) -> None:
    conversion = planned("debian12", tmp_path)
    (tmp_path / "etc/crypttab").write_text("changed\n")
    with pytest.raises(TargetError, match="is not what it was"):
        apply(Converted(tmp_path), conversion.proposal)
    assert "/dev/sda1" in (tmp_path / "etc/fstab").read_text()


def test_without_a_way_to_run_programs_nothing_is_begun(tmp_path: Path) -> None:
    conversion = planned("debian12", tmp_path)
    with pytest.raises(TargetError, match="cannot be run"):
        apply(FolderFiles(tmp_path), conversion.proposal)
    assert "/dev/sda1" in (tmp_path / "etc/fstab").read_text()
