"""The verifying client: what it returns is proven, and a lying node is noticed."""

import itertools
import json
import re
import time
from pathlib import Path

import httpx
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from ledger.chain import merkle
from ledger.chain.codec import Malformed, encode
from ledger.chain.disclosures import Entry, disclosure_file, log_key, prove_page
from ledger.chain.genesis import read_genesis
from ledger.chain.handover import InvalidProof
from ledger.chain.receipt import InvalidReceipt
from ledger.chain.statement import Statement
from ledger.chain.statetree import StateTree
from ledger.client import ledger as clients
from ledger.client import subscriptions
from ledger.client.builder import build, call
from ledger.client.following import EventLines, Told, check_event, stream_params
from ledger.client.http import NodeRefused, NodeUnreachable
from ledger.client.ledger import AsyncLedger, Ledger
from ledger.client.proven import NotAccepted, Prover
from ledger.client.signin import BackendSignIn
from tests.support.chain import HandmadeChain

DOCS = Path(__file__).parents[3] / "docs" / "clients" / "python.md"


@pytest.fixture
def genesis(consortium):
    return read_genesis(consortium.home / "genesis.json")


@pytest.fixture
def ledger(node_url, genesis):
    with Ledger(node_url, genesis) as client:
        yield client


class Lying(httpx.HTTPTransport):
    """Passes on what the node says, with something changed."""

    def __init__(self, change) -> None:
        super().__init__()
        self.change = change

    def handle_request(self, request):
        answer = super().handle_request(request)
        body = self.change(request, json.loads(answer.read()))
        return httpx.Response(answer.status_code, json=body)


def grant(pseudonym, name):
    scope = {"purposes": ["TREAT"]}
    return call("consent", "grant", id=name, subject=pseudonym, scope=scope)


def test_a_call_is_signed_submitted_and_proven(ledger, patient, pseudonym):
    done = ledger.perform(patient, grant(pseudonym, "c-1"))
    assert done.result.ok
    assert done.transaction.body.signers == (patient.public,)
    assert ledger.newest == done.header
    entry = ledger.state("consent", "consents/c-1", at_least=done.header.height)
    assert entry.present
    assert not ledger.state("consent", "consents/none").present
    assert ledger.receipt(done.transaction.id) == done


def test_a_failed_call_is_a_result_and_a_refused_transaction_an_exception(
    ledger, patient, pseudonym
):
    ledger.perform(patient, grant(pseudonym, "c-1"))
    again = ledger.perform(patient, grant(pseudonym, "c-1"))
    assert not again.result.ok
    old = build(ledger._prover.trust.chain, 900, 10, [grant(pseudonym, "c-2")], [patient])
    with pytest.raises(NotAccepted) as refusal:
        ledger.submit(old.raw)
    assert refusal.value.code == "not_yet_valid"


def test_headers_are_those_of_the_chain_to_the_newest(ledger, patient, pseudonym):
    for number in range(5):
        ledger.perform(patient, grant(pseudonym, f"c-{number}"))
    headers = list(ledger.headers(page=2))
    assert [header.height for header in headers] == [1, 2, 3, 4, 5]
    assert headers[-1] == ledger.header()
    assert ledger.header(2) == headers[1]
    assert list(ledger.headers(first=99)) == []


def test_events_come_proven_and_go_on_over_a_broken_connection(
    ledger, patient, pseudonym, monkeypatch
):
    monkeypatch.setattr(clients, "FIRST_PAUSE_S", 0.01)
    done = [ledger.perform(patient, grant(pseudonym, f"c-{number}")) for number in range(4)]
    plain, broken = ledger.unverified.lines, itertools.count()

    def breaking(path, params):
        lines = plain(path, params)
        for number, line in enumerate(lines):
            yield line
            if next(broken) < 6 and number == 2:
                raise NodeUnreachable("cut")

    monkeypatch.setattr(ledger.unverified, "lines", breaking)
    found = list(itertools.islice(ledger.events("0.0.0", {"contract": ["consent"]}), 4))
    assert [event.fields["consent"] for event in found] == ["c-0", "c-1", "c-2", "c-3"]
    assert [event.verified.transaction.id for event in found] == [
        one.transaction.id for one in done
    ]
    later = next(ledger.events(found[1].cursor))
    assert later.cursor == found[2].cursor


async def test_the_asynchronous_client_does_the_same(node_url, genesis, patient, pseudonym):
    async with AsyncLedger(node_url, genesis) as ledger:
        done = await ledger.perform(patient, grant(pseudonym, "c-1"))
        assert (await ledger.state("consent", "consents/c-1")).present
        assert await ledger.receipt(done.transaction.id) == done
        assert [header async for header in ledger.headers()] == [await ledger.header()]
        async for event in ledger.events("0.0.0"):
            assert event.fields["consent"] == "c-1"
            break
        assert ledger.newest == done.header


def test_an_answer_about_something_else_is_noticed(node_url, genesis, ledger, patient, pseudonym):
    one = ledger.perform(patient, grant(pseudonym, "c-1"))
    two = ledger.perform(patient, grant(pseudonym, "c-2"))
    ids = {one.transaction.id.hex(): two.transaction.id.hex()}

    def swap(request, body):
        return body

    def redirected(request):
        path = request.url.path
        for wanted, given in ids.items():
            path = path.replace(wanted, given)
        path = path.replace("consents/c-1", "consents/c-2")
        return httpx.Request(
            request.method, request.url.copy_with(path=path), headers=request.headers
        )

    class Elsewhere(Lying):
        def handle_request(self, request):
            return super().handle_request(redirected(request))

    with Ledger(node_url, genesis, transport=Elsewhere(swap)) as lied_to:
        with pytest.raises(InvalidProof):
            lied_to.receipt(one.transaction.id)
        with pytest.raises(InvalidProof):
            lied_to.state("consent", "consents/c-1")


def test_an_old_state_is_noticed_by_who_knows_a_newer_height(ledger, patient, pseudonym):
    ledger.perform(patient, grant(pseudonym, "c-1"))
    with pytest.raises(InvalidProof, match="older"):
        ledger.state("consent", "consents/c-1", at_least=99)
    with pytest.raises(NodeRefused):
        ledger.state("consent", "consents/c-1", 99)


def test_a_changed_header_or_receipt_is_noticed(node_url, genesis, ledger, patient, pseudonym):
    done = ledger.perform(patient, grant(pseudonym, "c-1"))
    ledger.perform(patient, grant(pseudonym, "c-2"))

    def change(request, body):
        if request.url.path == "/v1/blocks":
            body["blocks"][0]["time"] += 1
        if "receipt" in body:
            text = body["receipt"]
            body["receipt"] = text[:200] + ("A" if text[200] != "A" else "B") + text[201:]
        return body

    with Ledger(node_url, genesis, transport=Lying(change)) as lied_to:
        with pytest.raises(InvalidProof, match="not of this chain"):
            list(lied_to.headers())
        with pytest.raises((InvalidReceipt, Malformed)):
            lied_to.receipt(done.transaction.id)


def test_an_event_that_did_not_happen_is_noticed(ledger, patient, pseudonym):
    done = ledger.perform(patient, grant(pseudonym, "c-1"))
    (event,) = done.result.calls[0].events
    told = Told(
        "1.0.0", 1, done.header.time, done.transaction.id.hex(), 0, event.contract, event.name,
        dict(event.fields),
    )  # fmt: skip
    assert check_event(told, done).fields == event.fields
    for changes in (
        {"name": "withdrawn"}, {"contract": "access"}, {"cursor": "1.0.1"}, {"cursor": "1.0.-1"},
        {"cursor": "2.0.0"}, {"cursor": ""}, {"height": 2}, {"time": 0}, {"call": 1},
        {"fields": {"consent": "c-2"}}, {"fields": None}, {"fields": {"$bytes": "?"}},
        {"transaction": "00"},
    ):  # fmt: skip
        with pytest.raises(InvalidProof):
            check_event(msgspec.structs.replace(told, **changes), done)


@pytest.mark.parametrize(
    "lines",
    [
        ["data: {", ""],
        ["data: []", ""],
        ['data: {"cursor":"1.0.0"}', "id: 1.0.0", ""],
        ["x" * (4 * 1024 * 1024 + 1)],
    ],
)
def test_what_is_no_event_is_malformed(lines):
    reader = EventLines(None)
    with pytest.raises(Malformed):
        list(map(reader.feed, lines))


def test_a_heartbeat_moves_the_place_to_go_on_from_and_is_no_event():
    reader = EventLines("1.0.0")
    for line in (": still here", "id: 9.999999.999999", ""):
        assert reader.feed(line) is None
    assert reader.cursor == "9.999999.999999"
    with pytest.raises(ValueError, match="colour"):
        stream_params(None, {"colour": ["red"]})


class LogOfFive:
    """A patient's log of five entries on a chain, and a node's answers about it."""

    def __init__(self, path: Path) -> None:
        self.chain = HandmadeChain(path)
        self.entries = [
            Entry("access", {"id": f"t-{number}", "outcome": "permit"}) for number in range(5)
        ]
        self.leaves = [merkle.leaf_hash(entry.leaf()) for entry in self.entries]
        log = merkle.Log()
        for entry in self.entries:
            log.append(entry.leaf())
        value = encode({"count": 5, "peaks": list(log.peaks)})
        self.chain.append(writes={log_key("p-1"): value})
        header, certificate = self.chain.head, self.chain.store.certificate(1)
        assert certificate is not None
        proof = StateTree(self.chain.store).prove(log_key("p-1"), 1)
        self.statement = Statement(log_key("p-1"), value, header, certificate, proof, ())

    def page(self, first: int, count: int):
        page = prove_page(self.leaves, first, count)
        entries = self.entries[first : first + count]
        return disclosure_file("p-1", self.statement, page, entries)

    def told(self, *answers):
        """What the client makes of these answers, one after the other."""
        procedure = Prover(self.chain.trust).disclosures("p-1", limit=2)
        request = next(procedure)
        try:
            for answer in answers:
                assert request.path == "/v1/disclosures"
                request = procedure.send(answer)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("it asks for more")


@pytest.fixture
def log(tmp_path):
    made = LogOfFive(tmp_path / "log.db")
    yield made
    made.chain.store.close()


def test_a_patients_list_is_proven_whole_page_by_page(log):
    found = log.told((log.page(3, 2), "4"), (log.page(1, 2), "2"), (log.page(0, 1), None))
    assert found == log.entries
    assert log.told((log.page(0, 5), None)) == log.entries


@pytest.mark.parametrize(
    "pages", [[(2, 2)], [(3, 2), (0, 2)], [(3, 2), (1, 1)], [(3, 2), (1, 2), (1, 2)], [(5, 0)]]
)
def test_a_list_from_which_something_is_left_out_is_noticed(log, pages):
    with pytest.raises((InvalidProof, AssertionError)) as why:
        log.told(*((log.page(*page), "1") for page in pages))
    assert why.type is InvalidProof or "asks for more" in str(why.value)


def test_a_function_gives_the_token_of_now(genesis):
    tokens = iter(["first", "second"])
    seen = []

    def answer(request):
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={})

    with Ledger("http://node", genesis, token=lambda: next(tokens),
                transport=httpx.MockTransport(answer)) as client:  # fmt: skip
        client.unverified.status()
        client.unverified.status()
    assert seen == ["Bearer first", "Bearer second"]


def test_what_cannot_be_repeated_is_sent_once(genesis):
    asked = []

    def answer(request):
        asked.append(request.url.path)
        raise httpx.ConnectError("no")

    wanted = subscriptions.subscribe("https://x.example/")
    client = Ledger("http://node", genesis, transport=httpx.MockTransport(answer))
    with pytest.raises(NodeUnreachable):
        client.unverified.send(wanted)
    client.close()
    assert asked == ["/v1/webhooks"]


def test_a_system_signs_in_with_its_key_and_renews_in_time():
    key = ECKey.generate_key("P-384")
    clock, granted = [time.time()], []

    def answer(request):
        form = dict(httpx.QueryParams(request.content.decode()))
        token = jwt.decode(form["client_assertion"], key, algorithms=["ES384"])
        assert token.header["kid"] == "k-1"
        assert (token.claims["iss"], token.claims["sub"]) == ("engine", "engine")
        assert token.claims["aud"] == "https://node.example/auth/token"
        granted.append(token.claims["jti"])
        return httpx.Response(200, json={"access_token": f"t-{len(granted)}", "expires_in": 300})

    sign_in = BackendSignIn(
        "https://node.example/", "engine", key, "k-1", "system/AuditEvent.rs",
        transport=httpx.MockTransport(answer), now=lambda: clock[0],
    )  # fmt: skip
    assert [sign_in(), sign_in()] == ["t-1", "t-1"]
    clock[0] += 271
    assert sign_in() == "t-2"
    assert len(set(granted)) == 2


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b'{"error":"invalid_client"}', NodeRefused),
        (200, b"{}", Malformed),
        (200, b"[", Malformed),
        (502, b"<html>", Malformed),
    ],
)
def test_a_sign_in_that_fails_says_so(status, body, error):
    sign_in = BackendSignIn(
        "https://node.example", "engine", ECKey.generate_key("P-384"), "k-1", "",
        transport=httpx.MockTransport(lambda request: httpx.Response(status, content=body)),
    )  # fmt: skip
    with pytest.raises(error):
        sign_in()


def test_the_examples_of_the_guide_run(
    node_url, consortium, patient, pseudonym, tmp_path, monkeypatch
):
    """Every block of Python in the guide, one after the other, in one session."""
    blocks = re.findall(r"^```python\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) >= 4
    (tmp_path / "genesis.json").write_bytes((consortium.home / "genesis.json").read_bytes())
    monkeypatch.chdir(tmp_path)
    names = {"NODE": node_url, "alice": patient, "PSEUDONYM": pseudonym}
    for number, block in enumerate(blocks, 1):
        exec(compile(block, f"{DOCS.name}:{number}", "exec"), names)
    assert names["done"].result.ok
