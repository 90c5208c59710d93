"""Looking through a source: which of its items are records, and whose.

Memory is bounded by the largest folder of the source that has files other than FHIR resources:
their descriptions stand in the resources beside them, which come after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Final, NamedTuple

from ledger.fhir.records import Description, InvalidResource, Resource, describe, parse_resource
from ledger.node.vault.connector import (
    FHIR_JSON,
    Connector,
    Problem,
    RecordUnavailable,
    SourceRecord,
    read_resource,
)

#: Items that are looked at, and written, together.
CHUNK: Final = 500
#: Problems that a report lists; how many there are is counted in any case.
LISTED_PROBLEMS: Final = 1_000


@dataclass(slots=True)
class TakeIn:
    """What one pass over the source has found, as counts of records.

    ``no_record``: resources that are not the record of one patient. ``no_subject``: records of
    patients without a pseudonym here. ``missing``: records known before that the source no longer
    has. ``unreadable``: what could not be read; ``problems`` has the first of them, one entry each.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    no_record: int = 0
    no_subject: int = 0
    missing: int = 0
    unreadable: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def seen(self) -> int:
        """How many items of the source have been looked at."""
        known = self.new + self.changed + self.unchanged
        return known + self.no_record + self.no_subject + self.unreadable

    def counts(self) -> dict[str, int]:
        """The counts alone, by name."""
        return {
            name: getattr(self, name)
            for name in ("new", "changed", "unchanged", "no_record", "no_subject", "missing",
                         "unreadable")
        }  # fmt: skip

    def cannot(self, problem: Problem) -> None:
        """Count something that could not be taken in."""
        self.unreadable += 1
        if len(self.problems) < LISTED_PROBLEMS:
            self.problems.append(problem)


class Described(NamedTuple):
    """An item of the source with what is said of it, and its bytes where they were read."""

    item: SourceRecord
    description: Description
    content: bytes | None


#: Which of some items are known and as they were; they need not be read.
Unchanged = Callable[[Sequence[SourceRecord]], set[str]]


def described(
    connector: Connector, report: TakeIn, unchanged: Unchanged
) -> Iterator[list[Described]]:
    """Records that have to be looked at, in chunks; what is none goes into ``report``.

    A file that is not FHIR (a scan, an image) is described by the DocumentReference in the same
    folder whose attachment url is the file's name.
    """
    for _folder, listed in groupby(connector.records(), _folder_of):
        items = _without_problems(listed, report)
        opaque: dict[str, SourceRecord] = {}
        documents: dict[str, Description] = {}
        for chunk in _chunks(items, CHUNK):
            opaque.update({item.id: item for item in chunk if item.media != FHIR_JSON})
            resources = [item for item in chunk if item.media == FHIR_JSON]
            # Beside opaque files every resource is read: it may be the one that describes them.
            as_it_was = unchanged(resources) if not opaque else set[str]()
            report.unchanged += len(as_it_was)
            found = [
                one
                for item in resources
                if item.id not in as_it_was
                if (one := _resource(connector, item, report, opaque, documents)) is not None
            ]
            if found:
                yield found
        for chunk in _chunks(iter(opaque.values()), CHUNK):
            with_description = [
                Described(item, documents[item.id], None) for item in chunk if item.id in documents
            ]
            for item in chunk:
                if item.id not in documents:
                    reason = "no DocumentReference beside it says whose it is"
                    report.cannot(Problem(item.id, reason))
            if with_description:
                yield with_description


def _folder_of(item: SourceRecord | Problem) -> str:
    return item.id.rpartition("/")[0]


def _without_problems(
    listed: Iterator[SourceRecord | Problem], report: TakeIn
) -> Iterator[SourceRecord]:
    for item in listed:
        if isinstance(item, Problem):
            report.cannot(item)
        else:
            yield item


def _resource(
    connector: Connector,
    item: SourceRecord,
    report: TakeIn,
    opaque: dict[str, SourceRecord],
    documents: dict[str, Description],
) -> Described | None:
    try:
        content = read_resource(connector, item.id, stamp=item.stamp)
        resource = parse_resource(content)
    except (InvalidResource, RecordUnavailable) as error:
        report.cannot(Problem(item.id, str(error)))
        return None
    description = describe(resource)
    if description is None:
        report.no_record += 1
        return None
    for name in _attached_files(resource) if opaque else ():
        attached = f"{item.folder}/{name}" if item.folder else name
        if attached in opaque:
            documents[attached] = description
    return Described(item, description, content)


def _attached_files(resource: Resource) -> Iterator[str]:
    """File names in the same directory that a DocumentReference is about."""
    content = resource.get("content") if resource["resourceType"] == "DocumentReference" else None
    for part in content if isinstance(content, list) else []:
        attachment = part.get("attachment") if isinstance(part, dict) else None
        url = attachment.get("url") if isinstance(attachment, dict) else None
        if isinstance(url, str) and "/" not in url:
            yield url


def _chunks(items: Iterator[SourceRecord], size: int) -> Iterator[list[SourceRecord]]:
    while chunk := list(islice(items, size)):
        yield chunk
