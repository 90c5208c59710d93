"""Fixtures of the tests that need a chain: import them into a conftest."""

import asyncio
import itertools
import queue
import threading

import pytest

from ledger.api.app import create_app
from ledger.api.server import serving
from ledger.client.builder import Account, build, call
from tests.support.local_service import Consortium, LocalService, open_replica

_numbers = itertools.count()


@pytest.fixture(scope="session")
def consortium(tmp_path_factory):
    return Consortium(tmp_path_factory.mktemp("consortium") / "network")


@pytest.fixture
def service(consortium, tmp_path):
    replica = open_replica(consortium, tmp_path)
    yield LocalService(replica, consortium.nodes, consortium.network)
    replica.store.close()


@pytest.fixture
def patient(consortium) -> Account:
    return consortium.anybody("patient")


@pytest.fixture
def pseudonym(consortium) -> str:
    return consortium.people.with_role("patient")[0].id


@pytest.fixture
def consent(service, patient, pseudonym):
    """Makes signed transactions that grant a consent, each with an id of its own."""

    def make(name: str | None = None, **changes):
        scope = {"purposes": ["TREAT"]}
        given = {"id": name or f"c-{next(_numbers)}", "subject": pseudonym, "scope": scope}
        calls = [call("consent", "grant", **(given | changes))]
        return build(service.chain, service.head().height, 100, calls, [patient])

    return make


@pytest.fixture
def node_url(service):
    """The service behind a real socket, on a thread of its own; for synchronous clients."""
    urls: queue.Queue[str] = queue.Queue()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with serving(create_app(service), "127.0.0.1", 0) as url:
            urls.put(url)
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    yield urls.get(timeout=20)
    loop.call_soon_threadsafe(stop.set)
    thread.join(timeout=20)
    loop.close()
