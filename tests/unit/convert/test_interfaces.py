# SPDX-License-Identifier: Apache-2.0
"""Names of interfaces in every dialect, also where only a bond, a bridge or a VLAN speaks of them."""

from pathlib import Path

import pytest

from tests.guests import MAC, lay
from v2x.convert.interfaces import configured, pinned

RED_HAT, SUSE = "/etc/sysconfig/network-scripts/ifcfg-", "/etc/sysconfig/network/ifcfg-"
KEYFILES = "/etc/NetworkManager/system-connections/"
NETPLAN = "/etc/netplan/1.yaml"


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"/etc/network/interfaces": "iface bond0 inet dhcp\n  bond-slaves ens192 ens224\n"}, {"ens192", "ens224"}),
        ({"/etc/network/interfaces": "iface br0 inet dhcp\n  bridge_ports ens192\n"}, {"ens192"}),
        ({"/etc/network/interfaces": "iface br0 inet dhcp\n  bridge_ports none\n"}, set()),
        ({"/etc/network/interfaces": "iface ens192.7 inet dhcp\n"}, {"ens192"}),
        ({"/etc/network/interfaces": "iface vlan7 inet dhcp\n  vlan-raw-device ens192\n"}, {"ens192"}),
        ({f"{RED_HAT}ens192": "DEVICE=ens192\nMASTER=bond0\nSLAVE=yes\n"}, {"ens192"}),
        ({f"{RED_HAT}vlan7": "DEVICE=vlan7\nVLAN=yes\nPHYSDEV=ens192\n"}, {"ens192"}),
        ({f"{SUSE}eth0.7": "VLAN='yes'\nETHERDEVICE='eth0'\n"}, {"eth0"}),
        ({f"{SUSE}br0": "BRIDGE='yes'\nBRIDGE_PORTS='eth0 eth1'\n"}, {"eth0", "eth1"}),
        ({f"{SUSE}bond0": "BONDING_MASTER='yes'\nBONDING_SLAVE0='eth0'\nBONDING_SLAVE_1='eth1'\n"}, {"eth0", "eth1"}),
        ({f"{KEYFILES}v": "[connection]\ntype=vlan\ninterface-name=vlan7\n[vlan]\nparent=ens192\n"}, {"ens192"}),
        (
            {f"{KEYFILES}s": "[connection]\ntype=ethernet\ninterface-name=ens192\nmaster=bond0\nslave-type=bond\n"},
            {"ens192"},
        ),
        ({NETPLAN: "network: {version: 2, ethernets: {ens192: {dhcp4: true}, ens224: {}}}\n"}, {"ens192", "ens224"}),
        (
            {
                NETPLAN: "network:\n  ethernets:\n    ens192: &shared {dhcp4: no}\n    ens224: *shared\n"
                "  bonds:\n    bond0: {interfaces: [ens192, ens224]}\n"
            },
            {"ens192", "ens224"},
        ),
        ({NETPLAN: f"network: {{ethernets: {{lan: {{match: {{macaddress: {MAC}}}, set-name: lan0}}}}}}\n"}, {"lan0"}),
        ({NETPLAN: "network: [\n"}, set()),
        ({NETPLAN: "- a\n- b\n"}, set()),
        ({NETPLAN: "[" * 5000}, set()),
    ],
)
def test_every_name_that_a_configuration_needs(files: dict[str, str], names: set[str], tmp_path: Path) -> None:
    assert {one.name for one in configured(lay(tmp_path, files)) if one.name} == names


def test_a_mac_of_digits_alone_is_no_number(tmp_path: Path) -> None:
    entry = "{match: {macaddress: 12:34:56:11:22:33}, set-name: lan0}"
    files = lay(tmp_path, {NETPLAN: f"network:\n  ethernets:\n    lan: {entry}\n"})
    assert [one.mac for one in configured(files)] == ["12:34:56:11:22:33"]
    assert pinned(files) == {"12:34:56:11:22:33": "lan0"}
