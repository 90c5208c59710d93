"""Building, checking and storing blocks on the execution thread."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from ledger.chain.block import Block, Certificate, InvalidCertificate
from ledger.contracts import blocks
from ledger.contracts.blocks import BlockFault
from ledger.node.executor import Executor
from tests.support.founded import Chain


@pytest.fixture
def executor(chain: Chain) -> Iterator[Executor]:
    executor = Executor(chain.replica, lambda _raw: None)
    yield executor
    executor.close()


async def test_a_built_block_is_stored_without_being_executed_again(
    chain: Chain, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposer = chain.executed().block.header.proposer
    transaction = chain.transaction()
    time = chain.replica.head.time + 5
    block = await executor.build(1, 0, proposer, time, [transaction])
    assert block is not None
    assert block.transactions == (transaction.raw,)
    monkeypatch.setattr(blocks, "check", None)
    assert await executor.check(block) is None
    executed = await executor.commit(block, chain.certificate(block))
    assert executed is not None
    assert chain.replica.head == block.header
    assert executed.results[0].calls[0].ok


async def test_a_block_is_built_only_for_the_next_height(chain: Chain, executor: Executor) -> None:
    assert await executor.build(2, 0, "east-1", 0, []) is None
    chain.append()
    assert await executor.build(1, 0, "east-1", 0, []) is None


async def test_a_wrong_proposal_is_named_and_not_stored(chain: Chain, executor: Executor) -> None:
    good = chain.executed(chain.transaction()).block
    wrong = Block(msgspec.structs.replace(good.header, state_root=bytes(32)), good.transactions)
    fault = await executor.check(wrong)
    assert isinstance(fault, BlockFault)
    assert "state root" in str(fault)
    with pytest.raises(BlockFault):
        await executor.commit(wrong, chain.certificate(wrong))
    assert chain.replica.head.height == 0
    assert await executor.check(good) is None


async def test_a_decided_block_that_was_never_checked_is_executed_first(
    chain: Chain, executor: Executor
) -> None:
    block = chain.executed(chain.transaction()).block
    assert await executor.commit(block, chain.certificate(block)) is not None
    assert await executor.commit(block, chain.certificate(block)) is None


async def test_blocks_of_others_need_a_certificate(chain: Chain, executor: Executor) -> None:
    block = chain.executed(chain.transaction()).block
    good = chain.certificate(block)
    short = Certificate(good.height, good.view, good.block, good.signatures[:2])
    with pytest.raises(InvalidCertificate):
        await executor.extend(block, short)
    assert await executor.extend(block, good) is not None
    assert await executor.extend(block, good) is None
