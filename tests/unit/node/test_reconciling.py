"""What the two sides of an exchange wrote down, and what the holder's own log has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.chain.codec import encode
from ledger.node.reading.content import RECEIPT_GRACE
from ledger.node.reconciling import KINDS, Reconciliation, reconcile
from ledger.node.vault.connector import DirectoryConnector
from ledger.node.vault.handed import HandedLog
from ledger.node.vault.vault import Vault

GOOD, OTHER, NAME = b"g" * 32, b"o" * 32, b"n" * 32
NOW = 100 * RECEIPT_GRACE


def decision(identity: str, **changes: Any) -> dict[str, Any]:
    """One that was permitted, released and received as it should."""
    done = {"time": 1_000, "digest": GOOD, "matches": True}
    return {
        "id": identity, "subject": "p-" + "1" * 32, "time": 500, "height": 3, "requester": "s-1",
        "institution": "south", "holder": "east", "purpose": "TREAT", "outcome": "permit",
        "rule": "consent:patient-permits", "kind": "laboratory", "record": NAME, "case": "",
        "digest": GOOD, "confidentiality": "N", "roles": ["physician"], "path": [], "asked": [],
        "obligations": [], "tell": [], "reply_key": bytes(32), "expires": 2_000, "told": 500,
        "review_by": 0, "delete_by": 0, "as_of": {}, "released": done, "received": done, **changes,
    }  # fmt: skip


class Store:
    """The newest state of a chain, as far as it is read here."""

    def __init__(self, *decisions: dict[str, Any]) -> None:
        self.rows: list[tuple[bytes, bytes]] = []
        for each in decisions:
            key = f"access/decisions/{each['id']}".encode()
            early = {**each, "released": None, "received": None}
            self.rows += [(key, row) for row in dict.fromkeys((encode(early), encode(each)))]
        self.values = dict(self.rows)

    def head(self) -> Any:
        class Head:
            height, time = 9, NOW

        return Head

    def newest_row(self) -> int:
        return len(self.rows)

    def rows_of(self, maps: tuple[str, ...], after: int, last: int) -> Any:
        assert maps == ("access/decisions",)
        return self.rows[max(after, 0) : last]

    def value(self, key: bytes) -> bytes | None:
        return self.values.get(key)


@pytest.fixture
def log(tmp_path: Path) -> Any:
    vault = Vault.open(tmp_path / "vault.db", DirectoryConnector(tmp_path))
    yield vault.handed(lambda: 900)
    vault.close()


def handed(log: HandedLog, identity: str, digest: bytes = GOOD, name: bytes = NAME) -> int:
    number = log.begin(identity, name, digest, ("s-1", "south", "TREAT"), 0)
    log.end(number, 100, complete=True)
    return number


def compared(log: HandedLog | None, *decisions: dict[str, Any]) -> Reconciliation:
    return reconcile(Store(*decisions), "east", log)  # type: ignore[arg-type]


def kinds(found: Reconciliation) -> list[tuple[str, str]]:
    return [(each.kind, each.decision) for each in found.discrepancies]


def test_what_fits_is_counted_and_nothing_else_said(log: HandedLog) -> None:
    handed(log, "d1")
    handed(log, "d1")
    found = compared(
        log, decision("d1"), decision("d2", outcome="deny", released=None, received=None)
    )
    assert kinds(found) == []
    assert (found.decisions, found.releases, found.receipts, found.handed) == (2, 1, 1, 2)
    assert set(found.value()["counts"]) == set(KINDS)


def done(digest: bytes = GOOD, time: int = 1_000) -> dict[str, Any]:
    return {"time": time, "digest": digest, "matches": digest == GOOD}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"received": None}, "release-without-receipt"),
        ({"released": None}, "receipt-without-release"),
        ({"released": done(OTHER)}, "release-differs"),
        ({"received": done(OTHER)}, "receipt-differs"),
    ],
)
def test_the_chain_alone_shows_what_the_two_sides_did_not_both_write_down(
    changes: dict[str, Any], expected: str
) -> None:
    found = compared(None, decision("d1", holder="north", **changes))
    assert kinds(found) == [(expected, "d1")]
    (each,) = found.discrepancies
    assert (each.holder, each.institution, each.subject) == ("north", "south", "p-" + "1" * 32)


def test_a_receipt_has_its_time_before_it_is_missed() -> None:
    late, soon = NOW - RECEIPT_GRACE, NOW - RECEIPT_GRACE + 1
    assert kinds(compared(None, decision("d", received=None, released=done(time=soon)))) == []
    assert kinds(compared(None, decision("d", received=None, released=done(time=late)))) != []


def test_what_went_out_and_is_not_on_the_chain_is_found(log: HandedLog) -> None:
    handed(log, "never-heard-of")
    handed(log, "unreleased")
    handed(log, "denied")
    found = compared(
        log, decision("unreleased", released=None, received=None),
        decision("denied", outcome="deny", released=None, received=None),
    )  # fmt: skip
    assert sorted(kinds(found)) == [
        ("handed-out-unrecorded", name) for name in ("denied", "never-heard-of", "unreleased")
    ]


@pytest.mark.parametrize(("digest", "name"), [(OTHER, NAME), (GOOD, OTHER)])
def test_another_record_or_other_bytes_in_the_log_are_found(
    log: HandedLog, digest: bytes, name: bytes
) -> None:
    handed(log, "d1", digest, name)
    assert kinds(compared(log, decision("d1"))) == [("handed-out-differs", "d1")]


def test_a_release_that_the_log_does_not_have_is_found_unless_it_is_older(log: HandedLog) -> None:
    handed(log, "d1")
    found = compared(
        log, decision("d1"), decision("d2"), decision("d3", released=done(time=899)),
        decision("d4", holder="north"),
    )  # fmt: skip
    assert kinds(found) == [("recorded-not-handed-out", "d2")]


def test_an_empty_log_says_nothing_about_releases(log: HandedLog) -> None:
    assert kinds(compared(log, decision("d1"))) == []


def test_an_entry_that_is_no_decision_is_told(log: HandedLog) -> None:
    assert kinds(compared(log, {"id": "odd"})) == [("unreadable", "odd")]


def test_the_log_keeps_what_went_out_in_order(log: HandedLog) -> None:
    assert log.since() is None
    first = handed(log, "d1")
    second = log.begin("d1", NAME, GOOD, ("s-1", "south", "TREAT"), 7)
    entries = list(log)
    assert [entry.number for entry in entries] == [first, second]
    assert (entries[0].sent, entries[0].complete, entries[0].ended) == (100, True, 900)
    assert (entries[1].first, entries[1].complete, entries[1].ended) == (7, False, None)
    assert log.of("d1") == entries
    assert log.of("d2") == []
    assert log.since() == 900
