# SPDX-License-Identifier: Apache-2.0
"""Tags and categories, which only the REST API knows, and what they are attached to."""

import uuid as uuid_module
from dataclasses import dataclass, field
from typing import Any

CATEGORIES = {"Production": "Environment", "Test": "Environment", "Gold": "Tier", "Silver": "Tier"}


@dataclass(slots=True)
class Tags:
    """Ids are `urn:vmomi:InventoryService…:<uuid>:GLOBAL`, as vCenter makes them."""

    categories: dict[str, dict[str, Any]] = field(default_factory=dict)
    tags: dict[str, dict[str, Any]] = field(default_factory=dict)
    attached: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """(type, id) of an object → ids of its tags."""

    def attach(self, name: str, kind: str, moid: str, category: str = "") -> str:
        """Attaches the tag `name`, made where it is not there yet; returns its id."""
        home = self._category(category or CATEGORIES.get(name, "Other"))
        found = next((i for i, t in self.tags.items() if t["name"] == name and t["category_id"] == home), None)
        if found is None:
            found = _urn("Tag", f"{home}/{name}")
            self.tags[found] = {
                "id": found,
                "name": name,
                "category_id": home,
                "description": "",
                "used_by": [],
            }
        self.attached.setdefault((kind, moid), []).append(found)
        return found

    def _category(self, name: str) -> str:
        made = _urn("Category", name)
        self.categories.setdefault(
            made,
            {
                "id": made,
                "name": name,
                "description": "",
                "cardinality": "MULTIPLE",
                "associable_types": ["VirtualMachine"],
                "used_by": [],
            },
        )
        return made


def _urn(kind: str, name: str) -> str:
    return f"urn:vmomi:InventoryService{kind}:{uuid_module.uuid5(uuid_module.NAMESPACE_URL, name)}:GLOBAL"
