"""Faults that can be proven are brought before the chain, once and not by everybody at once."""

from __future__ import annotations

import asyncio

import pytest

from ledger.chain.block import Validator, ValidatorSet
from ledger.chain.codec import encode
from ledger.chain.result import CallResult
from ledger.chain.transaction import Call
from ledger.consensus.errors import PeerFault, Rule
from ledger.consensus.evidence import evidence_of
from ledger.consensus.statements import COMMIT, PREPARE, VIEW_CHANGE, Signed
from ledger.crypto import hashing
from ledger.crypto.keys import SigningKey
from ledger.node import testimony
from ledger.node.testimony import charge, reason

CHAIN = bytes(range(32))
KEYS = {name: SigningKey(bytes([place + 1]) * 32) for place, name in enumerate("abcd")}
SET = ValidatorSet(tuple(Validator(name, f"h-{name}", key.public) for name, key in KEYS.items()))


def said(kind: str, subject: bytes | None, *, view: int = 0, height: int = 5) -> Signed:
    digest = hashing.MESSAGE(encode((kind, CHAIN, height, view, subject)))
    return Signed(kind, height, view, subject, "d", KEYS["d"].sign(digest))


def fault(height: int = 5) -> PeerFault:
    two = [said(PREPARE, bytes([each]) * 32, height=height) for each in (1, 2)]
    return PeerFault("d", Rule.EQUIVOCATION, "two votes", evidence_of(*two))


class Chain:
    """What the node's calls meet."""

    def __init__(self, *answers: CallResult | Exception) -> None:
        self.calls: list[Call] = []
        self.state: dict[bytes, bytes] = {}
        self.answers = list(answers)

    async def perform(self, call: Call) -> tuple[int, CallResult]:
        self.calls.append(call)
        answer = self.answers.pop(0) if self.answers else CallResult(True, "", 1, 0, ())
        if isinstance(answer, Exception):
            raise answer
        return 9, answer


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testimony, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(testimony, "FIRST_RETRY_SECONDS", 0.001)


async def told(chain: Chain, *faults: PeerFault) -> testimony.Testimony:
    """Run a testimony until it has nothing more to say."""
    given = testimony.Testimony(chain.perform, chain.state.get, lambda count: bytes(count))
    for each in faults:
        given.accused(each, CHAIN, SET)
    job = asyncio.create_task(given.run())
    async with asyncio.timeout(10):
        while given.waiting or given.busy:
            await asyncio.sleep(0.002)
    job.cancel()
    return given


async def test_the_same_fault_is_told_once() -> None:
    chain = Chain()
    await told(chain, fault(), fault())
    assert [call.method for call in chain.calls] == ["report"]
    await told(chain, fault(6))
    assert len(chain.calls) == 2


async def test_what_the_chain_knows_is_not_told() -> None:
    chain = Chain()
    found = charge(fault(), CHAIN, SET)
    assert found is not None
    chain.state[found.entry] = b"\x01"
    await told(chain, fault())
    assert chain.calls == []


async def test_it_tries_again_when_the_chain_could_not_take_it() -> None:
    not_yet = CallResult(False, "not_yet: a height that has not come", None, 0, ())
    chain = Chain(TimeoutError(), not_yet)
    await told(chain, fault())
    assert len(chain.calls) == 3


async def test_it_gives_up_when_it_is_refused_or_has_tried_eight_times() -> None:
    refused = CallResult(False, "too_old: long ago", None, 0, ())
    chain = Chain(refused)
    await told(chain, fault())
    assert len(chain.calls) == 1
    deaf = Chain(*[PermissionError("full")] * 20)
    await told(deaf, fault())
    assert len(deaf.calls) == 8


async def test_no_more_faults_wait_than_there_is_room_for() -> None:
    given = testimony.Testimony(Chain().perform, {}.get, lambda count: bytes(count))
    for height in range(1, 100):
        given.accused(fault(height), CHAIN, SET)
    assert given.waiting == testimony.MAX_WAITING


def test_what_convinces_nobody_is_not_brought() -> None:
    strange = PeerFault("z", Rule.EQUIVOCATION, "x", fault().evidence)
    unproven = PeerFault("d", Rule.NOT_PROPOSER, "x")
    once = said(PREPARE, bytes(32))
    same = PeerFault("d", Rule.EQUIVOCATION, "x", evidence_of(once, once))
    broken = PeerFault("d", Rule.EQUIVOCATION, "x", (b"\xc1", b""))
    for each in (strange, unproven, same, broken):
        assert charge(each, CHAIN, SET) is None


@pytest.mark.parametrize("turned", [False, True])
def test_amnesia_is_filed_under_the_view_of_the_commit(turned: bool) -> None:
    pair = [said(COMMIT, bytes(32), view=1), said(VIEW_CHANGE, None, view=3)]
    evidence = evidence_of(*(reversed(pair) if turned else pair))
    found = charge(PeerFault("d", Rule.AMNESIA, "x", evidence), CHAIN, SET)
    assert found is not None
    assert found.entry == f"evidence/known/{KEYS['d'].public.hex()}/5/1/amnesia".encode()


@pytest.mark.parametrize(
    ("detail", "code"),
    [
        ("state root (expected 00, found 01)", "state-root"),
        ("Transaction 3: already on the chain", "transaction-3-already-on-the-chain"),
        ("", "unspecified"),
        ("x" * 100, "x" * 64),
    ],
)
def test_a_reason_on_the_chain_is_a_short_code(detail: str, code: str) -> None:
    assert reason(detail) == code
