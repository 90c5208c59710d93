"""Transactions between their arrival and their block."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from peers import until

from ledger.chain.codec import Malformed, encode
from ledger.chain.transaction import Envelope, Transaction
from ledger.client.builder import Account, build, call
from ledger.contracts.blocks import admission_fault
from ledger.crypto.keys import SigningKey
from ledger.node import inbox as inbox_module
from ledger.node.inbox import Inbox
from ledger.node.mempool import Mempool
from ledger.node.net.frames import Transactions
from tests.support.authenticator import Authenticator
from tests.support.founded import Chain


@dataclass
class Desk:
    """An inbox with what went out of it."""

    chain: Chain
    published: list[Transactions] = field(default_factory=list)
    work: int = 0

    def __post_init__(self) -> None:
        replica = self.chain.replica

        def rule(transaction: Transaction, height: int) -> str | None:
            return admission_fault(transaction, self.chain.chain, height, replica.parameters)

        self.mempool = Mempool(rule, lambda identity: bool(replica.store.seen([identity])))
        self.inbox = Inbox(
            replica.store,
            self.mempool,
            next_height=lambda: replica.head.height + 1,
            publish=self.published.append,
            work=self.count,
        )

    def count(self) -> None:
        self.work += 1

    def commit(self, *transactions: Transaction) -> None:
        self.chain.append(*transactions)
        self.inbox.final([each.id for each in transactions], registry_changed=False)

    def code(self, raw: bytes) -> str:
        (answer,) = self.inbox.submit([raw])
        assert answer.accepted == (answer.code in ("accepted", "known", "final"))
        assert answer.accepted or answer.detail
        return answer.code


@pytest.fixture
def desk(chain: Chain) -> Desk:
    return Desk(chain)


async def test_what_clients_submit_is_passed_on_once_and_together(desk: Desk) -> None:
    raws = [desk.chain.transaction().raw for _ in range(3)]
    assert [answer.code for answer in desk.inbox.submit(raws)] == ["accepted"] * 3
    assert desk.code(raws[0]) == "known"
    await until(lambda: desk.published)
    assert desk.published == [Transactions(tuple(raws))]
    assert desk.work == 1


async def test_bad_transactions_are_refused_with_their_reason(desk: Desk) -> None:
    chain = desk.chain
    good = chain.transaction()
    chain.append()
    chain.append()
    assert desk.code(b"\xc1") == "malformed"
    assert desk.code(chain.transaction(chain=bytes(32)).raw) == "wrong_chain"
    assert desk.code(chain.transaction(height=0, window=1).raw) == "expired"
    assert desk.code(chain.transaction(window=2_000_000).raw) == "window_too_wide"
    assert desk.code(chain.transaction(height=10**6).raw) == "not_yet_valid"
    assert desk.code(encode(Envelope(good.envelope.body, (bytes(64),)))) == "bad_signature"
    stranger = Account(SigningKey.generate())
    told = call("records", "anchor", pointer={})
    assert desk.code(build(chain.chain, 0, 10, [told], [stranger]).raw) == "unknown_signer"
    await asyncio.sleep(0.02)
    assert desk.published == []
    assert desk.work == 0
    assert len(desk.mempool) == 0


async def test_what_may_not_stand_in_a_block_yet_neither_is_work_nor_hides_any(desk: Desk) -> None:
    early = desk.chain.transaction(height=desk.chain.replica.head.height + 5)
    assert desk.code(early.raw) == "accepted"
    assert desk.work == 0
    assert not desk.mempool.has_work(1_000_000)
    assert desk.code(desk.chain.transaction().raw) == "accepted"
    assert desk.work == 1


async def test_what_is_on_the_chain_already_is_answered_as_final(desk: Desk) -> None:
    transaction = desk.chain.transaction()
    assert desk.code(transaction.raw) == "accepted"
    desk.commit(transaction)
    assert desk.code(transaction.raw) == "final"
    assert Desk(desk.chain).code(transaction.raw) == "final"


async def test_gossip_is_taken_in_and_not_passed_on_again(desk: Desk) -> None:
    transaction = desk.chain.transaction()
    desk.inbox.gossiped(Transactions((transaction.raw, transaction.raw)))
    assert transaction.id in desk.mempool
    await asyncio.sleep(0.02)
    assert desk.published == []


async def test_gossip_that_no_correct_node_sends_is_the_peers_fault(desk: Desk) -> None:
    good = desk.chain.transaction()
    with pytest.raises(Malformed):
        desk.inbox.gossiped(Transactions((encode(Envelope(good.envelope.body, (bytes(64),))),)))
    with pytest.raises(Malformed):
        desk.inbox.gossiped(Transactions((b"\xc1",)))
    # Peers may differ in height, so these are dropped without blame.
    desk.inbox.gossiped(Transactions((desk.chain.transaction(height=10**6).raw,)))
    assert len(desk.mempool) == 0


async def test_a_validator_that_connects_is_told_what_it_missed(desk: Desk) -> None:
    submitted, gossiped, final = (desk.chain.transaction() for _ in range(3))
    desk.inbox.submit([submitted.raw, final.raw])
    desk.inbox.gossiped(Transactions((gossiped.raw,)))
    desk.commit(final)
    told: list[Transactions] = []
    desk.inbox.introduce(told.append)
    assert told == [Transactions((submitted.raw,))]


async def test_what_stays_out_of_blocks_is_passed_on_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "REPEAT_SECONDS", 0.02)
    final, late = desk.chain.transaction(), desk.chain.transaction()
    desk.inbox.submit([final.raw, late.raw])
    desk.commit(final)
    task = asyncio.create_task(desk.inbox.repeat())
    await until(lambda: desk.published.count(Transactions((late.raw,))) >= 2)
    task.cancel()


async def test_gossip_is_cut_into_frames_that_peers_accept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "MAX_GOSSIP_BYTES", 1_000)
    raws = [desk.chain.transaction().raw for _ in range(6)]
    desk.inbox.submit(raws)
    await until(lambda: sum(len(frame.envelopes) for frame in desk.published) == 6)
    assert len(desk.published) > 1
    assert [raw for frame in desk.published for raw in frame.envelopes] == raws


async def test_waiting_ends_when_the_transaction_is_final_or_the_time_is_up(desk: Desk) -> None:
    transaction = desk.chain.transaction()
    await desk.inbox.wait(transaction.id, 0.01)
    waiting = [asyncio.create_task(desk.inbox.wait(transaction.id, 30)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    desk.commit(transaction)
    await asyncio.gather(*waiting[1:])
    await desk.inbox.wait(transaction.id, 30)


async def test_a_key_that_is_registered_meanwhile_is_let_in(desk: Desk) -> None:
    chain = desk.chain
    governor = chain.consortium.account("east-governor")
    newcomer = Account(SigningKey.generate())

    def raw() -> bytes:
        told = call("consent", "withdraw", id="x")
        return build(chain.chain, chain.replica.head.height, 10, [told], [newcomer]).raw

    assert desk.code(raw()) == "unknown_signer"
    enrol = call(
        "registry", "enrol", id="p-" + "7" * 32, institution="east", roles=["patient"],
        keys=[newcomer.id],
    )  # fmt: skip
    signers = [governor, newcomer]
    transaction = build(chain.chain, chain.replica.head.height, 10, [enrol], signers)
    chain.append(transaction)
    desk.inbox.final([transaction.id], registry_changed=True)
    assert desk.code(raw()) == "accepted"


async def test_a_passkey_is_let_in_when_it_is_registered_and_executes(desk: Desk) -> None:
    chain = desk.chain
    governor = chain.consortium.account("east-governor")
    hers = Account(Authenticator("hers"))
    subject = "p-" + "7" * 32
    enrol = call(
        "registry", "enrol", id=subject, institution="east", roles=["patient"], keys=[hers.id]
    )
    desk.commit(build(chain.chain, chain.replica.head.height, 10, [enrol], [governor, hers]))
    desk.inbox.final([], registry_changed=True)
    told = call("consent", "grant", id="c-1", subject=subject, scope={"purposes": ["TREAT"]})
    consent = build(chain.chain, chain.replica.head.height, 10, [told], [hers])
    forged = Envelope(consent.envelope.body, (Authenticator("forger").sign(consent.id),))
    assert desk.code(encode(forged)) == "bad_signature"
    assert desk.code(consent.raw) == "accepted"
    desk.commit(consent)
    assert chain.replica.store.value(b"consent/consents/c-1") is not None
