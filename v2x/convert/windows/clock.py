# SPDX-License-Identifier: Apache-2.0
"""The clock at the first boot: Windows takes the hardware clock for local time, and the pool's begins at UTC."""

from v2x.convert.interface import Proposal, Remark
from v2x.convert.registry import Hive, RegistryValue, ValueEdit, dword
from v2x.convert.windows.view import WindowsView

_ZONE = "Control\\TimeZoneInformation"
_UNIVERSAL = "RealTimeIsUniversal"


def hardware_clock(view: WindowsView) -> Proposal:
    """Has Windows read the clock as UTC where the pool sets it so; says how to set the pool's where no machine is."""
    universal = view.setting(_ZONE, _UNIVERSAL)
    as_utc = universal is not None and universal.number == 1
    ahead = _seconds_ahead(view.setting(_ZONE, "ActiveTimeBias"))
    if view.clock_offset_seconds is None:
        return Proposal(remarks=(_advice(ahead, as_utc),) if ahead and not as_utc else ())
    if view.clock_offset_seconds == 0 and ahead and not as_utc:
        why = "the pool starts the clock at UTC, and Windows would take it for local time"
        edits = []
        for control_set in view.facts.control_sets:
            key = f"{control_set}\\{_ZONE}"
            before = view.registry.value(Hive.SYSTEM, key, _UNIVERSAL)
            edits.append(ValueEdit(hive=Hive.SYSTEM, key=key, name=_UNIVERSAL, before=before, after=dword(1), why=why))
        return Proposal(registry=tuple(edits))
    if view.clock_offset_seconds != (0 if as_utc else ahead):
        remark = Remark(
            text=f"the pool's clock starts {view.clock_offset_seconds} seconds ahead of UTC, and this Windows expects "
            f"{0 if as_utc else ahead}",
            remedy="leave --timezone out, or correct the guest's own zone",
        )
        return Proposal(remarks=(remark,))
    return Proposal()


def _advice(ahead: int, as_utc: bool) -> Remark:
    return Remark(
        text=f"this Windows expects a hardware clock {ahead} seconds ahead of UTC",
        remedy=f"xe vm-param-set uuid=… platform:timeoffset={ahead} before its first start",
    )


def _seconds_ahead(bias: RegistryValue | None) -> int:
    """Windows's bias is in minutes, and what has to be added to local time for UTC; a signed number."""
    number = bias.number if bias else None
    if number is None:
        return 0
    signed = number - (1 << 32) if number >= 1 << 31 else number
    return -signed * 60 if abs(signed) <= 14 * 60 else 0
