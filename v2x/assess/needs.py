# SPDX-License-Identifier: Apache-2.0
"""Facts that rules cannot do without and that a whole inventory has or lacks, and how to get them."""

from collections.abc import Callable
from dataclasses import dataclass

from v2x.assess.context import Estate

LISTED = "every source lists it; inventory.incomplete names what could not be listed"
ABOUT_NOT_KNOWING = "that the source does not tell it is what the rule speaks of"
SAME_EVERYWHERE = "the limit is the same in every release"
LOOK_AT_THE_SOURCE = "Look it up at the source."
ASK_THE_GUEST = "Look it up in the guest."


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """`text` says what is missing, `how` how to get it; `met` whether an estate has it."""

    text: str
    how: str
    met: Callable[[Estate], bool]


def _has_pool(estate: Estate) -> bool:
    return estate.facts is not None and not estate.offline


_ASK_A_POOL = "Assess with --target xapi://USER@HOST: the pool is asked, and nothing is changed there."

POOL = Need(text="No pool was asked.", how=_ASK_A_POOL, met=_has_pool)
POOL_HOSTS = Need(
    text="The hosts of the pool are not known.",
    how=_ASK_A_POOL,
    met=lambda estate: _has_pool(estate) and bool(estate.pool.hosts),
)
POOL_STORAGE = Need(
    text="The storage repositories of the pool are not known.",
    how=_ASK_A_POOL,
    met=lambda estate: _has_pool(estate) and bool(estate.pool.storage),
)
POOL_NETWORKS = Need(
    text="The networks of the pool are not known.",
    how=_ASK_A_POOL,
    met=lambda estate: _has_pool(estate) and bool(estate.pool.networks),
)
POOL_TEMPLATES = Need(
    text="The templates of the pool are not known.",
    how=_ASK_A_POOL,
    met=lambda estate: _has_pool(estate) and bool(estate.pool.templates),
)
MORE_THAN_RVTOOLS = Need(
    text="An RVTools export does not tell it.",
    how="Assess vCenter itself: v2x assess vsphere://USER@HOST.",
    met=lambda estate: estate.inventory.source.kind != "rvtools",
)
PORT_GROUPS = Need(
    text="The settings of port groups and switches are not in files and exports.",
    how="Assess vCenter or the Hyper-V hosts themselves.",
    met=lambda estate: estate.inventory.source.kind in ("vsphere", "hyperv"),
)
CLUSTERS = Need(
    text="The settings of the source's clusters are not known.",
    how="Assess vCenter or the Hyper-V cluster itself.",
    met=lambda estate: bool(estate.inventory.clusters),
)
GROUPS = Need(
    text="Which machines the source ties to each other is not in files and exports.",
    how="Assess vCenter or the Hyper-V cluster itself.",
    met=lambda estate: bool(estate.inventory.groups) or estate.inventory.source.kind in ("vsphere", "hyperv"),
)
