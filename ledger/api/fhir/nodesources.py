"""Records through the node that serves ``/fhir``: its own vault, and retrieval from others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from ledger.api.fhir.purpose import Purpose
from ledger.api.fhir.sources import CannotAct, Denied, Elsewhere, FetchBroken, Fetched
from ledger.api.principal import Kind, Principal
from ledger.api.service import NodeService
from ledger.chain.codec import Malformed
from ledger.chain.exchange import Shown
from ledger.fhir.outcome import Issue
from ledger.node import retrieval
from ledger.node.custody import NoHeldKey
from ledger.node.holders import Failure, HolderFailed
from ledger.node.retrieval import ActFailed, Emergency, HolderProblem, Retrieved
from ledger.node.vault.ownrecords import Opening
from ledger.node.vault.showing import STAFF

#: What is said of a holder that gave nothing. One that refuses looks like one that has nothing.
_SAID: Final = {
    Failure.NO_PLACE: "has not announced where it answers",
    Failure.UNSAFE_PLACE: "has announced a place that this node does not call",
    Failure.UNREACHABLE: "cannot be reached",
    Failure.TIMEOUT: "did not answer in time",
    Failure.TOO_OFTEN: "is asked too often",
    Failure.BAD_ANSWER: "gave an answer that does not hold",
}


class NodeSources:
    """`ledger.api.fhir.sources.Sources` of a node."""

    def __init__(self, service: NodeService) -> None:
        self._service = service

    def may_know(self, principal: Principal, subject: str) -> bool:
        if principal.kind is Kind.PATIENT:
            return principal.id == subject
        if principal.institution != self._service.institution:
            return False
        return principal.kind is Kind.SYSTEM or (
            principal.kind is Kind.STAFF and not STAFF.isdisjoint(principal.roles)
        )

    async def own(self, subject: str) -> Sequence[Shown]:
        own = self._service.own_records
        return [] if own is None else await asyncio.to_thread(own.of, subject)

    async def own_record(self, name: bytes) -> Shown | None:
        own = self._service.own_records
        return None if own is None else await asyncio.to_thread(own.record, name)

    async def opening(self, name: bytes) -> Opening | None:
        own = self._service.own_records
        return None if own is None else await asyncio.to_thread(own.opening, name)

    async def content(self, name: bytes) -> bytes | None:
        own = self._service.own_records
        return None if own is None else await asyncio.to_thread(own.unchanged, name)

    async def elsewhere(
        self, principal: Principal, subject: str, purpose: Purpose, holders: Sequence[str]
    ) -> Elsewhere:
        _person(principal)
        try:
            found = await self._service.search_records(
                principal.id,
                principal.institution,
                subject,
                purpose.code,
                holders or None,
                case=purpose.case,
                emergency=_emergency(purpose),
            )
        except ActFailed as error:
            raise Denied("", error.code) from None
        except (NoHeldKey, PermissionError, TimeoutError, Malformed) as error:
            raise _cannot(error) from None
        problems = [_issue(problem) for problem in found.problems]
        return Elsewhere(found.shown, [issue for issue in problems if issue is not None])

    async def fetch(self, principal: Principal, shown: Shown, purpose: Purpose) -> Fetched:
        _person(principal)
        try:
            record = await self._service.fetch_record(
                principal.id,
                principal.institution,
                shown,
                purpose.code,
                case=purpose.case,
                emergency=_emergency(purpose),
            )
        except retrieval.Denied as error:
            raise Denied(str(error.decision["id"]), str(error.decision["rule"])) from None
        except ActFailed as error:
            raise CannotAct(f"The chain refused the request: {error.code}") from None
        except (NoHeldKey, PermissionError, TimeoutError, Malformed) as error:
            raise _cannot(error) from None
        pieces = _pieces(record)
        # The salt comes with the first piece, and with it the holder has begun to answer: what goes
        # wrong before that can still be said.
        first = await anext(pieces, b"")
        return Fetched(record.decision, _all(first, pieces), record.salt())


def _person(principal: Principal) -> None:
    if principal.kind is not Kind.STAFF:
        raise CannotAct("Records are asked for by a person of the staff")


def _cannot(error: Exception) -> CannotAct:
    if isinstance(error, NoHeldKey):
        return CannotAct("This node holds no key in your name")
    if isinstance(error, TimeoutError):
        return CannotAct("The consortium has not decided in time; it may still do so")
    return CannotAct("This node takes nothing in now")


def _emergency(purpose: Purpose) -> Emergency | None:
    return Emergency(purpose.reason, purpose.note) if purpose.breaks_glass else None


def _issue(problem: HolderProblem) -> Issue | None:
    if problem.code == Failure.REFUSED:
        return None
    said = _SAID.get(Failure(problem.code), "gave nothing")
    return Issue("incomplete", f"{problem.holder} {said}", severity="warning")


async def _pieces(record: Retrieved) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in record.pieces:
            yield piece
    except HolderFailed as error:
        said = _SAID.get(error.failure, "does not hand it over")
        raise FetchBroken(f"The holder {said}") from None
    finally:
        await record.pieces.aclose()


async def _all(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        yield first
        async for piece in rest:
            yield piece
    finally:
        await rest.aclose()
