"""What the interface says of blocks that the node has handed over to archive files."""

import pytest

from ledger.chain.archive import Archive
from ledger.chain.handover import Trust
from ledger.chain.receipt import load_receipt, verify_receipt
from ledger.chain.statement import load_statement, verify_statement
from ledger.node.archives import ArchiveShelf
from tests.support.archived import ARCHIVED_AT, archive_and_prune, forget_ids


@pytest.fixture
def trust(service):
    return Trust(service.chain, service._replica.validators)


@pytest.fixture
async def archived(service, consent, trust, tmp_path):
    """Six blocks with a consent each; 1 to 4 are archived. The transactions and the file."""
    made = []
    for number in range(6):
        transaction = consent(f"c-{number}")
        await service.submit([transaction.raw])
        await service.commit()
        made.append(transaction)
    path = archive_and_prune(service._store, tmp_path / "archive", 4, trust)
    service.shelf = ArchiveShelf(service._store, tmp_path / "archive")
    return made, path


def says_where(answer, path):
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (410, "archived")
    assert (problem["base"], problem["file"]) == (5, path.name)
    assert problem["archived"] == ARCHIVED_AT
    assert "2026-01-02" in problem["detail"]
    return True


async def test_an_archived_block_is_gone_and_its_file_is_named(api, archived):
    _, path = archived
    for height in (1, 4):
        assert says_where(await api.get(f"/v1/blocks/{height}"), path)
    assert (await api.get("/v1/blocks/5")).status_code == 200
    assert (await api.get("/v1/blocks/0")).json()["file"] is None


async def test_an_archived_transaction_is_gone_and_its_file_is_named(api, archived, service):
    made, path = archived
    old = made[1].id
    assert says_where(await api.get(f"/v1/receipts/{old.hex()}"), path)
    forget_ids(service._store, old)
    assert says_where(await api.get(f"/v1/receipts/{old.hex()}"), path)
    answer = await api.get(f"/v1/transactions/{old.hex()}")
    assert says_where(answer, path)
    assert answer.json()["height"] == 2  # whoever waited for it learns that it is final
    assert (await api.get(f"/v1/receipts/{made[5].id.hex()}")).status_code == 200


async def test_a_file_that_was_moved_away_makes_an_old_transaction_unknown(api, archived, service):
    made, path = archived
    forget_ids(service._store, made[1].id)
    path.rename(path.with_name("elsewhere"))
    answer = await api.get(f"/v1/receipts/{made[1].id.hex()}")
    assert answer.json()["code"] == "unknown-transaction"
    assert says_where(await api.get("/v1/blocks/2"), path)


async def test_the_file_gives_the_receipt_that_the_node_cannot(api, archived, trust):
    made, path = archived
    problem = (await api.get(f"/v1/receipts/{made[1].id.hex()}")).json()
    with Archive(path.with_name(problem["file"])) as opened:
        receipt = opened.receipt(made[1].id)
    verify_receipt(receipt, trust.chain, trust.validators)


async def test_a_receipt_from_before_is_as_good_as_ever(api, service, consent, trust, tmp_path):
    transaction = consent()
    await service.submit([transaction.raw])
    for _ in range(4):
        await service.commit()
    raw = (await api.get(f"/v1/receipts/{transaction.id.hex()}")).content
    archive_and_prune(service._store, tmp_path / "archive", 3, trust)
    assert (await api.get(f"/v1/receipts/{transaction.id.hex()}")).status_code == 410
    verify_receipt(load_receipt(raw), trust.chain, trust.validators)


async def test_the_state_is_there_from_just_below_the_base_on(api, archived, trust):
    _, path = archived
    for height in (0, 3):
        answer = await api.get(f"/v1/state/consent/consents/c-0?height={height}&proof=true")
        assert answer.status_code == 410
    assert says_where(await api.get("/v1/state/consent/consents/c-0?height=3"), path)
    for height in (4, 5, 6):
        found = (await api.get(f"/v1/state/consent/consents/c-0?height={height}&proof=true")).json()
        assert found["present"]
        proven = verify_statement(load_statement(encoded(found["proof"])), trust)
        assert proven.header.height == height


def encoded(value):
    import json

    return json.dumps(value).encode()


async def test_a_list_from_before_the_base_is_refused_and_the_newest_is_cut(api, archived):
    _, path = archived
    assert says_where(await api.get("/v1/blocks?from=2"), path)
    newest = (await api.get("/v1/blocks?limit=100")).json()
    assert [header["height"] for header in newest["blocks"]] == [5, 6]
    assert newest["next"] is None


async def test_events_from_before_the_base_are_not_silently_left_out(api, archived):
    _, path = archived
    assert says_where(await api.get("/v1/events?after=2.0.0"), path)
    assert says_where(await api.get("/v1/events?after=0.0.0"), path)


async def test_a_node_that_never_had_a_block_names_no_file(api, archived, service):
    with service._store.maintenance() as writer:
        writer.run(service._store._database.query(schema_archives().delete()))
    problem = (await api.get("/v1/blocks/2")).json()
    assert (problem["base"], problem["file"], problem["archived"]) == (5, None, None)


def schema_archives():
    from ledger.chain import schema

    return schema.archives
