# SPDX-License-Identifier: Apache-2.0
"""Sessions, names and other people's objects: what a pool may answer, and what must never be touched."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.estate import machine
from v2x.errors import Conflict, ConnectError, LoginError, PermissionRefused, TargetError, TrustError, Unsupported
from v2x.migrate.steps import preflight
from v2x.migrate.work import Work
from v2x.model.machine import Firmware
from v2x.model.target import SecureBoot, TargetDisk, TargetMachine, TargetNic
from v2x.model.units import GIB, MIB
from v2x.secrets import Secret
from v2x.simulators.xapi import Account, Layout, Pool
from v2x.target import open_xapi
from v2x.target.xapi.connection import wire
from v2x.target.xapi.failures import ConnectionLost
from v2x.target.xapi.owner import is_alive, this_run
from v2x.target.xapi.pool import XapiTarget
from v2x.target.xapi.vm import create_vbd
from v2x.tls import Trust


def opened(pool: Pool, *, password: str = "", user: str = "", address: str = "", **options: Any) -> XapiTarget:
    address = address or pool.address
    host, _, port = address.partition(":")
    trust = Trust(fingerprint=pool.fingerprints[address])
    options = {"patience_seconds": 2.0, **options}
    return open_xapi(host, int(port), user or pool.user, Secret(password or pool.password), trust, **options)


def spec(pool: Pool, **changes: Any) -> TargetMachine:
    sr = pool.records("SR")[pool.ref_by_name("SR", "NFS storage")]["uuid"]
    network = pool.records("network")[pool.ref_by_name("network", "VLAN 10")]["uuid"]
    values: dict[str, Any] = {
        "source_id": "m",
        "name": "web",
        "description": "notes",
        "firmware": Firmware.UEFI,
        "secure_boot": SecureBoot.AUTO,
        "vtpm": False,
        "vcpus": 2,
        "memory_bytes": GIB,
        "platform": {"acpi": "1"},
        "boot_order": "cd",
        "template": "generic-linux-uefi",
        "disks": (TargetDisk(source_disk="d", name="web d", description="", sr=sr, size_bytes=2 * MIB, device="0"),),
        "nics": (
            TargetNic(source_position=0, device="0", network=network, network_name="VLAN 10", mac="00:50:56:00:00:01"),
        ),
    }
    return TargetMachine(**values | changes)


def vm_of(pool: Pool, uuid: str) -> dict[str, Any]:
    return next(vm for vm in pool.records("VM").values() if vm["uuid"] == uuid)


def test_refused_password_is_tried_exactly_once(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    tried: list[str] = []
    real = pool.state.sessions.authenticate

    def counted(user: str, password: str) -> Any:
        tried.append(user)
        return real(user, password)

    pool.state.sessions.authenticate = counted  # type: ignore[method-assign]
    target = opened(pool, password="wrong")
    with pytest.raises(LoginError, match="refused user root"):
        target.__enter__()
    refused: list[str] = []

    def try_again() -> None:
        try:
            target.facts()
        except LoginError as error:
            refused.append(error.code)

    threads = [threading.Thread(target=try_again) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(LoginError):
        target.find("x")
    target.close()
    assert tried == ["root"] and refused == ["LOGIN"] * 3


def test_pool_member_names_the_coordinator(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool(layout=Layout(hosts=2))
    with pytest.raises(ConnectError) as caught, opened(pool, address=pool.addresses[1]):
        pass
    assert caught.value.code == "NOT-COORDINATOR"
    assert pool.address in caught.value.hint
    assert caught.value.exit_code == 5


def test_coordinator_is_followed_on_request(simulated_pool: Callable[..., Pool], tmp_path: Path) -> None:
    pool = simulated_pool(layout=Layout(hosts=2))
    member, _, port = pool.addresses[1].partition(":")
    certificates = tmp_path / "pool.pem"
    certificates.write_text("".join(pool.state.certificates.values()))
    trust = Trust(ca_file=str(certificates))
    with open_xapi(member, int(port), pool.user, Secret(pool.password), trust, follow=True) as target:
        assert target.facts().hosts
        assert f"{target.client.host}:{target.client.port}" == pool.address


def test_another_certificate_than_the_pinned_one_is_refused(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    host, _, port = pool.address.partition(":")
    trust = Trust(fingerprint="sha256:" + "0" * 64)
    with (
        pytest.raises(TrustError, match="another certificate"),
        open_xapi(host, int(port), "root", Secret(pool.password), trust),
    ):
        pass
    assert pool.ledger.calls_of("session.login_with_password") == []


def test_role_without_rights_is_told(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool(accounts=[Account("viewer", "secret", "read-only")])
    with opened(pool, user="viewer", password="secret") as target:
        assert target.facts().hosts
        with pytest.raises(PermissionRefused, match=r"vm\.create"):
            target.claim(spec(pool), "tag")


def test_expired_session_is_renewed_once_for_all_threads(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    with opened(pool) as target:
        target.facts()
        pool.expire_sessions()
        results: list[str] = []
        threads = [threading.Thread(target=lambda: results.append(target.facts().pool_uuid)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 4 and len(set(results)) == 1
    assert pool.expire_sessions() == 0


def test_busy_pool_is_waited_for(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    pool.faults.arm("busy", target="VDI.create", times=2)
    with opened(pool) as target:
        assert target.claim(spec(pool), "tag").disks


def test_pool_that_stays_busy_is_given_up(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    pool.faults.arm("busy", target="VDI.create", times=-1)
    with opened(pool, patience_seconds=0.3) as target, pytest.raises(TargetError, match="in progress"):
        target.claim(spec(pool), "tag")


def test_lost_answer_makes_no_second_machine(simulated_pool: Callable[..., Pool]) -> None:
    """The connection breaks after VM.create and VDI.create took effect; the same run looks, and adopts."""
    pool = simulated_pool()
    with opened(pool, sleep=lambda seconds: time.sleep(seconds / 50)) as target:
        real, real_list = target.client._once, target.client._read
        broken: set[str] = set()
        cut = ("VM.create", "VDI.create", "VBD.create", "VIF.create", "VM.get_all_records")

        def once(reference: str, method: str, params: tuple[object, ...], timeout: float = 0.0) -> Any:
            answer = real(reference, method, params, timeout)
            if method in cut and method not in broken:
                broken.add(method)
                raise ConnectionLost(f"{method}: cut")
            return answer

        def listed(reference: str, method: str) -> bytes:
            answer = real_list(reference, method)
            if method in cut and method not in broken:
                broken.add(method)
                raise ConnectionLost(f"{method}: cut")
            return answer

        target.client._once = once  # type: ignore[method-assign]
        target.client._read = listed  # type: ignore[method-assign]
        claim = target.claim(spec(pool), "tag")
    assert len(broken) == 5
    assert claim.fresh
    assert len([vm for vm in pool.records("VM").values() if vm["other_config"].get("v2x-migration") == "tag"]) == 1
    disks = [vdi for vdi in pool.records("VDI").values() if vdi["other_config"].get("v2x-migration") == "tag"]
    assert len(disks) == 1 and len(disks[0]["VBDs"]) == 1
    assert len(vm_of(pool, claim.id)["VIFs"]) == 1


def unprotect(client: Any, vm: str) -> None:
    """What a person does who means to: the operations are free again."""
    client.call("VM.set_blocked_operations", vm, {})


def test_clone_of_a_claim_is_neither_adopted_nor_removed(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    with opened(pool) as target:
        claim = target.claim(spec(pool), "tag")
        client = target.client
        source = client.call("VM.get_by_uuid", claim.id)
        unprotect(client, source)
        clone = client.call("VM.clone", source, "a user's copy")
        assert client.call("VM.get_other_config", clone)["v2x-migration"] == "tag"
        assert target.find("tag").id == claim.id
        assert [found.id for found in target.leftovers()] == [claim.id]
        target.discard(claim)
        assert target.find("tag") is None
        assert target.leftovers() == ()
        assert client.call("VM.get_name_label", clone) == "a user's copy"
        assert len(client.call("VM.get_VBDs", clone)) == 1


def test_two_claims_of_one_migration_are_a_conflict(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    with opened(pool) as target:
        claim = target.claim(spec(pool), "tag")
        client = target.client
        unprotect(client, client.call("VM.get_by_uuid", claim.id))
        clone = client.call("VM.clone", client.call("VM.get_by_uuid", claim.id), "twin")
        client.call("VM.remove_from_other_config", clone, "v2x-self")
        with pytest.raises(Conflict, match="2 VMs claim") as caught:
            target.find("tag")
        assert claim.id in caught.value.message and client.call("VM.get_uuid", clone) in caught.value.message


def test_disk_that_a_user_attached_elsewhere_is_left(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    with opened(pool) as target:
        claim = target.claim(spec(pool), "tag")
        other = target.claim(spec(pool, name="other"), "other-tag")
        client = target.client
        vdi = client.call("VDI.get_by_uuid", claim.disks[0].id)
        create_vbd(client, client.call("VM.get_by_uuid", other.id), vdi, device="5", bootable=False, mode="RO")
        with pytest.raises(Conflict, match="another VM has them attached"):
            target.discard(claim)
        assert client.call("VDI.get_uuid", vdi) == claim.disks[0].id
        assert target.find("tag").id == ""


def test_machine_removed_by_hand_is_made_again_around_its_disks(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    with opened(pool) as target:
        claim = target.claim(spec(pool), "tag")
        unprotect(target.client, target.client.call("VM.get_by_uuid", claim.id))
        target.client.call("VM.destroy", target.client.call("VM.get_by_uuid", claim.id))
        orphan = target.find("tag")
        assert orphan.id == "" and orphan.disks == claim.disks
        again = target.claim(spec(pool), "tag")
        assert again.id != claim.id and again.disks == claim.disks


def test_disks_of_a_sealed_machine_belong_to_the_user(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    with opened(pool) as target:
        claim = target.claim(spec(pool), "tag")
        target.writer(claim, claim.disks[0], [], "p").commit()
        target.seal(claim, spec(pool))
        unprotect(target.client, target.client.call("VM.get_by_uuid", claim.id))
        target.client.call("VM.destroy", target.client.call("VM.get_by_uuid", claim.id))
        assert target.find("tag") is None
        assert target.leftovers() == ()
        again = target.claim(spec(pool), "tag")
        assert again.disks[0].id != claim.disks[0].id
        target.discard(again)
        assert target.client.call("VDI.get_by_uuid", claim.disks[0].id)


def test_started_claim_is_not_touched(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    with opened(pool) as target:
        claim = target.claim(spec(pool, firmware=Firmware.BIOS, secure_boot=SecureBoot.FALSE), "tag")
        with pytest.raises(Conflict, match="blocked"):
            target.start(claim)
        reference = target.client.call("VM.get_by_uuid", claim.id)
        for operation in ("start", "start_on"):
            target.client.call("VM.remove_from_blocked_operations", reference, operation)
        target.start(claim)
        with pytest.raises(Conflict, match="running"):
            target.discard(claim)
        with pytest.raises(Conflict, match="running"):
            target.claim(spec(pool), "tag")


def test_sealed_machine_starts(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    with opened(pool) as target:
        planned = spec(pool, vtpm=True, cd_device="3", bios_strings={"bios-vendor": "x"}, auto_start=True)
        claim = target.claim(planned, "tag")
        target.writer(claim, claim.disks[0], [], "p").commit()
        target.seal(claim, planned)
        target.start(claim)
    vm = vm_of(pool, claim.id)
    assert vm["power_state"] == "Running"
    assert vm["name_label"] == "web" and len(vm["VTPMs"]) == 1
    assert vm["other_config"]["auto_poweron"] == "true"
    assert [vif["MAC"] for vif in pool.records("VIF").values() if vif["VM"] in pool.records("VM")] == [
        "00:50:56:00:00:01"
    ]


def test_old_pool_says_that_it_makes_no_vtpm(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool(profile="xcp-ng-8.2")
    with opened(pool) as target:
        facts = target.facts()
        assert not facts.qcow2_import
        with pytest.raises(Unsupported, match="virtual TPM"):
            target.claim(spec(pool, vtpm=True), "tag")


def test_old_pool_gives_seven_network_devices(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool(profile="xcp-ng-8.2")
    with opened(pool) as target:
        nic = spec(pool).nics[0]
        nics = tuple(replace(nic, device=str(number), mac="") for number in range(8))
        with pytest.raises(Unsupported, match="network device 7"):
            target.claim(spec(pool, nics=nics), "tag")


def test_vlan_network_is_made_once(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool(layout=Layout(hosts=2))
    with opened(pool) as target:
        made = target.ensure_network("Shop floor", 42)
        assert target.ensure_network("Shop floor", 42) == made
        found = next(net for net in target.facts().networks if net.uuid == made)
        assert (found.vlan, len(found.hosts)) == (42, 2)
        with pytest.raises(Conflict, match="is 42, not VLAN 43"):
            target.ensure_network("Shop floor", 43)
        internal = target.ensure_network("Lab")
        assert target.ensure_network("Lab") == internal
        with pytest.raises(TargetError, match="eth7"):
            target.ensure_network("Other", 44, "eth7")


def test_facts_leave_a_claims_own_name_and_addresses_out(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    with opened(pool) as target:
        claim = target.claim(spec(pool), "tag")
        facts = target.facts()
        assert facts.machine_names == () and facts.macs == ()
        target.writer(claim, claim.disks[0], [], "p").commit()
        target.seal(claim, spec(pool))
        facts = target.facts()
        assert facts.machine_names == ("web",)
        assert [(mac.mac, mac.machine) for mac in facts.macs] == [("00:50:56:00:00:01", "web")]
        assert any(t.reference_label == "windows-11" and t.firmware is Firmware.UEFI for t in facts.templates)
        assert facts.product == "XCP-ng" and facts.vtpm_supported and facts.qcow2_import


def test_text_that_xml_cannot_hold_still_arrives(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    with opened(pool) as target:
        claim = target.claim(spec(pool, name="a\x00b\x1b<&>\ud800 ü", description="x" * 400_000), "tag")
    name = vm_of(pool, claim.id)["name_label"]
    assert name.startswith("[v2x tag] ab<&>") and name.endswith("ü")
    assert len(vm_of(pool, claim.id)["name_description"]) == 65536


def test_ints_go_as_text_and_booleans_stay() -> None:
    assert wire({"a": 1 << 40, "b": True, "c": [1.5, -1], 3: "x"}) == {
        "a": str(1 << 40),
        "b": True,
        "c": [1.5, "-1"],
        "3": "x",
    }


def test_this_process_lives_and_an_ended_one_does_not() -> None:
    assert is_alive(this_run())
    code = "from v2x.target.xapi.owner import this_run; print(this_run())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": "."}
    )
    owner = done.stdout.strip()
    assert owner.count(":") == 3
    assert not is_alive(owner)
    assert not is_alive("elsewhere:11111111:1:1")
    assert not is_alive("nonsense")


@pytest.mark.parametrize("left", range(1, 8))
def test_a_seal_that_was_killed_while_tidying_is_finished(simulated_pool: Callable[..., Pool], left: int) -> None:
    """The next run finds the machine sealed; what the killed one had not tidied yet is tidied then."""
    pool = simulated_pool()
    planned = spec(pool)

    class Killed(BaseException):
        pass

    with opened(pool) as target:
        claim = target.claim(planned, "tag")
        target.writer(claim, claim.disks[0], [], "p").commit()
        real, after = target.client.call, []

        def call(method: str, *params: object) -> Any:
            if "v2x-sealed" in params or after:
                after.append(method)
            if len(after) > left:
                raise Killed
            return real(method, *params)

        target.client.call = call  # type: ignore[method-assign]
        with contextlib.suppress(Killed):
            target.seal(claim, planned)
        target.client.call = real  # type: ignore[method-assign]
    with opened(pool) as target:
        found = target.find("tag")
        assert found is not None and found.sealed
        preflight(Work(tag="tag", machine=machine(0), spec=planned, source=cast(Any, None), target=target,
                       observer=cast(Any, None)))  # fmt: skip
    assert not [
        one for kind in ("VM", "VDI") for one in pool.records(kind).values() if "v2x-migration" in one["other_config"]
    ]
