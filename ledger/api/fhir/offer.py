"""What a resource type offers at ``/fhir``: its interactions, parameters and operations.

The core (`ledger.api.fhir.routes`) does what is the same for all: scopes, negotiation, strictness,
ETags, paging, conditional create, the CapabilityStatement and the OpenAPI document. An `Offer` says
what there is, and its handlers answer for callers who have passed the outer fence. **Handlers give
out what this caller may see and nothing else**, also in totals.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from starlette.responses import Response

from ledger.api.principal import Principal
from ledger.api.service import NodeService
from ledger.api.signin.scopes import Interaction
from ledger.fhir.bundle import Change
from ledger.fhir.capability import Offered
from ledger.fhir.outcome import Issue
from ledger.fhir.search import Parameter, Query

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, of which node, and how this server is called from outside.

    ``base``: URL of ``/fhir`` without a slash at its end. ``version``: of FHIR, for the answer.
    """

    principal: Principal
    service: NodeService
    base: str
    version: str
    request: Request


@dataclass(frozen=True, slots=True)
class Page:
    """A part of what matches.

    ``place``: where the next page begins, of what JSON can say; None after the last. ``total``: how
    many match of those that the caller may see, None where that was not counted. ``warnings``: what
    the caller should know about the answer.
    """

    matches: Sequence[Resource]
    place: Any = None
    total: int | None = None
    warnings: Sequence[Issue] = ()


@dataclass(frozen=True, slots=True)
class Past:
    """What a history asks for: versions since a time (ms, 0 for all), ``count`` of them, from a
    place on that an earlier page named."""

    since: int = 0
    count: int = 20
    place: Any = None


@dataclass(frozen=True, slots=True)
class PastPage:
    """A part of a history, newest first; ``place`` and ``total`` as in `Page`."""

    changes: Sequence[Change]
    place: Any = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a write.

    ``status``: 201 made, 200 changed, 202 prepared and not yet done. ``issues``: what was read
    narrowly or left out of account.
    """

    resource: Resource
    status: int = 200
    issues: Sequence[Issue] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation on one resource (``/Type/id/$name``) or, with ``instance`` false, on its type.

    ``needs``: the interaction whose SMART scope it needs. ``get``: whether GET may call it too, for
    those that change nothing. ``parameters``: named query parameters that GET takes. The handler
    takes caller, id (empty on a type) and the resource of the body, which is usually a Parameters,
    or None.
    """

    name: str
    definition: str
    documentation: str
    needs: Interaction
    handler: Callable[[Caller, str, Resource | None], Awaitable[Resource | Response]]
    instance: bool = True
    get: bool = False
    parameters: tuple[Parameter, ...] = ()
    body_limit: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Offer:
    """One resource type; a handler that is None is an interaction that is not offered.

    ``read`` and ``vread`` answer None for what the caller may not see, as for what there is not;
    either may answer with a whole response instead of a resource (a Binary, say). ``update`` takes
    caller, id, resource and the version of If-Match (empty without one); ``patch`` the operations
    of a JSON Patch instead of the resource. ``to_r5`` and ``from_r5`` map a resource of the type;
    without the first, a caller that asks for FHIR 5.0 gets 406. ``mandatory`` and ``summary``:
    names of first-level elements that each partial view has, and that ``_summary=true`` has.
    ``any_media``: a read may be answered in any media type, so no Accept is refused. ``headers``:
    names and descriptions of request headers that reading and searching heed. ``example``: a
    resource for the OpenAPI document.
    """

    type: str
    documentation: str
    mandatory: tuple[str, ...] = ()
    summary: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    sorts: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    read: Callable[[Caller, str], Awaitable[Resource | Response | None]] | None = None
    vread: Callable[[Caller, str, str], Awaitable[Resource | Response | None]] | None = None
    search: Callable[[Caller, Query, Any], Awaitable[Page]] | None = None
    create: Callable[[Caller, Resource, bytes], Awaitable[Done]] | None = None
    update: Callable[[Caller, str, Resource, str], Awaitable[Done]] | None = None
    patch: Callable[[Caller, str, list[Any], str], Awaitable[Done]] | None = None
    history: Callable[[Caller, str, Past], Awaitable[PastPage | None]] | None = None
    type_history: Callable[[Caller, Past], Awaitable[PastPage]] | None = None
    operations: tuple[Operation, ...] = ()
    to_r5: Callable[[Resource], Resource] | None = None
    from_r5: Callable[[Resource], Resource] | None = None
    body_limit: int = 1 << 20
    any_media: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    example: Resource = field(default_factory=dict)

    @property
    def interactions(self) -> tuple[str, ...]:
        """R4 codes of what is offered."""
        there = {
            "read": self.read,
            "vread": self.vread,
            "update": self.update,
            "patch": self.patch,
            "history-instance": self.history,
            "history-type": self.type_history,
            "create": self.create,
            "search-type": self.search,
        }
        return tuple(code for code, handler in there.items() if handler is not None)

    def described(self) -> Offered:
        """What the CapabilityStatement says of it."""
        return Offered(
            self.type,
            self.documentation,
            self.interactions,
            self.parameters,
            self.create is not None and self.search is not None,
            tuple((each.name, each.definition) for each in self.operations),
            self.profiles,
        )
