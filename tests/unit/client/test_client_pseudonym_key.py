"""The key of pseudonyms, as the chain has it and not as a node says."""

import pytest

from ledger.chain.ceremonies import epoch_of
from ledger.chain.codec import Malformed, decode_value, encode
from ledger.chain.genesis import read_genesis
from ledger.chain.handover import InvalidProof
from ledger.chain.statement import Statement
from ledger.chain.statetree import StateTree
from ledger.client.ledger import AsyncLedger, Ledger
from ledger.client.proven import Prover
from ledger.client.requests import Entry
from tests.support.chain import HandmadeChain

DOMAIN = "patients.1"
CURRENT = f"pseudonyms/current/{DOMAIN}"


def epoch_value(number, domain=DOMAIN):
    holders = [
        {"index": index, "node": f"n-{index}", "institution": "city", "verification": bytes(32)}
        for index in (1, 2)
    ]
    return {
        "domain": domain, "number": number, "ceremony": 7, "public": b"k" * 32, "threshold": 2,
        "holders": holders, "time": 5, "transcript": bytes(32), "qualified": ["n-1", "n-2"],
    }  # fmt: skip


@pytest.fixture
def chain(tmp_path):
    made = HandmadeChain(tmp_path / "ledger.db")
    values = {
        CURRENT: 2,
        f"pseudonyms/epochs/{DOMAIN}/1": epoch_value(1),
        f"pseudonyms/epochs/{DOMAIN}/2": epoch_value(2),
        "pseudonyms/current/study.x": 1,
        "pseudonyms/epochs/study.x/1": epoch_value(1),
    }
    made.append(writes={key.encode(): encode(value) for key, value in values.items()})
    yield made
    made.store.close()


def entry(chain, key):
    """What an honest node answers about a state entry."""
    raw = chain.store.value(key.encode(), 1)
    proof = StateTree(chain.store).prove(key.encode(), 1)
    certificate = chain.store.certificate(1)
    statement = Statement(key.encode(), raw, chain.head, certificate, proof, ())
    value = None if raw is None else decode_value(raw, limit=10_000)
    return Entry(key, 1, raw is not None, value, statement)


def told(chain, domain=DOMAIN, answers=None, at_least=0):
    """What the client makes of a node that answers with other entries than it was asked for."""
    procedure = Prover(chain.trust).pseudonym_key(domain, at_least)
    request = next(procedure)
    try:
        while True:
            key = request.path.removeprefix("/v1/state/")
            request = procedure.send(entry(chain, (answers or {}).get(key, key)))
    except StopIteration as stop:
        return stop.value


def test_the_key_of_now_is_proven(chain):
    assert told(chain) == epoch_of(epoch_value(2))
    assert told(chain, "patients.2") is None


def test_an_older_key_or_none_is_noticed(chain):
    older = {f"pseudonyms/epochs/{DOMAIN}/2": f"pseudonyms/epochs/{DOMAIN}/1"}
    nothing = {CURRENT: "pseudonyms/current/patients.9"}
    for answers in (older, nothing):
        with pytest.raises(InvalidProof):
            told(chain, answers=answers)
    with pytest.raises(InvalidProof, match="older"):
        told(chain, at_least=2)


def test_a_key_that_is_entered_under_another_domain_is_not_taken(chain):
    with pytest.raises(Malformed, match="another key"):
        told(chain, "study.x")


async def test_both_clients_say_that_there_is_no_key(node_url, consortium, service, consent):
    await service.submit([consent().raw])
    await service.commit()
    genesis = read_genesis(consortium.home / "genesis.json")
    with Ledger(node_url, genesis) as ledger:
        assert ledger.pseudonym_key(DOMAIN) is None
    async with AsyncLedger(node_url, genesis) as ledger:
        assert await ledger.pseudonym_key(DOMAIN) is None
