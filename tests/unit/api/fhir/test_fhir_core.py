"""What ``/fhir`` does alike for every resource type, shown with one that is made up."""

import asyncio
import json

import httpx
import pytest
from fastapi import FastAPI
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome

from ledger.api import problems
from ledger.api.fhir import errors, facade
from ledger.api.principal import Kind
from tests.support.fhir import Notes, SignedIn, principal

JSON = "application/fhir+json"
ADA = principal(Kind.PATIENT, "p-ada")
BEN = principal(Kind.PATIENT, "p-ben")


class Node:
    node, network, institution = "burgers-node", "dev", "burgers"


@pytest.fixture(scope="module")
def served():
    """The notes and their application, which is made once: that takes a while."""
    notes = Notes()
    app = FastAPI(redirect_slashes=False)
    app.include_router(facade.router([notes.offer()], Node()))
    problems.install(app, lambda _: None)
    errors.install(app)
    app.add_middleware(errors.OutcomeFace)
    return notes, app


@pytest.fixture
def notes(served):
    served[0].forget()
    return served[0]


@pytest.fixture
def signed_in(served, notes):
    return SignedIn(served[1], ADA)


@pytest.fixture
async def fhir(signed_in):
    transport = httpx.ASGITransport(app=signed_in, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost/fhir/") as client:
        yield client


def note(code="a", **more):
    return {"resourceType": "Basic", "code": {"coding": [{"system": "s", "code": code}]}, **more}


async def post(fhir, resource, **headers):
    return await fhir.post(
        "Basic", content=json.dumps(resource), headers={"Content-Type": JSON, **headers}
    )


def refused(response, status, code):
    """It is an OperationOutcome that says so."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith(JSON)
    outcome = OperationOutcome.model_validate(response.json())
    assert [issue.code for issue in outcome.issue] == [code] * len(outcome.issue)
    return response.json()["issue"][0].get("diagnostics", "")


# --- metadata ---------------------------------------------------------------------------------


async def test_metadata_says_what_is_registered_and_needs_no_sign_in(fhir, signed_in):
    signed_in.who = None
    answer = await fhir.get("metadata")
    statement = answer.json()
    CapabilityStatement.model_validate(statement)
    (resource,) = statement["rest"][0]["resource"]
    assert statement["fhirVersion"] == "4.0.1"
    assert statement["implementation"]["url"] == "http://localhost/fhir"
    assert resource["type"] == "Basic"
    assert {each["code"] for each in resource["interaction"]} == {
        "read", "vread", "update", "history-instance", "create", "search-type",
    }  # fmt: skip
    assert [each["name"] for each in resource["searchParam"]] == [
        "_id", "_lastUpdated", "code", "subject",
    ]  # fmt: skip
    assert resource["operation"] == [{"name": "echo", "definition": "urn:x:echo"}]
    assert statement["rest"][0]["security"]["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"


async def test_a_type_without_a_mapping_is_not_in_the_statement_for_r5(fhir):
    answer = await fhir.get("metadata", params={"_format": "json; fhirVersion=5.0"})
    assert answer.json()["fhirVersion"] == "5.0.0"
    assert "resource" not in answer.json()["rest"][0]


# --- negotiation ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", JSON, "application/json", "text/html, */*;q=0.1", f"{JSON}; fhirVersion=4.0",
     "application/fhir+xml, application/fhir+json;q=0.5"],
)  # fmt: skip
async def test_json_of_r4_is_given_to_all_who_take_it(fhir, accept):
    answer = await fhir.get("metadata", headers={"Accept": accept})
    assert answer.status_code == 200
    assert "fhirVersion=4.0" in answer.headers["content-type"]


@pytest.mark.parametrize(
    "accept", ["application/fhir+xml", "text/turtle", f"{JSON};q=0", f"{JSON}; fhirVersion=3.0"]
)
async def test_what_is_not_spoken_here_is_406(fhir, accept):
    refused(await fhir.get("metadata", headers={"Accept": accept}), 406, "not-supported")
    refused(
        await fhir.get("metadata", params={"_format": accept.replace(";q=0", "x")}),
        406,
        "not-supported",
    )


async def test_format_in_the_url_prevails_over_the_header(fhir):
    answer = await fhir.get("metadata?_format=json", headers={"Accept": "application/fhir+xml"})
    assert answer.status_code == 200


async def test_another_version_of_a_type_without_a_mapping_is_406(fhir):
    answer = await fhir.get("Basic", headers={"Accept": f"{JSON}; fhirVersion=5.0"})
    refused(answer, 406, "not-supported")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/fhir+xml"},
        {"Content-Type": "text/plain"},
        {"Content-Type": f"{JSON}; charset=gbk"},
        {"Content-Type": f"{JSON}; fhirVersion=3.0"},
        {"Content-Type": f"{JSON}; fhirVersion=5.0"},
        {"Content-Type": JSON, "Content-Encoding": "gzip"},
        {"Content-Type": ""},
    ],
)
async def test_a_body_in_another_form_is_415(fhir, notes, headers):
    answer = await fhir.post("Basic", content=json.dumps(note()), headers=headers)
    refused(answer, 415, "not-supported")
    assert not notes.versions


async def test_pretty_and_partial_answers(fhir):
    made = (await post(fhir, note(text={"status": "empty"}, author={"display": "x"}))).json()
    url = f"Basic/{made['id']}"
    assert "\n  " in (await fhir.get(url, params={"_pretty": "true"})).text
    partial = (await fhir.get(url, params={"_elements": "author"})).json()
    assert set(partial) == {"resourceType", "id", "meta", "code", "author"}
    assert partial["meta"]["tag"][0]["code"] == "SUBSETTED"
    summary = (await fhir.get(url, params={"_summary": "true"})).json()
    assert "author" not in summary
    assert "code" in summary
    assert "text" in (await fhir.get(url, params={"_summary": "text"})).json()
    assert "text" not in (await fhir.get(url, params={"_summary": "data"})).json()
    refused(await fhir.get(url, params={"_summary": "some"}), 400, "invalid")
    refused(await fhir.get(url, params={"_elements": "a,b<"}), 400, "invalid")


# --- the outer fence --------------------------------------------------------------------------


async def test_nobody_gets_anything_without_signing_in(fhir, signed_in):
    signed_in.who = None
    for method, path in [("GET", "Basic"), ("GET", "Basic/x"), ("POST", "Basic"),
                         ("POST", "Basic/_search"), ("PUT", "Basic/x"), ("GET", "Basic/x/$echo"),
                         ("GET", "Basic/x/_history"), ("GET", "Basic/x/_history/1")]:  # fmt: skip
        refused(await fhir.request(method, path), 401, "login")


async def test_scopes_open_interactions_one_by_one(fhir, signed_in):
    made = (await post(fhir, note())).json()["id"]
    signed_in.scoped("patient/Basic.r")
    assert (await fhir.get(f"Basic/{made}")).status_code == 200
    refused(await fhir.get("Basic"), 403, "forbidden")
    refused(await post(fhir, note()), 403, "forbidden")
    signed_in.scoped("user/Basic.cruds", "patient/Patient.cruds", "patient/Basic.rs?code=a")
    refused(await fhir.get(f"Basic/{made}"), 403, "forbidden")


async def test_an_operator_of_the_node_has_no_business_here(fhir, signed_in):
    signed_in.who = principal(Kind.OPERATOR, "root")
    refused(await fhir.get("Basic"), 403, "forbidden")


# --- what is not there ------------------------------------------------------------------------


async def test_what_is_another_ones_looks_like_what_is_not_there(fhir, signed_in):
    made = (await post(fhir, note())).json()["id"]
    signed_in.who = BEN
    theirs = await fhir.get(f"Basic/{made}")
    nothing = await fhir.get("Basic/note-99")
    refused(theirs, 404, "not-found")
    assert theirs.json() == nothing.json()
    assert theirs.headers == nothing.headers
    refused(await fhir.get(f"Basic/{made}/_history"), 404, "not-found")
    refused(await fhir.get(f"Basic/{made}/_history/1"), 404, "not-found")


@pytest.mark.parametrize("path", ["Patient", "Patient/1", "basic", "Basic/a/b/c", "nothing"])
async def test_unknown_paths_are_outcomes(fhir, path):
    refused(await fhir.get(path), 404, "not-found")


@pytest.mark.parametrize("name", ["_search", "a_b", "%00", "x" * 65, "..%2f", "é"])
async def test_ids_that_no_resource_has(fhir, name):
    assert (await fhir.get(f"Basic/{name}")).status_code == 404


async def test_methods_and_bundles_that_are_not_offered(fhir):
    refused(await fhir.delete("Basic/x"), 405, "not-supported")
    refused(await fhir.put("Basic"), 405, "not-supported")
    refused(await fhir.get(""), 405, "not-supported")
    batch = json.dumps({"resourceType": "Bundle", "type": "batch"})
    answer = await fhir.post("", content=batch, headers={"Content-Type": JSON})
    refused(answer, 405, "not-supported")


async def test_a_crash_says_no_more_than_where_to_look(fhir, notes):
    notes.owners = None
    text = refused(await fhir.get("Basic"), 500, "exception")
    assert "urn:uuid:" in text
    assert "NoneType" not in text


# --- versions ---------------------------------------------------------------------------------


async def test_a_version_that_the_caller_has_is_not_sent_again(fhir):
    made = await post(fhir, note())
    assert made.status_code == 201
    assert made.headers["etag"] == 'W/"1"'
    assert made.headers["location"] == "http://localhost/fhir/Basic/note-1/_history/1"
    assert made.headers["last-modified"] == "Thu, 01 Jan 2026 00:00:01 GMT"
    again = await fhir.get("Basic/note-1", headers={"If-None-Match": 'W/"0", W/"1"'})
    assert (again.status_code, again.content) == (304, b"")
    assert (await fhir.get("Basic/note-1", headers={"If-None-Match": 'W/"2"'})).status_code == 200
    since = {"If-Modified-Since": made.headers["last-modified"]}
    assert (await fhir.get("Basic/note-1", headers=since)).status_code == 304
    since = {"If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT"}
    assert (await fhir.get("Basic/note-1", headers=since)).status_code == 200


async def test_histories_are_bundles_newest_first_and_paged(fhir):
    await post(fhir, note())
    for code in "bc":
        body = json.dumps(note(code, id="note-1"))
        await fhir.put("Basic/note-1", content=body, headers={"Content-Type": JSON})
    first = (await fhir.get("Basic/note-1/_history", params={"_count": "2"})).json()
    Bundle.model_validate(first)
    assert first["total"] == 3
    assert [entry["resource"]["meta"]["versionId"] for entry in first["entry"]] == ["3", "2"]
    onwards = next(each["url"] for each in first["link"] if each["relation"] == "next")
    last = (await fhir.get(onwards)).json()
    assert [entry["request"]["method"] for entry in last["entry"]] == ["POST"]
    assert [each["relation"] for each in last["link"]] == ["self"]
    assert (await fhir.get("Basic/note-1/_history/2")).json()["code"]["coding"][0]["code"] == "b"
    refused(await fhir.get("Basic/note-1/_history/9"), 404, "not-found")
    refused(await fhir.get("Basic/note-1/_history?_since=yesterday"), 400, "invalid")


async def test_an_update_names_its_resource(fhir):
    await post(fhir, note())
    body = json.dumps(note(id="note-2"))
    answer = await fhir.put("Basic/note-1", content=body, headers={"Content-Type": JSON})
    refused(answer, 400, "invalid")
    body = json.dumps(note(id="note-1"))
    headers = {"Content-Type": JSON, "If-Match": "W/1"}
    refused(await fhir.put("Basic/note-1", content=body, headers=headers), 400, "invalid")


# --- searching --------------------------------------------------------------------------------


async def test_pages_hold_for_one_caller_and_one_query(fhir, signed_in):
    for place in range(5):
        await post(fhir, note("a" if place % 2 else "b"))
    first = (await fhir.get("Basic", params={"_count": "2", "_total": "accurate"})).json()
    Bundle.model_validate(first)
    assert first["total"] == 5
    assert first["entry"][0]["fullUrl"] == "http://localhost/fhir/Basic/note-1"
    ids, page = [], first
    while True:
        ids += [entry["resource"]["id"] for entry in page["entry"]]
        links = {each["relation"]: each["url"] for each in page["link"]}
        if "next" not in links:
            break
        onwards = links["next"]
        page = (await fhir.get(onwards)).json()
    assert ids == [f"note-{number}" for number in range(1, 6)]
    assert (await fhir.get(onwards)).status_code == 200
    refused(await fhir.get(onwards + "&code=a"), 410, "expired")
    refused(await fhir.get(onwards[:-4] + "AAAA"), 410, "expired")
    signed_in.who = BEN
    refused(await fhir.get(onwards), 410, "expired")


async def test_totals_are_of_what_the_caller_may_see(fhir, signed_in):
    await post(fhir, note())
    await post(fhir, note())
    signed_in.who = BEN
    await post(fhir, note())
    counted = (await fhir.get("Basic", params={"_summary": "count"})).json()
    assert counted["total"] == 1
    assert "entry" not in counted


async def test_a_search_by_form_is_the_same_search(fhir):
    await post(fhir, note("a"))
    await post(fhir, note("b"))
    by_form = await fhir.post("Basic/_search?_count=5", data={"code": "s|b"})
    by_url = await fhir.get("Basic", params={"_count": "5", "code": "s|b"})
    assert by_form.json() == by_url.json()
    assert [entry["resource"]["id"] for entry in by_form.json()["entry"]] == ["note-2"]
    body = {"Content-Type": JSON}
    refused(await fhir.post("Basic/_search", content="{}", headers=body), 415, "not-supported")
    assert (await fhir.post("Basic/_search")).json()["resourceType"] == "Bundle"


async def test_unknown_parameters_are_named_or_refused(fhir):
    await post(fhir, note())
    lenient = (await fhir.get("Basic?colour=red&code=a")).json()
    said = lenient["entry"][-1]
    assert said["search"]["mode"] == "outcome"
    assert said["resource"]["issue"][0]["severity"] == "warning"
    assert "colour" in said["resource"]["issue"][0]["diagnostics"]
    assert "colour" not in lenient["link"][0]["url"]
    strict = await fhir.get("Basic?colour=red", headers={"Prefer": "handling=strict"})
    assert "colour" in refused(strict, 400, "not-supported")


@pytest.mark.parametrize(
    "query",
    ["_count=-1", "_count=x", "_lastUpdated=soon", "_lastUpdated=ap2020", "code:above=a",
     "code=a|b|c", "subject=a/b/c", "subject:Group=1", "_sort=code", "_total=maybe",
     "code=" + "a," * 60, "code=" + "a" * 501],
)  # fmt: skip
async def test_what_cannot_be_answered_as_asked_is_400(fhir, query):
    refused(await fhir.get(f"Basic?{query}"), 400, "invalid")


async def test_too_many_parameters_are_refused(fhir):
    refused(await fhir.get("Basic?" + "code=a&" * 100), 400, "too-long")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("subject=Patient/7", 1), ("subject=7", 1), ("subject:Patient=7", 1), ("subject=8", 0),
        ("subject=http%3A%2F%2Flocalhost%2Ffhir%2FPatient%2F7", 1),
        ("code=s%7Ca", 1), ("code=%7Ca", 0), ("code=s%7C", 1), ("code=x,a", 1),
        ("code=a&code=b", 0),
        ("_id=note-1", 1), ("_id=note-1,note-2", 1), ("code=", 1),
        ("_lastUpdated=2026-01-01", 1), ("_lastUpdated=gt2026-01-01", 0),
        ("_lastUpdated=ge2026-01-01T00:00:01Z", 1), ("_lastUpdated=lt2026", 0),
        ("_lastUpdated=ge2026-01-01T08:00:01%2B08:00&_lastUpdated=le2026", 1),
    ],
)  # fmt: skip
async def test_parameters_mean_what_r4_says(fhir, query, found):
    await post(fhir, note("a", subject={"reference": "Patient/7"}))
    assert (await fhir.get(f"Basic?{query}&_summary=count")).json()["total"] == found


# --- writing ----------------------------------------------------------------------------------


async def test_a_create_can_ask_for_nothing_like_it(fhir, notes):
    condition = {"If-None-Exist": "code=s|a"}
    assert (await post(fhir, note("a"), **condition)).status_code == 201
    again = await post(fhir, note("a"), **condition)
    assert again.status_code == 200
    assert again.headers["location"].startswith("http://localhost/fhir/Basic/note-1")
    await post(fhir, note("a"))
    refused(await post(fhir, note("a"), **condition), 412, "multiple-matches")
    refused(await post(fhir, note(), **{"If-None-Exist": "colour=red"}), 400, "not-supported")
    refused(await post(fhir, note(), **{"If-None-Exist": "_count=1"}), 400, "required")
    assert len(notes.versions) == 2


async def test_equal_conditional_creates_at_once_make_one(fhir, notes):
    made = await asyncio.gather(
        *(post(fhir, note("z"), **{"If-None-Exist": "code=z"}) for _ in range(5))
    )
    assert sorted(each.status_code for each in made) == [200, 200, 200, 200, 201]


async def test_what_a_write_answers_can_be_chosen(fhir):
    minimal = await post(fhir, note(), Prefer="return=minimal")
    assert (minimal.status_code, minimal.content) == (201, b"")
    said = await post(fhir, note(), Prefer="return=OperationOutcome")
    assert said.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b'"Basic"', b"{", b'{"resourceType":"Basic","resourceType":"Basic"}',
        b"\xff\xfe", b'{"resourceType":"Basic","a":NaN}', b'{"a":' * 41 + b"1" + b"}" * 41,
        b'{"resourceType":"Basic","a":' + b"9" * 30 + b"}", b'{"resourceType":"Basic","a":1e400}',
        b'{"resourceType":"Basic","a":1.' + b"1" * 40 + b"}",
        b'{"resourceType":"Basic","a":"\\ud800"}',
        b"[" * 5_000, b'{"resourceType":"Basic"}}',
    ],
)  # fmt: skip
async def test_bodies_that_are_no_fhir_json(fhir, notes, body):
    answer = await fhir.post("Basic", content=body, headers={"Content-Type": JSON})
    refused(answer, 400, "structure")
    assert not notes.versions


async def test_other_types_and_sizes(fhir):
    other = await post(fhir, {"resourceType": "Patient"})
    refused(other, 400, "invalid")
    refused(await post(fhir, note(text="x" * 10_000)), 413, "too-long")

    async def endless():
        for _ in range(100):
            yield b" " * 1_000

    answer = await fhir.post("Basic", content=endless(), headers={"Content-Type": JSON})
    refused(answer, 413, "too-long")


# --- operations -------------------------------------------------------------------------------


async def test_operations_take_parameters_by_url_and_by_body(fhir):
    by_url = await fhir.get("Basic/x/$echo", params={"word": "ja", "other": "no"})
    assert by_url.json() == {
        "resourceType": "Parameters", "parameter": [{"name": "word", "valueString": "ja"}]
    }  # fmt: skip
    by_body = await fhir.post("Basic/x/$echo", json={"resourceType": "Parameters", "a": 1})
    assert by_body.json() == {"resourceType": "Parameters", "a": 1}
    assert (await fhir.post("Basic/x/$echo")).json() == {"resourceType": "Parameters"}
    refused(await fhir.get("Basic/x/$shout"), 404, "not-found")
