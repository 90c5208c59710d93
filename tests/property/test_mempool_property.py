"""The pool against a plain list that does the same the slow way."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ledger.chain.codec import encode
from ledger.chain.transaction import Body, Call, Envelope, Transaction, decode_transaction
from ledger.crypto.keys import SigningKey
from ledger.node.mempool import Mempool, PoolLimits

SIGNERS = [SigningKey(bytes([number]) * 32).public for number in (1, 2, 3)]
BOUNDS = PoolLimits(transactions=8, bytes=2_000, signer_transactions=4, signer_bytes=1_000, ahead=3)


def within_window(transaction: Transaction, height: int) -> str | None:
    if height > transaction.body.valid_until:
        return "expired"
    return "not_yet_valid" if height < transaction.body.valid_from else None


class PoolMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.chain: set[bytes] = set()
        self.pool = Mempool(
            within_window, self.chain.__contains__, verify=lambda _item: True, bounds=BOUNDS
        )
        self.model: list[Transaction] = []
        self.height = 1
        self.count = 0

    @rule(
        signer=st.sampled_from(SIGNERS),
        opens=st.integers(-3, 5),
        width=st.integers(0, 6),
        size=st.integers(0, 300),
    )
    def offer(self, signer: bytes, opens: int, width: int, size: int) -> None:
        self.count += 1
        start = max(0, self.height + opens)
        body = Body(
            bytes(32), self.count.to_bytes(4, "big"), start, start + width, False,
            (Call("c", "m", {"x": bytes(size)}),), (signer,),
        )  # fmt: skip
        item = decode_transaction(encode(Envelope(encode(body), (bytes(64),))))
        same = [other for other in self.model if other.body.signers[0] == signer]
        expected = (
            start + width >= self.height
            and start <= self.height + BOUNDS.ahead
            and len(self.model) < BOUNDS.transactions
            and sum(len(other.raw) for other in self.model) + len(item.raw) <= BOUNDS.bytes
            and len(same) < BOUNDS.signer_transactions
            and sum(len(other.raw) for other in same) + len(item.raw) <= BOUNDS.signer_bytes
        )
        assert self.pool.add(item, self.height).accepted == expected
        if expected:
            self.model.append(item)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.sampled_from(self.model), unique_by=lambda item: item.id))
        ids = [item.id for item in chosen]
        self.chain.update(ids)
        self.pool.remove(ids)
        self.model = [item for item in self.model if item.id not in self.chain]
        self.height += 1
        self.expire()

    @rule(step=st.integers(1, 4))
    def move_on(self, step: int) -> None:
        self.height += step
        self.expire()

    def expire(self) -> None:
        gone = {item.id for item in self.model if item.body.valid_until < self.height}
        assert set(self.pool.advance(self.height)) == gone
        self.model = [item for item in self.model if item.id not in gone]

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert len(self.pool) == len(self.model)
        assert self.pool.size_bytes == sum(len(item.raw) for item in self.model)
        assert all(self.pool.verified(item.raw) is item for item in self.model)
        valid = {item.id for item in self.model if item.body.valid_from <= self.height}
        assert {item.id for item in self.pool.take(10**6, 100, self.height)} == valid


TestPoolMachine = PoolMachine.TestCase
