# SPDX-License-Identifier: Apache-2.0
"""Marks that backup products leave on machines: names of their temporary snapshots, attributes and tags.

The marks are those that the products' own manuals name.
"""

import re

from v2x.model.machine import Machine, Snapshot

_SNAPSHOTS = (
    ("Veeam", re.compile(r"veeam (backup|replication|quick|vsphere)|^veeam\b", re.IGNORECASE)),
    ("Commvault", re.compile(r"gx[_-]?backup|commvault", re.IGNORECASE)),
    ("NetBackup", re.compile(r"nbu[_-]?snapshot|netbackup", re.IGNORECASE)),
    ("NAKIVO", re.compile(r"nakivo", re.IGNORECASE)),
    ("Acronis", re.compile(r"acronis", re.IGNORECASE)),
    ("Avamar", re.compile(r"^avamar-", re.IGNORECASE)),
    ("Rubrik", re.compile(r"rubrik", re.IGNORECASE)),
    ("Cohesity", re.compile(r"cohesity", re.IGNORECASE)),
    ("Spectrum Protect", re.compile(r"tsm-vm snapshot|spectrum protect", re.IGNORECASE)),
    ("Nutanix or Zerto", re.compile(r"^zerto|zvm temporary", re.IGNORECASE)),
    ("vSphere Replication", re.compile(r"hbr_|vsphere replication", re.IGNORECASE)),
    ("Xen Orchestra", re.compile(r"^\[?xo\b.*(import|v2v)|vm import from xo", re.IGNORECASE)),
    ("disk consolidation", re.compile(r"consolidate helper", re.IGNORECASE)),
)
_MARKS = (
    ("Veeam", re.compile(r"veeam", re.IGNORECASE)),
    ("Commvault", re.compile(r"commvault|\bgx_", re.IGNORECASE)),
    ("NetBackup", re.compile(r"nb_last_backup|netbackup", re.IGNORECASE)),
    ("NAKIVO", re.compile(r"nakivo", re.IGNORECASE)),
    ("Acronis", re.compile(r"acronis", re.IGNORECASE)),
    ("Avamar", re.compile(r"avamar", re.IGNORECASE)),
    ("Rubrik", re.compile(r"rubrik", re.IGNORECASE)),
    ("Cohesity", re.compile(r"cohesity", re.IGNORECASE)),
    ("Zerto", re.compile(r"zerto", re.IGNORECASE)),
    ("Spectrum Protect", re.compile(r"spectrum protect|\btsm backup", re.IGNORECASE)),
    ("a backup product", re.compile(r"last ?backup|backup (status|policy|job)", re.IGNORECASE)),
)


def product_of_snapshot(snapshot: Snapshot) -> str:
    """The product that made a snapshot for its own use, empty for a snapshot of people."""
    words = f"{snapshot.name}\n{snapshot.description}"
    if snapshot.kind.casefold() in ("recovery", "planned"):
        return "Hyper-V backup"
    return next((product for product, mark in _SNAPSHOTS if mark.search(words)), "")


def products_of(machine: Machine) -> tuple[str, ...]:
    """Backup products that the machine's attributes, tags and notes speak of."""
    words = [*machine.attributes, *machine.tags, machine.notes]
    named = (word for word in words if word)
    found = {product: None for word in named for product, mark in _MARKS if mark.search(word[:4000])}
    return tuple(product for product in found if product != "a backup product" or len(found) == 1)


def marks_of(machine: Machine) -> tuple[tuple[str, str], ...]:
    """Each product that the machine's attributes, tags and notes speak of, and the words that do."""
    words = {key: f"{key} = {value}" for key, value in machine.attributes.items()}
    words |= {tag: f"tag {tag}" for tag in machine.tags}
    if machine.notes:
        words[machine.notes] = "its notes"
    known = products_of(machine)
    return tuple(
        (product, shown)
        for word, shown in words.items()
        for product, mark in _MARKS
        if product in known and mark.search(word[:4000])
    )
