# SPDX-License-Identifier: Apache-2.0
"""What a pool tells of a guest: nothing before its agent speaks, then addresses by adapter."""

import time
from collections.abc import Callable

from v2x.model.health import Adapter
from v2x.model.machine import Firmware
from v2x.model.target import SecureBoot, TargetDisk, TargetMachine, TargetNic
from v2x.model.units import GIB, MIB
from v2x.secrets import Secret
from v2x.simulators.xapi import Pool, guest_agent
from v2x.target import open_xapi
from v2x.target.interface import TellsGuest
from v2x.tls import Trust

MAC = "00:50:56:00:00:01"


def spec(pool: Pool) -> TargetMachine:
    sr = str(pool.records("SR")[pool.ref_by_name("SR", "NFS storage")]["uuid"])
    network = str(next(iter(pool.records("network").values()))["uuid"])
    return TargetMachine(
        source_id="m", name="web", description="", firmware=Firmware.BIOS, secure_boot=SecureBoot.FALSE, vtpm=False,
        vcpus=1, memory_bytes=GIB, platform={}, boot_order="c", template="other-install-media",
        disks=(TargetDisk(source_disk="d", name="d", description="", sr=sr, size_bytes=2 * MIB, device="0"),),
        nics=(TargetNic(source_position=0, device="0", network=network, network_name="n", mac=MAC.upper()),),
    )  # fmt: skip


def test_a_guest_before_its_start_while_it_boots_and_after(simulated_pool: Callable[..., Pool]) -> None:
    pool = simulated_pool()
    host, _, port = pool.address.partition(":")
    words = {
        "delay": 0.5, "addresses": {"0": ["192.0.2.7", "2001:db8::7"], "9": ["192.0.2.9"]},
        "drivers_version": {"major": "9", "minor": "4", "micro": "0", "build": "45"}, "system": {"name": "Debian 12"},
    }  # fmt: skip
    guest_agent.describe(pool.state, {"web": words})
    opened = open_xapi(host, int(port), pool.user, Secret(pool.password), Trust(fingerprint=pool.fingerprint))
    with opened as target:
        assert isinstance(target, TellsGuest)
        claim = target.claim(spec(pool), "tag")
        (disk,) = claim.disks
        target.writer(claim, disk, [], "p").commit()
        target.seal(claim, spec(pool))
        still = target.guest(claim)
        assert not still.running and still.disks == () and still.agent is None
        target.start(claim)
        booting = target.guest(claim)
        assert booting.running and booting.disks == (2 * MIB,)
        assert booting.agent is booting.drivers is None
        assert booting.adapters == (Adapter(position=0, mac=MAC),)
        until = time.monotonic() + 20
        while (now := target.guest(claim)).agent is None:
            assert time.monotonic() < until
            time.sleep(0.05)
    assert now.agent and now.drivers and now.drivers_version == "9.4.0.45" and now.system == "Debian 12"
    assert now.adapters == (Adapter(position=0, mac=MAC, addresses=("192.0.2.7", "2001:db8::7")),)
    assert now.started == booting.started
