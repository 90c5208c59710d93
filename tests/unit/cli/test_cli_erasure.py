"""``health-ledger erasure`` says what the node said, with 1 for a no that has a reason."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from ledger.cli.main import app
from ledger.cli.output import ExitCode

ID = "5c" * 32 + "-0"
CASE = {
    "id": ID, "what": "erasure", "subject": "p-1", "holder": "east", "record": "5c" * 32,
    "time": 1_780_000_000_000, "status": "kept", "reason": "outpatient",
    "due": 2_250_000_000_000, "until": 2_253_000_000_000, "ended": None,
}  # fmt: skip


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        path = request.url.path
        if path == "/v1/cases":
            first = "cursor" not in request.url.params
            return httpx.Response(200, json={"height": 9, "cases": [CASE],
                                             "cursor": "c" if first else None})  # fmt: skip
        if path.endswith("/destroy"):
            problem = {"detail": "the record is kept: outpatient", "until": CASE["until"]}
            return httpx.Response(409, json=problem)
        if path.endswith("disputes/" + ID + "/answer"):
            return httpx.Response(403, json={"detail": "not for you"})
        return httpx.Response(200, json={"id": ID, "until": CASE["until"]})

    def request(method: str, url: str, **given: Any) -> httpx.Response:
        given.pop("timeout")
        with httpx.Client(transport=httpx.MockTransport(answer)) as client:
            return client.request(method, url, **given)

    monkeypatch.setattr(httpx, "request", request)
    return asked


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(
        app, ["erasure", *arguments, "--url", "http://node", "--token", "secret"]
    )
    return done.exit_code, done.output


def test_all_pages_are_listed(node: list[httpx.Request]) -> None:
    code, output = run("list", "east", "--json")
    assert code == ExitCode.GOOD
    assert json.loads(output)["cases"] == [CASE, CASE]
    assert {request.headers["authorization"] for request in node} == {"Bearer secret"}
    code, output = run("list", "east")
    assert "kept until 2041-05-24" in output


def test_an_answer_names_the_day(node: list[httpx.Request]) -> None:
    code, output = run("answer", ID, "--ground", "outpatient", "--since", "2026-05-28")
    assert code == ExitCode.GOOD
    assert "2041-05-24" in output
    sent = json.loads(node[0].content)
    assert sent == {"ground": "outpatient", "since": 1_779_926_400_000}
    assert run("answer", ID, "--ground", "outpatient", "--since", "yesterday")[0] == (
        ExitCode.FAILED
    )


def test_what_is_still_kept_ends_with_1_and_the_date(node: list[httpx.Request]) -> None:
    code, output = run("destroy", ID, "--yes")
    assert code == ExitCode.NO
    assert "2041-05-24" in output


def test_who_may_not_is_told_so(node: list[httpx.Request]) -> None:
    code, output = run("answer-dispute", ID, "--statement", "ab" * 32, "--refuse")
    assert code == ExitCode.FAILED
    assert "not for you" in output


def test_nothing_is_destroyed_by_mistake(node: list[httpx.Request]) -> None:
    done = CliRunner().invoke(app, ["erasure", "destroy", ID, "--url", "http://node"], input="n\n")
    assert done.exit_code != ExitCode.GOOD
    assert node == []
