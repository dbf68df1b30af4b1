# SPDX-License-Identifier: Apache-2.0
"""Export leases: from initializing to ready to done, with a clock that ends them."""

from dataclasses import dataclass

from v2x.simulators.vsphere.store import Entity


@dataclass(slots=True)
class Lease:
    machine: Entity
