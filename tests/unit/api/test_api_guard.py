"""Who may ask, what every answer carries, and how errors look."""

import httpx
import pytest
from structlog.testing import capture_logs

from ledger.api import problems
from ledger.api.app import create_app
from ledger.api.guard import UnsafeBinding, check_binding
from ledger.api.signin import throttle
from tests.support.openapi import CheckedTransport
from tests.support.signin import make_signin

TOKEN = "a-token-of-enough-length"


@pytest.fixture
def protected(service, tmp_path):
    signin = make_signin(service, tmp_path, token=TOKEN)
    yield create_app(service, signin=signin)
    signin.close()


@pytest.fixture
async def guarded(protected, monkeypatch):
    monkeypatch.setattr(throttle, "FREE_FAILURES", 10**6)
    transport = CheckedTransport(protected, guarded=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://node.example") as client:
        yield client


@pytest.mark.parametrize(
    "header",
    [None, "", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xff"],
)
async def test_without_the_token_nothing_of_v1_answers(guarded, header):
    headers = {} if header is None else {b"Authorization": header.encode("latin-1")}
    for path in ("/v1/status", "/v1/nothing", "/v1"):
        answer = await guarded.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].partition(" ")[0] == "Bearer"


async def test_with_the_token_v1_answers(guarded):
    answer = await guarded.get("/v1/status", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["release", "pointers", "enquired"])
async def test_requests_for_records_need_no_token_for_they_are_signed(guarded, path):
    kind = {"Content-Type": "application/msgpack"}
    answer = await guarded.post(f"/v1/records/{path}", content=b"junk", headers=kind)
    assert answer.status_code == 403
    for near in ("/v1/records", "/v1/recordsx/release"):
        assert (await guarded.post(near, content=b"junk", headers=kind)).status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json"])
async def test_operators_need_no_token(protected, path):
    transport = httpx.ASGITransport(app=protected)
    async with httpx.AsyncClient(transport=transport, base_url="http://node.example") as client:
        assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", ""])
async def test_without_a_token_only_loopback_names_are_served(api, host):
    answer = await api.get("/v1/status", headers={"Host": host})
    assert answer.status_code == 421
    assert answer.json()["code"] == "misdirected"


@pytest.mark.parametrize("host", ["localhost", "LocalHost:8100", "127.0.0.1:8100", "[::1]:8100"])
async def test_loopback_names_are_served_with_any_port(api, host):
    assert (await api.get("/v1/status", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "node.example"])
def test_an_open_address_needs_a_token(host):
    with pytest.raises(UnsafeBinding, match="token"):
        check_binding(host, None)
    check_binding(host, TOKEN)
    check_binding(host, None, protected=True)
    with pytest.raises(UnsafeBinding, match="development"):
        check_binding(host, TOKEN, protected=True, development=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_token(host):
    check_binding(host, None)
    check_binding(host, None, development=True)


def test_a_short_token_is_no_token():
    with pytest.raises(UnsafeBinding):
        check_binding("127.0.0.1", "short")


@pytest.mark.parametrize("path", ["/v1/status", "/nothing", "/v1/blocks/x", "/healthz"])
async def test_every_answer_forbids_sniffing_framing_and_storing(api, path):
    headers = (await api.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "no-such-path"),
        ("GET", "/v2/status", 404, "no-such-path"),
        ("GET", "/v1/blocks/", 404, "no-such-path"),
        ("GET", "/docs", 404, "no-such-path"),
        ("DELETE", "/v1/blocks/1", 405, "method-not-allowed"),
        ("GET", "/v1/records/release", 405, "method-not-allowed"),
        ("POST", "/healthz", 405, "method-not-allowed"),
    ],
)
async def test_unknown_paths_and_methods_are_problems(api, method, path, status, code):
    answer = await api.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == problems.MEDIA_TYPE
    found = answer.json()
    assert found["type"] == f"urn:health-ledger:problem:{code}"
    assert found["instance"] == path


async def test_a_crash_says_nothing_but_its_number(api):
    with capture_logs() as logged:
        answer = await api.post(
            "/v1/records/release", content=b"crash", headers={"Content-Type": "application/msgpack"}
        )
    assert answer.status_code == 500
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "secret" not in answer.text
    assert answer.json()["instance"].startswith("urn:uuid:")
    assert [entry["occurrence"] for entry in logged] == [answer.json()["instance"]]


def test_codes_and_documentation_agree(request):
    text = (request.config.rootpath / "docs" / "api.md").read_text()
    for kind in problems.KINDS:
        assert f"| `{kind.code}` | {kind.status} |" in text
