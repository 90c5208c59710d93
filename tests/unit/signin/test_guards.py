"""What keeps callers in bounds: pauses, rates, areas, headers, and the mode without sign-in."""

from __future__ import annotations

import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.api.app import create_app
from ledger.api.principal import Kind, Principal
from ledger.api.signin import signin as signing
from ledger.api.signin import throttle
from ledger.api.signin.areas import AREAS, area_of
from ledger.api.signin.throttle import Lockout, Throttle, client_address
from tests.support.signin import URL, Clock, Issuer, make_signin, signin_settings


async def ask(web, credential, path="/v1/echo"):
    return await web.get(path, headers={"Authorization": f"Bearer {credential}"})


def browser(app, address: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, client=(address, 40_000))
    return httpx.AsyncClient(transport=transport, trust_env=False, base_url=URL)


# --- pauses after failures ---------------------------------------------------------------------


async def test_an_address_that_fails_has_to_wait_longer_each_time(web, issuer, clock):
    waits = []
    for _ in range(14):
        answer = await ask(web, "wrong")
        while answer.status_code == 429:
            waits.append(int(answer.headers["retry-after"]))
            clock.advance(waits[-1])
            answer = await ask(web, "wrong")
        assert answer.status_code == 401
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_who_fails_in_a_colleagues_name_does_not_lock_her_out(app, issuer):
    forged = issuer.token()[:-4] + "AAAA"
    async with browser(app, "192.0.2.66") as attacker, browser(app, "192.0.2.7") as colleague:
        for _ in range(50):
            await ask(attacker, forged)
        assert (await ask(attacker, issuer.token(jti="new"))).status_code == 429
        assert (await ask(colleague, issuer.token())).status_code == 200


async def test_who_has_signed_in_already_works_on_beside_somebody_who_fails(app, issuer):
    token = issuer.token()
    async with browser(app, "192.0.2.7") as web:
        assert (await ask(web, token)).status_code == 200
        for _ in range(50):
            await ask(web, "wrong")
        assert (await ask(web, token)).status_code == 200


async def test_a_credential_that_was_good_is_looked_at_again_during_a_pause(app, signin):
    token = signin.operators.renew("watch", ("monitor",))
    async with browser(app, "192.0.2.7") as web:
        assert (await ask(web, token, "/v1/status")).status_code == 200
        for _ in range(50):
            await ask(web, "wrong")
        signin.operators.dismiss("watch")
        assert (await ask(web, token, "/v1/status")).status_code == 401


def test_failures_are_forgiven_after_a_while_and_remembered_in_bounds(monkeypatch):
    clock = Clock()
    lockout = Lockout(clock.monotonic)
    for _ in range(10):
        lockout.failed("a")
    assert lockout.pause("a") > 0
    clock.advance(throttle.FORGIVEN_S + 1)
    lockout.failed("a")
    assert lockout.pause("a") == 0
    monkeypatch.setattr(throttle, "MAX_REMEMBERED", 100)
    for number in range(1000):
        lockout.failed(str(number))
    assert len(lockout._failures) == 100


# --- rates -------------------------------------------------------------------------------------


@given(
    st.integers(1, 30),
    st.lists(st.tuples(st.floats(0, 30), st.sampled_from("ab")), max_size=80),
)
def test_nobody_gets_more_than_the_rate_and_a_full_allowance(rate, requests):
    clock = Clock()
    counter = Throttle(rate, clock.monotonic)
    taken: dict[str, list[float]] = {"a": [], "b": []}
    for pause, name in requests:
        clock.advance(pause)
        wait = counter.take(name)
        if wait:
            assert 0 < wait <= 60 / rate + 1e-6
        else:
            taken[name].append(clock.monotonic())
    for times in taken.values():
        for first in range(len(times)):
            for last in range(first, len(times)):
                most = rate + (times[last] - times[first]) * rate / 60
                assert last - first + 1 <= most + 1e-6


@given(st.integers(1, 600))
def test_whoever_waits_as_long_as_she_is_told_gets_through(rate):
    clock = Clock()
    counter = Throttle(rate, clock.monotonic)
    assert [counter.take("a") for _ in range(rate)] == [0.0] * rate
    wait = counter.take("a")
    assert wait > 0
    clock.advance(wait)
    assert counter.take("a") == 0.0


def test_names_are_remembered_in_bounds(monkeypatch):
    monkeypatch.setattr(throttle, "MAX_REMEMBERED", 100)
    counter = Throttle(10, Clock().monotonic)
    for number in range(1000):
        assert counter.take(str(number)) == 0.0
    assert len(counter._due) == 100


async def test_a_person_who_asks_too_often_waits_and_others_do_not(app, issuer, signin, clock):
    signin._people = Throttle(3, clock.monotonic)
    token, guard = issuer.token(), signin.operators.renew("guard", ("monitor",))
    async with browser(app, "192.0.2.7") as web:
        answers = [(await ask(web, token)).status_code for _ in range(4)]
        assert answers == [200, 200, 200, 429]
        # Another token, or another address, is the same person.
        assert (await ask(web, issuer.token(jti="x"))).status_code == 429
        assert (await ask(web, guard, "/v1/status")).status_code == 200


async def test_sign_ins_are_not_begun_without_end(app, signin, clock):
    signin.strangers = Throttle(2, clock.monotonic)
    async with browser(app, "192.0.2.7") as web:
        answers = [(await web.get("/auth/callback")).status_code for _ in range(3)]
    assert answers == [400, 400, 429]


@pytest.mark.parametrize(
    ("client", "forwarded", "expected"),
    [
        ("192.0.2.1", ["198.51.100.9"], "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.9"], "198.51.100.9"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.9"], "198.51.100.9"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.9, 10.0.0.2"], "198.51.100.9"),
        ("10.0.0.1", ["junk"], "unknown"),
        ("10.0.0.1", ["198.51.100.9\r\nX: y"], "unknown"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2"], "10.0.0.2"),
        ("2001:db8:1:2:3::4", [], "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", [], "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
        (None, [], "unknown"),
    ],
)
def test_an_address_is_where_the_request_comes_from_and_not_what_it_says(
    client, forwarded, expected
):
    scope = {
        "client": None if client is None else (client, 1),
        "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded],
    }
    assert client_address(scope, ["10.0.0.1", "10.0.0.2"]) == expected


# --- areas -------------------------------------------------------------------------------------

CALLERS = {
    "nobody": None,
    "patient": Principal(Kind.PATIENT, "p", "", ("patient",), (), "", ""),
    "nurse": Principal(Kind.STAFF, "s", "east", ("nurse",), (), "", ""),
    "auditor": Principal(Kind.STAFF, "s", "east", ("auditor",), (), "", ""),
    "system": Principal(Kind.SYSTEM, "s", "east", (), (), "", ""),
    "monitor": Principal(Kind.OPERATOR, "o", "", ("monitor",), (), "", ""),
    "records": Principal(Kind.OPERATOR, "o", "", ("records",), (), "", ""),
    "security": Principal(Kind.OPERATOR, "o", "", ("security",), (), "", ""),
}


@pytest.mark.parametrize(
    ("path", "let_in"),
    [
        ("/healthz", "all"),
        ("/auth/login", "all"),
        ("/v1/records/release", "all"),
        ("/fhir/metadata", "all"),
        ("/v1/status", "patient nurse auditor system monitor records security"),
        ("/v1/transactions", "patient nurse auditor system records"),
        ("/v1/receipts/ab", "patient nurse auditor system records"),
        ("/v1/events", "patient nurse auditor system records"),
        ("/v1/blocks/7", "auditor monitor records"),
        ("/v1/state/consent/consents/c", "auditor records"),
        ("/v1/query/registry/person", "auditor records"),
        ("/v1/signins", "auditor security"),
        ("/v1/sessions", "security"),
        ("/v1/anything", "patient nurse auditor system"),
        ("/v1", "patient nurse auditor system"),
        ("/fhir/Consent/1", "patient nurse auditor system"),
        ("/fhir", "patient nurse auditor system"),
        ("/v1/statuses", "patient nurse auditor system"),
        ("/v1/records", "patient nurse auditor system"),
    ],
)
def test_who_may_come_near_what(path, let_in):
    area = area_of(path)
    found = {
        name
        for name, principal in CALLERS.items()
        if (area.open if principal is None else area.admits(principal))
    }
    assert found == (set(CALLERS) if let_in == "all" else set(let_in.split()))


def test_operators_have_no_part_in_what_is_the_users():
    for area in AREAS:
        if "/fhir" in area.prefixes:
            assert not area.operators


async def test_an_operator_is_kept_out_of_fhir_with_an_outcome(web, signin):
    token = signin.operators.renew("guard", ("monitor", "records", "security"))
    answer = await ask(web, token, "/fhir/Echo")
    assert answer.status_code == 403
    assert answer.json()["resourceType"] == "OperationOutcome"


# --- headers, and the mode without sign-in -----------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/echo", "/healthz", "/auth/session", "/nothing", "/fhir/x"])
async def test_every_answer_of_a_node_behind_tls_says_so_and_forbids_framing(web, path):
    headers = (await web.get(path)).headers
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "x-health-ledger-mode" not in headers


@pytest.fixture
async def development(service, tmp_path, clock):
    settings = signin_settings("east", url="http://127.0.0.1:8100")
    signin = make_signin(
        service, tmp_path, Issuer(clock), settings=settings, clock=clock, development=True
    )
    transport = httpx.ASGITransport(app=create_app(service, signin=signin))
    async with httpx.AsyncClient(
        transport=transport, trust_env=False, base_url="http://127.0.0.1:8100"
    ) as client:
        yield client
    signin.close()


async def test_in_development_mode_a_header_says_who_calls_and_every_answer_says_so(
    development, consortium
):
    people = consortium.people
    for label, kind in (("east-physician", "staff"), ("patient-pieter", "patient")):
        headers = {"X-Development-Person": people[label].id}
        answer = await development.get("/auth/session", headers=headers)
        assert answer.json()["kind"] == kind
        assert answer.json()["method"] == "development"
        assert answer.headers["x-health-ledger-mode"] == "development"
    assert (await development.get("/v1/status")).json()["mode"] == "development"
    page = await development.get("/auth/callback")
    assert "Development mode" in page.text
    assert "[DEVELOPMENT]" in page.text
    for path in ("/nothing", "/v1/blocks/x", "/healthz"):
        answer = await development.get(path)
        assert answer.headers["x-health-ledger-mode"] == "development"
        assert "strict-transport-security" not in answer.headers


async def test_development_mode_knows_only_whom_the_registry_knows_and_loopback_names(
    development, consortium
):
    elsewhere = {
        "X-Development-Person": consortium.people["east-physician"].id,
        "X-Development-Institution": "west",
    }
    for headers in ({"X-Development-Person": "nobody"}, elsewhere):
        assert (await development.get("/v1/status", headers=headers)).status_code == 401
    answer = await development.get("/v1/status", headers={"Host": "evil.example"})
    assert answer.status_code == 421


async def test_the_header_of_development_is_nothing_elsewhere(web, physician):
    headers = {"X-Development-Person": physician}
    assert (await web.get("/v1/echo", headers=headers)).status_code == 401


async def test_a_node_without_any_sign_in_lets_programs_of_the_machine_read(service, tmp_path):
    signin = make_signin(service, tmp_path)
    transport = httpx.ASGITransport(app=create_app(service, signin=signin))
    async with httpx.AsyncClient(
        transport=transport, trust_env=False, base_url="http://localhost"
    ) as client:
        assert (await client.get("/v1/blocks/latest")).status_code == 200
        # A token for another node, which the command line sends along, does no harm.
        assert (await ask(client, "of-another-node", "/v1/blocks/latest")).status_code == 200
        assert (await client.get("/auth/session")).status_code == 401
    signin.close()


# --- what is written down ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "login",
    ['x","event":"signed-in","who":"admin', "x\\n{}", "張偉", "<script>", "x" * 256, "%0d%0a"],
)
async def test_nobody_writes_lines_of_his_own_into_the_log(web, issuer, signin, login, tmp_path):
    await ask(web, issuer.token(sub=login))
    (path,) = (tmp_path / "signin" / "log").iterdir()
    (line,) = path.read_bytes().splitlines()
    assert line.isascii()
    entry = json.loads(line)
    assert (entry["event"], entry["who"]) == ("refused", login[:256])


async def test_a_path_from_outside_is_cut_and_cannot_end_a_line(web, signin, tmp_path):
    for path in ("/v1/%0a%7b%7d", "/v1/" + "x" * 3000, "/v1/%1b[2J", "/v1/%ff"):
        await ask(web, "wrong", path)
    (log,) = (tmp_path / "signin" / "log").iterdir()
    lines = log.read_bytes().splitlines()
    assert len(lines) == 4
    assert all(line.isascii() and len(line) < 1000 for line in lines)
    assert all(32 <= byte < 127 for line in lines for byte in line)


async def test_a_flood_of_refusals_is_counted_and_not_written(web, signin, clock, monkeypatch):
    monkeypatch.setattr(throttle, "FREE_FAILURES", 10**6)
    for _ in range(signing.REFUSAL_RATE + 40):
        await ask(web, "wrong")
    assert signin.journal.head.entries == signing.REFUSAL_RATE
    clock.advance(60)
    await ask(web, "wrong")
    assert signin.journal.entries()[-1]["more"] == 40


async def test_security_and_auditors_read_the_log_and_that_is_in_the_log(web, signin, issuer):
    await ask(web, issuer.token())
    await ask(web, "wrong")
    token = signin.operators.renew("guard", ("security",))
    found = (await ask(web, token, "/v1/signins?limit=2")).json()
    assert [entry["event"] for entry in found["signins"]] == ["signed-in", "refused"]
    assert found["next"] == 2
    rest = (await ask(web, token, "/v1/signins?after=2")).json()
    assert [entry["event"] for entry in rest["signins"]] == ["signed-in", "log-read", "log-read"]
    assert (rest["next"], rest["entries"]) == (None, 5)
    only = (await ask(web, token, "/v1/signins?only=refused")).json()
    assert [entry["n"] for entry in only["signins"]] == [2]
    who = rest["signins"][0]["who"]
    assert who == "guard"
    assert len((await ask(web, token, "/v1/signins?who=guard")).json()["signins"]) == 5
    physician = issuer.token()
    assert (await ask(web, physician, "/v1/signins")).status_code == 403
    assert signin.journal.entries()[-1]["event"] == "kept-out"
