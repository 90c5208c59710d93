"""The background job that keeps a node's store small."""

import asyncio

import pytest
import structlog.testing

from ledger.chain.handover import Trust
from ledger.chain.retention import KeepsTooLittle, Retention
from ledger.node import housekeeping
from ledger.node.housekeeping import Housekeeping
from ledger.node.surroundings import Surroundings
from tests.support.chain import HandmadeChain


@pytest.fixture
def chain(tmp_path, monkeypatch):
    monkeypatch.setattr(housekeeping, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(housekeeping, "INTERVAL_SECONDS", 0.01)
    chain = HandmadeChain(tmp_path / "ledger.db")
    for _ in range(25):
        chain.append([chain.transaction()])
    yield chain
    chain.store.close()


def job(chain, directory, keep=10):
    retained = Retention(keep, directory, file_blocks=5)
    return Housekeeping(
        chain.store, retained, Trust(chain.chain, chain.founders), Surroundings(clock=lambda: 77)
    )


async def test_everything_that_is_due_is_archived_and_pruned(chain, tmp_path):
    with structlog.testing.capture_logs() as logs:
        await job(chain, tmp_path / "archive").tidy()
    assert chain.store.base() == 16
    assert [entry.time for entry in chain.store.archives()] == [77] * 3
    assert [(line["event"], line["first"]) for line in logs] == [
        ("blocks_archived", 1),
        ("blocks_archived", 6),
        ("blocks_archived", 11),
    ]


async def test_blocks_are_stored_while_it_works(chain, tmp_path):
    work = asyncio.create_task(job(chain, tmp_path / "archive").tidy())
    for _ in range(20):
        await asyncio.to_thread(chain.append, [chain.transaction()])
    await work
    await job(chain, tmp_path / "archive").tidy()
    assert chain.store.height() == 45
    assert chain.store.base() == 36


async def test_what_goes_wrong_is_said_and_tried_again(chain, tmp_path):
    directory = tmp_path / "archive"
    directory.write_text("in the way")
    async with asyncio.timeout(60):
        await trouble_and_recovery(chain, directory)
    assert len(list(directory.iterdir())) == 3


async def trouble_and_recovery(chain, directory):
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(job(chain, directory).run())
        while not any(line["event"] == "archiving_failed" for line in logs):
            await asyncio.sleep(0.01)
        directory.unlink()
        while chain.store.base() < 16:
            await asyncio.sleep(0.01)
    task.cancel()


def test_a_node_that_would_forget_too_soon_does_not_start(chain, tmp_path):
    with pytest.raises(KeepsTooLittle, match="8 heights"):
        job(chain, tmp_path, keep=5)
