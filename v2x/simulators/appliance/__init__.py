# SPDX-License-Identifier: Apache-2.0
"""Writers of what a source holds: VMDKs of every layout, OVA and OVF appliances, folders with a .vmx.

They stand against the readers of v2x as the other hand: nothing here is shared with v2x.disks or v2x.sources.
"""

from v2x.simulators.appliance.descriptor import CreateType, DiskIdentity, ExtentLine, descriptor
from v2x.simulators.appliance.ova import Appliance, write_ova, write_ovf_folder
from v2x.simulators.appliance.rawdisk import Change, Range
from v2x.simulators.appliance.spec import ApplianceSpec, Digest, DiskSpec, Exporter, NicSpec
from v2x.simulators.appliance.stream import StreamInfo, write_stream_optimized
from v2x.simulators.appliance.vmdk import Chain, Delta, convert_with_qemu, write_chain, write_delta, write_vmdk
from v2x.simulators.appliance.vmx import SnapshotSpec, VmxFolder, write_vmx_folder

__all__ = [
    "Appliance",
    "ApplianceSpec",
    "Chain",
    "Change",
    "CreateType",
    "Delta",
    "Digest",
    "DiskIdentity",
    "DiskSpec",
    "Exporter",
    "ExtentLine",
    "NicSpec",
    "Range",
    "SnapshotSpec",
    "StreamInfo",
    "VmxFolder",
    "convert_with_qemu",
    "descriptor",
    "write_chain",
    "write_delta",
    "write_ova",
    "write_ovf_folder",
    "write_stream_optimized",
    "write_vmdk",
    "write_vmx_folder",
]
