"""The comparison of both databases."""

from __future__ import annotations

from ledger.bench.stores import measure
from tests.support.postgres import PostgresServer


def test_both_databases_take_the_same_blocks_and_votes(postgres: PostgresServer) -> None:
    figures = measure(postgres.database(), rounds=2, transactions=3)
    names = {"commit_ms", "commits_per_s", "execute_and_commit_ms", "vote_ms", "bytes_per_tx"}
    for kind in ("sqlite", "postgresql", "postgresql_to_sqlite"):
        found = figures[kind]
        assert isinstance(found, dict)
        assert set(found) == names
        assert all(value > 0 for value in found.values())
