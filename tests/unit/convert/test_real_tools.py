# SPDX-License-Identifier: Apache-2.0
"""What Linux's own programs make of what v2x reads and writes in a guest: dracut, netplan, NetworkManager, ifupdown.

They are Debian's, unpacked by `make test-slow` and run in a folder of their own as their root.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guests import MAC, OTHER_MAC, lay
from v2x.convert.apply import apply
from v2x.convert.files import FolderFiles
from v2x.convert.initramfs import boot_drivers
from v2x.convert.inspect import inspect
from v2x.convert.interface import Adapter, Facts
from v2x.convert.interfaces import configured
from v2x.convert.network import interface_names

ROOT = Path(__file__).parents[3] / ".setup-linux-tools" / "root"
KEYFILES = "/etc/NetworkManager/system-connections"

# Devices and /proc are this machine's, in a mount namespace that ends with the program.
ENTER = 'for one in dev proc; do mount --rbind "/$one" "$0/$one" || exit 1; done; exec chroot "$0" "$@"'

pytestmark = pytest.mark.slow


def inside(*argv: str, namespaces: tuple[str, ...] = ()) -> str:
    """What a program of the folder says, with the folder as its root and this user as root in it."""
    command = ["unshare", "--map-root-user", "--mount", *namespaces, "sh", "-c", ENTER, str(ROOT), *argv]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0, f"{argv}: {ran.stdout}{ran.stderr}"
    return ran.stdout


@pytest.fixture
def scratch() -> Iterator[str]:
    """A folder within the folder, by the name that it has there."""
    number = os.getpid()
    place = ROOT / "tmp" / f"v2x-{number}"
    place.mkdir(parents=True)
    yield f"/tmp/v2x-{number}"
    subprocess.run(["rm", "-rf", place], check=True)


class Guest(FolderFiles):
    """The folder as a guest whose programs run."""

    def run(self, argv: tuple[str, ...]) -> str:
        return inside(*argv)


def drivers_in(image: str) -> set[str]:
    listed = inside("lsinitrd", image)
    return {name.replace("_", "-") for name in re.findall(r"/([\w-]+)\.ko(?:\.\w+)?$", listed, re.MULTILINE)}


def test_dracut_puts_the_drivers_into_the_image_that_v2x_has_it_build() -> None:
    """The control is an image for the hardware at hand only, as dracut builds it, which is none of Xen's."""
    guest = Guest(ROOT)
    (version,) = guest.listdir("/lib/modules")
    image, dropin = f"/boot/initramfs-{version}.img", "/etc/dracut.conf.d/v2x-xen.conf"
    for left in (image, f"{image}.pre-v2x", dropin):
        guest.remove(left)
    guest.write("/etc/dracut.conf.d/10-this-machine.conf", b'hostonly="yes"\nhostonly_mode="strict"\n', 0o644)
    inside("dracut", "--force", image, version)
    wanted = {"xen-blkfront", "xen-netfront"}
    assert not wanted & drivers_in(image)
    facts = Facts(inspection=inspect(guest))
    (kernel,) = facts.inspection.kernels
    assert kernel.modules >= wanted and "nvme" in kernel.built_in
    proposal = boot_drivers(guest, facts)
    assert [one.argv[0] for one in proposal.commands] == ["dracut"]
    apply(guest, proposal)
    assert drivers_in(image) >= {name.replace("_", "-") for name in kernel.modules}
    assert not wanted & drivers_in(f"{image}.pre-v2x")
    assert boot_drivers(guest, facts).commands == ()


NETPLANS = {
    "block": "network:\n  version: 2\n  ethernets:\n    ens192:\n      addresses: [192.0.2.5/24]\n    ens224: {}\n",
    "flow": "network: {version: 2, ethernets: {ens192: {dhcp4: true}, ens224: {dhcp4: false}}}\n",
    "match": (
        "network:\n  version: 2\n  ethernets:\n    lan:\n      match: {macaddress: '" + MAC + "'}\n"
        "      set-name: lan0\n      dhcp4: true\n    dmz:\n      match: {name: ens224}\n      dhcp4: true\n"
    ),
    "enslaved": (
        "network:\n  version: 2\n  ethernets: {ens192: {}, ens224: {}}\n  bonds:\n    bond0:\n"
        "      interfaces: [ens192, ens224]\n      addresses: [192.0.2.5/24]\n  vlans: {vlan7: {id: 7, link: bond0}}\n"
    ),
}


@pytest.mark.parametrize("style", NETPLANS)
def test_netplan_configures_the_interfaces_that_v2x_reads(style: str, scratch: str, tmp_path: Path) -> None:
    """netplan writes files for networkd; those of real adapters must match what was read of the same YAML."""
    place = ROOT / scratch.lstrip("/") / "etc/netplan"
    place.mkdir(parents=True)
    (place / "1.yaml").write_text(NETPLANS[style])
    (place / "1.yaml").chmod(0o600)
    inside("netplan", "generate", "--root-dir", scratch)
    made = FolderFiles(ROOT / scratch.lstrip("/") / "run")
    matched = set()
    for name in made.listdir("/systemd/network"):
        if name.endswith(".network"):
            text = made.read(f"/systemd/network/{name}").decode()
            matched |= set(re.findall(r"^(?:Name|PermanentMACAddress|MACAddress)=(.+)$", text, re.MULTILINE))
    read = configured(lay(tmp_path, {"/etc/netplan/1.yaml": NETPLANS[style]}))
    wanted = {one.mac if one.mac and style == "match" else one.name for one in read}
    assert wanted == {one for one in matched if not re.match(r"bond0|vlan7|lan0", one)}


def keyfile(*settings: str) -> str:
    """A connection as NetworkManager itself writes it down."""
    return inside("nmcli", "--offline", "connection", "add", *settings)


def test_networkmanagers_own_keyfiles_are_read(tmp_path: Path) -> None:
    files = {
        f"{KEYFILES}/static.nmconnection": keyfile(
            *("type", "ethernet", "con-name", "static", "ifname", "ens192", "ip4", "192.0.2.5/24", "gw4", "192.0.2.1")
        ),
        f"{KEYFILES}/port.nmconnection": keyfile(
            *("type", "ethernet", "con-name", "port", "ifname", "ens224", "master", "bond0", "slave-type", "bond")
        ),
        f"{KEYFILES}/vlan.nmconnection": keyfile(
            *("type", "vlan", "con-name", "vlan", "ifname", "vlan7", "dev", "ens256", "id", "7")
        ),
        f"{KEYFILES}/bond.nmconnection": keyfile("type", "bond", "con-name", "bond", "ifname", "bond0"),
        f"{KEYFILES}/mac.nmconnection": keyfile("type", "ethernet", "con-name", "mac", "mac", OTHER_MAC),
    }
    found = list(configured(lay(tmp_path, files)))
    assert {one.name for one in found if one.name} == {"ens192", "ens224", "ens256"}
    assert {one.mac for one in found if one.mac} == {OTHER_MAC}


LINK = "/etc/systemd/network/10-v2x-ens192.link"
INTERFACES = """auto lo bond0 ens256.7
iface lo inet loopback
iface bond0 inet static
    address 192.0.2.5/24
    bond-slaves ens192 ens224
iface ens256.7 inet manual
"""


def test_ifupdown_reads_the_names_that_v2x_reads(scratch: str, tmp_path: Path) -> None:
    (ROOT / scratch.lstrip("/") / "interfaces").write_text(INTERFACES)
    config = f"--interfaces={scratch}/interfaces"
    defined = inside("ifquery", config, "--list", "--all").split()
    slaves = re.findall(r"^bond-slaves: (.*)$", inside("ifquery", config, "bond0"), re.MULTILINE)
    assert (defined, slaves) == (["lo", "bond0", "ens256.7"], ["ens192 ens224"])
    found = configured(lay(tmp_path, {"/etc/network/interfaces": INTERFACES}))
    assert {one.name for one in found if one.name} == {"ens192", "ens224", "ens256"}


def test_udev_gives_the_name_that_v2x_ties_to_the_mac(tmp_path: Path) -> None:
    """An adapter of a network namespace stands for the machine's; udev says what it would be called."""
    guest = Guest(ROOT)
    network = {"/etc/network/interfaces": "iface ens192 inet dhcp\n"}
    files = lay(tmp_path, {"/usr/lib/systemd/systemd": "", "/etc/fstab": "", **network})
    facts = Facts(inspection=inspect(files), adapters=(Adapter(mac=MAC),))
    apply(guest, interface_names(files, facts))
    script = (
        f"ip link add probe address {MAC} type veth peer name other && mount -t sysfs sysfs /sys"
        " && udevadm test-builtin net_setup_link /sys/class/net/probe"
    )
    said = inside("sh", "-c", script, namespaces=("--net",))
    guest.remove(LINK)
    assert f"ID_NET_LINK_FILE={LINK}" in said
    assert "ID_NET_NAME=ens192" in said
