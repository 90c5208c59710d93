"""Which FHIR and in which dress: Accept, Content-Type, ``_format``, ``_pretty``, ``_summary``.

JSON only, FHIR 4.0 unless the caller asks for 5.0 (R4 section 3.1.0.1.9). Errors are always in R4,
whose OperationOutcome is the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request

from ledger.api.fhir.errors import MEDIA_TYPE, FhirProblem
from ledger.fhir import summary
from ledger.fhir.outcome import Issue

JSON: Final = "application/json"
VERSIONS: Final = ("4.0", "5.0")
JSON_PATCH: Final = "application/json-patch+json"
FORM: Final = "application/x-www-form-urlencoded"

_FORMATS: Final = {"json": MEDIA_TYPE, JSON: JSON, MEDIA_TYPE: MEDIA_TYPE, "text/json": JSON}
_RANGES: Final = frozenset({"*/*", "application/*", MEDIA_TYPE, JSON})
_FULL: Final = {"4.0": "4.0", "4.0.1": "4.0", "5.0": "5.0", "5.0.0": "5.0"}


@dataclass(frozen=True, slots=True)
class View:
    """How an answer is shown.

    ``version``: of FHIR. ``summary``: true, text, data, or empty for all of it; ``count`` is part
    of the query. ``elements``: names of first-level elements, empty for all.
    """

    media_type: str = MEDIA_TYPE
    version: str = "4.0"
    pretty: bool = False
    summary: str = ""
    elements: tuple[str, ...] = ()

    @property
    def content_type(self) -> str:
        return f"{self.media_type}; fhirVersion={self.version}; charset=utf-8"

    def encode(self, resource: dict[str, Any]) -> bytes:
        if self.pretty:
            return json.dumps(resource, ensure_ascii=False, indent=2).encode() + b"\n"
        return json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode()

    def shown(
        self, resource: dict[str, Any], mandatory: Sequence[str], summarised: Sequence[str]
    ) -> dict[str, Any]:
        """The part of a resource that was asked for."""
        if self.elements:
            return summary.only(resource, {*mandatory, *self.elements})
        if self.summary == "true":
            return summary.only(resource, {*mandatory, *summarised})
        if self.summary == "text":
            return summary.only(resource, {*mandatory, "text"})
        if self.summary == "data":
            return summary.without_text(resource)
        return resource


def view_of(request: Request, pairs: Sequence[tuple[str, str]], *, any_media: bool = False) -> View:
    """What the headers and parameters of a request ask for; a `FhirProblem` 406 or 400 where it
    cannot be given.

    Args:
        pairs: of the URL, and of the form where there is one.
        any_media: an Accept header of other types is not refused.
    """
    values = dict(pairs)
    accept = ",".join(request.headers.getlist("accept"))
    if any_media and not _acceptable(accept):
        accept = ""
    media, version = _accepted(accept) if "_format" not in values else _format(values["_format"])
    if "_format" in values and version is None:
        # The version may still come from the header where _format is only a shorthand.
        version = _versions_in(accept)
    wanted = values.get("_summary", "false")
    if wanted not in ("true", "text", "data", "count", "false"):
        raise FhirProblem(400, Issue("invalid", "_summary: true, text, data, count or false"))
    elements = tuple(name for name in values.get("_elements", "").split(",") if name)
    if len(elements) > 100 or not all(name.isascii() and name.isalpha() for name in elements):
        raise FhirProblem(400, Issue("invalid", "_elements: names of elements of the first level"))
    pretty = values.get("_pretty", "false")
    if pretty not in ("true", "false"):
        raise FhirProblem(400, Issue("invalid", "_pretty: true or false"))
    return View(
        media or MEDIA_TYPE,
        version or "4.0",
        pretty == "true",
        wanted if wanted in ("true", "text", "data") else "",
        elements,
    )


def _not_acceptable() -> FhirProblem:
    text = f"This server speaks {MEDIA_TYPE} and {JSON}, FHIR versions {' and '.join(VERSIONS)}"
    return FhirProblem(406, Issue("not-supported", text))


def _format(text: str) -> tuple[str, str | None]:
    # A plus sign that was not escaped in the URL has become a space.
    kind, parameters = _media(text.replace("fhir json", "fhir+json"))
    if kind not in _FORMATS:
        raise _not_acceptable()
    version = parameters.get("fhirversion")
    if version is not None and version not in _FULL:
        raise _not_acceptable()
    return _FORMATS[kind], _FULL[version] if version else None


def _accepted(header: str) -> tuple[str | None, str | None]:
    """The best of an Accept header that can be given; nothing where there is no header."""
    best: tuple[float, str, str | None] | None = None
    for part in header.split(",")[:50]:
        if not part.strip():
            continue
        kind, parameters = _media(part)
        version = parameters.get("fhirversion")
        quality = _quality(parameters.get("q", "1"))
        if kind not in _RANGES or quality <= 0 or (version is not None and version not in _FULL):
            continue
        if best is None or quality > best[0]:
            best = (quality, JSON if kind == JSON else MEDIA_TYPE, version)
    if best is None:
        if header.strip():
            raise _not_acceptable()
        return None, None
    return best[1], _FULL[best[2]] if best[2] else None


def _acceptable(header: str) -> bool:
    try:
        _accepted(header)
    except FhirProblem:
        return False
    return True


def _versions_in(header: str) -> str | None:
    found = [_media(part)[1].get("fhirversion", "") for part in header.split(",")[:50]]
    return next((_FULL[version] for version in found if version in _FULL), None)


def _media(text: str) -> tuple[str, dict[str, str]]:
    kind, *rest = text.split(";")
    parameters = {}
    for item in rest[:10]:
        name, _, value = item.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"')
    return kind.strip().lower(), parameters


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def body_version(request: Request, *kinds: str) -> tuple[str, str]:
    """Media type and FHIR version of the body that is sent; a `FhirProblem` 415 for others."""
    kind, parameters = _media(request.headers.get("content-type", ""))
    version = _FULL.get(parameters.get("fhirversion", "4.0"))
    charset = parameters.get("charset", "utf-8").lower()
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if kind not in kinds or version is None or charset not in ("utf-8", "utf8"):
        raise FhirProblem(415, Issue("not-supported", f"Send {' or '.join(kinds)} in UTF-8"))
    if coding not in ("", "identity"):
        raise FhirProblem(415, Issue("not-supported", "Send the body without a content coding"))
    return kind, version
