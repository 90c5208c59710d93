"""Parts of resources: ``_summary`` and ``_elements`` (R4 section 3.1.1.5.8)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

_ALWAYS: Final = frozenset({"resourceType", "id", "meta"})
_SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}


def only(resource: dict[str, Any], elements: Collection[str]) -> dict[str, Any]:
    """A resource with these elements alone, marked as incomplete.

    ``elements``: names of the first level; those that make the resource what it is stay anyway, and
    so does ``modifierExtension``, without which the rest could mean the opposite.
    """
    kept = {
        name: value
        for name, value in resource.items()
        if name in _ALWAYS
        or name in ("modifierExtension", "implicitRules")
        or name.removeprefix("_") in elements
    }
    meta = dict(kept.get("meta", {}))
    meta["tag"] = [*meta.get("tag", ()), _SUBSETTED]
    kept["meta"] = meta
    return kept


def without_text(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource without its narrative, marked as incomplete."""
    return only(resource, [name for name in resource if name != "text"])
