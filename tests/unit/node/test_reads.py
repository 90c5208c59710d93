"""What anybody may read of a node's store."""

from __future__ import annotations

import pytest

from ledger.chain.handover import Trust
from ledger.chain.receipt import verify_receipt
from ledger.chain.statetree import verify_state_proof
from ledger.client.builder import call
from ledger.node.reads import ChainReads
from tests.support.founded import Chain


@pytest.fixture
def reads(chain: Chain) -> ChainReads:
    chain.append(chain.transaction())
    chain.append()
    return ChainReads(chain.replica.store)


def test_a_final_transaction_has_an_outcome_and_a_receipt(chain: Chain, reads: ChainReads) -> None:
    transaction = chain.transaction(told=call("consent", "withdraw", id="nothing"))
    assert reads.outcome(transaction.id) is None
    assert reads.receipt(transaction.id) is None
    chain.append(transaction)
    outcome = reads.outcome(transaction.id)
    assert outcome is not None
    height, index, result = outcome
    assert (height, index) == (3, 0)
    assert result.calls[0].error.startswith("unknown_consent")
    receipt = reads.receipt(transaction.id)
    assert receipt is not None
    trust = Trust(chain.chain, chain.replica.validators)
    assert verify_receipt(receipt, trust.chain, trust.validators).result == result


def test_blocks_are_there_up_to_the_head(chain: Chain, reads: ChainReads) -> None:
    assert reads.head() == chain.replica.head
    for height in range(3):
        block, header = reads.block(height), reads.header(height)
        assert block is not None
        assert block.header == header
        results = reads.results(height)
        assert results is not None
        assert len(results) == len(block.transactions)
        assert (reads.certificate(height) is None) == (height == 0)
    assert reads.block(3) is reads.header(3) is reads.certificate(3) is reads.results(3) is None


@pytest.mark.parametrize("height", [0, 1, 2])
def test_state_is_proved_at_every_height(reads: ChainReads, height: int) -> None:
    for key in (b"consent/consents/c", b"registry/people/east-1", b"registry/people/nobody"):
        header, certificate, proof, value = reads.state_proof(key, height)
        assert header.height == height
        assert (certificate is None) == (height == 0)
        assert value == reads.state(key, height)
        assert verify_state_proof(header.state_root, key, value, proof)
        assert not verify_state_proof(header.state_root, key, b"\x01", proof)
    assert (reads.state(b"consent/consents/c", height) is None) == (height == 0)
    assert reads.handovers(height) == ()


def test_there_is_no_proof_of_the_future(reads: ChainReads) -> None:
    with pytest.raises(LookupError):
        reads.state_proof(b"registry/people/east-1", 9)


async def test_contracts_answer_queries_about_the_newest_block(
    chain: Chain, reads: ChainReads
) -> None:
    account = chain.consortium.account("patient-pieter")
    answer = await reads.query("registry", "whois", {"key": account.id})
    assert answer.ok
    assert answer.value == reads.whois(account.id)
    assert answer.value["id"] == chain.consortium.people["patient-pieter"].id
    assert reads.whois("00") is None
    failed = await reads.query("registry", "nonsense", {})
    assert not failed.ok
    changing = await reads.query("registry", "revoke", {"id": "x", "reason": "x"})
    assert not changing.ok
