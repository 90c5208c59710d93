"""What operators and their monitoring ask for."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from ledger.api import problems
from ledger.api.documentation import failures
from ledger.api.exchange import reply
from ledger.api.problems import Problem
from ledger.api.service import NodeService
from ledger.api.signin.signin import signin_of
from ledger.api.status import Health, Readiness, StatusModel


def router(service: NodeService) -> APIRouter:
    routes = APIRouter(tags=["operations"])

    @routes.get(
        "/v1/status",
        response_model=StatusModel,
        summary="How the node is, and why nothing is committed",
    )
    async def status(request: Request) -> Response:
        """Height, view and phase, who has voted what and who is missing since when, the peers, the
        certificate that expires next, and one sentence that says how it goes."""
        signin = signin_of(request)
        mode = "development" if signin is not None and signin.development else "normal"
        return reply({**msgspec.to_builtins(service.status()), "mode": mode})

    @routes.get("/healthz", response_model=Health, summary="Whether the process answers at all")
    async def healthz() -> Response:
        """Says ok as long as the process can say anything."""
        return reply({"status": "ok"})

    @routes.get(
        "/readyz",
        response_model=Readiness,
        summary="Whether the node can serve",
        responses=failures(problems.NOT_READY),
    )
    async def readyz() -> Response:
        """503 with the reason while the node is starting, or too far behind."""
        ready, reason = service.ready()
        if not ready:
            raise Problem(problems.NOT_READY, reason)
        return reply({"ready": True, "reason": reason})

    @routes.get(
        "/metrics",
        response_class=Response,
        summary="Figures for Prometheus",
        responses={200: {"description": "Text exposition format", "content": {"text/plain": {}}}},
    )
    async def metrics() -> Response:
        """The node's figures in the text exposition format of Prometheus."""
        return Response(generate_latest(service.metrics), media_type=CONTENT_TYPE_LATEST)

    return routes
