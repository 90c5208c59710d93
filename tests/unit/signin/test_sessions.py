"""Sessions: how long they last, who may end them, and what another site can do with one."""

from __future__ import annotations

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule

from ledger.api.principal import Kind, Principal
from ledger.api.signin.refusal import Refused
from ledger.api.signin.sessions import Sessions, csrf_of, same_csrf
from ledger.api.signin.store import StoreUnusable, open_store
from ledger.chain.transaction import Call
from ledger.node.setup.signin import SessionsSection
from tests.support.signin import URL, Clock

COOKIE = "__Host-health-ledger"


def staff(person: str) -> Principal:
    return Principal(Kind.STAFF, person, "east", (), ("user/*.rs",), "", "oidc")


@pytest.fixture
def opened(signin, physician):
    return signin.establish(staff(physician))


@pytest.fixture
def signed_in(web, opened):
    web.cookies.set(COOKIE, opened.secret, domain="ledger.east.example")
    return web


async def test_a_session_that_is_used_goes_on_and_ends_in_the_end(signed_in, clock):
    for _ in range(59):
        clock.advance(10 * 60)
        assert (await signed_in.get("/v1/echo")).status_code == 200
    clock.advance(10 * 60)
    assert (await signed_in.get("/v1/echo")).status_code == 401


async def test_a_session_that_is_not_used_ends(signed_in, clock):
    clock.advance(15 * 60 - 1)
    assert (await signed_in.get("/v1/echo")).status_code == 200
    clock.advance(15 * 60)
    assert (await signed_in.get("/v1/echo")).status_code == 401
    clock.advance(-15 * 60)  # it is gone, and does not come back with the clock
    assert (await signed_in.get("/v1/echo")).status_code == 401


async def test_who_leaves_the_hospital_loses_the_session_for_good(
    signed_in, signin, service, consortium, physician
):
    service.custody["registrar"] = consortium.account("east-governor").key
    end = {"id": physician, "reason": "left"}
    assert (await service.act("registrar", [Call("registry", "revoke", end)])).result.ok
    assert (await signed_in.get("/v1/echo")).status_code == 401
    assert signin.sessions.listed(physician) == []


async def test_a_patient_has_a_session_as_long_as_she_lives(web, signin, service, consortium):
    person = consortium.people["patient-pieter"].id
    own = Principal(Kind.PATIENT, person, "", (), ("patient/*.rs",), "", "passkey")
    opened = signin.establish(own)
    web.cookies.set(COOKIE, opened.secret, domain="ledger.east.example")
    who = (await web.get("/v1/echo")).json()
    assert (who["kind"], who["id"], who["roles"]) == ("patient", person, ["patient"])
    for role in ("registrar", "witness"):
        label = {"registrar": "east-governor", "witness": "east-physician"}[role]
        service.custody[role] = consortium.account(label).key
    death = {"id": person, "institution": "east", "form": bytes(32)}
    acted = await service.act("registrar", [Call("registry", "died", death)], "witness")
    assert acted.result.ok, acted
    assert (await web.get("/v1/echo")).status_code == 401


async def test_nobody_begins_a_session_whom_the_registry_does_not_know_so(signin, consortium):
    for principal in (
        staff(consortium.people["south-physician"].id), staff("nobody"),
        Principal(Kind.PATIENT, "p-" + "0" * 32, "", (), (), "", "passkey"),
        Principal(Kind.PATIENT, consortium.people["east-physician"].id, "", (), (), "", "passkey"),
    ):  # fmt: skip
        with pytest.raises(Refused):
            signin.establish(principal)
    assert signin.sessions.listed() == []


# --- requests that other sites make ------------------------------------------------------------


async def test_what_changes_something_needs_the_pages_token(signed_in, opened):
    good = {"X-CSRF-Token": opened.csrf}
    assert (await signed_in.post("/v1/echo", headers=good)).status_code == 200
    for bad in (
        {}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": opened.csrf[:-1]},
        {"X-CSRF-Token": csrf_of("another")}, {**good, "Origin": "https://evil.example"},
        {**good, "Origin": "null"}, {**good, "Origin": "http://ledger.east.example"},
        {**good, "Origin": "https://ledger.east.example.evil.example"},
        {**good, "Sec-Fetch-Site": "cross-site"}, {**good, "Sec-Fetch-Site": "same-site"},
    ):  # fmt: skip
        answer = await signed_in.post("/v1/echo", headers=bad)
        assert (answer.status_code, answer.json()["code"]) == (403, "forged-request"), bad
    for good_site in ({"Origin": URL}, {"Sec-Fetch-Site": "same-origin"}):
        answer = await signed_in.post("/v1/echo", headers={**good, **good_site})
        assert answer.status_code == 200


async def test_a_forged_request_is_written_down_and_locks_nobody_out(signed_in, signin, opened):
    for _ in range(20):
        assert (await signed_in.post("/v1/echo")).status_code == 403
    assert (await signed_in.get("/v1/echo")).status_code == 200
    whys = [entry.get("why") for entry in signin.journal.entries()]
    assert whys.count("forged-request") == 20


async def test_a_bearer_token_needs_no_page(web, issuer):
    headers = {"Authorization": f"Bearer {issuer.token()}", "Origin": "https://portal.example"}
    assert (await web.post("/v1/echo", headers=headers)).status_code == 200


async def test_two_credentials_or_two_cookies_are_none(web, opened, issuer):
    other = {"Cookie": f"{COOKIE}=x; {COOKIE}={opened.secret}"}
    assert (await web.get("/v1/echo", headers=other)).status_code == 401
    both = [("Authorization", f"Bearer {issuer.token()}"), ("Authorization", "Bearer x")]
    assert (await web.get("/v1/echo", headers=both)).status_code == 401
    huge = {"Cookie": f"a={'x' * 9000}; {COOKIE}={opened.secret}"}
    assert (await web.get("/v1/echo", headers=huge)).status_code == 401


@pytest.mark.parametrize("given", ["", "x", "ä", "\x00"])
def test_a_token_of_a_page_fits_its_session_alone(opened, given):
    assert same_csrf(opened.secret, opened.csrf)
    assert not same_csrf(opened.secret, given)
    assert not same_csrf(opened.secret + "x", opened.csrf)


# --- lists and ends ----------------------------------------------------------------------------


async def test_one_sees_and_ends_ones_own_sessions_only(signed_in, signin, opened, consortium):
    governor = consortium.people["east-governor"].id
    other = signin.establish(staff(governor))
    mine = signin.establish(opened.principal)
    listed = (await signed_in.get("/auth/sessions")).json()["sessions"]
    assert {one["session"] for one in listed} == {
        opened.principal.session, mine.principal.session,
    }  # fmt: skip
    assert [one["current"] for one in listed if one["session"] == opened.principal.session] == [
        True
    ]
    csrf = {"X-CSRF-Token": opened.csrf}
    path = f"/auth/sessions/{other.principal.session}"
    assert (await signed_in.delete(path, headers=csrf)).json() == {"ended": 0}
    assert signin.cookie(other.secret).id == governor
    path = f"/auth/sessions/{mine.principal.session}"
    assert (await signed_in.delete(path, headers=csrf)).json() == {"ended": 1}
    with pytest.raises(Refused):
        signin.cookie(mine.secret)


async def test_security_sees_and_ends_everybodys(web, signin, opened, physician):
    token = signin.operators.renew("guard", ("security",))
    headers = {"Authorization": f"Bearer {token}"}
    listed = (await web.get("/v1/sessions", headers=headers)).json()["sessions"]
    assert [one["person"] for one in listed] == [physician]
    assert opened.secret not in str(listed)
    path = f"/v1/sessions?person={physician}"
    assert (await web.delete(path, headers=headers)).json() == {"ended": 1}
    with pytest.raises(Refused):
        signin.cookie(opened.secret)
    assert signin.journal.entries()[-1]["event"] == "sessions-ended"


def test_the_oldest_session_of_somebody_with_too_many_ends(signin, physician, clock):
    made = []
    for _ in range(5):
        made.append(signin.establish(staff(physician)))
        clock.advance(1)
    alive = {one.handle for one in signin.sessions.listed(physician)}
    assert alive == {one.principal.session for one in made[2:]}


def test_neither_the_secret_nor_what_follows_from_it_is_on_the_disk(signin, opened, tmp_path):
    signin.close()
    content = b"".join(path.read_bytes() for path in (tmp_path / "signin").glob("sessions.db*"))
    assert opened.principal.session.encode() in content
    for secret in (opened.secret, opened.csrf):
        assert secret.encode() not in content
        assert secret[:20].encode() not in content


def test_a_file_that_is_no_store_is_not_used(tmp_path):
    (tmp_path / "sessions.db").write_bytes(b"something else entirely" * 100)
    with pytest.raises(StoreUnusable):
        open_store(tmp_path / "sessions.db")


def test_the_store_is_its_owners(signin, tmp_path):
    assert (tmp_path / "signin" / "sessions.db").stat().st_mode & 0o077 == 0
    assert (tmp_path / "signin").stat().st_mode & 0o077 == 0


class SessionsAgainstAModel(RuleBasedStateMachine):
    """Whatever happens in whatever order, a session is good exactly while the rules say so."""

    secrets = Bundle("secrets")

    @initialize()
    def begin(self) -> None:
        import tempfile
        from pathlib import Path

        self.clock = Clock()
        self._directory = tempfile.TemporaryDirectory()
        engine = open_store(Path(self._directory.name) / "s.db")
        limits = SessionsSection(idle_minutes=5, longest_hours=1, per_person=2)
        self.engine = engine
        self.sessions = Sessions(engine, limits, self.clock.now)
        #: secret → person, last use that was written down, end
        self.model: dict[str, list] = {}
        self.handles: dict[str, str] = {}
        self.order: list[str] = []

    @rule(target=secrets, person=st.sampled_from(["a", "b"]))
    def open(self, person: str) -> str:
        opened = self.sessions.open(staff(person))
        now = int(self.clock.now())
        self.model[opened.secret] = [person, now, now + 3600]
        self.handles[opened.secret] = opened.principal.session
        self.order.append(opened.secret)
        mine = [one for one in self.order if one in self.model and self.model[one][0] == person]
        for surplus in mine[:-2]:
            del self.model[surplus]
        return opened.secret

    @rule(secret=secrets)
    def use(self, secret: str) -> None:
        now = int(self.clock.now())
        entry = self.model.get(secret)
        good = entry is not None and entry[2] > now and entry[1] + 300 > now
        try:
            found = self.sessions.find(secret)
        except Refused:
            assert not good
            self.model.pop(secret, None)
        else:
            assert good
            assert found.id == entry[0]
            if now - entry[1] >= 30:
                entry[1] = now

    @rule(secret=consumes(secrets))
    def end(self, secret: str) -> None:
        self.sessions.end(self.handles[secret])
        self.model.pop(secret, None)
        with pytest.raises(Refused):
            self.sessions.find(secret)

    @rule(seconds=st.integers(1, 2000))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(name=st.sampled_from("xyz"), issuer=st.sampled_from(["", "1", "11"]))
    def once(self, name: str, issuer: str) -> None:
        first = self.sessions.use_once(issuer, name, self.clock.now() + 10**6)
        used = self.__dict__.setdefault("used", set())
        assert first == ((issuer, name) not in used)
        used.add((issuer, name))

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.engine.dispose()
            self._directory.cleanup()


TestSessionsAgainstAModel = SessionsAgainstAModel.TestCase
TestSessionsAgainstAModel.settings = hypothesis_settings(max_examples=12, stateful_step_count=25)
