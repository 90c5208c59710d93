"""Callers and a small resource type for tests of ``/fhir``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from ledger.api.fhir.offer import Caller, Done, Offer, Operation, Page, Past, PastPage
from ledger.api.principal import SCOPE_KEY, Kind, Principal
from ledger.fhir.bundle import Change
from ledger.fhir.search import ID, LAST_UPDATED, Parameter, Query, concepts, references

ALL = {Kind.PATIENT: "patient/*.cruds", Kind.STAFF: "user/*.cruds", Kind.SYSTEM: "system/*.cruds"}


def principal(kind: Kind, name: str, institution: str = "", *roles: str) -> Principal:
    """A caller of one kind with every scope of its level."""
    scopes = (ALL[kind],) if kind in ALL else ()
    return Principal(kind, name, institution, roles, scopes, "session-1", "development")


class SignedIn:
    """ASGI middleware: whoever calls is `who`, or nobody."""

    def __init__(self, app: ASGIApp, who: Principal | None = None) -> None:
        self._app = app
        self.who = who

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.who is not None and scope["type"] == "http":
            scope = {**scope, SCOPE_KEY: self.who}
        await self._app(scope, receive, send)

    def scoped(self, *scopes: str) -> None:
        """The same caller with other scopes."""
        assert self.who is not None
        self.who = replace(self.who, scopes=scopes)


class Notes:
    """Basic resources that belong to whoever made them, with all their versions."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Hold no note any more."""
        self.versions: dict[str, list[dict[str, Any]]] = {}
        self.owners: dict[str, str] = {}
        self.time = 0

    def _mine(self, caller: Caller) -> list[str]:
        return [name for name, owner in self.owners.items() if owner == caller.principal.id]

    def _stamped(self, name: str, resource: dict[str, Any]) -> dict[str, Any]:
        self.time += 1
        version = str(len(self.versions.get(name, ())) + 1)
        stamp = f"2026-01-01T00:00:{self.time:02}.000Z"
        return {**resource, "id": name, "meta": {"versionId": version, "lastUpdated": stamp}}

    async def read(self, caller: Caller, name: str) -> dict[str, Any] | None:
        return self.versions[name][-1] if name in self._mine(caller) else None

    async def vread(self, caller: Caller, name: str, version: str) -> dict[str, Any] | None:
        if name not in self._mine(caller):
            return None
        found = [each for each in self.versions[name] if each["meta"]["versionId"] == version]
        return found[0] if found else None

    async def search(self, caller: Caller, query: Query, place: Any) -> Page:
        newest = [self.versions[name][-1] for name in self._mine(caller)]
        found = [resource for resource in newest if query.met_by(resource)]
        start = place or 0
        end = start + query.count
        return Page(
            found[start:end],
            end if end < len(found) else None,
            len(found) if query.total else None,
        )

    async def create(self, caller: Caller, resource: dict[str, Any], raw: bytes) -> Done:
        name = f"note-{len(self.versions) + 1}"
        self.versions[name] = [self._stamped(name, resource)]
        self.owners[name] = caller.principal.id
        return Done(self.versions[name][0], 201)

    async def update(
        self, caller: Caller, name: str, resource: dict[str, Any], version: str
    ) -> Done:
        self.versions[name].append(self._stamped(name, resource))
        return Done(self.versions[name][-1])

    async def history(self, caller: Caller, name: str, past: Past) -> PastPage | None:
        if name not in self._mine(caller):
            return None
        versions = self.versions[name][::-1]
        changes = [Change(each, "POST" if each is versions[-1] else "PUT") for each in versions]
        start = past.place or 0
        end = start + past.count
        return PastPage(changes[start:end], end if end < len(changes) else None, len(changes))

    async def echo(self, caller: Caller, name: str, sent: dict[str, Any] | None) -> dict[str, Any]:
        return sent or {"resourceType": "Parameters"}

    def offer(self) -> Offer:
        return Offer(
            "Basic",
            "Notes of their owners",
            mandatory=("code",),
            summary=("code", "subject"),
            parameters=(
                ID,
                LAST_UPDATED,
                Parameter("code", "token", "Kind", values=lambda r: concepts(r.get("code"))),
                Parameter(
                    "subject", "reference", "Whom it is about",
                    values=lambda r: references(r.get("subject")), targets=("Patient",),
                ),
            ),
            read=self.read,
            vread=self.vread,
            search=self.search,
            create=self.create,
            update=self.update,
            history=self.history,
            operations=(
                Operation("echo", "urn:x:echo", "Say it again", "read", self.echo, get=True,
                          parameters=(Parameter("word", "string", "What"),)),
            ),
            body_limit=10_000,
        )  # fmt: skip
