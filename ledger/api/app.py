"""The HTTP application of one node."""

from __future__ import annotations

import time
from importlib.metadata import version

from fastapi import FastAPI

from ledger.api import (
    blocks,
    bodies,
    desk,
    documentation,
    erasures,
    events,
    lists,
    notifications,
    operations,
    patients,
    preparing,
    problems,
    pseudonyms,
    records,
    state,
    transactions,
    webhooks,
)
from ledger.api.fhir import errors as fhir_errors
from ledger.api.fhir import facade, openapi
from ledger.api.guard import Guard, Meter
from ledger.api.pages import serving as pages
from ledger.api.passkeys import routes as passkey_routes
from ledger.api.service import NodeService
from ledger.api.signin import routes as signing
from ledger.api.signin.cookies import is_secure
from ledger.api.signin.gate import Gate
from ledger.api.signin.signin import SignIn
from ledger.api.signin.systems import TOKEN_PATH


def create_app(
    service: NodeService,
    *,
    signin: SignIn | None = None,
    passkeys: passkey_routes.Desk | None = None,
    public_url: str | None = None,
) -> FastAPI:
    """The ASGI application that serves ``service``; one per service, for its metrics have names.

    Args:
        service: the node.
        signin: who may call, and as whom. Without it nobody signs in and only loopback names are
            served.
        passkeys: lets patients sign in with passkeys, and has a page for them.
        public_url: scheme and host by which the node is called from outside; without it, that of
            ``signin``, or what the Host header of each request says.
    """
    protected = signin is not None and signin.protected
    development = signin is not None and signin.development
    if public_url is None and signin is not None:
        public_url = signin.url
    app = FastAPI(
        title="Health-data ledger",
        summary=f"Node {service.node} of {service.network}",
        description=documentation.DESCRIPTION,
        version=version("health-ledger"),
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    for part in (
        transactions, blocks, state, events, webhooks, notifications, records, lists, erasures,
        pseudonyms, preparing, patients, operations,
    ):  # fmt: skip
        app.include_router(part.router(service))
    codes = None if passkeys is None else passkeys.codes
    app.include_router(desk.router(service, codes, desk.Waiting(time.monotonic)))
    if passkeys is not None:
        app.include_router(passkey_routes.router(service, passkeys))
        app.include_router(pages.router())
    offered = facade.offers(service)
    token_url = signin.url + TOKEN_PATH if signin is not None else ""
    app.include_router(facade.router(offered, service, public_url=public_url, token_url=token_url))
    # Added last is outermost: guard, gate, meter, then the net under the routes.
    problems.install(app, service.damaged)
    fhir_errors.install(app)
    app.add_middleware(Meter, registry=service.metrics)
    app.state.signin = signin
    if signin is not None:
        app.include_router(signing.router(signin))
        app.add_middleware(Gate, signin=signin)
    app.add_middleware(
        Guard,
        loopback=not protected,
        secure=signin is not None and is_secure(signin.url),
        development=development,
    )
    app.add_middleware(fhir_errors.OutcomeFace)
    schemas = openapi.schemas(offered) | bodies.schemas_of(
        preparing.Wish, *desk.BODIES, *passkey_routes.BODIES, *erasures.BODIES
    )
    documentation.install(app, protected=protected, schemas=schemas)
    return app
