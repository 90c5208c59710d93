"""Lists over the whole chain: who opened what, emergencies, findings, declarations.

Who may see which list is fenced here by what sign-in has established, because a list shows many
patients at once and no contract is asked about it: a patient sees her own, a member of staff what
he has done himself, a privacy officer (records-officer, supervisor) what concerns the institution,
an auditor all of it. Each look at what others have done is written into the log of sign-ins.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeVar

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from ledger.api import listed, problems
from ledger.api.documentation import failures
from ledger.api.exchange import reply
from ledger.api.listed import line
from ledger.api.principal import Kind, Principal, principal_of
from ledger.api.problems import Problem
from ledger.api.service import NodeService
from ledger.api.signin.signin import note_reading
from ledger.chain import limits
from ledger.chain.codec import decode_value
from ledger.node.reading.content import KINDS
from ledger.node.reading.lists import MAX_PAGE, Page
from ledger.node.reading.packing import StaleCursor
from ledger.node.reading.room import IndexBehind, ReadingRoom

T = TypeVar("T")

#: How long a list waits for the index to come to the newest block, in seconds.
PATIENCE_S: Final = 2.0
#: The staff that answers for what an institution does with data.
PRIVACY_OFFICERS: Final = frozenset({"records-officer", "supervisor"})
REGULATORS: Final = frozenset({"auditor"})

#: Contracts that say who speaks for whom.
VOICES: Final = ("guardianship", "delegation")
_PSEUDONYM: Final = re.compile(r"p-[0-9a-f]{32}")
_MAX_TIME: Final = 2**53
_MAX_ENTRY: Final = 10**15

Who = Annotated[str, Query(max_length=64)]
Since = Annotated[int, Query(ge=0, le=_MAX_TIME, description="ms since 1970, included")]
Until = Annotated[int, Query(ge=0, le=_MAX_TIME, description="ms since 1970, not included")]
Cursor = Annotated[str | None, Query(max_length=64, description="of the page before")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="lines on the page")]


def may_read(
    principal: Principal, *, subject: str = "", person: str = "", institutions: tuple[str, ...] = ()
) -> bool:
    """Whether a caller may see a list about a patient, of what a person did, or of what concerns
    institutions; with none of them, a list of everything."""
    if principal.kind is Kind.PATIENT:
        return subject != "" and subject == principal.id
    if principal.kind is not Kind.STAFF:
        return False
    if not REGULATORS.isdisjoint(principal.roles):
        return True
    if person:
        return person == principal.id
    if subject or not institutions or PRIVACY_OFFICERS.isdisjoint(principal.roles):
        return False
    return all(institution == principal.institution for institution in institutions)


async def stands_for(service: NodeService, principal: Principal, subject: str) -> bool:
    """Whether a patient calls about herself under another pseudonym, which was found to be hers, or
    about one for whom the contracts let her speak, such as her child."""
    if principal.kind is not Kind.PATIENT or not _PSEUDONYM.fullmatch(subject):
        return False
    raw = service.state(f"access/related/{subject}".encode())
    names = None if raw is None else decode_value(raw, limit=limits.MAX_STATE_VALUE_BYTES)
    if isinstance(names, list) and names[:1] == [principal.id]:
        return True
    for contract in VOICES:
        asked = {"subject": subject, "person": principal.id}
        answer = await service.query(contract, "voice", asked)
        if answer.ok and answer.value["standing"] == "speaks":
            return True
    return False


def router(service: NodeService) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["lists"])
    answers = failures(
        problems.UNAUTHORISED, problems.NOT_FOR_YOU, problems.INVALID_PARAMETERS, problems.NOT_READY
    )

    async def room() -> ReadingRoom:
        if service.reading is None:
            raise Problem(problems.NOT_READY, "this node keeps no lists")
        try:
            await service.reading.reach(PATIENCE_S)
        except IndexBehind as error:
            raise Problem(
                problems.NOT_READY, f"the lists are at height {error.height} so far"
            ) from None
        return service.reading

    async def admitted(request: Request, what: str, **about: str) -> None:
        principal = principal_of(request)
        named = {name: who for name, who in about.items() if who}
        places = tuple(who for name, who in named.items() if name in ("institution", "holder"))
        subject, person = named.get("subject", ""), named.get("person", "")
        fenced = not may_read(principal, subject=subject, person=person, institutions=places)
        if fenced and not await stands_for(service, principal, subject):
            raise Problem(problems.NOT_FOR_YOU, "that list is for others")
        if principal.id not in (subject, person):
            words = " ".join(f"{name}={who}" for name, who in sorted(named.items()))
            note_reading(request, principal, f"{what} {words}".strip())

    async def asked(look: Callable[[ReadingRoom], T]) -> tuple[int, T]:
        """A look into the lists, in a thread, and up to which height they were at least."""
        at = await room()
        height = at.height
        return height, await _read(asyncio.to_thread(look, at))

    @routes.get(
        "/disclosures",
        response_model=listed.DisclosureList,
        summary="Who asked for what",
        responses=answers,
    )
    async def disclosures(
        request: Request,
        subject: Who = "",
        person: Who = "",
        institution: Who = "",
        holder: Who = "",
        since: Since = 0,
        until: Until = _MAX_TIME,
        cursor: Cursor = None,
        limit: Limit = 100,
        proof: Annotated[
            bool,
            Query(description="with `subject`: add what proves that nothing was left out"),
        ] = False,
    ) -> Response:
        """Decisions and questions about one patient (`subject`), of one person, of those who acted
        for one institution, or about the records of one `holder`: exactly one of the four. The list
        of a patient is her log of disclosures, in its order, without what she is not told of yet,
        and without `since` and `until`."""
        about = {"subject": subject, "person": person, "institution": institution, "holder": holder}
        if sum(bool(who) for who in about.values()) != 1:
            raise Problem(
                problems.INVALID_PARAMETERS, "exactly one of subject, person, institution, holder"
            )
        await admitted(request, "disclosures", **about)
        if not subject:
            if proof:
                raise Problem(problems.INVALID_PARAMETERS, "only the log of a patient is proven")
            height, page = await asked(
                lambda at: at.lists.opened_by(
                    person=person,
                    institution=institution,
                    holder=holder,
                    since=since,
                    until=until,
                    cursor=cursor,
                    limit=limit,
                )
            )
            return _answer(height, "disclosures", page)
        before = _entry(cursor)
        evidence = None
        if proof:
            at = await room()
            height = at.height
            if height < 1:
                raise Problem(problems.NOT_READY, "nobody certifies height 0")
            found, file = await _read(at.proven(subject, before, limit))
            lines, evidence = found[::-1], msgspec.to_builtins(file)
        else:
            height, lines = await asked(
                lambda at: at.lists.accesses_of(subject, before=before, limit=limit)
            )
        last = lines[-1].entry if lines else 0
        return reply(
            {
                "height": height,
                "disclosures": [line(one) for one in lines],
                "cursor": str(last) if last else None,
                "proof": evidence,
            }
        )

    @routes.get(
        "/emergencies",
        response_model=listed.EmergencyList,
        summary="Broken glasses",
        responses=answers,
    )
    async def emergencies(
        request: Request,
        subject: Who = "",
        person: Who = "",
        institution: Who = "",
        since: Since = 0,
        until: Until = _MAX_TIME,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Response:
        """The emergencies of one patient, one physician or one institution: exactly one of the
        three."""
        about = {"subject": subject, "person": person, "institution": institution}
        if sum(bool(who) for who in about.values()) != 1:
            raise Problem(
                problems.INVALID_PARAMETERS, "exactly one of subject, person, institution"
            )
        await admitted(request, "emergencies", **about)
        height, page = await asked(
            lambda at: at.lists.emergencies(
                **about, since=since, until=until, cursor=cursor, limit=limit
            )
        )
        return _answer(height, "emergencies", page)

    @routes.get(
        "/findings",
        response_model=listed.FindingList,
        summary="What has to be looked at",
        responses=answers,
    )
    async def findings(
        request: Request,
        kind: Annotated[
            str, Query(max_length=32, description=f"empty for all, or one of {', '.join(KINDS)}")
        ] = "",
        institution: Who = "",
        since: Since = 0,
        until: Until = _MAX_TIME,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Response:
        """Findings of a period: all, of one kind, or about one institution."""
        if kind and (institution or kind not in KINDS):
            raise Problem(
                problems.INVALID_PARAMETERS, "one kind, or one institution, or neither of them"
            )
        await admitted(request, f"findings {kind}".strip(), institution=institution)
        height, page = await asked(
            lambda at: at.lists.findings(
                since, until, kind=kind, institution=institution, cursor=cursor, limit=limit
            )
        )
        return _answer(height, "findings", page)

    @routes.get(
        "/cases",
        response_model=listed.CaseList,
        summary="Requests to destroy records, and disputes about them",
        responses=answers,
    )
    async def cases(
        request: Request,
        subject: Who = "",
        holder: Who = "",
        since: Since = 0,
        until: Until = _MAX_TIME,
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Response:
        """The cases of one patient, or about the records of one holder: exactly one of the two."""
        if bool(subject) == bool(holder):
            raise Problem(problems.INVALID_PARAMETERS, "exactly one of subject, holder")
        principal = principal_of(request)
        operates = principal.kind is Kind.OPERATOR and "records" in principal.roles
        if not (operates and holder == service.institution):
            await admitted(request, "cases", subject=subject, holder=holder)
        height, page = await asked(
            lambda at: at.lists.cases(
                subject=subject,
                holder=holder,
                since=since,
                until=until,
                cursor=cursor,
                limit=limit,
            )
        )
        return _answer(height, "cases", page)

    @routes.get(
        "/consents",
        response_model=listed.ConsentList,
        summary="What a patient has declared",
        responses=answers,
    )
    async def consents(
        request: Request,
        subject: Annotated[str, Query(min_length=1, max_length=64)],
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Response:
        """Every consent and denial of one patient, also those that were withdrawn."""
        await admitted(request, "consents", subject=subject)
        height, page = await asked(
            lambda at: at.lists.consents_of(subject, cursor=cursor, limit=limit)
        )
        return _answer(height, "consents", page)

    return routes


async def _read(looking: Awaitable[T]) -> T:
    try:
        return await looking
    except StaleCursor as error:
        raise Problem(problems.INVALID_PARAMETERS, f"cursor: {error}") from None


def _answer(height: int, name: str, page: Page[T]) -> Response:
    lines = [line(one) for one in page.lines]
    more = {"proof": None} if name == "disclosures" else {}
    return reply({"height": height, name: lines, "cursor": page.cursor, **more})


def _entry(cursor: str | None) -> int | None:
    """The cursor of a patient's log: the number of the last entry that was shown."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit()) or int(cursor) > _MAX_ENTRY:
        raise Problem(problems.INVALID_PARAMETERS, "cursor: that is no cursor of this list")
    return int(cursor)
