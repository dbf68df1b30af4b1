# SPDX-License-Identifier: Apache-2.0
"""`/folder` and export leases of the stand-in for vSphere, read with http.client."""

import base64
import http.client
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from pyVmomi import vim, vmodl

from tests.vsphere_estate import MIB, Factory, finished, patterned, pinned, service_of
from v2x.simulators.vsphere import MIGRATION, Account, VsphereSimulator

EUROPE = quote("Europe/DC 1", safe="")


class Files:
    """Requests to `/folder` with one cookie, on one connection."""

    def __init__(self, simulator: VsphereSimulator, cookie: str = "") -> None:
        self.simulator, self.cookie = simulator, cookie
        self.connection = http.client.HTTPSConnection(
            "127.0.0.1", simulator.port, context=pinned(simulator), timeout=20
        )
        self.body = b""

    def ask(self, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        given = {name.title(): value for name, value in headers.items()}
        if self.cookie:
            given["Cookie"] = self.cookie
        self.connection.request(method, path, headers=given)
        answer = self.connection.getresponse()
        self.body = answer.read()
        return answer

    def file(self, inside: str, *, store: str = "vmfs6-ssd", home: str = EUROPE, **headers: str) -> int:
        return self.ask(f"/folder/{inside}?dcPath={home}&dsName={quote(store, safe='')}", **headers).status


def logged_in(simulator: VsphereSimulator) -> Files:
    return Files(simulator, service_of(simulator)._stub.cookie.split(";")[0])


def basic(simulator: VsphereSimulator) -> str:
    return "Basic " + base64.b64encode(f"{simulator.user}:{simulator.password}".encode()).decode()


@pytest.fixture
def stored(vcenter: VsphereSimulator, tmp_path: Path) -> Files:
    vcenter.add_vm("one", patterned(tmp_path / "image.raw", 2 * MIB))
    return logged_in(vcenter)


def test_files_want_a_cookie_or_a_password(stored: Files, vcenter: VsphereSimulator) -> None:
    stranger = Files(vcenter)
    answer = stranger.ask("/folder")
    assert answer.status == 401
    assert answer.getheader("WWW-Authenticate", "").startswith("Basic")
    assert stranger.ask("/folder", authorization="Basic " + base64.b64encode(b"x:y").decode()).status == 401
    head = stranger.ask("/folder", "HEAD", authorization=basic(vcenter))
    assert head.status == 200
    assert stranger.body == b""
    assert Files(vcenter, head.getheader("Set-Cookie", "").split(";")[0]).file("one/one-flat.vmdk") == 200


def test_a_disk_and_its_ranges(stored: Files, tmp_path: Path) -> None:
    raw = (tmp_path / "image.raw").read_bytes()
    assert stored.file("one/one-flat.vmdk") == 200
    assert stored.body == raw
    for asked, part in (
        ("bytes=0-511", raw[:512]),
        ("bytes=65536-131071", raw[65536:131072]),
        (f"bytes={2 * MIB - 100}-{2 * MIB + 100}", raw[-100:]),
        ("bytes=2097000-", raw[2097000:]),
        ("bytes=-10", raw[-10:]),
    ):
        assert stored.file("one/one-flat.vmdk", range=asked) == 206
        assert stored.body == part
    assert stored.file("one/one-flat.vmdk", range=f"bytes={2 * MIB}-") == 416
    head = stored.ask(f"/folder/one/one-flat.vmdk?dcPath={EUROPE}&dsName=vmfs6-ssd", "HEAD")
    assert (head.status, head.getheader("Content-Length")) == (200, str(2 * MIB))
    assert stored.file("one/one.vmdk") == 200
    assert b'createType="vmfs"' in stored.body


def test_a_file_that_a_running_machine_writes_to_is_locked(vcenter: VsphereSimulator, tmp_path: Path) -> None:
    machine = vcenter.add_vm("up", patterned(tmp_path / "image.raw", MIB), power="poweredOn")
    service = service_of(vcenter)
    files = logged_in(vcenter)
    assert files.file("up/up-flat.vmdk") == 500
    finished(vim.VirtualMachine(machine.moid, service._stub).CreateSnapshot_Task("s", "", False, False))
    assert files.file("up/up-flat.vmdk") == 200
    assert files.file("up/up-000001-sesparse.vmdk") == 500


def test_names_are_decoded_once(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere()
    files = logged_in(simulator)
    shown = "100%25 Other%5cSites/DC%2f2 100%25"
    assert files.file("web01/web01.vmdk", home=quote(shown, safe="")) == 200
    assert files.file("web01/web01.vmdk", home=quote(quote(shown, safe=""), safe="")) == 404
    assert files.file("web01/web01.vmdk", home=quote("100% Other\\Sites/DC/2 100%", safe="")) == 404
    assert files.file("web01/web01.vmdk", home=quote("DC%2f2 100%25", safe="")) == 404, "folders belong to the path"
    assert files.file("on-backup-share/on-backup-share.vmdk", store="50%25 off%2fbackup") == 200
    assert files.file("on-backup-share/on-backup-share.vmdk", store="50% off/backup") == 404
    assert files.file("lost-invalid/lost-invalid.vmdk", store="lost-lun") == 404, "the datastore cannot be reached"


def test_nothing_outside_of_the_datastore(stored: Files) -> None:
    for path in ("../ledger.jsonl", "%2e%2e/%2e%2e/ledger.jsonl", "one/../../../ledger.jsonl"):
        assert stored.file(path) in (400, 404)


def test_a_lone_host_wants_no_datacenter(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere(profile="esxi")
    files = logged_in(simulator)
    for query in ("dcPath=ha-datacenter&dsName=datastore1", "dsName=datastore1"):
        assert files.ask(f"/folder/web01/web01.vmdk?{query}").status == 200
    assert files.ask("/folder/web01/web01.vmdk?dcPath=other&dsName=datastore1").status == 404


def test_listings(stored: Files) -> None:
    stored.ask("/folder")
    assert b"dcPath=Europe%2FDC%201" in stored.body
    stored.ask(f"/folder?dcPath={EUROPE}")
    assert b"dsName=vmfs6-ssd" in stored.body
    stored.file("one")
    assert b"one-flat.vmdk" in stored.body
    assert b'href="/folder/one/one.vmdk?dcPath=' in stored.body


def test_a_cookie_opens_files_for_a_while(simulated_vsphere: Factory, tmp_path: Path) -> None:
    simulator = simulated_vsphere(estate="empty", cookie_life=0.3)
    simulator.add_vm("one")
    files = logged_in(simulator)
    assert files.file("one/one.vmdk") == 200
    time.sleep(0.4)
    assert files.file("one/one.vmdk") == 401
    files.cookie = ""
    assert files.file("one/one.vmdk", authorization=basic(simulator)) == 200


def test_nothing_can_be_put_or_deleted(stored: Files, vcenter: VsphereSimulator) -> None:
    for method in ("PUT", "DELETE"):
        assert stored.ask(f"/folder/one/one-flat.vmdk?dcPath={EUROPE}&dsName=vmfs6-ssd", method).status == 403
    assert [t.outcome for t in vcenter.ledger.transfers] == ["refused", "refused"]
    assert vcenter.untouched() == []


def test_throttled_by_connection(stored: Files, vcenter: VsphereSimulator) -> None:
    vcenter.settings.folder_rate = 8 * MIB
    started = time.monotonic()
    stored.file("one/one-flat.vmdk")
    assert time.monotonic() - started > 0.15


def test_cut_slow_and_refused(stored: Files, vcenter: VsphereSimulator) -> None:
    vcenter.faults.arm("cut", target="folder", at=100_000)
    with pytest.raises((http.client.IncompleteRead, OSError)):
        stored.file("one/one-flat.vmdk")
    stored = logged_in(vcenter)
    assert [(t.outcome, t.sent_bytes) for t in vcenter.ledger.transfers] == [("cut", 100_000)]
    vcenter.faults.arm("status", target="folder", at=503)
    assert stored.file("one/one-flat.vmdk") == 503
    vcenter.faults.arm("slow", target="folder", seconds=0.2)
    started = time.monotonic()
    assert stored.file("one/one-flat.vmdk") == 200
    assert time.monotonic() - started > 0.15


def test_browsing_is_a_privilege(simulated_vsphere: Factory) -> None:
    account = Account("mover", "pw", MIGRATION - {"Datastore.Browse"})
    simulator = simulated_vsphere(estate="empty", accounts=[account])
    simulator.add_vm("one")
    files = Files(simulator, service_of(simulator, "mover", "pw")._stub.cookie.split(";")[0])
    assert files.file("one/one.vmdk") == 403


def test_looking_into_a_datastore(stored: Files, vcenter: VsphereSimulator) -> None:
    service = service_of(vcenter)
    store = next(d for d in service.content.rootFolder.childEntity[0].childEntity[0].datastore if d.name == "vmfs6-ssd")
    spec = vim.host.DatastoreBrowser.SearchSpec(matchPattern=["*-flat.vmdk"])
    found = finished(store.browser.SearchDatastore_Task("[vmfs6-ssd] one", spec))
    assert [(f.path, f.fileSize) for f in found.file] == [("one-flat.vmdk", 2 * MIB)]
    below = finished(store.browser.SearchDatastoreSubFolders_Task("[vmfs6-ssd]", spec))
    assert {f.path for r in below for f in r.file} == {"one-flat.vmdk"}
    with pytest.raises(vim.fault.FileNotFound):
        finished(store.browser.SearchDatastore_Task("[vmfs6-ssd] none", spec))


# leases


class Exporter:
    """A machine with an image, and its leases."""

    def __init__(self, simulator: VsphereSimulator, folder: Path, **more: Any) -> None:
        self.simulator = simulator
        self.image = patterned(folder / "image.raw", 4 * MIB)
        self.entity = simulator.add_vm("one", self.image, **more)
        self.machine = vim.VirtualMachine(self.entity.moid, service_of(simulator)._stub)

    @property
    def host(self) -> str:
        return str(self.entity.values["runtime"].host._moId)

    def ready(self, lease: Any) -> Any:
        deadline = time.monotonic() + 10
        while lease.state == "initializing":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return lease

    def get(self, url: str, port: int = 0, host: str | None = None) -> http.client.HTTPResponse:
        split = urlsplit(url)
        context = pinned(self.simulator, self.host if host is None else host)
        connection = http.client.HTTPSConnection("127.0.0.1", port or split.port, context=context, timeout=20)
        connection.request("GET", split.path)
        return connection.getresponse()


def raw_of(data: bytes, folder: Path) -> bytes:
    (folder / "got.vmdk").write_bytes(data)
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(folder / "got.vmdk"), str(folder / "got.raw")], check=True)
    return (folder / "got.raw").read_bytes()


def test_a_running_machine_is_exported_by_its_snapshot(vcenter: VsphereSimulator, tmp_path: Path) -> None:
    one = Exporter(vcenter, tmp_path, power="poweredOn")
    with pytest.raises(vim.fault.InvalidPowerState):
        one.machine.ExportVm()
    snapshot = finished(one.machine.CreateSnapshot_Task("s", "", False, False))
    vcenter.disks(one.entity)[2000].write(0, b"later" * 1024 + bytes(0))
    lease = one.ready(snapshot.ExportSnapshot())
    url, nvram = lease.info.deviceUrl
    assert (nvram.disk, nvram.key) == (False, f"/{one.entity.moid}/nvram")
    assert one.get(nvram.url).read().startswith(b"MRVN")
    assert url.key == f"/{one.entity.moid}/ParaVirtualSCSIController0:0"
    assert url.fileSize is None
    assert url.sslThumbprint == vcenter.state.thumbprints[one.host] != vcenter.thumbprint
    assert raw_of(one.get(url.url).read(), tmp_path) == one.image.read_bytes()
    with pytest.raises(vim.fault.TaskInProgress):
        snapshot.RemoveSnapshot_Task(False)
    lease.HttpNfcLeaseComplete()
    assert lease.state == "done"
    finished(snapshot.RemoveSnapshot_Task(False))


def test_a_lone_host_calls_itself_a_star(simulated_vsphere: Factory, tmp_path: Path) -> None:
    simulator = simulated_vsphere(profile="esxi", estate="empty")
    one = Exporter(simulator, tmp_path)
    url, _ = one.ready(one.machine.ExportVm()).info.deviceUrl
    assert url.url.startswith("https://*/nfc/")
    data = one.get(url.url.replace("*", "127.0.0.1"), simulator.port, "").read()
    assert raw_of(data, tmp_path) == one.image.read_bytes()


def test_a_star_on_vcenter_is_vcenter(simulated_vsphere: Factory, tmp_path: Path) -> None:
    simulator = simulated_vsphere(estate="empty", lease_star=True, lease_size_error=1000)
    one = Exporter(simulator, tmp_path)
    url, _ = one.ready(one.machine.ExportVm()).info.deviceUrl
    assert url.fileSize == MIB + 1000, "unreliable"
    data = one.get(url.url.replace("*", "127.0.0.1"), simulator.port, "").read()
    assert raw_of(data, tmp_path) == one.image.read_bytes()


def test_a_lease_without_progress_ends(simulated_vsphere: Factory, tmp_path: Path) -> None:
    simulator = simulated_vsphere(estate="empty", lease_timeout=0.5, lease_delay=0.1)
    one = Exporter(simulator, tmp_path)
    lease = one.machine.ExportVm()
    assert lease.state == "initializing"
    one.ready(lease)
    for _ in range(4):
        time.sleep(0.2)
        lease.HttpNfcLeaseProgress(10)
    assert lease.state == "ready"
    url = lease.info.deviceUrl[0].url
    time.sleep(0.8)
    assert lease.state == "error"
    assert isinstance(lease.error, vim.fault.Timedout)
    assert one.get(url).status == 404
    with pytest.raises(vim.fault.Timedout):
        lease.HttpNfcLeaseProgress(20)


def test_aborted_and_failed_leases(vcenter: VsphereSimulator, tmp_path: Path) -> None:
    one = Exporter(vcenter, tmp_path)
    lease = one.ready(one.machine.ExportVm())
    with pytest.raises(vim.fault.TaskInProgress):
        one.machine.ExportVm()
    lease.HttpNfcLeaseAbort()
    assert lease.state == "error"
    vcenter.faults.arm("lease_error", target="one")
    lease = one.ready(one.machine.ExportVm())
    assert lease.state == "error"
    assert isinstance(lease.error, vim.fault.FileFault)
    assert [e.says["outcome"] for e in vcenter.ledger.effects_of("lease ended")] == ["error", "error"]


@pytest.mark.parametrize(("kind", "why"), [("vmotion", "moved"), ("host_reboot", "host down"), ("cut", "cut")])
def test_what_may_happen_in_mid_copy(vcenter: VsphereSimulator, tmp_path: Path, kind: str, why: str) -> None:
    one = Exporter(vcenter, tmp_path, power="poweredOn")
    lease = one.ready(finished(one.machine.CreateSnapshot_Task("s", "", False, False)).ExportSnapshot())
    before = one.host
    vcenter.faults.arm(kind, at=1000, target="" if kind != "cut" else "nfc")
    url = lease.info.deviceUrl[0].url
    with pytest.raises((http.client.IncompleteRead, OSError)):
        one.get(url).read()
    assert [t.outcome for t in vcenter.ledger.transfers] == [why]
    if kind == "cut":
        assert one.get(url).status == 200, "the lease is still good"
        return
    assert (one.host != before) == (kind == "vmotion")
    time.sleep(0.3)
    assert lease.state == "error"
    if kind == "host_reboot":
        with pytest.raises((OSError, http.client.HTTPException)):
            one.get(url)
    else:
        assert isinstance(lease.error, vmodl.fault.HostNotReachable)


def test_encrypted_machines_are_not_exported(simulated_vsphere: Factory) -> None:
    simulator = simulated_vsphere()
    found = vim.VirtualMachine(simulator.machine("encrypted-disk").moid, service_of(simulator)._stub)
    with pytest.raises(vim.fault.InvalidState):
        found.ExportVm()
