# SPDX-License-Identifier: Apache-2.0
"""Disks and CD drives of a VMX: every bus, any unit number, and the files behind them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from v2x.disks.listing import Listing, plain_name
from v2x.errors import InputRefused, UnsafeImage
from v2x.model.inventory import SourceProblem
from v2x.model.machine import CdDrive, Disk, DiskBacking, DiskBus, DiskFormat, DiskMode, Other
from v2x.sources.images import ImageFacts, describe_image
from v2x.sources.vmx_file import VmxFile

_BUSES = {"ide": DiskBus.IDE, "scsi": DiskBus.SCSI, "sata": DiskBus.SATA, "nvme": DiskBus.NVME}
_SLOT = r"(ide|scsi|sata|nvme)([0-9]{1,2}):([0-9]{1,3})(?=\.)"
_MODES = {
    "": DiskMode.PERSISTENT,
    "persistent": DiskMode.PERSISTENT,
    "independent-persistent": DiskMode.INDEPENDENT_PERSISTENT,
    "independent-nonpersistent": DiskMode.INDEPENDENT_NONPERSISTENT,
}
_MODELS = {"lsisas1068": "lsilogicsas"}
_DEFAULT_MODELS = {"ide": "piix4", "sata": "ahci", "nvme": "nvme", "scsi": ""}


@dataclass(frozen=True, slots=True)
class Slot:
    """A device on a storage bus; `key` is `scsi0:3`, as in the file."""

    key: str
    bus: str
    controller: int
    unit: int
    kind: str
    file: str


@dataclass(slots=True)
class SlotReader:
    """Reads the slots of `vmx`; looks at the disks in `listing`. What is amiss goes to `problems`."""

    vmx: VmxFile
    listing: Listing
    problems: list[SourceProblem] = field(default_factory=list)
    _there: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._there = frozenset(self.listing.names())

    def slots(self) -> Iterator[Slot]:
        """Present devices. VMware ignores a device whose controller is not present, and so is it here."""
        for match in self.vmx.groups(_SLOT):
            key, bus = match[0], match[1]
            file = self.vmx.get(f"{key}.fileName").strip()
            if not self.vmx.flag(f"{key}.present"):
                if file and f"{key}.present" not in self.vmx:
                    self._note(file, "IGNORED", f"{key} names {file!r} but is not marked as present; it is left out")
                continue
            if not self.vmx.flag(f"{bus}{match[2]}.present", True):
                self._note(file or key, "IGNORED", f"{key} lies on a controller that is not present; it is left out")
                continue
            kind = self.vmx.get(f"{key}.deviceType").strip().lower()
            yield Slot(key, bus, int(match[2]), int(match[3]), kind or _kind_by_name(file), file)

    def cd_drives(self) -> Iterator[CdDrive]:
        slots = [slot for slot in self.slots() if _is_cd(slot)]
        for position, slot in enumerate(slots):
            is_image = slot.kind == "cdrom-image"
            yield CdDrive(
                position=position,
                bus=_BUSES[slot.bus],
                image=_base(slot.file) if is_image else "",
                connected=self.vmx.flag(f"{slot.key}.startConnected", True) and is_image,
            )

    def passed_through(self) -> Iterator[str]:
        """Generic SCSI devices of the host."""
        return (slot.key for slot in self.slots() if slot.kind in {"scsi-passthru", "scsi-generic"})

    def disks(self) -> tuple[Disk, ...]:
        passed = set(self.passed_through())
        slots = [slot for slot in self.slots() if not _is_cd(slot) and slot.key not in passed]
        return tuple(self._disk(slot, position) for position, slot in enumerate(self._in_order(slots)))

    def _in_order(self, slots: list[Slot]) -> list[Slot]:
        """Boot order first where `bios.hddOrder` states one; then bus, controller, unit."""
        order = [word.strip().lower() for word in self.vmx.get("bios.hddOrder").split(",")]
        buses = list(_BUSES)

        def rank(slot: Slot) -> tuple[int, int, int, int]:
            stated = order.index(slot.key) if slot.key in order else len(order)
            return stated, buses.index(slot.bus), slot.controller, slot.unit

        return sorted(slots, key=rank)

    def _disk(self, slot: Slot, position: int) -> Disk:
        vmx, key = self.vmx, slot.key
        controller = f"{slot.bus}{slot.controller}"
        facts, backing = self._look(slot)
        model = vmx.get(f"{controller}.virtualDev").strip().lower()
        mode = vmx.get(f"{key}.mode").strip().lower()
        sharing = vmx.get(f"{controller}.sharedBus").strip().lower() in {"virtual", "physical"}
        tracking = vmx.get(f"{key}.ctkEnabled") or vmx.get("ctkEnabled")
        return Disk(
            id=key,
            label=key,
            position=position,
            bus=_BUSES[slot.bus],
            controller=slot.controller,
            unit=slot.unit,
            controller_model=_MODELS.get(model, model) or _DEFAULT_MODELS[slot.bus],
            capacity_bytes=facts.capacity_bytes,
            format=DiskFormat.VMDK,
            subformat=facts.subformat,
            allocated_bytes=facts.allocated_bytes,
            files=facts.chain or ((slot.file,) if slot.file else ()),
            datastore=_datastore(slot.file),
            mode=_MODES.get(mode, Other(mode)),
            backing=backing,
            shared=sharing or vmx.get(f"{key}.sharing").strip().lower() == "multi-writer",
            encrypted=facts.encrypted or "encryption.keysafe" in vmx,
            read_only=not vmx.flag(f"{key}.writable", True),
            change_tracking=vmx.flag(f"{key}.ctkEnabled") if tracking else None,
            uuid=facts.uuid,
        )

    def _look(self, slot: Slot) -> tuple[ImageFacts, DiskBacking]:
        nothing = ImageFacts(capacity_bytes=0)
        name = self._find(slot)
        if not name:
            return nothing, DiskBacking.MISSING
        try:
            facts = describe_image(self.listing, (name,), DiskFormat.VMDK)
        except InputRefused as problem:
            self._note(name, problem.code, problem.message)
            return ImageFacts(capacity_bytes=0, chain=(name,), files=(name,)), DiskBacking.FILE
        if facts is None:
            return nothing, DiskBacking.FILE
        for missing in facts.missing:
            self._note(missing, "MISSING-FILE", f"{missing}, a part of {name}, is not there")
        if facts.raw_device or slot.kind.startswith("rawdisk") or "passthru-rdm" in slot.kind:
            return facts, DiskBacking.RAW_DEVICE
        if facts.problem:
            self._note(name, "BAD-IMAGE", facts.problem)
        return facts, DiskBacking.MISSING if facts.missing else DiskBacking.FILE

    def _find(self, slot: Slot) -> str:
        """The name in the listing. Of a path only the base name counts, and only if that file lies beside the VMX."""
        name = _base(slot.file)
        try:
            plain_name(name)
        except UnsafeImage as problem:
            self._note(slot.file or slot.key, problem.code, f"{slot.key}: {problem.message}")
            return ""
        if name in self._there:
            return name
        where = "" if name == slot.file else f" ({self.vmx.name} names it as {slot.file!r})"
        text = f"{slot.key}: {name} does not lie beside {self.vmx.name}{where}; copy it there"
        self._note(name, "MISSING-FILE", text)
        return ""

    def _note(self, subject: str, code: str, text: str) -> None:
        problem = SourceProblem(subject=subject, code=code, text=text)
        if problem not in self.problems:
            self.problems.append(problem)


def _base(file: str) -> str:
    return re.split(r"[/\\]", file)[-1]


def _datastore(file: str) -> str:
    match = re.match(r"/vmfs/volumes/([^/]+)/", file)
    return match[1] if match else ""


def _kind_by_name(file: str) -> str:
    return "cdrom-image" if file.lower().endswith(".iso") else "disk"


def _is_cd(slot: Slot) -> bool:
    return "cdrom" in slot.kind
