"""What a caller may hear of the chain, and how many streams it may hold open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from starlette.requests import Request

from ledger.api import problems
from ledger.api.principal import SCOPE_KEY, Kind, Principal
from ledger.api.problems import Problem
from ledger.node.listening.selection import Selection

MAX_STREAMS: Final = 256
MAX_STREAMS_EACH: Final = 8

#: Who looks after the whole consortium: a role that only a commission gives (governance).
OVERSEERS: Final = frozenset({"auditor"})

#: The caller where the node has no sign-in and lets nobody in but its own operator (`Guard`).
OPERATOR: Final = Principal(Kind.OPERATOR, "", "", (), (), "", "token")


def caller(request: Request) -> Principal:
    """Who asks: what sign-in found out, or the operator whom the guard let through."""
    found = request.scope.get(SCOPE_KEY, OPERATOR)
    if not isinstance(found, Principal):
        raise Problem(problems.UNAUTHORISED, "sign in first")
    return found


def bounded(principal: Principal, wanted: Selection) -> Selection:
    """The wish within what the caller may hear.

    A patient hears of what names her, staff and systems of what their institution takes part in.
    Auditors of the commission, and the operators of the node, who hold the chain anyway, hear all.

    Raises:
        Problem: 403 where a patient asks about somebody else, or where somebody acts for no
            institution.
    """
    if principal.kind is Kind.PATIENT:
        if wanted.people - {principal.id}:
            raise Problem(problems.NOT_PERMITTED)
        return replace(wanted, person=principal.id)
    if principal.kind is Kind.OPERATOR or (
        principal.kind is Kind.STAFF and OVERSEERS & set(principal.roles)
    ):
        return wanted
    if not principal.institution:
        raise Problem(problems.NOT_PERMITTED)
    return replace(wanted, institution=principal.institution)


class Places:
    """How many streams are open, in all and by each caller."""

    def __init__(self) -> None:
        self._open: Counter[tuple[Kind, str, str]] = Counter()

    @contextmanager
    def taken(self, principal: Principal) -> Iterator[None]:
        """Hold one place; a `Problem` 503 where there is none."""
        who = (principal.kind, principal.institution, principal.id)
        if self._open.total() >= MAX_STREAMS:
            raise Problem(problems.BUSY, f"at most {MAX_STREAMS} streams are open at once")
        if self._open[who] >= MAX_STREAMS_EACH:
            detail = f"at most {MAX_STREAMS_EACH} streams of one caller are open at once"
            raise Problem(problems.BUSY, detail)
        self._open[who] += 1
        try:
            yield
        finally:
            self._open[who] -= 1
            self._open += Counter()  # drops those at zero
