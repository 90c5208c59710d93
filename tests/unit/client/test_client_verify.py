"""Nothing that a node says is believed without its proof."""

import dataclasses

import httpx
import msgspec
import pytest

from ledger.api.app import create_app
from ledger.chain.codec import Malformed
from ledger.chain.genesis import Genesis, GenesisContract
from ledger.chain.handover import InvalidProof
from ledger.chain.receipt import InvalidReceipt
from ledger.client.http import AsyncClient
from ledger.client.verify import check_entry, check_receipt, trust_in

KEY = "consent/consents/c-proven"


@pytest.fixture
def trust(service):
    return trust_in(service._replica.genesis)


@pytest.fixture
async def client(service, consent):
    await service.submit([consent("c-proven").raw])
    await service.commit()
    transport = httpx.ASGITransport(app=create_app(service))
    async with AsyncClient("http://localhost", transport=transport) as found:
        yield found


async def ask(client, key=KEY, height=None):
    contract, _, rest = key.partition("/")
    return await client.state(contract, rest, height, proof=True)


async def test_a_proven_entry_is_believed(client, trust):
    proven = check_entry(await ask(client), trust, KEY)
    assert proven.present
    assert proven.value["status"] == "active"


async def test_a_proven_absence_is_believed(client, trust):
    key = "consent/consents/c-never"
    assert not check_entry(await ask(client, key), trust, key).present


async def test_an_answer_without_proof_is_not_believed(client, trust):
    entry = await client.state("consent", "consents/c-proven")
    with pytest.raises(InvalidProof, match="no proof"):
        check_entry(entry, trust, KEY)


async def test_another_value_than_the_proven_one_is_noticed(client, trust):
    entry = msgspec.structs.replace(await ask(client), value={"status": "withdrawn"})
    with pytest.raises(InvalidProof, match="something else"):
        check_entry(entry, trust, KEY)


async def test_a_present_entry_cannot_be_passed_off_as_absent(client, trust):
    entry = await ask(client)
    hidden = msgspec.structs.replace(entry.statement, value=None)
    lie = msgspec.structs.replace(entry, present=False, value=None, statement=hidden)
    with pytest.raises(InvalidProof):
        check_entry(lie, trust, KEY)


async def test_a_proof_of_another_entry_is_noticed(client, trust):
    other = await ask(client, "consent/consents/c-never")
    with pytest.raises(InvalidProof, match="another entry"):
        check_entry(other, trust, KEY)


async def test_a_proof_of_another_height_is_noticed(client, service, trust):
    await service.commit()
    old = await ask(client, height=1)
    with pytest.raises(InvalidProof, match="another height"):
        check_entry(old, trust, KEY, height=2)


async def test_too_few_signatures_are_noticed(client, trust):
    entry = await ask(client)
    certificate = entry.statement.certificate
    thin = msgspec.structs.replace(certificate, signatures=certificate.signatures[:2])
    statement = msgspec.structs.replace(entry.statement, certificate=thin)
    with pytest.raises(InvalidProof, match="quorum"):
        check_entry(msgspec.structs.replace(entry, statement=statement), trust, KEY)


async def test_another_chain_is_noticed(client, service, trust, consent):
    other = dataclasses.replace(trust, chain=bytes(32))
    with pytest.raises(InvalidProof):
        check_entry(await ask(client), other, KEY)
    transaction = consent()
    await client.submit(transaction.raw, wait=1)
    receipt = await client.receipt(transaction.id)
    assert check_receipt(receipt, trust)
    with pytest.raises(InvalidReceipt):
        check_receipt(receipt, other)


def test_the_trust_of_a_genesis_is_computed_once(service):
    genesis = service._replica.genesis
    assert trust_in(genesis) is trust_in(genesis)
    assert trust_in(genesis).validators == service._replica.validators


def test_a_genesis_that_does_not_run_is_refused():
    broken = Genesis(1, "x", 0, (GenesisContract("governance", "import os", {}),))
    with pytest.raises(Malformed):
        trust_in(broken)
