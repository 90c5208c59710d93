"""What a proposed change would have changed, computed from the chain."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ledger.audit.impact import Impact, measure
from ledger.audit.proposed import NotAChange, from_proposal, from_source
from ledger.audit.source import open_store
from ledger.audit.verify import verify_chain
from ledger.chain.codec import encode
from ledger.chain.store import Store
from ledger.chain.transaction import Call
from ledger.contracts.sources import library_source
from tests.support.contracts import PATIENT, pointer
from tests.support.contracts.stored import StoredWorld

RECORD = pointer()
OTHER = pointer(kind="imaging")
RECOGNITION = library_source("recognition")
#: The same but for the name of the rule, and for the images, which it does not speak of any more.
RENAMED = RECOGNITION.replace('permits("patient-is-checked-in"', 'permits("checked-in"')
STRICT = RENAMED.replace("prelude import Map", "prelude import denies, Map").replace(
    "def decide(request: dict) -> dict:",
    'def decide(request: dict) -> dict:\n    """Not for images."""\n'
    '    if request["kind"] == "imaging":\n        return denies("no-images")',
)
CHIEFS = ["chief", "county-chief", "board-chief"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[StoredWorld]:
    """A chain on which the county's physician asked for a result and for an image."""
    world = StoredWorld(tmp_path / "chain.db")
    world.anchored()
    world.does("city-1", "records", "anchor", pointer=OTHER)
    world.does(PATIENT, "recognition", "check_in", subject=PATIENT, institution="county")
    for record in (RECORD, OTHER):
        assert world.requests("gao", record)["outcome"] == "permit"
    assert world.requests("nurse", RECORD)["outcome"] == "deny"
    yield world
    world.store.close()


def proposed(world: StoredWorld, kind: str, notice: int = 10, **payload: Any) -> int:
    number: int = world.does(
        "chief", "charter", "propose", kind=kind, payload=payload,
        activation=world.height + 1 + notice if notice else 0, reason="guideline", words="why",
    )  # fmt: skip
    return number


def impact(world: StoredWorld, number: int, **more: Any) -> Impact:
    return measure(world.store, from_proposal(number, world.store.value), **more)


def wording(world: StoredWorld, source: str, **more: Any) -> Impact:
    return measure(world.store, from_source("recognition", source, world.store.value), **more)


def test_the_same_wording_flips_nothing_and_proves_the_record(world: StoredWorld) -> None:
    found = wording(world, RECOGNITION + "# the same\n")
    assert (found.replayed, found.flipped, found.exact) == (3, 0, True)
    assert found.rules["recognition:patient-is-checked-in"] == [2, 2]
    assert found.rules["access:nothing-permits"] == [1, 1]


def test_flipped_decisions_are_listed_by_what_flipped(world: StoredWorld) -> None:
    found = wording(world, STRICT)
    assert dict(found.kinds) == {"other-rule": 1, "permit-to-deny": 1}
    other, denied = found.flips
    assert (other.before.rule, other.after.rule) == (
        "recognition:patient-is-checked-in", "recognition:checked-in",
    )  # fmt: skip
    assert (denied.after.outcome, denied.after.rule) == ("deny", "recognition:no-images")
    header = world.store.header(denied.height)
    assert header is not None
    assert header.time == denied.time
    assert world.asks("access", "decision", id=denied.decision)["outcome"] == "permit"
    assert found.as_json()["flips"][1]["link"] == f"/v1/receipts/{denied.transaction}"


def test_a_rule_that_breaks_is_a_failure(world: StoredWorld) -> None:
    found = wording(world, STRICT.replace('denies("no-images")', '{"effect": str(1 // 0)}'))
    assert found.kinds["permit-to-failure"] == 1
    assert found.flips[1].after.rule == "value_error"


def test_a_proposal_is_measured_up_to_the_block_that_it_stands_in(world: StoredWorld) -> None:
    number = proposed(world, "change_contract", name="recognition", source=STRICT)
    opened = world.height
    before = impact(world, number)
    world.requests("gao", OTHER)
    after = impact(world, number)
    assert (before.until, before.digest) == (opened, after.digest)
    assert wording(world, STRICT, until=opened).digest == after.digest
    assert wording(world, STRICT).flipped == before.flipped + 1
    assert wording(world, STRICT, since=opened).replayed == 1


def test_parameters_policies_pauses_and_rollbacks_are_measured_too(world: StoredWorld) -> None:
    shorter = proposed(
        world, "set_parameters_of", name="access", county="", values={"permit_hours": 1}
    )
    found = impact(world, shorter)
    assert dict(found.kinds) == {"other-end": 2}
    assert found.flips[0].after.expires < found.flips[0].before.expires
    fewer = proposed(world, "set_policies", policies=["consent"])
    assert dict(impact(world, fewer).kinds) == {"permit-to-deny": 2}
    paused = proposed(world, "pause", name="recognition", instead="deny")
    found = impact(world, paused)
    assert {flip.after.rule for flip in found.flips} == {"access:policy-paused"}
    impossible = proposed(
        world, "set_parameters_of", name="access", county="", values={"permit_hours": 0}
    )
    found = impact(world, impossible)
    assert found.flipped == 0
    assert [error.partition(":")[0] for error in found.failures] == ["bad_hours"]


def test_members_vote_on_one_report_and_the_chain_verifies_over_the_change(
    world: StoredWorld, tmp_path: Path
) -> None:
    number = proposed(world, "change_contract", notice=8, name="recognition", source=STRICT)
    report = impact(world, number).digest
    for chief in CHIEFS:
        world.does(chief, "charter", "vote", proposal=number, approve=True, report=report)
    found = world.asks("charter", "proposal", number=number)
    assert set(found["ballot"]["reports"].values()) == {report}
    world.reach(found["activation"])
    assert world.requests("gao", OTHER)["rule"] == "recognition:no-images"
    back = proposed(world, "rollback", notice=0, name="recognition", version=1)
    assert dict(impact(world, back).kinds) == {"deny-to-permit": 1}
    for chief in CHIEFS:
        world.does(chief, "charter", "vote", proposal=back, approve=True)
    assert world.requests("gao", OTHER)["outcome"] == "permit"
    report_of = verify_chain(open_store(str(tmp_path / "chain.db")), world.genesis)
    assert report_of.verified, report_of.faults


def test_the_report_is_the_hash_of_bytes_that_anybody_can_write(world: StoredWorld) -> None:
    found = wording(world, STRICT)
    parts = [[1, found.chain, found.subject, found.since, found.until]]
    for flip in found.flips:
        judged = [
            [side.outcome, side.rule, list(side.duties), side.expires]
            for side in (flip.before, flip.after)
        ]
        parts.append([flip.height, bytes.fromhex(flip.transaction), flip.call, flip.kind, *judged])
    parts.append([3, 2, True])
    raw = b"health-ledger/impact-report\x00" + b"".join(map(encode, parts))
    assert found.digest == sha256(raw).hexdigest()
    assert wording(world, STRICT, listed=1).digest == found.digest
    assert len(wording(world, STRICT, listed=1).flips) == 1


def test_a_store_that_a_node_writes_to_is_read_only_read(
    world: StoredWorld, tmp_path: Path
) -> None:
    reader = Store.open(str(tmp_path / "chain.db"), read_only=True)
    try:
        found = measure(reader, from_source("recognition", STRICT, reader.value))
    finally:
        reader.close()
    assert found.digest == wording(world, STRICT).digest


def test_a_record_that_cannot_be_reproduced_is_told(world: StoredWorld) -> None:
    class Other:
        """A store in which the answer to one request was written otherwise."""

        def __init__(self) -> None:
            self.changed = world.height - 1

        def __getattr__(self, name: str) -> Any:
            return getattr(world.store, name)

        def results(self, height: int) -> tuple[bytes, ...] | None:
            found = world.store.results(height)
            if height == self.changed and found:
                return (found[0][:-1] + bytes([found[0][-1] ^ 1]),)
            return found

    # The last byte of the encoded result is of its last event: a flag or a text.
    other = Other()
    found = measure(other, from_source("recognition", STRICT, world.store.value))
    assert (found.exact, found.unproven) == (False, [other.changed])


def test_several_requests_of_one_transaction_are_told_apart(world: StoredWorld) -> None:
    asked = [
        Call("access", "request", {
            "pointer": record, "proof": {}, "purpose": "TREAT", "institution": "county",
            "reply_key": bytes(32),
        })
        for record in (RECORD, OTHER)
    ]  # fmt: skip
    results = world.append(world.transaction("gao", *asked))
    assert [call.ok for call in results] == [True, True]
    found = wording(world, STRICT, since=world.height)
    assert [flip.call for flip in found.flips] == [0, 1]
    assert [flip.kind for flip in found.flips] == ["other-rule", "permit-to-deny"]


def test_what_is_no_change_is_not_measured(world: StoredWorld) -> None:
    with pytest.raises(NotAChange, match="no proposal 9"):
        from_proposal(9, world.store.value)
    with pytest.raises(NotAChange, match="E003 in line 0"):
        from_source("recognition", "def (", world.store.value)
