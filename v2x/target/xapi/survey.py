# SPDX-License-Identifier: Apache-2.0
"""What on a pool concerns one machine, in a few small calls whatever the pool's size."""

from v2x.model.target import TargetMachine, UsedMac
from v2x.target.interface import Room, Surroundings
from v2x.target.xapi.client import Client
from v2x.target.xapi.facts import in_use, is_thin
from v2x.target.xapi.failures import passing_gone
from v2x.target.xapi.listing import number, records


def survey(client: Client, spec: TargetMachine) -> Surroundings:
    """As Surveys.survey. An SR that is gone is left out: the claim will say so."""
    pool = next(iter(records(client, "pool").values()), {})
    return Surroundings(
        place=str(pool.get("name_label", "")) or client.host,
        name_used=_name_used(client, spec.name),
        macs=_macs(client, {nic.mac.lower() for nic in spec.nics if nic.mac}),
        storage=_rooms(client, sorted({disk.sr for disk in spec.disks})),
    )


def _name_used(client: Client, name: str) -> bool:
    for reference in client.call("VM.get_by_name_label", name):
        with passing_gone():
            if in_use(client.call("VM.get_record", reference)):
                return True
    return False


def _macs(client: Client, wanted: set[str]) -> tuple[UsedMac, ...]:
    if not wanted:
        return ()
    # XAPI keeps an address as it was given, in either case, and compares texts.
    spelled = sorted(spelling for mac in wanted for spelling in {mac, mac.upper()})
    found = client.call("VIF.get_all_records_where", " or ".join(f'field "MAC" = "{mac}"' for mac in spelled))
    used = []
    for vif in found.values():
        with passing_gone():
            vm = client.call("VM.get_record", vif["VM"])
            if in_use(vm):
                used.append(UsedMac(mac=str(vif["MAC"]).lower(), machine=str(vm.get("name_label", ""))))
    return tuple(sorted(used, key=lambda one: (one.mac, one.machine)))


def _rooms(client: Client, uuids: list[str]) -> tuple[Room, ...]:
    drivers = {str(driver.get("type")): driver for driver in records(client, "SM").values()}
    rooms = []
    for uuid in uuids:
        with passing_gone():
            sr = client.call("SR.get_record", client.call("SR.get_by_uuid", uuid))
            size, used = number(sr.get("physical_size")), number(sr.get("physical_utilisation"))
            rooms.append(
                Room(
                    uuid=uuid,
                    name=str(sr.get("name_label", "")),
                    thin=is_thin(sr, drivers.get(str(sr.get("type")), {})),
                    free_bytes=max(0, size - max(0, used)) if size > 0 else None,
                )
            )
    return tuple(rooms)
