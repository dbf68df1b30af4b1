# SPDX-License-Identifier: Apache-2.0
import pytest

from v2x.config import GuestTable, load_config
from v2x.errors import UsageError
from v2x.model.placement import NetworkRule, StorageRule, UplinkRule

GOOD = """
[source.vc]
address = "vsphere://administrator@vsphere.local@vc"
secret = "env:VC"
[target.pool1]
address = "xapi://root@xcp1"
fingerprint = "sha256:aa"
ca = "/ca.pem"
[target.pool2]
address = "xapi://root@xcp2"
"""


def test_several_sources_and_targets_by_alias(tmp_path):
    file = tmp_path / "v2x.toml"
    file.write_text(GOOD)
    config = load_config(file)
    assert config.sources["vc"].secret == "env:VC"
    assert set(config.targets) == {"pool1", "pool2"}
    assert config.targets["pool1"].ca_file == "/ca.pem"


def test_how_vspheres_disks_are_read(tmp_path):
    file = tmp_path / "v2x.toml"
    file.write_text('[vddk]\nlibdir = "/opt/vix"\ntransports = "nbd"\n[ssh]\nknown_hosts = "~/known"\nport = 2222\n')
    config = load_config(file)
    assert config.vddk == {"libdir": "/opt/vix", "transports": "nbd"}
    assert config.ssh == {"known_hosts": "~/known", "port": "2222"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[vddk]\npath = '/x'\n", r"\[vddk\]: unknown key path"),
        ("[vddk]\nlibdir = 3\n", r"\[vddk\]: libdir must be a text"),
        ("[ssh]\nport = 'ssh'\n", r"\[ssh\]: port must be a number"),
        ("vddk = 1\n", "vddk must be a table"),
        ("[ssh]\npassword = 'x'\n", r"\[ssh\]: unknown key password"),
    ],
)
def test_faults_there_are_named(tmp_path, text, message):
    (tmp_path / "v2x.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        load_config(tmp_path / "v2x.toml")


def test_a_target_may_have_a_resource_set_and_a_source_may_not(tmp_path):
    file = tmp_path / "v2x.toml"
    file.write_text(GOOD + 'resource_set = "U8kmJKszJC0"\n')
    config = load_config(file)
    assert config.targets["pool2"].resource_set == "U8kmJKszJC0"
    assert config.targets["pool1"].resource_set == ""
    file.write_text('[source.a]\naddress = "x"\nresource_set = "y"\n')
    with pytest.raises(UsageError, match="unknown key resource_set"):
        load_config(file)


def test_the_shares_of_a_hyper_v_host(tmp_path):
    file = tmp_path / "v2x.toml"
    file.write_text(
        "[source.hv]\naddress = '/exports'\nshares = ['D:=\\\\fs\\d']\nsmb_user = 'EX\\me'\n"
        "smb_encryption = false\nexperimental_vmcx = true\n[source.plain]\naddress = '/x'\n"
    )
    found = load_config(file).sources
    assert found["hv"].shares == (r"D:=\\fs\d",)
    assert found["hv"].smb_user == r"EX\me"
    assert (found["hv"].smb_encryption, found["hv"].experimental_vmcx) == (False, True)
    assert (found["plain"].smb_encryption, found["plain"].experimental_vmcx, found["plain"].shares) == (True, False, ())


def test_the_file_in_this_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not load_config(None).targets
    (tmp_path / "v2x.toml").write_text(GOOD)
    assert load_config(None).targets


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[source.a]\n", "no address"),
        ("[source.a]\naddress = 1\n", "address must be a text"),
        ('[source.a]\naddress = "x"\npassword = "hunter2"\n', "unknown key password"),
        ('[source.a]\naddress = "x"\nshares = "D:=y"\n', "shares must be a list of texts"),
        ('[source.a]\naddress = "x"\nshares = [1]\n', "shares must be a list of texts"),
        ('[source.a]\naddress = "x"\nsmb_encryption = "no"\n', "smb_encryption must be true or false"),
        ('[target.a]\naddress = "x"\nshares = []\n', "unknown key shares"),
        ("[pool.a]\n", "unknown table"),
        ("source = 1\n", "must be tables"),
        ("[[[", "not valid TOML"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    file = tmp_path / "v2x.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        load_config(file)
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        load_config(tmp_path / "none.toml")


RULES = """
[[network]]
source = "VM Network"
switch = "vSwitch0"
vlan = 10
target = "LAN"
[[network]]
vlan = 0
target = "Raw"
[[uplink]]
source = "vSwitch0"
target = "bond0"
[[storage]]
datastore = "ssd*"
target = "Fast SR"
"""


def test_rules_for_networks_and_storage_in_their_order(tmp_path):
    file = tmp_path / "v2x.toml"
    file.write_text(GOOD + RULES)
    rules = load_config(file).rules
    assert rules.networks == (
        NetworkRule(source="VM Network", switch="vSwitch0", vlan=10, target="LAN"),
        NetworkRule(vlan=0, target="Raw"),
    )
    assert rules.uplinks == (UplinkRule(source="vSwitch0", target="bond0"),)
    assert rules.storage == (StorageRule(datastore="ssd*", target="Fast SR"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[network]\nsource = 'a'\n", "network must be a list of tables"),
        ("network = [1]\n", "network must be a list of tables"),
        ("[[network]]\ntarget = 'a'\n", "[[network]] 1 has no source or switch or vlan"),
        ("[[network]]\nsource = 'a'\n", "[[network]] 1 has no target"),
        ("[[network]]\nname = 'a'\ntarget = 'b'\n", "[[network]] 1: unknown key name"),
        ("[[network]]\nvlan = '10'\ntarget = 'b'\n", "vlan must be a number"),
        ("[[network]]\nvlan = true\ntarget = 'b'\n", "vlan must be a number"),
        ("[[network]]\nvlan = 4096\ntarget = 'b'\n", "vlan must be a number"),
        ("[[uplink]]\nsource = 'a'\ntarget = 1\n", "[[uplink]] 1: target must be a text"),
        ("[[uplink]]\nsource = ''\ntarget = 'a'\n", "[[uplink]] 1: source must be a text"),
        ("[[storage]]\ntarget = 'a'\n", "[[storage]] 1 has no datastore"),
    ],
)
def test_a_wrong_rule_is_named(tmp_path, text, message):
    file = tmp_path / "v2x.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_config(file)
    assert message in caught.value.message
    assert caught.value.hint


GUEST = """
[guest]
windows_drivers = "/srv/x.msi"
agent = "~/a.deb"
luks_key_files = ["/k1", "/k2"]
"""


def test_files_for_guests_and_their_keys_in_a_private_file_only(tmp_path):
    file = tmp_path / "v2x.toml"
    file.write_text(GUEST)
    file.chmod(0o600)
    assert load_config(file).guest == GuestTable(
        windows_drivers="/srv/x.msi", agent="~/a.deb", luks_key_files=("/k1", "/k2")
    )
    file.chmod(0o640)
    with pytest.raises(UsageError, match="names keys of guests") as refused:
        load_config(file)
    assert (refused.value.code, refused.value.hint) == ("CONFIG-MODE", f"chmod 600 {file}")
    file.write_text('[guest]\nagent = "/a.deb"\n')
    assert load_config(file).guest.agent == "/a.deb", "no key is named"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[guest]\nluks_key = 'geheim'\n", r"\[guest\]: unknown key luks_key$"),
        ("[guest]\nluks_key_files = '/k'\n", "luks_key_files must be a list of paths"),
        ("[guest]\nbitlocker_key_files = ['/k', '']\n", "bitlocker_key_files must be a list of paths"),
        ("[guest]\nagent = ['/a.deb']\n", "agent must be a path"),
        ("[guest]\nwindows_drivers = ''\n", "windows_drivers must be a path"),
        ("guest = 1\n", "guest must be a table"),
    ],
)
def test_faults_in_the_table_for_guests_are_named(tmp_path, text, message):
    (tmp_path / "v2x.toml").write_text(text)
    with pytest.raises(UsageError, match=message) as refused:
        load_config(tmp_path / "v2x.toml")
    assert "geheim" not in refused.value.message
