# SPDX-License-Identifier: Apache-2.0
"""Every reader of what others wrote: how its inputs begin, how they are changed, and what reads them.

`read` says whether an input was understood; whatever escapes it, beside the refusals that are expected, is a finding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from tests.fuzz import descriptions, disks, edits, pool, servers, shapes
from tests.fuzz.edits import Edit

Seeds = Callable[[], list[bytes]]


@dataclass(frozen=True, slots=True)
class Target:
    """`guided` targets are run by libFuzzer in `make fuzz`; the others by hypothesis alone."""

    seeds: Seeds
    edit: Edit
    read: Callable[[bytes], bool]
    guided: bool = False


def _image(shape: shapes.Shape) -> Edit:
    return partial(_edited, shape)


def _edited(shape: shapes.Shape, data: bytes, chance: Random) -> bytes:
    return edits.image(data, chance, shape)


TARGETS = {
    "vmdk": Target(disks.vmdk_seeds, _image(shapes.VMDK), disks.read_vmdk, True),
    "vhd": Target(disks.vhd_seeds, _image(shapes.VHD), disks.read_vhd, True),
    "vhdx": Target(disks.vhdx_seeds, _image(shapes.VHDX), disks.read_vhdx, True),
    "qcow2": Target(disks.qcow2_seeds, _image(shapes.QCOW2), disks.read_qcow2, True),
    "raw": Target(disks.raw_seeds, _image(shapes.RAW), disks.read_raw),
    "vmcx": Target(descriptions.vmcx_seeds, _image(shapes.VMCX), descriptions.read_vmcx_bytes, True),
    "ovf": Target(descriptions.ovf_seeds, edits.xml, descriptions.read_ovf, True),
    "ova": Target(descriptions.ova_seeds, edits.archive, descriptions.read_ova),
    "vmx": Target(descriptions.vmx_seeds, edits.text, descriptions.read_vmx_text),
    "csv": Target(descriptions.csv_seeds, edits.cells, descriptions.read_csv, True),
    "workbook": Target(descriptions.workbook_seeds, edits.packed_xml, descriptions.read_plan_workbook),
    "rvtools": Target(descriptions.rvtools_seeds, edits.packed_xml, descriptions.read_rvtools),
    "inventory": Target(descriptions.inventory_seeds, edits.parsed_json, descriptions.read_inventory),
    "report": Target(descriptions.report_seeds, edits.parsed_json, descriptions.read_report),
    "hyperv-xml": Target(descriptions.hyperv_xml_seeds, edits.xml, descriptions.read_hyperv_xml),
    "hyperv-json": Target(descriptions.hyperv_json_seeds, edits.parsed_json, descriptions.read_hyperv_json),
    "xmlrpc": Target(pool.seeds, pool.changed, pool.read, True),
    "soap": Target(servers.soap_seeds, servers.changed, servers.read_soap),
    "psrp": Target(servers.psrp_seeds, servers.psrp_changed, servers.read_psrp),
}
