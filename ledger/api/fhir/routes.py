"""The routes of one resource type, the same for all of them (R4 section 3.1.0)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from ledger.api.exchange import read_body
from ledger.api.fhir import answers, openapi, requests
from ledger.api.fhir.answers import respond
from ledger.api.fhir.cursor import Cursors
from ledger.api.fhir.errors import MEDIA_TYPE, FhirProblem, not_found
from ledger.api.fhir.negotiation import JSON, View, body_version, view_of
from ledger.api.fhir.offer import Caller, Done, Offer, Operation, Past, Resource
from ledger.api.fhir.turns import Turns
from ledger.api.principal import LEVELS, principal_of
from ledger.api.service import NodeService
from ledger.api.signin.scopes import Interaction, allows
from ledger.fhir import bundle, times
from ledger.fhir.bundle import Links
from ledger.fhir.outcome import Issue, outcome
from ledger.fhir.search import MAX_COUNT, Query

_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
#: Pages that a conditional create looks through for a match.
_MAX_PAGES: Final = 20

Endpoint = Callable[[Request], Awaitable[Response]]


class ResourceRoutes:
    """Serves one offer.

    Args:
        offers: all of the server, by type; they know how to show resources in bundles.
        base: gives the URL of ``/fhir`` as the caller of a request knows it.
    """

    def __init__(
        self,
        offer: Offer,
        offers: Mapping[str, Offer],
        service: NodeService,
        cursors: Cursors,
        base: Callable[[Request], str],
    ) -> None:
        self._offer = offer
        self._offers = offers
        self._service = service
        self._cursors = cursors
        self._base = base
        self._turns = Turns()

    def add_to(self, router: APIRouter) -> None:
        """Register a route for every interaction that is offered."""
        offer, path = self._offer, f"/fhir/{self._offer.type}"
        if offer.search is not None:
            self._add(router, "GET", path, self.search, "search-type")
            self._add(router, "POST", f"{path}/_search", self.search_by_form, "search-type")
        if offer.create is not None:
            self._add(router, "POST", path, self.create, "create")
        if offer.type_history is not None:
            self._add(router, "GET", f"{path}/_history", self.type_history, "history-type")
        for operation in offer.operations:
            at = f"{path}/{{id}}" if operation.instance else path
            methods = ("POST", "GET") if operation.get else ("POST",)
            for method in methods:
                router.add_api_route(
                    f"{at}/${operation.name}",
                    self._operate(operation),
                    methods=[method],
                    **openapi.operation(offer, operation, method),
                )
        if offer.read is not None:
            self._add(router, "GET", f"{path}/{{id}}", self.read, "read")
        if offer.update is not None:
            self._add(router, "PUT", f"{path}/{{id}}", self.update, "update")
        if offer.patch is not None:
            self._add(router, "PATCH", f"{path}/{{id}}", self.patch, "patch")
        if offer.history is not None:
            self._add(router, "GET", f"{path}/{{id}}/_history", self.history, "history-instance")
        if offer.vread is not None:
            self._add(router, "GET", f"{path}/{{id}}/_history/{{vid}}", self.vread, "vread")

    def _add(
        self, router: APIRouter, method: str, path: str, endpoint: Endpoint, interaction: str
    ) -> None:
        described = openapi.interaction(self._offer, interaction, form=path.endswith("_search"))
        router.add_api_route(path, endpoint, methods=[method], **described)

    # --- what comes before every answer ----------------------------------------------------------

    def _entered(
        self, request: Request, needs: Interaction, pairs: requests.Pairs
    ) -> tuple[Caller, View]:
        """The caller, inside the outer fence, and how the answer is to look."""
        principal = principal_of(request)
        level = LEVELS.get(principal.kind)
        if level is None or not allows(principal.scopes, level, self._offer.type, needs):
            text = f"No scope of this sign-in allows {needs} on {self._offer.type}"
            raise FhirProblem(403, Issue("forbidden", text))
        view = view_of(request, pairs, any_media=self._offer.any_media)
        if view.version != "4.0" and self._offer.to_r5 is None:
            text = f"{self._offer.type} is served in FHIR 4.0 only"
            raise FhirProblem(406, Issue("not-supported", text))
        base = self._base(request)
        return Caller(principal, self._service, base, view.version, request), view

    # --- reading ---------------------------------------------------------------------------------

    async def read(self, request: Request) -> Response:
        assert self._offer.read is not None
        caller, view = self._entered(request, "read", requests.url_pairs(request))
        found = await self._offer.read(caller, _id(request))
        return self._found(request, found, view)

    async def vread(self, request: Request) -> Response:
        assert self._offer.vread is not None
        caller, view = self._entered(request, "vread", requests.url_pairs(request))
        found = await self._offer.vread(caller, _id(request), _id(request, "vid"))
        return self._found(request, found, view)

    def _found(self, request: Request, found: Resource | Response | None, view: View) -> Response:
        if isinstance(found, Response):
            return found
        if found is None:
            raise not_found()
        known = answers.not_modified(request, found)
        return known or respond(found, self._offers, view)

    # --- searching -------------------------------------------------------------------------------

    async def search(self, request: Request) -> Response:
        return await self._search(request, requests.url_pairs(request))

    async def search_by_form(self, request: Request) -> Response:
        principal_of(request)  # before a body is read
        return await self._search(request, await requests.form_pairs(request))

    async def _search(self, request: Request, pairs: requests.Pairs) -> Response:
        assert self._offer.search is not None
        caller, view = self._entered(request, "search", pairs)
        strictly = requests.strict(request)
        query = requests.understood(request, self._offer, pairs, caller.base, strictly=strictly)
        binding = self._binding(caller, "search", query.used)
        place = self._cursors.open(query.cursor, *binding) if query.cursor else None
        page = await self._offer.search(caller, query, place)
        path = f"{caller.base}/{self._offer.type}"
        here = [*query.used, ("_cursor", query.cursor)] if query.cursor else query.used
        onwards = ""
        if page.place is not None and not query.only_count:
            cursor = self._cursors.seal(page.place, *binding)
            onwards = _url(path, [*query.used, ("_cursor", cursor)])
        links = Links(_url(path, here), onwards)
        found = bundle.searchset(
            caller.base,
            () if query.only_count else page.matches,
            links,
            total=page.total,
            warnings=(*requests.ignored(query), *page.warnings),
        )
        return respond(found, self._offers, view)

    def _binding(
        self, caller: Caller, what: str, used: tuple[tuple[str, str], ...]
    ) -> tuple[str, ...]:
        who = caller.principal
        return what, self._offer.type, who.kind, who.id, who.institution, urlencode(sorted(used))

    # --- histories -------------------------------------------------------------------------------

    async def history(self, request: Request) -> Response:
        assert self._offer.history is not None
        pairs = requests.url_pairs(request)
        caller, view = self._entered(request, "history-instance", pairs)
        name = _id(request)
        asked, used, binding = self._past(caller, pairs, f"history {name}")
        page = await self._offer.history(caller, name, asked)
        if page is None:
            raise not_found()
        path = f"{caller.base}/{self._offer.type}/{name}/_history"
        links = self._past_links(path, used, pairs, page.place, binding)
        found = bundle.history(caller.base, page.changes, links, total=page.total)
        return respond(found, self._offers, view)

    async def type_history(self, request: Request) -> Response:
        assert self._offer.type_history is not None
        pairs = requests.url_pairs(request)
        caller, view = self._entered(request, "history-type", pairs)
        asked, used, binding = self._past(caller, pairs, "history")
        page = await self._offer.type_history(caller, asked)
        path = f"{caller.base}/{self._offer.type}/_history"
        links = self._past_links(path, used, pairs, page.place, binding)
        found = bundle.history(caller.base, page.changes, links, total=page.total)
        return respond(found, self._offers, view)

    def _past(
        self, caller: Caller, pairs: requests.Pairs, what: str
    ) -> tuple[Past, tuple[tuple[str, str], ...], tuple[str, ...]]:
        values = dict(pairs)
        used = tuple((name, value) for name, value in pairs if name in ("_since", "_count"))
        since, count = 0, 20
        if values.get("_since"):
            covered = times.interval(values["_since"].replace(" ", "+"))
            if covered is None:
                raise FhirProblem(400, Issue("invalid", "_since: a FHIR instant"))
            since = covered[0]
        if values.get("_count"):
            if not re.fullmatch("[0-9]{1,9}", values["_count"]):
                raise FhirProblem(400, Issue("invalid", "_count: a whole number"))
            count = min(max(int(values["_count"]), 1), MAX_COUNT)
        binding = self._binding(caller, what, used)
        cursor = values.get("_cursor", "")
        place = self._cursors.open(cursor, *binding) if cursor else None
        return Past(since, count, place), used, binding

    def _past_links(
        self,
        path: str,
        used: tuple[tuple[str, str], ...],
        pairs: requests.Pairs,
        place: Any,
        binding: tuple[str, ...],
    ) -> Links:
        here = [*used, *((name, value) for name, value in pairs if name == "_cursor")]
        if place is None:
            return Links(_url(path, here))
        return Links(
            _url(path, here), _url(path, [*used, ("_cursor", self._cursors.seal(place, *binding))])
        )

    # --- writing ---------------------------------------------------------------------------------

    async def create(self, request: Request) -> Response:
        assert self._offer.create is not None
        caller, view = self._entered(request, "create", requests.url_pairs(request))
        resource, raw = await requests.resource_of(request, self._offer)
        condition = request.headers.get("if-none-exist", "").strip()
        if not condition:
            return self._written(
                request, caller, view, await self._offer.create(caller, resource, raw)
            )
        query = self._condition(request, caller, condition)
        async with self._turns.turn((caller.principal.id, urlencode(sorted(query.used)))):
            there = await self._matches(caller, query)
            if len(there) > 1:
                many = Issue("multiple-matches", "More than one resource matches If-None-Exist")
                raise FhirProblem(412, many)
            if there:
                return self._written(request, caller, view, Done(there[0], 200))
            done = await self._offer.create(caller, resource, raw)
        return self._written(request, caller, view, done)

    def _condition(self, request: Request, caller: Caller, condition: str) -> Query:
        if self._offer.search is None:
            raise FhirProblem(412, Issue("not-supported", "This type cannot be searched"))
        try:
            pairs = parse_qsl(
                condition.removeprefix("?"), keep_blank_values=True, max_num_fields=40
            )
        except ValueError:
            pairs = []
        # A parameter that is left out of account would make a match of what is none.
        query = requests.understood(request, self._offer, pairs, caller.base, strictly=True)
        if not query.criteria:
            raise FhirProblem(400, Issue("required", "If-None-Exist: at least one parameter"))
        return query

    async def _matches(self, caller: Caller, query: Query) -> list[Resource]:
        """Up to two that match."""
        assert self._offer.search is not None
        found: list[Resource] = []
        place: Any = None
        for _ in range(_MAX_PAGES):
            page = await self._offer.search(caller, query, place)
            found.extend(page.matches)
            place = page.place
            if place is None or len(found) > 1:
                return found[:2]
        raise FhirProblem(412, Issue("too-costly", "If-None-Exist matches too many to be compared"))

    async def update(self, request: Request) -> Response:
        assert self._offer.update is not None
        caller, view = self._entered(request, "update", requests.url_pairs(request))
        name = _id(request)
        resource, _ = await requests.resource_of(request, self._offer)
        if resource.get("id") != name:
            wrong = Issue("invalid", "The id of the resource is another than that of the URL", "id")
            raise FhirProblem(400, wrong)
        done = await self._offer.update(caller, name, resource, _if_match(request))
        return self._written(request, caller, view, done)

    async def patch(self, request: Request) -> Response:
        assert self._offer.patch is not None
        caller, view = self._entered(request, "patch", requests.url_pairs(request))
        name = _id(request)
        operations = await requests.patch_of(request, self._offer.body_limit)
        done = await self._offer.patch(caller, name, operations, _if_match(request))
        return self._written(request, caller, view, done)

    def _written(self, request: Request, caller: Caller, view: View, done: Done) -> Response:
        """The answer to a write, as Prefer: return asks for it."""
        resource = done.resource
        version = resource.get("meta", {}).get("versionId")
        headers = answers.headers_of(resource)
        if done.status in (201, 202) or request.method == "POST":
            at = f"{caller.base}/{resource['resourceType']}/{resource['id']}"
            headers["Location"] = f"{at}/_history/{version}" if version else at
        wanted = requests.preferred_return(request)
        # What is only prepared has to be read by who is to sign it.
        if wanted == "minimal" and done.status != 202:
            return Response(status_code=done.status, headers=headers)
        if wanted == "OperationOutcome":
            said = done.issues or (Issue("informational", "Done", severity="information"),)
            return respond(outcome(said), self._offers, view, done.status, headers)
        return respond(resource, self._offers, view, done.status, headers)

    # --- operations ------------------------------------------------------------------------------

    def _operate(self, operation: Operation) -> Endpoint:
        async def operate(request: Request) -> Response:
            pairs = requests.url_pairs(request)
            caller, view = self._entered(request, operation.needs, pairs)
            name = _id(request) if operation.instance else ""
            if request.method == "GET":
                parameters = requests.get_parameters(pairs, operation.parameters)
            else:
                parameters = await self._sent(request, operation)
            found = await operation.handler(caller, name, parameters)
            return found if isinstance(found, Response) else respond(found, self._offers, view)

        return operate

    async def _sent(self, request: Request, operation: Operation) -> Resource | None:
        if not request.headers.get("content-type"):
            return None
        body_version(request, MEDIA_TYPE, JSON)
        raw = await read_body(request, operation.body_limit)
        return requests.parsed_object(raw) if raw else None


def _id(request: Request, name: str = "id") -> str:
    found = str(request.path_params[name])
    if not _ID.fullmatch(found):
        raise not_found()
    return found


def _if_match(request: Request) -> str:
    tag = request.headers.get("if-match", "")
    return answers.version_of(tag) if tag else ""


def _url(path: str, pairs: Any) -> str:
    query = urlencode(list(pairs), quote_via=quote)
    return f"{path}?{query}" if query else path
