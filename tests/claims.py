# SPDX-License-Identifier: Apache-2.0
"""A claim with data on a simulated pool, and the hands of an administrator who never asks v2x."""

import random
from dataclasses import replace
from datetime import UTC, datetime

from v2x.model.machine import Firmware
from v2x.model.rehearsal import Stage
from v2x.model.target import SecureBoot, TargetDisk, TargetMachine, TargetNic
from v2x.model.units import GIB, MIB
from v2x.secrets import Secret
from v2x.target import open_xapi
from v2x.tls import Trust

BLOCK = 2 * MIB
UNTIL = datetime(2026, 1, 1, 12, tzinfo=UTC)
STAGE = Stage(id="b1", networks={"src/LAN": "LAN"})
MAC = "00:50:56:01:02:03"
NULL = "OpaqueRef:NULL"


def opened(pool, user="", password="", **options):
    host, _, port = pool.address.partition(":")
    secret = Secret(password or pool.password)
    return open_xapi(host, int(port), user or pool.user, secret, Trust(fingerprint=pool.fingerprint), **options)


def spec(pool, sr="NFS storage", name="web", disks=2, **changes):
    uuid = pool.records("SR")[pool.ref_by_name("SR", sr)]["uuid"]
    network = pool.records("network")[pool.ref_by_name("network", "VLAN 10")]["uuid"]
    values = {
        "source_id": name, "name": name, "description": "", "firmware": Firmware.UEFI,
        "secure_boot": SecureBoot.FALSE, "vtpm": True, "vcpus": 1, "memory_bytes": GIB, "platform": {},
        "boot_order": "c", "template": "other-install-media", "bios_strings": {"system-serial-number": "S1"},
        "disks": tuple(
            TargetDisk(source_disk=f"d{n}", name=f"{n}", description="", sr=uuid, size_bytes=4 * MIB, device=str(n))
            for n in range(disks)
        ),
        "nics": (TargetNic(source_position=0, device="0", network=network, network_name="n", mac=MAC),),
        "cd_device": "3",
    }  # fmt: skip
    return TargetMachine(**values | changes)


class Place:
    """A pool with one claim whose disks hold data, and an administrator's own hands."""

    def __init__(self, pool, target, **changes):
        self.pool, self.target = pool, target
        self.spec = spec(pool, **changes)
        self.claim = target.claim(self.spec, "tag")
        for number, disk in enumerate(self.claim.disks):
            self.write(disk, number, "p1")
        self.claim = target.find("tag")

    def write(self, disk, seed, point):
        """A pass over the first block of a disk."""
        data = bytearray(random.Random(seed).randbytes(BLOCK))
        if disk.point:
            writer = self.target.patcher(self.claim, disk, [0])
        else:
            writer = self.target.writer(self.claim, disk, [0], point)
        writer.write(0, memoryview(data))
        writer.commit()
        writer.abort()
        if disk.point:
            self.target.advance(self.claim, disk, point)
        return bytes(data)

    def act(self, method, *params):
        """A call of somebody else."""
        return self.target.client.call(method, *params)

    def seclude(self, stage=STAGE):
        return self.target.seclude(stage, [self.claim])

    def rehearse(self, seclusion=None, until=UNTIL, still=lambda: True):
        seclusion = seclusion or self.seclude()
        uuid = seclusion.networks["src/LAN"]
        nics = tuple(replace(nic, network=uuid) for nic in self.spec.nics)
        copied = replace(self.spec, name="[test] web", nics=nics)
        return self.target.rehearse(self.claim, copied, seclusion, until, still)

    def vm(self, uuid):
        return next((one for one in self.pool.records("VM").values() if one["uuid"] == uuid), None)

    def vdis(self, vm):
        vbds = self.pool.records("VBD")
        held = [vbds[ref] for ref in vm["VBDs"] if vbds[ref]["type"] == "Disk"]
        return [self.pool.records("VDI")[one["VDI"]] for one in sorted(held, key=lambda one: one["userdevice"])]

    def content(self, vdi):
        return self.pool.vdi_path(vdi["uuid"] if isinstance(vdi, dict) else vdi).read_bytes()

    def copies(self, vm):
        """What a user makes of a VM and of its disks: everything that copies tags. uuids of VMs and of VDIs."""
        reference = self.act("VM.get_by_uuid", vm["uuid"])
        self.act("VM.set_blocked_operations", reference, {})
        vms = [
            self.act("VM.clone", reference, "mine"),
            self.act("VM.snapshot", reference, "before"),
            self.act("VM.copy", reference, "moved", NULL),
        ]
        disks = [self.act("VDI.get_by_uuid", one["uuid"]) for one in self.vdis(vm)]
        vdis = [self.act(method, disk, {}) for disk in disks for method in ("VDI.clone", "VDI.snapshot")]
        vdis = [self.act("VDI.get_uuid", one) for one in vdis]
        vdis += [one["uuid"] for made in vms for one in self.vdis(self.act("VM.get_record", made))]
        return [self.act("VM.get_uuid", one) for one in vms], vdis

    def tagged(self):
        """What carries a tag of test cutovers."""
        return [
            (cls, one["name_label"]) for cls in ("VM", "VDI", "network") for one in self.pool.records(cls).values()
            if "v2x-test" in one["other_config"]
        ]  # fmt: skip
