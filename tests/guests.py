# SPDX-License-Identifier: Apache-2.0
"""Linux guests as plain folders: the files of each distribution that a conversion looks at, in its own dialect."""

from collections.abc import Mapping
from pathlib import Path

from v2x.convert.files import FolderFiles

MAC, OTHER_MAC = "00:50:56:aa:00:01", "00:50:56:aa:00:02"
NULL = "->/dev/null"


def lay(root: Path, files: Mapping[str, str]) -> FolderFiles:
    """Writes a guest's files; a text that begins with `->` is a link."""
    for path, text in files.items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            place.symlink_to(text[2:])
        else:
            place.write_text(text)
    return FolderFiles(root)


def kernel(version: str, *, suffix: str = ".ko", image: str = "", xen: bool = True) -> dict[str, str]:
    """A kernel with its modules, as depmod lists them, and its initial RAM disk."""
    drivers = ["drivers/nvme/host/nvme", "drivers/ata/ahci", "drivers/ata/ata_piix", "drivers/net/vmxnet3/vmxnet3"]
    drivers += ["drivers/block/xen-blkfront", "drivers/net/xen-netfront"] if xen else []
    listing = "".join(f"kernel/{one}{suffix}: kernel/lib/x{suffix}\n" for one in drivers)
    files = {f"/lib/modules/{version}/modules.dep": listing, f"/lib/modules/{version}/modules.builtin": ""}
    return {**files, image: f"image of {version}"} if image else files


def release(distro: str, version: str, like: str = "") -> dict[str, str]:
    return {
        "/etc/os-release": f'ID={distro}\nVERSION_ID="{version}"\nPRETTY_NAME="{distro} {version}"\nID_LIKE="{like}"\n'
    }


SYSTEMD = {"/usr/lib/systemd/systemd": "", "/lib/systemd/systemd": ""}


def debian(version: str) -> dict[str, str]:
    """Debian 11 and 12: ifupdown, initramfs-tools, GRUB, open-vm-tools, device names as an old installer wrote them."""
    number = {"11": "5.10.0-28-amd64", "12": "6.1.0-21-amd64"}[version]
    return {
        **release("debian", version),
        **SYSTEMD,
        **kernel(number, image=f"/boot/initrd.img-{number}"),
        "/usr/bin/dpkg": "",
        "/usr/sbin/update-initramfs": "",
        "/etc/initramfs-tools/modules": "# List of modules\n# that are included\n",
        "/etc/initramfs-tools/conf.d/resume": "RESUME=/dev/sda5\n",
        "/etc/default/grub": 'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX="root=/dev/sda1 console=ttyS0"\n',
        "/boot/grub/grub.cfg": "linux /boot/vmlinuz root=/dev/sda1 ro quiet\nset root='hd0,msdos1'\n",
        "/boot/grub/device.map": "(hd0)\t/dev/disk/by-id/ata-VMware_Virtual_1\n(hd1) /dev/sdb\n",
        "/etc/fstab": (
            "# / was on /dev/hda1 during installation\n"
            "/dev/sda1\t/ ext4  errors=remount-ro 0 1\n"
            "/dev/sda5 none swap sw 0 0\n"
            "UUID=0123 /home ext4 defaults 0 2\n"
            "/dev/sdb1 /srv/sda1 xfs defaults 0 2\n"
            "/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0\n"
        ),
        "/etc/crypttab": "# name device key\nvault /dev/sdc1 none luks\n",
        "/etc/network/interfaces": (
            "auto lo\niface lo inet loopback\nallow-hotplug ens192\n"
            "iface ens192 inet static\n  address 192.0.2.5/24\n  gateway 192.0.2.1\n"
        ),
        "/lib/systemd/system/open-vm-tools.service": "[Service]\n",
        "/etc/systemd/system/vmtoolsd.service": "->/lib/systemd/system/open-vm-tools.service",
        "/lib/systemd/system/vgauth.service": "[Service]\n",
        "/etc/systemd/timesyncd.conf": "",
    }


def ubuntu() -> dict[str, str]:
    """Ubuntu 22.04 server: netplan by subiquity, cloud-init, LVM."""
    number = "5.15.0-107-generic"
    return {
        **release("ubuntu", "22.04", "debian"),
        **SYSTEMD,
        **kernel(number, image=f"/boot/initrd.img-{number}"),
        "/usr/bin/dpkg": "",
        "/usr/sbin/update-initramfs": "",
        "/etc/initramfs-tools/modules": "nvme\nxen_blkfront",
        "/etc/default/grub": 'GRUB_CMDLINE_LINUX=""\n',
        "/etc/fstab": (
            "/dev/disk/by-id/dm-uuid-LVM-x / ext4 defaults 0 1\n/dev/mapper/vg-home /home ext4 defaults 0 2\n"
        ),
        "/etc/netplan/00-installer-config.yaml": (
            "# written by the installer\nnetwork:\n  ethernets:\n    ens160:\n      addresses:\n      - 192.0.2.7/24\n"
            "      nameservers:\n        addresses: [192.0.2.53]\n      routes:\n      - to: default\n"
            "        via: 192.0.2.1\n    ens192:\n      dhcp4: true\n  vlans:\n    vlan7:\n      id: 7\n"
            "      link: ens160\n  version: 2\n"
        ),
        "/etc/cloud/cloud.cfg": "users: [default]\n",
        "/etc/cloud/cloud.cfg.d/05_logging.cfg": "network_logging: x\n",
        "/etc/chrony/chrony.conf": "pool ntp.ubuntu.com iburst\n",
    }


def rhel(version: str) -> dict[str, str]:
    """RHEL 8 (ifcfg) and 9 (keyfiles): dracut, BLS entries, SELinux, kdump, Hyper-V's daemons, UEFI."""
    number = {"8": "4.18.0-553.el8.x86_64", "9": "5.14.0-427.el9.x86_64"}[version]
    network = {
        "8": {
            "/etc/sysconfig/network-scripts/ifcfg-eth0": (
                'TYPE="Ethernet"\nBOOTPROTO=none\nDEVICE="eth0"\nIPADDR=192.0.2.8\n'
            ),
            "/etc/sysconfig/network-scripts/ifcfg-lo": "DEVICE=lo\n",
            "/etc/sysconfig/network-scripts/ifcfg-br0": "TYPE=Bridge\nDEVICE=br0\n",
        },
        "9": {
            "/etc/NetworkManager/system-connections/eth0.nmconnection": (
                "[connection]\nid=eth0\ntype=ethernet\ninterface-name=eth0\n\n[ipv4]\nmethod=manual\n"
                "address1=192.0.2.9/24,192.0.2.1\n"
            ),
        },
    }[version]
    return {
        **release("rhel", version + ".4", "fedora"),
        **SYSTEMD,
        **kernel(number, suffix=".ko.xz", image=f"/boot/initramfs-{number}.img"),
        **network,
        "/usr/bin/rpm": "",
        "/usr/bin/dnf": "",
        "/usr/bin/dracut": "",
        "/etc/dracut.conf": "",
        "/etc/selinux/config": "# comment\nSELINUX=enforcing\nSELINUXTYPE=targeted\n",
        "/boot/grub2/grub.cfg": "blscfg\n",
        f"/boot/loader/entries/abc-{number}.conf": (
            "title RHEL\noptions root=/dev/sda3 ro resume=/dev/sda2 rd.lvm.lv=a/b\n"
        ),
        "/etc/kdump.conf": "#raw /dev/vg/lv_kdump\next4 /dev/sdb1\npath /var/crash\n",
        "/etc/fstab": "/dev/sda3 / xfs defaults 0 0\nUUID=77 /boot/efi vfat umask=0077 0 2\n",
        "/boot/efi/EFI/redhat/shimx64.efi": "shim",
        "/boot/efi/EFI/redhat/grubx64.efi": "grub",
        "/boot/efi/EFI/BOOT/BOOTX64.EFI": "shim",
        "/usr/lib/systemd/system/hypervkvpd.service": "",
        "/etc/chrony.conf": "refclock PHC /dev/ptp_hyperv poll 3 dpoll -2 offset 0\n",
        "/etc/adjtime": "0.0 0 0.0\n0\nLOCAL\n",
    }


def sles() -> dict[str, str]:
    """SLES 15: wicked, dracut with SUSE's names, btrfs."""
    number = "5.14.21-150500.55.62-default"
    return {
        **release("sles", "15.5", "suse"),
        **SYSTEMD,
        **kernel(number, suffix=".ko.zst", image=f"/boot/initrd-{number}"),
        "/usr/bin/zypper": "",
        "/usr/bin/dracut": "",
        "/etc/default/grub": 'GRUB_CMDLINE_LINUX_DEFAULT="splash resume=/dev/sda2 quiet"\n',
        "/etc/fstab": "/dev/sda3 / btrfs defaults 0 0\n/dev/sda2 swap swap defaults 0 0\n",
        "/etc/sysconfig/network/ifcfg-eth0": "BOOTPROTO='static'\nSTARTMODE='auto'\nIPADDR='192.0.2.15/24'\n",
        "/etc/sysconfig/network/ifcfg-eth1": "BOOTPROTO='dhcp'\n",
        "/etc/sysconfig/network/ifcfg-eth0.7": "VLAN='yes'\nETHERDEVICE='eth0'\n",
        "/etc/sysconfig/network/ifcfg.template": "",
        "/usr/lib/systemd/system/hv_kvp_daemon.service": "",
        "/etc/chrony.conf": "pool 2.suse.pool.ntp.org iburst\n",
    }


def arch() -> dict[str, str]:
    """Arch: mkinitcpio with autodetect, systemd-networkd, systemd-boot, /lib a link, no fallback loader."""
    laid = {
        **release("arch", ""),
        "/usr/lib/systemd/systemd": "",
        "/lib": "->usr/lib",
        "/usr/bin/pacman": "",
        "/usr/bin/mkinitcpio": "",
        "/etc/mkinitcpio.conf": (
            "# vim:set ft=sh\nMODULES=(vmw_pvscsi)\nHOOKS=(base udev autodetect modconf block filesystems)\n"
        ),
        "/etc/mkinitcpio.d/linux.preset": "ALL_kver=/boot/vmlinuz-linux\n",
        "/boot/initramfs-linux.img": "image",
        "/etc/fstab": "/dev/nvme0n1p2 / ext4 rw 0 1\n/dev/nvme0n2p1 /data ext4 rw 0 2\n",
        "/boot/loader/loader.conf": "default arch\n",
        "/boot/loader/entries/arch.conf": "title Arch\noptions root=/dev/nvme0n1p2 rw\n",
        "/boot/EFI/systemd/systemd-bootx64.efi": "loader",
        "/etc/systemd/network/20-wired.network": "[Match]\nName=ens33\n\n[Network]\nAddress=192.0.2.33/24\n",
        "/etc/systemd/timesyncd.conf": "",
    }
    return {**laid, **{f"/usr{path}": text for path, text in kernel("6.9.1-arch1-1", suffix=".ko.zst").items()}}
