"""Bundles that a server makes: results of a search, and histories (R4 section 2.36)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ledger.fhir.outcome import Issue, outcome


@dataclass(frozen=True, slots=True)
class Change:
    """One version in a history, and by which request it came about.

    ``method``: POST or PUT, for a create or an update.
    """

    resource: dict[str, Any]
    method: str


@dataclass(frozen=True, slots=True)
class Links:
    """The URLs of a page: itself, and the next one where there is one."""

    self: str
    next: str = ""

    def listed(self) -> list[dict[str, str]]:
        found = [{"relation": "self", "url": self.self}]
        if self.next:
            found.append({"relation": "next", "url": self.next})
        return found


def searchset(
    base: str,
    matches: Sequence[dict[str, Any]],
    links: Links,
    *,
    total: int | None = None,
    warnings: Sequence[Issue] = (),
) -> dict[str, Any]:
    """A page of a search.

    Args:
        base: URL of ``/fhir``.
        total: how many match of those that the caller may see; None where nobody has counted.
        warnings: what was left out of account, as an entry of its own.
    """
    entries: list[dict[str, Any]] = [
        {"fullUrl": _url(base, resource), "resource": resource, "search": {"mode": "match"}}
        for resource in matches
    ]
    if warnings:
        entries.append({"resource": outcome(warnings), "search": {"mode": "outcome"}})
    return _bundle("searchset", links, entries, total)


def history(
    base: str, changes: Sequence[Change], links: Links, *, total: int | None = None
) -> dict[str, Any]:
    """A page of a history, newest first."""
    entries = []
    for change in changes:
        resource = change.resource
        kind, meta = resource["resourceType"], resource["meta"]
        created = change.method == "POST"
        entries.append(
            {
                "fullUrl": _url(base, resource),
                "resource": resource,
                "request": {
                    "method": change.method,
                    "url": kind if created else f"{kind}/{resource['id']}",
                },
                "response": {
                    "status": "201 Created" if created else "200 OK",
                    "etag": f'W/"{meta["versionId"]}"',
                    "lastModified": meta["lastUpdated"],
                },
            }
        )
    return _bundle("history", links, entries, total)


def _url(base: str, resource: dict[str, Any]) -> str:
    return f"{base}/{resource['resourceType']}/{resource['id']}"


def _bundle(
    kind: str, links: Links, entries: list[dict[str, Any]], total: int | None
) -> dict[str, Any]:
    found: dict[str, Any] = {"resourceType": "Bundle", "type": kind}
    if total is not None:
        found["total"] = total
    found["link"] = links.listed()
    if entries:
        found["entry"] = entries
    return found
