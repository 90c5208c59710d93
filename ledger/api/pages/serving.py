"""The routes of the static pages."""

from __future__ import annotations

from importlib import resources
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from ledger.api import problems
from ledger.api.problems import Problem

#: Everything from here, nothing inline, in no frame, and no strings that become code.
POLICY: Final = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
_FILES: Final = (
    "patient.html", "patient.css", "patient.js", "texts.js", "words.js", "declaration.js",
    "ledger.js", "msgpack.js",
)  # fmt: skip


def router() -> APIRouter:
    """``/patient`` and the files that it loads."""
    routes = APIRouter(include_in_schema=False)
    folder = resources.files("ledger.api.pages")
    files = {name: (folder / name).read_bytes() for name in _FILES}

    def answer(name: str) -> Response:
        kind = _TYPES[name[name.rindex(".") :]]
        headers = {
            "Content-Security-Policy": POLICY,
            "Permissions-Policy": "publickey-credentials-get=(self), camera=(), microphone=()",
            "Cache-Control": "no-cache",
        }
        return Response(files[name], headers=headers, media_type=kind)

    @routes.get("/patient")
    async def patient() -> Response:
        return answer("patient.html")

    @routes.get("/patient/{name}")
    async def part(name: str) -> Response:
        if name not in files or name == "patient.html":
            raise Problem(problems.NO_SUCH_PATH)
        return answer(name)

    return routes
