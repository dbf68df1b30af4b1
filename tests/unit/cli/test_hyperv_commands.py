# SPDX-License-Identifier: Apache-2.0
"""What the command line has for Hyper-V: the collector, the files of a JEA endpoint, the stand-in."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from v2x.cli import run
from v2x.sources.hyperv.scripts import COLLECT


def test_the_collector_goes_to_stdout_or_to_a_file(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["inventory", "--collector"]) == 0
    assert capfdbinary.readouterr().out == COLLECT.text.encode()
    assert run(["inventory", "--collector", "-o", str(tmp_path / "collect.ps1")]) == 0
    written = (tmp_path / "collect.ps1").read_bytes()
    # With a byte order mark and the line ends of Windows, for its editors and its oldest PowerShell.
    assert written.startswith(b"\xef\xbb\xbf# SPDX")
    assert written[3:].replace(b"\r\n", b"\n") == COLLECT.text.encode()


@pytest.mark.parametrize("power", [False, True])
def test_the_files_of_a_jea_endpoint(tmp_path: Path, power: bool, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["inventory", "--jea", str(tmp_path / "jea"), *(["--jea-power"] if power else [])]
    assert run(words) == 0
    assert sorted(path.name for path in (tmp_path / "jea").iterdir()) == ["v2x.psrc", "v2x.pssc"]
    assert ("ValidateSet = 'state'" in (tmp_path / "jea" / "v2x.psrc").read_text()) is not power
    assert "register" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["inventory"], "no source"),
        (["inventory", "--collector", "x.json"], "take no SOURCE"),
        (["inventory", "hyperv://a@b", "--source-set", "auth"], "is not KEY=VALUE"),
        (["inventory", "hyperv://a@b", "--source-set", "colour=red"], "no setting colour"),
        (["inventory", "hyperv://a@b", "--source-set", "auth=basic"], "Basic authentication is not used"),
        (["simulate", "hyperv", "--profile", "2003"], "No profile '2003'"),
    ],
)
def test_wrong_usage(
    words: list[str], said: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("V2X_SOURCE_PASSWORD", "x")
    assert run(words) == 2
    assert said in capfd.readouterr().err


def test_the_stand_in_says_when_it_is_ready_and_ends_on_sigterm(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-m", "v2x", "simulate", "hyperv", "--json", "--state", str(tmp_path), "--hosts", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            assert set(ready) >= {"address", "user", "password", "fingerprint", "fault_panel", "shares", "http_address"}
            monkeypatch.setenv("V2X_SOURCE_PASSWORD", ready["password"])
            for words in (
                [ready["address"], "--source-fingerprint", ready["fingerprint"]],
                [ready["http_address"], "--source-set", "transport=http"],
            ):
                assert run(["inventory", *words, "--json"]) == 0
                found = json.loads(capfd.readouterr().out)
                assert sorted(one["name"] for one in found["machines"]) == ["db01", "old01", "web01"]
                assert {one["cluster"] for one in found["machines"]} == {"HVCLUSTER"}
            doctor = ["doctor", "--source", ready["address"], "--source-fingerprint", ready["fingerprint"], "--json"]
            assert run(doctor) == 0
            (line,) = [one for one in json.loads(capfd.readouterr().out)["checks"] if one["check"] == "source"]
            assert line["ok"]
            assert "3 machines (Microsoft Windows Server 2022 Datacenter)" in line["found"]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def test_a_configuration_file_names_everything(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.hyperv_estates import estate, virtual_machine
    from v2x.simulators.hyperv.service import HyperV

    with HyperV(tmp_path / "h", smb=False, estate=estate(virtual_machine(disks=[]))) as served:
        (tmp_path / "pw").touch(mode=0o600)
        (tmp_path / "pw").write_text(served.password)
        (tmp_path / "v2x.toml").write_text(
            f'[source.hv]\naddress = "{served.address}"\nsecret = "file:{tmp_path / "pw"}"\n'
            f'fingerprint = "{served.fingerprint}"\nauth = "ntlm"\nconfiguration = "v2x"\n'
        )
        monkeypatch.chdir(tmp_path)
        assert run(["inventory", "hv", "--json"]) == 0
    assert [one["name"] for one in json.loads(capfd.readouterr().out)["machines"]] == ["web"]
