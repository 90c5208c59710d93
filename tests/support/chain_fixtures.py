"""Fixtures of the tests that need a chain: import them into a conftest."""

import itertools

import pytest

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
