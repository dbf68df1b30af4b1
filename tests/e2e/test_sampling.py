# SPDX-License-Identifier: Apache-2.0
"""`--verify sample`: over the pool's read-only NBD where it offers that already, else from the start of the export."""

import contextlib
import json
import socket
import threading
from pathlib import Path

import pytest

from tests.e2e.conftest import NETWORK, make_raw
from v2x.errors import ConnectError, SourceError
from v2x.model.units import MIB
from v2x.secrets import Secret
from v2x.simulators.certificate import certificate_of, certificate_pem
from v2x.target import open_xapi
from v2x.target.xapi import pool as xapi_pool
from v2x.target.xapi import sampling
from v2x.tls import Trust


@pytest.fixture
def client(bench):
    """The pool as v2x speaks with it."""
    host, _, port = bench.pool.address.partition(":")
    trust = Trust(fingerprint=bench.pool.fingerprint)
    with open_xapi(host, int(port), bench.pool.user, Secret(bench.pool.password), trust) as target:
        yield target.client


@pytest.fixture
def offer(bench, client):
    """Somebody gives the pool's network a purpose."""

    def offer(purpose="nbd"):
        client.call("network.add_purpose", client.call("network.get_by_name_label", NETWORK)[0], purpose)

    return offer


@pytest.fixture
def image(tmp_path):
    return make_raw(tmp_path / "web.raw", 40 * MIB, [(0, 3 * MIB), (20 * MIB, 5 * MIB), (39 * MIB, 700)])


@pytest.fixture
def machine(tmp_path, image):
    (tmp_path / "web.vmx").write_text(
        '.encoding = "UTF-8"\nconfig.version = "8"\nvirtualHW.version = "19"\ndisplayName = "web"\n'
        'guestOS = "debian12-64"\nmemSize = "512"\nscsi0.present = "TRUE"\nscsi0.virtualDev = "pvscsi"\n'
        'scsi0:0.present = "TRUE"\nscsi0:0.fileName = "web.vmdk"\n'
    )
    (tmp_path / "web.vmdk").write_text(
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
        f'createType="monolithicFlat"\nRW {40 * MIB // 512} FLAT "{image.name}" 0\n'
    )
    return tmp_path / "web.vmx"


def purposes(bench):
    return {ref: one["purpose"] for ref, one in bench.pool.records("network").items()}


def disk_of(bench):
    (migration,) = json.loads(Path("report.json").read_text())["migrations"]
    return migration["disks"][0], migration


def test_a_sample_goes_over_nbd_where_the_pool_offers_it(bench, machine, offer):
    offer()
    before = purposes(bench)
    ran = bench.migrate(machine, "--verify", "sample")
    assert ran.code == 0, ran.err
    disk, _ = disk_of(bench)
    assert (disk["verified"], disk["verified_over"]) == ("sample", "NBD")
    assert "samples are equal (NBD)" in ran.out
    assert purposes(bench) == before, "purposes are the pool's own"
    assert bench.v2x("verify", "report.json", "--target", bench.target).code == 0


@pytest.mark.parametrize("purpose", [None, "insecure_nbd"])
def test_without_a_secure_offer_it_goes_over_the_export(bench, machine, client, offer, purpose):
    if purpose:
        offer(purpose)
    before = purposes(bench)
    ran = bench.migrate(machine, "--verify", "sample")
    assert ran.code == 0, ran.err
    disk, _ = disk_of(bench)
    assert (disk["verified"], disk["verified_over"]) == ("sample", "VHD export")
    assert purposes(bench) == before


def test_full_reads_the_export_whatever_is_offered(bench, machine, offer):
    offer()
    assert bench.migrate(machine, "--verify", "full").code == 0
    disk, _ = disk_of(bench)
    assert (disk["verified"], disk["verified_over"]) == ("full", "VHD export")


def test_by_default_a_sample_is_compared_where_nbd_is_offered(bench, machine, offer):
    offer()
    assert bench.migrate(machine).code == 0
    disk, _ = disk_of(bench)
    assert (disk["verified"], disk["verified_over"]) == ("sample", "NBD")


@pytest.mark.parametrize("purpose", ["", "insecure_nbd"])
def test_by_default_nothing_is_read_back_where_it_is_not_and_the_report_says_so(bench, machine, offer, purpose):
    """What was recorded while it was copied is compared afterwards, by whoever wants it."""
    if purpose:
        offer(purpose)
    ran = bench.migrate(machine)
    assert ran.code == 0, ran.err
    disk, _ = disk_of(bench)
    assert (disk["verified"], disk["verified_over"]) == ("none", "") and disk["digests"]
    assert "not read back; all of it was taken, and the sizes fit" in ran.out
    ran = bench.v2x("verify", "report.json", "--target", bench.target)
    assert ran.code == 0, ran.err


def damaging(bench, monkeypatch, times):
    """Whoever keeps the pool's disks changes a byte of the first `times` that are sampled; gives those seen."""
    seen = []
    real = xapi_pool.XapiTarget.sampler

    def sampler(self, claim, disk):
        seen.append(disk.id)
        if len(seen) <= times:
            with bench.pool.vdi_path(disk.id).open("r+b") as file:
                file.seek(39 * MIB + 5)
                file.write(b"other")
        return real(self, claim, disk)

    monkeypatch.setattr(xapi_pool.XapiTarget, "sampler", sampler)
    return seen


def test_a_disk_that_differs_is_made_anew_once_and_never_written_over(bench, machine, image, offer, monkeypatch):
    offer()
    seen = damaging(bench, monkeypatch, 1)
    ran = bench.migrate(machine, "--verify", "sample")
    assert ran.code == 0, ran.err
    disk, migration = disk_of(bench)
    assert "copied once more" in migration["warnings"][0]
    assert f"{38 * MIB:,}" in migration["warnings"][0]
    assert len(seen) == 2
    assert seen[0] != seen[1] == disk["vdi"]
    (held,) = bench.vdis_of(bench.vm("web"))
    assert held.read_bytes() == image.read_bytes()
    assert seen[0] not in {one["uuid"] for one in bench.pool.records("VDI").values()}, "the old bytes are gone"


def test_a_disk_that_differs_twice_stops_the_machine(bench, machine, offer, monkeypatch):
    offer()
    seen = damaging(bench, monkeypatch, 2)
    ran = bench.migrate(machine, "--verify", "sample")
    assert ran.code == 4
    assert len(seen) == 2
    assert "[VERIFY-MISMATCH]" in ran.err
    assert f"{38 * MIB:,}" in ran.err, "the first offset that differs is named"
    (held,) = [one for one in bench.pool.records("VM").values() if "v2x-migration" in one["other_config"]]
    assert "start" in held["blocked_operations"]


def test_an_offer_that_nobody_answers_is_told_and_the_export_serves(bench, machine, offer, monkeypatch):
    offer()
    real = sampling._offers
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    monkeypatch.setattr(sampling, "_offers", lambda *given: [{**one, "port": port} for one in real(*given)])
    ran = bench.migrate(machine, "--verify", "sample")
    assert ran.code == 0, ran.err
    disk, migration = disk_of(bench)
    assert disk["verified_over"] == "VHD export"
    assert any("is sampled from its start, not by NBD: cannot connect" in text for text in migration["warnings"])


def test_an_nbd_server_with_another_certificate_is_not_the_pools(bench, machine, offer, monkeypatch, tmp_path):
    offer()
    other = certificate_pem(certificate_of(tmp_path, "other"))
    real = sampling._offers
    monkeypatch.setattr(sampling, "_offers", lambda *given: [{**one, "cert": other} for one in real(*given)])
    ran = bench.migrate(machine, "--verify", "sample")
    assert ran.code == 5 or "[TRUST" in ran.err
    assert "another certificate than the pinned one" in ran.err
    assert "restart xapi-nbd" in ran.err
    assert "OpaqueRef" not in ran.err + ran.out


def answering(serve):
    """A server of one connection; gives its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(20)

    def run():
        with listening:
            connection, _ = listening.accept()
        with connection:
            connection.settimeout(20)
            serve(connection)

    threading.Thread(target=run, daemon=True).start()
    return listening.getsockname()[1]


GREETING = b"NBDMAGICIHAVEOPT\x00\x03"
SECRET = "/uuid?session_id=OpaqueRef:0123456789abcdef"


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"NBDMAGIC\x00\x00\x42\x02\x81\x86\x12\x53" + bytes(2),
        GREETING,
        GREETING + b"\x00\x03\xe8\x89\x04\x55\x65\xa9" + bytes([0, 0, 0, 5, 0x80, 0, 0, 2, 0, 0, 0, 0]),
        GREETING + b"\x00\x03\xe8\x89\x04\x55\x65\xa9" + bytes([0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0]) + b"no TLS" * 9,
    ],
    ids=["silent", "ssh", "oldstyle", "cut", "without TLS", "TLS of nonsense"],
)
def test_a_server_that_is_none_never_sees_the_session(says):
    got = bytearray()
    ended = threading.Event()

    def serve(connection):
        with contextlib.suppress(OSError):  # whoever is refused may be gone by now
            connection.sendall(says)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(4096):
                got.extend(part)
        ended.set()

    port = answering(serve)
    trust = Trust(fingerprint="sha256:" + "0" * 64)
    with pytest.raises((ConnectError, SourceError)) as caught:
        sampling.NbdTlsReader("127.0.0.1", port, SECRET, trust, name="disk")
    assert ended.wait(20)
    assert b"session_id" not in got
    assert "OpaqueRef" not in str(caught.value)
