# SPDX-License-Identifier: Apache-2.0
"""The stand-in for Hyper-V itself: what it refuses, what it keeps, and that its disks are what others read."""

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from pypsrp.client import Client
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from tests.hyperv_images import read_by_libvhdi
from v2x.errors import UsageError
from v2x.simulators.hyperv.contract import FUNCTIONS
from v2x.simulators.hyperv.service import HyperV
from v2x.sources.hyperv.scripts import COLLECT, POWER

WEB = "D:\\VMs\\web01\\"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with HyperV(tmp_path_factory.mktemp("hyperv"), smb=False) as running:
        yield running


def wsman(served: HyperV, **options: Any) -> WSMan:
    return WSMan(
        "127.0.0.1",
        port=served.nodes[0].https.port,
        username=served.user,
        password=served.password,
        auth="ntlm",
        cert_validation=False,
        no_proxy=True,
        **options,
    )


def run(served: HyperV, text: str, script: bool = True, **parameters: Any) -> PowerShell:
    with wsman(served) as connection, RunspacePool(connection) as pool:
        shell = PowerShell(pool)
        shell.add_script(text) if script else shell.add_cmdlet(text)
        shell.add_parameters(parameters).invoke()
    return shell


def test_an_independent_client_gets_the_document(served: HyperV) -> None:
    answer = run(served, COLLECT.text)
    document = json.loads("".join(answer.output))
    assert document["schema"] == "v2x.hyperv/1"
    assert [vm["name"] for vm in document["vms"]] == ["web01", "old01", "db01"]
    assert not answer.had_errors


@pytest.mark.parametrize(
    ("text", "script", "error"),
    [
        ("Get-VM | Remove-VM -Force", True, "NotSupported"),
        ("# v2x-script: collect 2", True, "NotSupported"),
        ("# v2x-script: format 1", True, "NotSupported"),
        ("Remove-VM", False, "CommandNotFoundException"),
        (next(iter(FUNCTIONS)), False, "CommandNotFoundException"),
    ],
)
def test_nothing_but_the_scripts_of_v2x_runs(served: HyperV, text: str, script: bool, error: str) -> None:
    answer = run(served, text, script)
    assert [one.fq_error for one in answer.streams.error] == [error]
    assert answer.had_errors
    assert answer.output == []


def test_a_parameter_that_a_script_does_not_have(served: HyperV) -> None:
    answer = run(served, COLLECT.text, Wrong="x")
    assert [one.fq_error for one in answer.streams.error] == ["NamedParameterNotFound"]


@pytest.mark.parametrize(
    ("action", "id", "value", "error"),
    [
        ("turnoff", "web01", "", "ParameterArgumentValidationError,power.ps1"),
        (
            "state",
            "00000000-0000-0000-0000-000000000000",
            "",
            "InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM",
        ),
        ("autostart", "web01", "Sometimes", "CannotConvertArgumentNoMessage,SetVM"),
        ("start", "db01", "", "InvalidState,StartVM"),
    ],
)
def test_what_the_real_one_refuses_is_refused(served: HyperV, action: str, id: str, value: str, error: str) -> None:
    named = next((vm.id for vm in served.estate.machines if vm.name == id), id)
    before = [(vm.state, vm.start_action) for vm in served.estate.machines]
    answer = run(served, POWER.text, Action=action, Id=named, Value=value)
    assert [one.fq_error for one in answer.streams.error] == [error]
    assert [(vm.state, vm.start_action) for vm in served.estate.machines] == before


def test_a_message_in_clear_is_refused_over_http(served: HyperV) -> None:
    """As every Windows does that was not told otherwise (AllowUnencrypted)."""
    client = Client(
        "127.0.0.1",
        port=served.nodes[0].http.port,
        ssl=False,
        username=served.user,
        password=served.password,
        auth="ntlm",
        encryption="never",
        no_proxy=True,
    )
    with client, pytest.raises(Exception, match="500"):
        client.execute_ps("$true")


def test_an_ordinary_client_may_not_choose_basic(served: HyperV) -> None:
    client = Client(
        "127.0.0.1",
        port=served.nodes[0].https.port,
        username=served.user,
        password=served.password,
        auth="basic",
        cert_validation=False,
        no_proxy=True,
    )
    with client, pytest.raises(Exception, match="authenticate"):
        client.execute_ps("$true")


def test_its_chain_is_what_libvhdi_and_qemu_img_read(served: HyperV) -> None:
    files = [served.place(WEB + name) for name in ("web01_2C7D.avhdx", "web01_1F0A.avhdx", "web01.vhdx")]
    whole, base = read_by_libvhdi(files), read_by_libvhdi(files[-1:])
    assert len(whole) == 64 << 20
    assert whole != base
    raw = files[-1].with_suffix(".raw")
    subprocess.run(["qemu-img", "convert", "-f", "vhdx", "-O", "raw", files[-1], raw], check=True, timeout=60)
    assert raw.read_bytes() == base
    raw.unlink()
    checked = subprocess.run(
        ["qemu-img", "check", "-f", "vhdx", files[-1]], capture_output=True, check=False, timeout=60
    )
    assert checked.returncode == 0, checked.stdout


def test_the_state_is_kept_between_runs(tmp_path: Path) -> None:
    with HyperV(tmp_path, smb=False) as first:
        id = first.estate.machines[2].id
        assert run(first, POWER.text, Action="shutdown", Id=id, Value="").output
        pin = first.fingerprint
    with HyperV(tmp_path, smb=False) as second:
        assert second.estate.machine(id).state == "Off"  # type: ignore[union-attr]
        assert second.fingerprint == pin
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert ("state", "Running", "Off") in [(one["kind"], one["before"], one["after"]) for one in lines]
    with pytest.raises(UsageError, match="profile 2022"):
        HyperV(tmp_path, profile="2016", smb=False)
    (tmp_path / "estate.json").write_text("{}")
    with pytest.raises(UsageError, match="no state"):
        HyperV(tmp_path, smb=False)


def test_an_unknown_profile_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        HyperV(tmp_path, profile="2003", smb=False)
    assert "2012r2" in refused.value.hint


def test_the_panel_arms_faults_and_shows_the_ledger(served: HyperV) -> None:
    def post(order: Any) -> Any:
        data = json.dumps(order).encode()
        request = urllib.request.Request(served.panel_url + "/_faults", data=data, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as problem:
            return json.load(problem)

    assert [one["kind"] for one in post({"arm": [{"kind": "slow", "at": 2}]})["armed"]] == ["slow"]
    assert run(served, COLLECT.text).output
    assert post({"clear": True})["armed"] == []
    assert "No fault" in post({"arm": [{"kind": "fire"}]})["error"]
    assert "The panel has no" in post({"melt": 1})["error"]
    with urllib.request.urlopen(served.panel_url + "/_ledger", timeout=10) as answer:
        assert any(one["kind"] == "script" for one in json.load(answer))


@pytest.mark.parametrize("hosts", [2, 3])
def test_a_cluster_has_one_port_on_several_addresses(tmp_path: Path, hosts: int) -> None:
    with HyperV(tmp_path, hosts=hosts, smb=False) as served:
        assert served.address.count(",") == hosts - 1
        assert len({node.https.port for node in served.nodes}) == 1
        assert {vm.host for vm in served.estate.machines} == {f"HV{n + 1:02}" for n in range(min(hosts, 3))}
        assert all(vm.role_priority == 2000 for vm in served.estate.machines)
        assert served.place("C:\\ClusterStorage\\Volume1\\web01\\web01.vhdx").is_file()


def test_samba_has_a_share_for_each_drive(tmp_path: Path) -> None:
    with HyperV(tmp_path) as served:
        assert served.share is not None
        assert {rule.partition("=")[0] for rule in served.rules} == {"C:\\ClusterStorage", "C:", "D:"}
        assert all(f"\\\\127.0.0.1:{served.share.port}\\" in rule for rule in served.rules)
