"""Records on a FHIR R4 server: polled by ``_lastUpdated``, kept as they came.

A pass asks for what has changed since the last one, type by type, oldest first. Up to where it has
come is noted as it goes, so one that was cut short goes on there. The server's clock and its
commits are not quite in step, so each pass begins a little before the end of the last; what comes
twice is known by its version and costs a look. From time to time a pass asks for everything and so
notices what is gone.
"""

from __future__ import annotations

import datetime
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, Final

import msgspec

from ledger.node.vault.connector import (
    FHIR_JSON,
    MAX_RESOURCE_BYTES,
    Problem,
    SourceRecord,
)
from ledger.node.vault.fhirhttp import FhirHttp, Page, SourceFailed
from ledger.node.vault.intake import CHUNK
from ledger.node.vault.kept import Kept

#: Before the id of every record of a FHIR server, so that no file of a directory has the same one.
PREFIX: Final = "fhir:"
PAGE: Final = 200
OVERLAP: Final = datetime.timedelta(minutes=2)
_FULL: Final = "full"

#: Types of resources that are records of a patient and can be searched by ``patient``.
TYPES: Final = (
    "AllergyIntolerance", "CarePlan", "Condition", "DiagnosticReport", "DocumentReference",
    "Encounter", "ImagingStudy", "Immunization", "MedicationRequest", "Observation", "Procedure",
    "ServiceRequest",
)  # fmt: skip

_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


class _Meta(msgspec.Struct):
    last_updated: str = msgspec.field(name="lastUpdated", default="")
    version: str = msgspec.field(name="versionId", default="")


class _Head(msgspec.Struct):
    """What is read of a resource before it is kept."""

    resource_type: str = msgspec.field(name="resourceType")
    id: str = ""
    meta: _Meta = msgspec.field(default_factory=_Meta)


class FhirServerConnector:
    """A source of records.

    Args:
        http: the server.
        kept: where the bytes go.
        types: resource types to ask for.
        clock: milliseconds since 1970 UTC.
        full_every: days after which a pass asks for everything again.
        patients: references of the patients to ask for, one after the other; None asks for all
            patients of the server at once.

    Raises:
        SourceFailed: something that is no resource type.
    """

    def __init__(
        self,
        http: FhirHttp,
        kept: Kept,
        *,
        types: Sequence[str] = TYPES,
        clock: Callable[[], int],
        full_every: int = 7,
        patients: Callable[[], Iterable[str]] | None = None,
    ) -> None:
        if not types or not all(_TYPE.fullmatch(kind) for kind in types):
            raise SourceFailed("not the name of a resource type")
        self._http = http
        self._kept = kept
        self._types = tuple(types)
        self._clock = clock
        self._full_every = full_every
        self._patients = patients
        self._full = False
        self._resumed = False
        self._reached: dict[str, str] = {}

    def close(self) -> None:
        self._http.close()
        self._kept.close()

    @property
    def complete(self) -> bool:
        """Whether this pass has asked for everything, from the beginning."""
        return self._full and not self._resumed

    def open(self, record_id: str, stamp: str = "") -> BinaryIO:
        return self._kept.open(record_id, stamp)

    def discard(self, record_id: str) -> None:
        self._kept.discard(record_id)

    def taken(self) -> None:
        for name, since in self._reached.items():
            self._kept.reached(name, since)
        if self._full:
            self._kept.forget(_FULL + ":")
            self._kept.reached(_FULL, str(self._clock()))

    def records(self) -> Iterator[SourceRecord | Problem]:
        """Raises `SourceFailed` where the server gives way."""
        last = self._kept.since(_FULL)
        age = None if last is None else self._clock() - int(last)
        self._full = age is None or age > self._full_every * 86_400_000
        self._resumed = False
        self._reached = {}
        for kind in self._types:
            if self._patients is None:
                yield from self._of(kind, kind, {})
                continue
            for reference in sorted(set(self._patients())):
                yield from self._of(kind, f"{kind}?{reference}", {"patient": reference})

    def _of(self, kind: str, name: str, params: dict[str, str]) -> Iterator[SourceRecord | Problem]:
        """What has changed of one type, and up to when it has been read."""
        # A full pass has places of its own to go on at, which its end wipes out.
        place = f"{_FULL}:{name}" if self._full else name
        since = self._kept.since(place)
        asked = {**params, "_sort": "_lastUpdated", "_count": str(PAGE)}
        if since is not None:
            asked["_lastUpdated"] = f"ge{since}"
            self._resumed = self._full
        reached = _Reached(since)
        for page in self._http.search(kind, asked):
            yield from self._page(kind, page, reached)
            passed = reached.passed()
            if passed is not None:
                self._kept.reached(place, passed)
        if (end := reached.end()) is not None:
            self._reached[name] = end

    def _page(self, kind: str, page: Page, reached: _Reached) -> list[SourceRecord | Problem]:
        found: list[SourceRecord | Problem] = []
        keep: list[tuple[str, str, bytes]] = []
        for entry in page.entry:
            raw = bytes(entry.resource)
            try:
                head = msgspec.json.decode(raw, type=_Head)
            except (msgspec.DecodeError, RecursionError, UnicodeError):
                found.append(Problem(f"{PREFIX}{kind}", "an entry that is no resource"))
                continue
            if head.resource_type == "OperationOutcome":
                continue
            if head.resource_type != kind or not _ID.fullmatch(head.id):
                found.append(Problem(f"{PREFIX}{kind}", "an entry of another type, or without id"))
                continue
            source = f"{PREFIX}{kind}/{head.id}"
            reached.saw(head.meta.last_updated)
            if len(raw) > MAX_RESOURCE_BYTES:
                found.append(Problem(source, f"larger than {MAX_RESOURCE_BYTES} bytes"))
                continue
            version = f"{head.meta.version} {head.meta.last_updated}" if head.meta.version else ""
            keep.append((source, version, raw))
        stamps = self._kept.keep(keep)
        for (source, *_), stamp in zip(keep, stamps, strict=True):
            found.append(SourceRecord(source, FHIR_JSON, stamp))
        return found


class _Reached:
    """Up to where a listing has been taken in.

    Whoever takes in pulls a chunk and works on it before it pulls the next, so everything but the
    last two chunks has been taken in. That holds only while the listing is in the order that was
    asked for.
    """

    def __init__(self, since: str | None) -> None:
        self._behind: deque[datetime.datetime] = deque(maxlen=2 * CHUNK + 1)
        self._newest = _instant(since or "")
        self._ordered = True

    def saw(self, text: str) -> None:
        when = _instant(text)
        if when is None:
            self._ordered = False
            return
        if self._behind and when < self._behind[-1]:
            self._ordered = False
        self._behind.append(when)
        if self._newest is None or when > self._newest:
            self._newest = when

    def passed(self) -> str | None:
        """Up to where everything has been taken in for sure, if that is known."""
        if not self._ordered or len(self._behind) < (self._behind.maxlen or 0):
            return None
        return _text(self._behind[0] - OVERLAP)

    def end(self) -> str | None:
        """From where the next pass begins, once this one is through."""
        return None if self._newest is None else _text(self._newest - OVERLAP)


def _instant(text: str) -> datetime.datetime | None:
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo is not None and when.year > 1 else None


def _text(when: datetime.datetime) -> str:
    return when.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
