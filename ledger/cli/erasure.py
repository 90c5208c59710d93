"""``health-ledger erasure``: what a holder's privacy officer does about requests and disputes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.cli.connection import Token, Url
from ledger.cli.output import AsJson, ExitCode, console, expecting, fail, write_json

if TYPE_CHECKING:
    import httpx

group = typer.Typer(
    help="Destroy records at patients' requests, and answer disputes.", no_args_is_help=True
)

Case = Annotated[str, typer.Argument(help="Id of the request or dispute, as `list` shows it.")]


@group.command("list")
def list_cases(
    holder: Annotated[str, typer.Argument(help="The institution.")],
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List the requests and disputes about an institution's records, newest first."""
    cases: list[dict[str, Any]] = []
    cursor = None
    while True:
        query = {"holder": holder, "limit": "1000"} | ({} if cursor is None else {"cursor": cursor})
        page = _ask("GET", "/v1/cases", url, token, params=query)
        cases += page["cases"]
        cursor = page["cursor"]
        if cursor is None:
            break
    if as_json:
        write_json({"cases": cases})
        return
    for case in cases:
        console().print(
            f"{case['id']}  {case['what']}  {case['status']}  {case['reason'] or '-'}  "
            f"due {_day(case['due'])}"
            + (f"  kept until {_day(case['until'])}" if case["until"] else ""),
            soft_wrap=True,
            markup=False,
        )


@group.command()
def answer(
    case: Case,
    ground: Annotated[str, typer.Option(help="outpatient, inpatient, order or none.")],
    since: Annotated[
        str | None,
        typer.Option(help="Day of the last visit or discharge, or up to which an order holds."),
    ] = None,
    evidence: Annotated[str | None, typer.Option(help="SHA-256 of the order, hex.")] = None,
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Say on which ground a record is kept; prints until when."""
    body: dict[str, Any] = {"ground": ground, "since": 0 if since is None else _moment(since)}
    if evidence is not None:
        body["evidence"] = evidence
    found = _ask("POST", f"/v1/erasures/{case}/answer", url, token, json=body)
    if as_json:
        write_json(found)
    else:
        console().print(f"The record is kept until {_day(found['until'])}.")


@group.command()
def destroy(
    case: Case,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Destroy a record that no law keeps any longer, for good; ends with 1 if it is still kept."""
    if not yes:
        typer.confirm("Nobody can read the record after this. Destroy it?", abort=True)
    found = _ask("POST", f"/v1/erasures/{case}/destroy", url, token)
    if as_json:
        write_json(found)
    else:
        console().print(
            f"Destroyed, with {len(found['names'])} version(s); report {found['statement']}.",
            soft_wrap=True,
        )


@group.command("answer-dispute")
def answer_dispute(
    case: Case,
    statement: Annotated[str, typer.Option(help="SHA-256 of the reasons in words, hex.")],
    accept: Annotated[
        bool, typer.Option("--accept/--refuse", help="Accept only what was corrected before.")
    ],
    url: Url = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Answer a patient who says that a record is wrong."""
    body = {"accepted": accept, "statement": statement}
    found = _ask("POST", f"/v1/disputes/{case}/answer", url, token, json=body)
    if as_json:
        write_json(found)
    else:
        console().print("The answer is on the chain.")


def _ask(method: str, path: str, url: str | None, token: str | None, **more: Any) -> Any:
    """What the node answers; a refusal by date or contract ends the command with 1."""
    import httpx

    if url is None:
        fail("which node? Give --url")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with expecting(httpx.HTTPError, httpx.InvalidURL):
        found = httpx.request(
            method, f"{url.rstrip('/')}{path}", headers=headers, timeout=90, **more
        )
    return _answer(found)


def _answer(found: httpx.Response) -> Any:
    try:
        body = found.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {}
    if not found.is_success:
        detail, until = str(body.get("detail", f"HTTP {found.status_code}")), body.get("until")
        if isinstance(until, int):
            detail += f", until {_day(until)}"
        no = found.status_code in (409, 422)
        fail(detail, ExitCode.NO if no else ExitCode.FAILED)
    return body


def _day(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d}"


def _moment(day: str) -> int:
    """The beginning of a day in UTC, or a moment, in ms."""
    try:
        moment = datetime.fromisoformat(day)
    except ValueError:
        fail(f"{day!r} is no day; write 2026-05-28")
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
