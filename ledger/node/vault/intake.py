"""Looking through a source: which of its items are records, and whose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ledger.fhir.records import Description, InvalidResource, Resource, describe, parse_resource
from ledger.node.vault.connector import (
    FHIR_JSON,
    Connector,
    Problem,
    RecordUnavailable,
    SourceRecord,
)


@dataclass(slots=True)
class TakeIn:
    """What one pass over the source has found, as counts of records.

    ``no_record``: resources that are not the record of one patient. ``no_subject``: records of
    patients without a pseudonym here. ``missing``: records known before that the source no longer
    has. ``problems``: what could not be read, one entry each.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    no_record: int = 0
    no_subject: int = 0
    missing: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def seen(self) -> int:
        """How many items of the source have been looked at."""
        known = self.new + self.changed + self.unchanged
        return known + self.no_record + self.no_subject + len(self.problems)


def described(connector: Connector, report: TakeIn) -> Iterator[tuple[SourceRecord, Description]]:
    """Records with what they say of themselves; other files with what a document says of them.

    A file that is not FHIR (a scan, an image) is described by the DocumentReference in the
    same directory whose attachment url is the file's name. What is neither goes into ``report``.
    """
    documents: dict[str, Description] = {}
    opaque: list[tuple[str, str]] = []
    for item in connector.records():
        if isinstance(item, Problem):
            report.problems.append(item)
        elif item.media != FHIR_JSON:
            opaque.append((item.id, item.media))
        else:
            try:
                resource = parse_resource(item.content)
            except InvalidResource as error:
                report.problems.append(Problem(item.id, str(error)))
                continue
            description = describe(resource)
            if description is None:
                report.no_record += 1
                continue
            folder = item.id.rpartition("/")[0]
            for name in _attached_files(resource):
                documents[f"{folder}/{name}" if folder else name] = description
            yield item, description
    for source, media in opaque:
        try:
            if source not in documents:
                raise RecordUnavailable("no DocumentReference beside it says whose it is")
            with connector.open(source) as file:
                content = file.read()
            yield SourceRecord(source, media, content), documents[source]
        except RecordUnavailable as error:
            report.problems.append(Problem(source, str(error)))


def _attached_files(resource: Resource) -> Iterator[str]:
    """File names in the same directory that a DocumentReference is about."""
    content = resource.get("content") if resource["resourceType"] == "DocumentReference" else None
    for part in content if isinstance(content, list) else []:
        attachment = part.get("attachment") if isinstance(part, dict) else None
        url = attachment.get("url") if isinstance(attachment, dict) else None
        if isinstance(url, str) and "/" not in url:
            yield url
