"""Records on a FHIR server: taken in as they came, whatever the server does meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.node.vault import fhirhttp, fhirserver
from ledger.node.vault.connector import Problem, RecordUnavailable, SourceRecord, read_resource
from ledger.node.vault.fhirhttp import FhirHttp, SourceFailed, credentials
from ledger.node.vault.fhirserver import FhirServerConnector
from ledger.node.vault.intake import TakeIn
from ledger.node.vault.kept import Kept
from ledger.node.vault.vault import Vault
from tests.support.fhirserver import BASE, FhirServer, answered, bundle

ONE = "p-" + "1" * 32
DAY = 86_400_000


class Source:
    """A connector to a server, with a vault behind it."""

    def __init__(self, directory: Path, server: FhirServer, **more: Any) -> None:
        self.server = server
        self.time = 10 * DAY
        self.pauses: list[float] = []
        self.http = FhirHttp(
            BASE,
            transport=server.transport(),
            sleep=self.pauses.append,
            auth=more.pop("auth", None),
        )
        self.kept = Kept(directory / "fhir.db")
        self.connector = FhirServerConnector(
            self.http, self.kept, clock=lambda: self.time,
            types=more.pop("types", ("Observation", "Condition")), **more,
        )  # fmt: skip
        self.vault = Vault.open(directory / "vault.db", self.connector)

    def take(self) -> TakeIn:
        self.server.asked.clear()
        return self.vault.take_in({"Patient/1": ONE}, "east", now=0)

    def close(self) -> None:
        self.vault.close()
        self.connector.close()

    def records(self) -> dict[str, Any]:
        """What would be released, by the id at the source."""
        found = {}
        for entry in self.vault.entries():
            with self.vault.retrieve(entry) as record:
                found[entry.source] = b"".join(record.pieces())
        return found

    def asked(self) -> list[str]:
        return [
            f"{request.url.path.removeprefix('/r4/')} {request.url.params.get('_lastUpdated', '')}"
            for request in self.server.asked
        ]


@pytest.fixture
def server() -> FhirServer:
    server = FhirServer()
    for number in range(5):
        server.put("Observation", str(number), valueInteger=number)
    server.put("Condition", "c1")
    server.put("Observation", "other", patient="Patient/2")
    return server


@pytest.fixture
def source(tmp_path: Path, server: FhirServer) -> Iterator[Source]:
    source = Source(tmp_path, server)
    yield source
    source.close()


# --- the way it should go -----------------------------------------------------------------------


def test_every_page_is_read_and_every_record_kept_as_it_came(
    source: Source, server: FhirServer
) -> None:
    report = source.take()
    assert (report.new, report.no_subject, report.problems) == (6, 1, [])
    records = source.records()
    assert set(records) == {f"fhir:Observation/{n}" for n in range(5)} | {"fhir:Condition/c1"}
    written = json.dumps(server.resources[0], indent=1).replace("\n", "\n   ").encode()
    assert records["fhir:Observation/0"] == written


def test_the_next_pass_asks_for_what_has_changed_and_begins_a_little_earlier(
    source: Source, server: FhirServer
) -> None:
    source.take()
    server.put("Observation", "1", valueInteger=100)
    server.put("Observation", "9", valueInteger=9)
    report = source.take()
    assert (report.new, report.changed, report.missing) == (1, 1, 0)
    assert source.asked()[0] == "Observation ge2025-12-31T23:58:07.000Z"
    assert source.asked()[-1] == "Condition ge2025-12-31T23:58:06.000Z"
    assert json.loads(source.records()["fhir:Observation/1"])["valueInteger"] == 100


def test_a_server_that_writes_the_same_version_in_another_way_changes_nothing(
    source: Source, server: FhirServer
) -> None:
    source.take()
    before = source.records()

    def compact(request: httpx.Request) -> httpx.Response:
        content = json.loads(server.search(request).read())
        return answered(json.dumps(content, sort_keys=True).encode())

    server.trouble = compact
    report = source.take()
    assert (report.new, report.changed) == (0, 0)
    assert source.records() == before


def test_a_full_pass_comes_after_some_days_and_notices_what_is_gone(
    source: Source, server: FhirServer
) -> None:
    source.take()
    server.remove("Observation", "3")
    assert source.take().missing == 0
    source.time += 8 * DAY
    report = source.take()
    assert (report.missing, report.new, report.changed) == (1, 0, 0)
    assert {line.split(" ")[1] for line in source.asked()} == {""}
    assert "fhir:Observation/3" in source.records()


def test_patients_are_asked_for_one_by_one_where_that_is_wanted(
    tmp_path: Path, server: FhirServer
) -> None:
    source = Source(tmp_path, server, patients=lambda: ["Patient/1", "Patient/1"])
    report = source.take()
    assert (report.new, report.no_subject) == (6, 0)
    assert {request.url.params["patient"] for request in server.asked} == {"Patient/1"}
    source.close()


def test_a_pass_that_was_cut_short_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fhirserver, "CHUNK", 2)
    monkeypatch.setattr("ledger.node.vault.intake.CHUNK", 2)
    monkeypatch.setattr(fhirserver, "OVERLAP", fhirserver.OVERLAP * 0)
    server = FhirServer()
    for number in range(20):
        server.put("Observation", str(number), valueInteger=number)
    source = Source(tmp_path, server, types=("Observation",))
    calls = 0

    def away(_request: httpx.Request) -> httpx.Response | None:
        nonlocal calls
        calls += 1
        return answered(b"", 404) if calls == 8 else None

    server.trouble = away
    with pytest.raises(SourceFailed, match="status 404"):
        source.take()
    already = source.vault.count()
    assert 8 <= already < 20
    report = source.take()
    first = source.asked()[0]
    assert first.startswith("Observation ge2026-01-01T00:00:")
    assert report.new == 20 - already
    assert report.missing == 0
    assert len(source.asked()) < 9
    assert source.vault.count() == 20
    source.close()


def test_bytes_that_are_kept_no_more_are_unavailable(source: Source) -> None:
    source.take()
    entry = next(iter(source.vault.entries()))
    source.kept.discard(entry.source)
    with pytest.raises(RecordUnavailable):
        source.vault.retrieve(entry)
    with pytest.raises(RecordUnavailable):
        source.connector.open("fhir:Observation/1", "junk")


def test_the_kept_file_is_for_its_owner_alone(source: Source, tmp_path: Path) -> None:
    source.take()
    assert (tmp_path / "fhir.db").stat().st_mode & 0o077 == 0


# --- a server in trouble ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_later_each_time(
    source: Source, server: FhirServer, status: int
) -> None:
    answers = iter([status, status, status])
    server.trouble = lambda _request: (
        answered(b"", code) if (code := next(answers, None)) is not None else None
    )
    assert source.take().new == 6
    assert len(source.pauses) == 3
    assert all(0 <= pause <= 2 * 2**place for place, pause in enumerate(source.pauses))


@pytest.mark.parametrize(
    ("given", "least", "most"),
    [("7", 7, 7.2), ("9999999", 300, 300.2), ("junk", 0, 1), ("-1", 0, 1)],
)
def test_a_server_says_when_to_come_again_within_reason(
    source: Source, server: FhirServer, given: str, least: float, most: float
) -> None:
    answers = iter([answered(b"", 503, {"Retry-After": given})])
    server.trouble = lambda _request: next(answers, None)
    source.take()
    (pause,) = source.pauses
    assert least <= pause <= most


def test_a_server_that_stays_away_breaks_the_pass_off(source: Source, server: FhirServer) -> None:
    def away(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    server.trouble = away
    with pytest.raises(SourceFailed, match="ConnectError"):
        source.take()
    assert len(server.asked) == fhirhttp.ATTEMPTS


# --- a hostile server ---------------------------------------------------------------------------


def leads_to(url: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _request: bundle([], [{"relation": "next", "url": url}])


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/r4/Observation?page=2",
        "http://fhir.east.example/r4/Observation?page=2",
        "https://fhir.east.example:8443/r4/Observation",
        "https://fhir.east.example/admin",
        "https://fhir.east.example/r4/../admin",
        "https://fhir.east.example/r4x/Observation",
        "https://user:pw@fhir.east.example/r4/Observation",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "//evil.example/r4/Observation",
        "https://fhir.east.example\\@evil.example/r4/Observation",
        "https://[::1",
    ],
)
def test_no_page_leads_to_another_server(source: Source, server: FhirServer, url: str) -> None:
    server.trouble = leads_to(url)
    with pytest.raises(SourceFailed):
        source.take()
    assert {request.url.host for request in server.asked} == {"fhir.east.example"}
    assert len(server.asked) == 1


def test_pages_in_a_circle_end(source: Source, server: FhirServer) -> None:
    server.trouble = leads_to(f"{BASE}/Observation?page=2")
    with pytest.raises(SourceFailed, match="before"):
        source.take()
    assert len(server.asked) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(source: Source, server: FhirServer, status: int) -> None:
    where = {"Location": "http://169.254.169.254/latest"}
    server.trouble = lambda _request: answered(b"", status, where)
    with pytest.raises(SourceFailed, match=f"status {status}"):
        source.take()
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"", b"junk", b"[]", b"null", b'{"resourceType": "Patient"}', b'{"resourceType": 1}',
        b'{"resourceType": "Bundle", "entry": 1}', b'{"resourceType": "Bundle", "entry": [1]}',
        b'{"resourceType": "Bundle", "link": [{"relation": "next"}]}',
        b'{"resourceType": "Bundle", "x": ' + b"[" * 100_000, b"[" * 200_000,
    ],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_bundle_breaks_the_pass_off(
    source: Source, server: FhirServer, content: bytes
) -> None:
    server.trouble = lambda _request: answered(content)
    with pytest.raises(SourceFailed):
        source.take()


def test_a_page_without_end_is_not_read_to_its_end(
    source: Source, server: FhirServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fhirhttp, "MAX_PAGE_BYTES", 1_000)
    server.trouble = lambda _request: answered(b" " * 10_000)
    with pytest.raises(SourceFailed, match="more than 1000 bytes"):
        source.take()


def test_a_compressed_answer_is_not_unpacked(source: Source, server: FhirServer) -> None:
    server.trouble = lambda _request: answered(b"x", headers={"Content-Encoding": "gzip"})
    with pytest.raises(SourceFailed, match="compressed"):
        source.take()


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Patient", "id": "1"}, {"resourceType": "Observation"},
        {"resourceType": "Observation", "id": "../../etc/passwd"},
        {"resourceType": "Observation", "id": "a/b"}, {"resourceType": "Observation", "id": 7},
        {"resourceType": "Observation", "id": "x" * 65}, {"id": "1"}, "text", None, 7,
        {"resourceType": "Observation\n", "id": "1"},
    ],
    ids=range(11),
)  # fmt: skip
def test_entries_that_are_not_what_was_asked_for_are_problems(
    source: Source, server: FhirServer, resource: Any
) -> None:
    server.trouble = lambda _request: bundle([resource])
    report = source.take()
    assert report.new == 0
    assert {problem.id for problem in report.problems} <= {"fhir:Observation", "fhir:Condition"}
    assert report.unreadable == 2


def test_deeply_nested_resources_are_problems_and_not_crashes(
    source: Source, server: FhirServer
) -> None:
    deep = b"[" * 900 + b"]" * 900
    raw = b'{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Observation", '
    raw += b'"id": "1", "x": ' + deep + b"}}]}"
    server.trouble = lambda request: (
        answered(raw) if request.url.path.endswith("Observation") else None
    )
    source.take()
    assert source.vault.count() <= 2


@given(st.binary(max_size=300))
def test_no_answer_makes_anything_but_a_failed_pass(tmp_path_factory: Any, content: bytes) -> None:
    server = FhirServer()
    server.trouble = lambda _request: answered(content)
    http = FhirHttp(BASE, transport=server.transport(), sleep=lambda _seconds: None)
    with pytest.raises(SourceFailed):
        list(http.search("Observation", {}))


def test_attachments_are_never_asked_for(
    source: Source, server: FhirServer, tmp_path: Path
) -> None:
    attachment = {"url": "http://169.254.169.254/latest/meta-data", "contentType": "text/plain"}
    server.put("Observation", "7", content=[{"attachment": attachment}])
    server.put("DocumentReference", "d", content=[{"attachment": attachment}])
    source.connector._types = ("Observation", "DocumentReference")
    assert source.take().new == 7
    assert {request.url.host for request in server.asked} == {"fhir.east.example"}


@pytest.mark.parametrize("base", ["ftp://x", "https://", "https://user:pw@host/r4", "x"])
def test_the_base_is_a_plain_web_address(base: str) -> None:
    with pytest.raises(SourceFailed):
        FhirHttp(base)


@pytest.mark.parametrize("types", [(), ("observation",), ("../Patient",), ("A?b",)])
def test_types_are_names_of_resources(tmp_path: Path, types: tuple[str, ...]) -> None:
    with pytest.raises(SourceFailed):
        FhirServerConnector(FhirHttp(BASE), Kept(tmp_path / "k.db"), types=types, clock=lambda: 0)


# --- credentials --------------------------------------------------------------------------------


def secret_file(path: Path, content: str, mode: int = 0o600) -> Path:
    path.write_text(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("content", "header"),
    [
        ('{"bearer": "abc"}', "Bearer abc"),
        ('{"username": "u", "password": "p"}', "Basic dTpw"),
    ],
)
def test_credentials_go_with_every_request_and_nowhere_else(
    tmp_path: Path, server: FhirServer, content: str, header: str
) -> None:
    source = Source(tmp_path, server, auth=secret_file(tmp_path / "secret.json", content))
    source.take()
    assert {request.headers["authorization"] for request in server.asked} == {header}
    source.close()


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        ('{"bearer": "abc"}', 0o644), ("junk", 0o600), ("{}", 0o600), ('{"token": "x"}', 0o600),
        ('{"bearer": "a", "username": "u"}', 0o600), ('{"bearer": "a\\r\\nX: y"}', 0o600),
        ('{"bearer": "\\u00e4"}', 0o600),
    ],
)  # fmt: skip
def test_bad_credentials_are_refused(tmp_path: Path, content: str, mode: int) -> None:
    with pytest.raises(SourceFailed):
        credentials(secret_file(tmp_path / "secret.json", content, mode))
    with pytest.raises(SourceFailed):
        credentials(tmp_path / "none.json")


def test_listed_records_say_what_they_are(source: Source, server: FhirServer) -> None:
    listed = list(source.connector.records())
    assert not [item for item in listed if isinstance(item, Problem)]
    for item in listed:
        assert isinstance(item, SourceRecord)
        content = read_resource(source.connector, item.id, stamp=item.stamp)
        assert json.loads(content)["id"] == item.id.rpartition("/")[2]
