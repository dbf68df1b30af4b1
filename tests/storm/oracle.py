# SPDX-License-Identifier: Apache-2.0
"""What has to be true when a round is over, told by the stand-ins and not by v2x."""

import os
import re
import tarfile
from pathlib import Path

CLASSES = ("VM", "VDI", "VBD", "VIF", "network", "PIF", "VLAN", "SR", "VTPM", "VM_appliance")


class Ledgered:
    """What a pool had before the round."""

    def __init__(self, pool):
        self.pool = pool
        self.before = {cls: set(pool.records(cls)) for cls in CLASSES}

    def new(self, cls):
        return {ref: one for ref, one in self.pool.records(cls).items() if ref not in self.before[cls]}

    def holds(self, wanted):
        """Exactly these machines, name → contents of their disks, each of them once and whole, and nothing else."""
        vms, vdis, vbds, vifs = (self.new(cls) for cls in ("VM", "VDI", "VBD", "VIF"))
        vms = {ref: vm for ref, vm in vms.items() if not vm["is_a_template"]}
        names = sorted(vm["name_label"] for vm in vms.values())
        assert names == sorted(wanted), f"machines on the pool: {names}"
        theirs = set()
        for vm in vms.values():
            disks = [vbds[ref] for ref in vm["VBDs"] if vbds[ref]["type"] == "Disk"]
            disks.sort(key=lambda vbd: int(vbd["userdevice"]))
            theirs |= {vbd["VDI"] for vbd in disks}
            held = [self.pool.vdi_path(vdis[vbd["VDI"]]["uuid"]).read_bytes() for vbd in disks]
            same(held, wanted[vm["name_label"]], vm["name_label"])
            assert vm["blocked_operations"] == {}, vm["blocked_operations"]
        assert set(vdis) == theirs, f"disks of nobody: {[vdis[ref]['name_label'] for ref in set(vdis) - theirs]}"
        assert {vbd["VM"] for vbd in vbds.values()} <= set(vms), "a block device of nobody"
        assert {vif["VM"] for vif in vifs.values()} <= set(vms), "a network device of nobody"
        for cls in ("network", "PIF", "VLAN", "SR", "VM_appliance"):
            assert not self.new(cls), f"{cls} left: {self.new(cls)}"
        tags = {key for one in (*vms.values(), *vdis.values()) for key in one["other_config"]}
        left = sorted(tag for tag in tags if tag.startswith("v2x-") and not tag.startswith(STAYS))
        assert not left, f"claim tags left: {left}"

    def transfers(self):
        """Uploads that the pool still reads. Those of a killed program end with their connection."""
        return [one for one in self.pool.ledger.imports if one.outcome == "running"]


STAYS = ("v2x-sealed", "v2x-self", "v2x-disk", "v2x-source")
"""Tags of a machine that is through."""


def same(held, wanted, name):
    assert len(held) == len(wanted), f"{name} has {len(held)} disks of {len(wanted)}"
    for number, (one, other) in enumerate(zip(held, wanted, strict=True)):
        if one[: len(other)] != other or any(one[len(other) :]):
            at = next(at for at in range(len(one)) if one[at : at + 1] != (other[at : at + 1] or b"\0"))
            raise AssertionError(f"disk {number} of {name} differs at byte {at}")


def archived(path):
    """The disks of an XVA, in their order: its chunks of 1 MiB at their numbers, zeros between them."""
    disks = {}
    with tarfile.open(path) as archive:
        for member in archive:
            found = re.fullmatch(r"Ref:(\d+)/(\d{8})", member.name)
            if found is None:
                continue
            held = disks.setdefault(int(found[1]), bytearray())
            at = int(found[2]) << 20
            held.extend(bytes(at - len(held)))
            held.extend(archive.extractfile(member).read())
    return [bytes(disks[number]) for number in sorted(disks)]


def nothing_in(*folders):
    """Nothing that is only for a while is left in these folders."""
    left = [str(path) for folder in folders for path in folder.rglob("*")]
    assert not left, f"left behind: {left}"


def no_process(home):
    """No child of the program lives on: children get HOME from it, and little else."""
    alive = [f"{pid} {words}" for pid, words in processes(home)]
    assert not alive, f"still running: {alive}"


def processes(home):
    wanted = f"HOME={home}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                yield entry.name, (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended, or is somebody else's
