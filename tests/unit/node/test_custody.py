"""Keys of the staff in the node's home, and what is done on the chain with them."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from ledger.chain.transaction import Call, decode_transaction
from ledger.contracts.replica import Replica
from ledger.crypto import keyfile
from ledger.crypto.keys import SigningKey
from ledger.node.agent import Agent
from ledger.node.answers import Submission
from ledger.node.custody import Custody, NoHeldKey
from ledger.node.reads import ChainReads
from tests.support.founded import Chain

PERSON = "s-" + "1" * 32
COLLEAGUE = "s-" + "2" * 32


def asked_for_nothing() -> str:
    raise AssertionError("asked for a passphrase that nobody needs")


@pytest.fixture
def custody(tmp_path: Path) -> Custody:
    return Custody(tmp_path / "staff", asked_for_nothing)


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealing that takes no time."""
    monkeypatch.setattr(keyfile, "PASSES", 1)
    monkeypatch.setattr(keyfile, "MEMORY_BYTES", 8192)


def test_a_key_is_kept_for_the_one_person_that_it_was_given_for(custody: Custody) -> None:
    key = SigningKey.generate()
    custody.take(PERSON, key, passphrase=None)
    assert custody.key_of(PERSON).public == key.public
    assert custody.people() == {PERSON: key.public}
    assert custody.holds(PERSON)
    with pytest.raises(NoHeldKey):
        custody.key_of(COLLEAGUE)


def test_a_sealed_key_opens_with_the_passphrase_of_the_node_once(
    tmp_path: Path, cheap: None
) -> None:
    asked: list[None] = []

    def passphrase() -> str:
        asked.append(None)
        return "of the node"

    custody = Custody(tmp_path / "staff", passphrase)
    key = SigningKey.generate()
    custody.take(PERSON, key, passphrase="of the node")
    for _ in range(3):
        assert custody.key_of(PERSON).public == key.public
    assert len(asked) == 1
    assert custody.people() == {PERSON: key.public}
    with pytest.raises(NoHeldKey):
        Custody(tmp_path / "staff", lambda: "another").key_of(PERSON)
    assert key.seed.hex() not in (tmp_path / "staff" / f"{PERSON}.key").read_text()


def test_a_running_node_notices_what_is_added_replaced_and_taken_away(tmp_path: Path) -> None:
    running = Custody(tmp_path / "staff", asked_for_nothing)
    command = Custody(tmp_path / "staff", asked_for_nothing)
    for _ in range(2):
        key = SigningKey.generate()
        command.take(PERSON, key, passphrase=None)
        assert running.key_of(PERSON).public == key.public
    command.drop(PERSON)
    assert not running.holds(PERSON)
    with pytest.raises(NoHeldKey):
        running.key_of(PERSON)
    command.drop(PERSON)


@pytest.mark.parametrize(
    "person", ["", "..", "../node", "a/b", "/etc/passwd", ".hidden", "a\0b", "x" * 65, "張"]
)
def test_an_id_that_could_be_a_path_has_no_key(
    custody: Custody, tmp_path: Path, person: str
) -> None:
    (tmp_path / "node.key").write_text("{}")
    with pytest.raises(NoHeldKey):
        custody.key_of(person)
    with pytest.raises(NoHeldKey):
        custody.take(person, SigningKey.generate(), passphrase=None)
    assert not custody.holds(person)


def test_a_file_that_is_no_key_is_nobodys(custody: Custody, tmp_path: Path) -> None:
    (tmp_path / "staff").mkdir()
    (tmp_path / "staff" / f"{PERSON}.key").write_text("{")
    assert custody.people() == {}
    with pytest.raises(NoHeldKey):
        custody.key_of(PERSON)


class Mailbox:
    """Takes transactions in, and makes a block when somebody waits."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.waiting: list[bytes] = []
        self.refusal = ""
        self.stuck = False

    def submit(self, raws: list[bytes]) -> list[Submission]:
        self.waiting = raws
        code = self.refusal or "accepted"
        return [Submission(id=None, accepted=not self.refusal, code=code) for _ in raws]

    async def wait(self, tx_id: bytes, timeout_s: float) -> None:
        if not self.stuck:
            self.chain.append(*map(decode_transaction, self.waiting))


@pytest.fixture
def mailbox(chain: Chain) -> Mailbox:
    return Mailbox(chain)


@pytest.fixture
def agent(chain: Chain, mailbox: Mailbox) -> Agent:
    replica: Replica = chain.replica
    node = chain.consortium.nodes["east-1"]
    reads = ChainReads(replica.store)
    return Agent(lambda: node, replica, mailbox, reads, secrets.token_bytes)  # type: ignore[arg-type]


def enrolment(person: str, key: SigningKey) -> Call:
    arguments = {
        "id": person,
        "institution": "east",
        "roles": ["nurse"],
        "keys": [key.public.hex()],
    }
    return Call("registry", "enrol", arguments)


async def test_what_is_done_for_staff_is_signed_by_the_person_and_then_by_the_node(
    chain: Chain, agent: Agent
) -> None:
    registrar = chain.consortium.account("east-governor").key
    acted = await agent.act([registrar], [enrolment(PERSON, SigningKey.generate())])
    assert acted.result.ok
    block = chain.replica.store.block(acted.height)
    assert block is not None
    (raw,) = block.transactions
    transaction = decode_transaction(raw)
    node = chain.consortium.nodes["east-1"]
    assert transaction.id == acted.tx_id
    assert transaction.body.signers == (registrar.public, node.public)


async def test_calls_of_one_act_stand_or_fall_together_where_that_is_asked(
    chain: Chain, agent: Agent
) -> None:
    registrar = chain.consortium.account("east-governor").key
    good, bad = SigningKey.generate(), chain.consortium.account("east-physician").key
    calls = [enrolment(PERSON, good), enrolment(COLLEAGUE, bad)]
    whole = await agent.act([registrar], calls, atomic=True)
    assert [call.ok for call in whole.result.calls] == [False, False]
    apart = await agent.act([registrar], calls)
    assert [call.ok for call in apart.result.calls] == [True, False]


async def test_an_act_that_is_refused_or_not_final_says_so(agent: Agent, mailbox: Mailbox) -> None:
    mailbox.refusal = "pool_full"
    with pytest.raises(PermissionError, match="pool_full"):
        await agent.act([], [Call("registry", "enrol", {})])
    mailbox.refusal, mailbox.stuck = "", True
    with pytest.raises(TimeoutError):
        await agent.act([], [Call("registry", "enrol", {})])
