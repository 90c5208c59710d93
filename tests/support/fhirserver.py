"""A strict FHIR R4 server for tests: it answers what the connector may ask, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

BASE = "https://fhir.east.example/r4"
Answer = Callable[[httpx.Request], httpx.Response | None]


class FhirServer:
    """Resources by type, searched by patient and ``_lastUpdated``; ``trouble`` answers first."""

    def __init__(self, page: int = 2) -> None:
        self.page = page
        self.resources: list[dict[str, Any]] = []
        self.seconds = 0
        self.asked: list[httpx.Request] = []
        self.trouble: Answer = lambda _request: None

    def put(self, kind: str, identity: str, patient: str = "Patient/1", **more: Any) -> None:
        """Make a resource, or a new version of it."""
        self.seconds += 1
        instant = f"2026-01-01T00:{self.seconds // 60:02}:{self.seconds % 60:02}.000+00:00"
        self.resources = [
            each
            for each in self.resources
            if (each["resourceType"], each["id"]) != (kind, identity)
        ]
        self.resources.append(
            {
                "resourceType": kind, "id": identity, "subject": {"reference": patient},
                "meta": {"versionId": str(self.seconds), "lastUpdated": instant}, **more,
            }
        )  # fmt: skip

    def remove(self, kind: str, identity: str) -> None:
        self.resources = [
            each
            for each in self.resources
            if (each["resourceType"], each["id"]) != (kind, identity)
        ]

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.trouble(request) or self.search(request)

    def search(self, request: httpx.Request) -> httpx.Response:
        url = urlsplit(str(request.url))
        assert request.method == "GET"
        assert f"{url.scheme}://{url.netloc}" == BASE[: BASE.rindex("/")]
        kind = url.path.removeprefix("/r4/")
        asked = parse_qs(url.query)
        assert set(asked) <= {"patient", "_sort", "_count", "_lastUpdated", "_offset"}, asked
        assert asked["_sort"] == ["_lastUpdated"]
        found = [each for each in self.resources if each["resourceType"] == kind]
        for reference in asked.get("patient", []):
            found = [each for each in found if each["subject"]["reference"] == reference]
        for since in asked.get("_lastUpdated", []):
            assert since.startswith("ge")
            assert since.endswith("Z")
            moment = since[2:-1]
            found = [each for each in found if each["meta"]["lastUpdated"][:23] >= moment]
        found.sort(key=lambda each: each["meta"]["lastUpdated"])
        offset = int(asked.get("_offset", ["0"])[0])
        links = [{"relation": "self", "url": str(request.url)}]
        if offset + self.page < len(found):
            again = {name: values[0] for name, values in asked.items()}
            again["_offset"] = str(offset + self.page)
            links.append({"relation": "next", "url": f"{BASE}/{kind}?{urlencode(again)}"})
        return bundle(found[offset : offset + self.page], links)


def bundle(
    resources: list[dict[str, Any]], links: list[dict[str, Any]] | None = None
) -> httpx.Response:
    entries = [
        {"fullUrl": f"urn:x:{number}", "resource": each} for number, each in enumerate(resources)
    ]
    content = {
        "resourceType": "Bundle", "type": "searchset", "link": links or [], "entry": entries,
    }  # fmt: skip
    return answered(json.dumps(content, indent=1).encode())


def answered(
    content: bytes, status: int = 200, headers: dict[str, str] | None = None
) -> httpx.Response:
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))
