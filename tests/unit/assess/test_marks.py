# SPDX-License-Identifier: Apache-2.0
"""What names and notes give away: backup products, domain controllers, kinds of Windows, ends of support."""

import pytest

from v2x.assess.backup import product_of_snapshot, products_of
from v2x.assess.guest import (
    is_hypervisor,
    is_macos,
    is_windows_client,
    is_windows_server,
    looks_like_domain_controller,
    out_of_support,
    unsupported_system,
)
from v2x.model.machine import Guest, Snapshot


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("VEEAM BACKUP TEMPORARY SNAPSHOT", "Veeam"),
        ("__GX_BACKUP__", "Commvault"),
        ("NBU_SNAPSHOT web01 1700000000", "NetBackup"),
        ("NAKIVO Backup Snapshot", "NAKIVO"),
        ("Avamar-1700000000", "Avamar"),
        ("Rubrik-Snapshot", "Rubrik"),
        ("TSM-VM Snapshot Mon", "Spectrum Protect"),
        ("Consolidate Helper- 0", "disk consolidation"),
        ("before update", ""),
        ("weekly backup of configuration", ""),
    ],
)
def test_snapshots_of_products(name, product):
    assert product_of_snapshot(Snapshot(id="1", name=name)) == product


def test_marks_are_named_once_and_the_general_one_only_alone(make):
    both = make.machine(attributes={"Last Backup": "x", "Veeam Job": "y"}, tags=("veeam",))
    assert products_of(both) == ("Veeam",)
    assert products_of(make.machine(attributes={"Last Backup": "x"})) == ("a backup product",)
    assert products_of(make.machine(notes="plain")) == ()


@pytest.mark.parametrize("words", ["dc01", "BER-DC-02", "srv_dc1", "PDC", "rodc3", "Second domain controller", "ADDS"])
def test_domain_controllers(words):
    assert looks_like_domain_controller(words)


@pytest.mark.parametrize("words", ["dcs-web", "cdc", "adc01", "medcore", "wordcount", "web01"])
def test_names_that_only_look_like_it(words):
    assert not looks_like_domain_controller(words)


@pytest.mark.parametrize(
    ("os_id", "os_name", "kind"),
    [
        ("windows9_64Guest", "", "client"),
        ("windows11_64Guest", "", "client"),
        ("", "Microsoft Windows 7 (32-bit)", "client"),
        ("windows9Server64Guest", "", "server"),
        ("windows2019srv_64Guest", "", "server"),
        ("", "Windows Server 2022 Datacenter", "server"),
        ("winNetEnterprise64Guest", "", "server"),
        ("debian12_64Guest", "Debian GNU/Linux 12", ""),
    ],
)
def test_kinds_of_windows(os_id, os_name, kind):
    guest = Guest(os_id=os_id, os_name=os_name)
    assert (is_windows_client(guest), is_windows_server(guest)) == (kind == "client", kind == "server")


@pytest.mark.parametrize(
    "name",
    [
        "Microsoft Windows XP Professional (32-bit)", "Microsoft Windows 10 (64-bit)",
        "Microsoft Windows Server 2012 R2 (64-bit)", "Microsoft Windows Server 2003 (32-bit)", "CentOS 7 (64-bit)",
        "CentOS Linux 8", "Red Hat Enterprise Linux 6 (64-bit)", "Ubuntu 18.04.6 LTS", "Ubuntu Linux 20.04",
        "Debian GNU/Linux 10 (64-bit)", "SUSE Linux Enterprise 11 (64-bit)",
    ],
)  # fmt: skip
def test_releases_without_support(name):
    assert out_of_support(Guest(os_name=name))


@pytest.mark.parametrize(
    "name",
    [
        "Microsoft Windows 11 (64-bit)", "Microsoft Windows Server 2016 (64-bit)", "Microsoft Windows Server 2025",
        "CentOS 9 (64-bit)", "Red Hat Enterprise Linux 8 (64-bit)", "Red Hat Enterprise Linux 10", "Ubuntu 22.04 LTS",
        "Ubuntu 24.04", "Debian GNU/Linux 12 (64-bit)", "SUSE Linux Enterprise 15 (64-bit)", "Rocky Linux 8 (64-bit)",
        "FreeBSD 14 (64-bit)", "Other Linux (64-bit)", "Oracle Linux 7 or later (64-bit)", "",
    ],
)  # fmt: skip
def test_releases_with_support_or_unsaid(name):
    assert not out_of_support(Guest(os_name=name))


def test_systems_that_do_not_belong_on_xen():
    assert is_macos(Guest(os_id="darwin20_64Guest"))
    assert is_hypervisor(Guest(os_name="VMware ESXi 7.x"))
    for name in ("MS-DOS", "Novell NetWare 6.x", "IBM OS/2", "SCO OpenServer 5", "Sun Microsystems Solaris 9"):
        assert unsupported_system(Guest(os_name=name)), name
    for name in ("Debian GNU/Linux 12", "Oracle Solaris 11 (64-bit)", "Windows Server 2019"):
        assert not unsupported_system(Guest(os_name=name)), name
        assert not is_macos(Guest(os_name=name))
