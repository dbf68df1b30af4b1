# SPDX-License-Identifier: Apache-2.0
"""The stand-in for vSphere as a whole: its estate, thousands of machines, the panel, the command."""

import json
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from pyVim.connect import SmartConnect
from pyVmomi import vim

from tests.vsphere_estate import MIB, Factory, disks_in, everything, finished, patterned, service_of
from v2x.cli import simulate
from v2x.errors import UsageError
from v2x.simulators.vsphere import PROFILES, VsphereSimulator


def posted(simulator: VsphereSimulator, **order: Any) -> dict[str, Any]:
    request = urllib.request.Request(f"{simulator.panel_url}/_faults", json.dumps(order).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def shown(simulator: VsphereSimulator, page: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{simulator.panel_url}{page}", timeout=10) as answer:
        return json.load(answer)


def test_the_estate_has_one_of_each(simulated_vsphere: Factory) -> None:
    service = service_of(simulated_vsphere())
    rows = [values for _, values in everything(service, vim.VirtualMachine, "name", "config", "runtime", "guest")]
    by_name = {row["name"]: row for row in rows}
    kinds = {type(d).__name__.rpartition(".")[2] for row in rows for d in row["config"].hardware.device}
    assert {
        *("VirtualIDEController", "VirtualAHCIController", "VirtualNVMEController", "VirtualUSBXHCIController"),
        *("ParaVirtualSCSIController", "VirtualLsiLogicController", "VirtualLsiLogicSASController"),
        *("VirtualBusLogicController", "VirtualTPM", "VirtualPCIPassthrough", "VirtualUSB", "VirtualSerialPort"),
        *("VirtualFloppy", "VirtualCdrom", "VirtualSriovEthernetCard", "VirtualPCNet32", "VirtualE1000e"),
    } <= kinds
    backings = [d.backing for row in rows for d in disks_in(row["config"])]
    assert {b.diskMode for b in backings} == {"persistent", "independent_persistent", "independent_nonpersistent"}
    assert {getattr(b, "compatibilityMode", None) for b in backings} == {None, "physicalMode", "virtualMode"}
    assert {row["runtime"].powerState for row in rows} == {"poweredOn", "poweredOff", "suspended"}
    assert {row["guest"].toolsStatus for row in rows} >= {"toolsOk", "toolsOld", "toolsNotRunning", "toolsNotInstalled"}
    dc01 = by_name["dc01"]["config"]
    assert dc01.firmware == "efi"
    assert dc01.bootOptions.efiSecureBootEnabled
    assert dc01.keyId is not None
    assert [type(b).__name__.rpartition(".")[2] for b in dc01.bootOptions.bootOrder] == [
        *("BootableDiskDevice", "BootableEthernetDevice")
    ]
    assert list(by_name["db-standby"]["config"].cpuAffinity.affinitySet) == [0, 1, 2, 3]
    assert by_name["db-primary"]["config"].latencySensitivity.level == "high"
    primary = by_name["db-primary"]
    assert (primary["config"].cpuAllocation.reservation, primary["config"].cpuAllocation.shares.level) == (
        4000,
        "custom",
    )
    assert [d.storageIOAllocation.limit for d in disks_in(primary["config"])] == [-1, -1, 2000, -1]
    assert primary["guest"].ipStack[0].ipRouteConfig.ipRoute[0].gateway.ipAddress == "192.0.2.1"
    assert by_name["dc01"]["guest"].net[0].ipConfig.dhcp.ipv4.enable
    assert by_name["web02"]["guest"].net[0].ipAddress == ["192.0.2.12"]
    assert [d.diskPath for d in by_name["web02"]["guest"].disk] == ["/", "/srv"]
    assert by_name["vCLS-00000001-0000-4000-8000-000000000001"]["config"].managedBy.extensionKey == "com.vmware.vim.eam"
    assert by_name["mail-placeholder"]["config"].managedBy.type == "placeholderVm"
    assert disks_in(by_name["mail-placeholder"]["config"]) == []


def test_networks_and_clusters_of_the_estate(simulated_vsphere: Factory) -> None:
    service = service_of(simulated_vsphere())
    groups = {
        values["name"]: values["config"].defaultPortConfig.vlan
        for _, values in everything(service, vim.dvs.DistributedVirtualPortgroup, "name", "config")
    }
    assert groups["DPG-100"].vlanId == 100
    assert [(r.start, r.end) for r in groups["DPG-Trunk"].vlanId] == [(100, 199), (300, 310)]
    assert groups["DPG-PVLAN"].pvlanId == 201
    [(_, opaque)] = everything(service, vim.OpaqueNetwork, "summary")
    assert opaque["summary"].opaqueNetworkType == "nsx.LogicalSwitch"
    hosts = everything(service, vim.HostSystem, "name", "config.network", "runtime.inMaintenanceMode")
    spec = {p.spec.name: p.spec.vlanId for p in hosts[0][1]["config.network"].portgroup}
    assert spec == {"VM Network": 0, "LAN-10": 10, "DMZ 20/30": 20, "Trunk": 4095, "Internal": 0}
    assert sum(values["runtime.inMaintenanceMode"] for _, values in hosts) == 1
    [(_, cluster)] = everything(service, vim.ClusterComputeResource, "name", "configurationEx")
    config = cluster["configurationEx"]
    assert cluster["name"] == "Cluster A%2fB"
    assert (config.drsConfig.enabled, config.dasConfig.enabled, config.dpmConfigInfo.enabled) == (True, True, True)
    assert [type(r).__name__.rpartition(".")[2] for r in config.rule] == [
        *("AntiAffinityRuleSpec", "AffinityRuleSpec", "VmHostRuleInfo")
    ]
    [(vapp, values)] = everything(service, vim.VirtualApp, "vAppConfig", "vm")
    assert [e.startOrder for e in values["vAppConfig"].entityConfig] == [1, 2]
    assert all(m.parent is None and m.parentVApp == vapp for m in values["vm"])


def test_thousands_of_machines_are_there_at_once(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere(estate="empty", machines=3000)
    service = service_of(simulator)
    rows = everything(
        service, vim.VirtualMachine, "name", "config.uuid", "runtime.host", "summary.config.name", page=500
    )
    assert len(rows) == 3000
    assert len({values["config.uuid"] for _, values in rows}) == 3000
    assert len({values["runtime.host"]._moId for _, values in rows}) == 3
    assert all(values["name"] == values["summary.config.name"] for _, values in rows)
    assert len({values["name"] for _, values in rows}) == 3000 - 6, "some names are there twice"
    machine, values = rows[1234]
    assert service.content.searchIndex.FindByUuid(None, values["config.uuid"], True, False) == machine
    finished(machine.CreateSnapshot_Task("s", "", False, False))
    assert machine.snapshot.rootSnapshotList[0].name == "s"
    assert disks_in(machine.config)[0].backing.fileName.endswith("-000001.vmdk")
    other = rows[1237][0]
    assert other.snapshot is None
    assert other.config.name == rows[1237][1]["name"]


def test_the_panel_arms_shows_and_acts(simulated_vsphere: Factory, tmp_path: Path) -> None:
    simulator = simulated_vsphere(estate="empty")
    machine = simulator.add_vm("one", patterned(tmp_path / "a.raw", MIB), power="poweredOn")
    told = posted(simulator, settings={"task_delay": 0.1}, arm=[{"kind": "cut", "target": "nfc", "at": 5}])
    assert told["settings"]["task_delay"] == 0.1
    assert told["armed"][0]["kind"] == "cut"
    assert posted(simulator, clear=True)["armed"] == []
    posted(simulator, start_writing={"machine": "one", "per_second": 200})
    disk = simulator.disks(machine)[2000]
    while disk.guest_writes < 10:
        time.sleep(0.01)
    assert posted(simulator, stop_writing="one")["writing"] == []
    facts = shown(simulator, "/_disks")[machine.moid]["2000"]
    assert facts["untouched"]
    assert facts["digest"] == disk.digest()
    host = machine.values["runtime"].host._moId
    posted(simulator, vmotion="one")
    assert machine.values["runtime"].host._moId != host
    posted(simulator, host_down=host, host_up=host, reset_tracking="one", power={"machine": "one", "to": "poweredOff"})
    service_of(simulator)
    posted(simulator, expire_sessions=True, remove="one")
    assert simulator.state.sessions.count() == 0
    effects = [e["what"] for e in shown(simulator, "/_ledger")["effects"]]
    assert effects == ["vmotion", "host down", "host up", "change tracking reset", "power", "machine removed"]
    for wrong in (
        {"nonsense": 1},
        {"settings": {"task_delay": -1}},
        {"arm": [{"kind": "x"}]},
        {"remove": "none"},
        {"power": 1},
    ):
        with pytest.raises(urllib.error.HTTPError, match="400"):
            posted(simulator, **wrong)


def test_bytes_that_change_by_themselves_are_told(vcenter: VsphereSimulator, tmp_path: Path) -> None:
    machine = vcenter.add_vm("one", patterned(tmp_path / "a.raw", MIB))
    assert vcenter.untouched() == []
    extent = vcenter.disks(machine)[2000].top.extent
    with extent.open("r+b") as file:
        file.write(b"not by the guest")
    assert vcenter.untouched() == ["one 2000"]


def test_broken_and_slow_answers(vcenter: VsphereSimulator) -> None:
    service = service_of(vcenter)
    vcenter.faults.arm("broken", target="CurrentTime")
    with pytest.raises(Exception, match="not well-formed"):
        service.CurrentTime()
    vcenter.faults.arm("cut", target="CurrentTime", at=20)
    with pytest.raises(Exception, match=r"IncompleteRead|no element|unclosed|closed"):
        service.CurrentTime()
    vcenter.faults.arm("refuse", target="CurrentTime", name="vim.fault.RestrictedVersion")
    with pytest.raises(vim.fault.RestrictedVersion):
        service.CurrentTime()
    vcenter.faults.arm("slow", target="CurrentTime", seconds=0.2)
    started = time.monotonic()
    service.CurrentTime()
    assert time.monotonic() - started > 0.15
    with pytest.raises(UsageError, match="No fault"):
        vcenter.faults.arm("nonsense")


def test_the_same_folder_keeps_the_certificate(simulated_vsphere: Factory, tmp_path: Path) -> None:
    first = simulated_vsphere(tmp_path / "kept", estate="empty")
    pin, uuid = first.fingerprint, first.add_vm("one").values["config"].uuid
    first.stop()
    again = simulated_vsphere(tmp_path / "kept", estate="empty")
    assert again.fingerprint == pin
    assert again.add_vm("one").values["config"].uuid == uuid, "the estate is made alike"


def test_a_folder_of_its_own_goes_with_it() -> None:
    with VsphereSimulator(profile="esxi", estate="empty") as simulator:
        folder = simulator.folder
        assert (folder / "api.pem").is_file()
    assert not folder.exists()


def test_the_help_names_every_profile() -> None:
    assert set(simulate._VSPHERE_PROFILES) == set(PROFILES)


def test_what_cannot_be_simulated_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No profile"):
        VsphereSimulator(tmp_path, profile="vcenter-4")
    with pytest.raises(UsageError, match="No estate"):
        VsphereSimulator(tmp_path, estate="nonsense").start()


def test_the_command(tmp_path: Path) -> None:
    """`v2x simulate vsphere` with ten thousand machines: ready in seconds, within 300 MB, ends at SIGTERM."""
    image = tmp_path / "guest.qcow2"
    raw = patterned(tmp_path / "guest.raw", 2 * MIB)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(raw), str(image)], check=True)
    command = [
        *(sys.executable, "-m", "v2x", "simulate", "vsphere", "--json", "--profile", "vcenter-7.0"),
        *("--machines", "10000", "--vm-disk", str(image), "--state", str(tmp_path / "state")),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            port = ready["address"].rpartition(":")[2]
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            pem = (tmp_path / "state" / "api.pem").read_text()
            context.load_verify_locations(cadata=pem[pem.index("-----BEGIN CERTIFICATE") :])
            service = SmartConnect(
                host="127.1", port=int(port), user=ready["user"], pwd=ready["password"], sslContext=context
            )
            assert service.content.about.version == "7.0.3"
            guest = service.content.searchIndex.FindByInventoryPath("Europe/DC 1/vm/guest")
            assert disks_in(guest.config)[0].capacityInBytes == 2 * MIB
            assert len(everything(service, vim.VirtualMachine, "name")) > 10_000
            with urllib.request.urlopen(f"{ready['fault_panel']}/_faults", timeout=10) as answer:
                assert json.load(answer)["armed"] == []
            peak = int(Path(f"/proc/{process.pid}/status").read_text().partition("VmHWM:")[2].split()[0])
            assert peak < 300 * 1024
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
