"""Invalid blocks: each breaks one rule, and is proposed with all the votes of the liar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ledger.chain import merkle
from ledger.chain.block import Block, identities_hash
from ledger.chain.codec import Malformed
from ledger.chain.transaction import decode_transaction
from ledger.consensus.messages import Commit, NewView, Prepare, PrePrepare
from ledger.contracts.blocks import candidate
from ledger.sim.actors.coalition import with_header
from ledger.sim.actors.liar import Liar, Lie
from ledger.sim.actors.speech import Said, proposal_of
from ledger.sim.actors.voting import reproposed
from ledger.sim.oddity import OddMachine

#: Makes an invalid block of a valid one; None where that cannot be done now.
Spoil = Callable[["Liar", Block], Block | None]


def _wrong(field: str) -> Spoil:
    def spoil(liar: Liar, block: Block) -> Block:
        return with_header(block, **{field: liar.random.randbytes(32)})

    return spoil


def _past(liar: Liar, block: Block) -> Block | None:
    store = liar.world.nodes[liar.name].store
    parent = None if store is None else store.header(block.header.height - 1)
    return None if parent is None else with_header(block, time=parent.time)


def _future(_liar: Liar, block: Block) -> Block:
    return with_header(block, time=block.header.time + 365 * 86_400_000)


def _grandparent(liar: Liar, block: Block) -> Block | None:
    store = liar.world.nodes[liar.name].store
    header = None if store is None else store.header(block.header.height - 2)
    return None if header is None else with_header(block, parent=header.hash())


def _elsewhere(_liar: Liar, block: Block) -> Block:
    return with_header(block, height=block.header.height + 1)


def _other_proposer(liar: Liar, block: Block) -> Block:
    return with_header(block, proposer=liar.validators[0])


def _later_view(_liar: Liar, block: Block) -> Block:
    return with_header(block, view=block.header.view + 1)


def _holding(block: Block, transactions: Sequence[bytes]) -> Block:
    """The block with other transactions, and with the hashes in its header that go with them."""
    ids = []
    for raw in transactions:
        try:
            ids.append(decode_transaction(raw).id)
        except Malformed:
            ids.append(bytes(32))
    header = with_header(
        block, transactions_root=merkle.root(transactions), identities=identities_hash(ids)
    ).header
    return Block(header, tuple(transactions))


def _twice(_liar: Liar, block: Block) -> Block | None:
    if not block.transactions:
        return None
    return _holding(block, (*block.transactions, block.transactions[0]))


def _again(liar: Liar, block: Block) -> Block | None:
    """With a transaction that is on the chain already."""
    store = liar.world.nodes[liar.name].store
    if store is None:
        return None
    for height in range(block.header.height - 1, 0, -1):
        earlier = store.block(height)
        if earlier is not None and earlier.transactions:
            return _holding(block, (*block.transactions, earlier.transactions[0]))
    return None


def _unsigned(liar: Liar, block: Block) -> Block | None:
    if not block.transactions:
        return None
    raw = block.transactions[-1]
    spoiled = raw[:-8] + liar.random.randbytes(8)
    return _holding(block, (*block.transactions[:-1], spoiled))


def _garbage(liar: Liar, block: Block) -> Block:
    return _holding(block, (*block.transactions, liar.random.randbytes(100)))


def _expired(liar: Liar, block: Block) -> Block:
    """With a transaction whose validity begins far ahead."""
    world = liar.world
    ticket = world.clients.prepare(liar.name, block.header.height + 5_000)
    world.clients.tickets.remove(ticket)  # no client waits for it
    return _holding(block, (*block.transactions, ticket.transaction.raw))


def _swapped(liar: Liar, block: Block) -> Block:
    """Other transactions under the true header."""
    return Block(block.header, (*block.transactions, liar.random.randbytes(40)))


def _odd(liar: Liar, block: Block) -> Block | None:
    """As a machine computes it that does not do what the others do."""
    node = liar.world.nodes[liar.name].node
    if node is None or node.replica.head.hash() != block.header.parent:
        return None
    return candidate(
        node.replica.tip(),
        OddMachine(),
        proposer=block.header.proposer,
        view=block.header.view,
        time=block.header.time,
        transactions=[decode_transaction(raw) for raw in block.transactions],
    ).block


#: What can be wrong with a block, by a name for it.
SPOILS: Final[dict[str, Spoil]] = {
    "state-root": _wrong("state_root"),
    "results-root": _wrong("results_root"),
    "log-root": _wrong("log_root"),
    "transactions-root": _wrong("transactions_root"),
    "identities": _wrong("identities"),
    "validators": _wrong("validators"),
    "chain": _wrong("chain"),
    "parent": _wrong("parent"),
    "grandparent": _grandparent,
    "height": _elsewhere,
    "proposer": _other_proposer,
    "later-view": _later_view,
    "past": _past,
    "future": _future,
    "twice": _twice,
    "again": _again,
    "unsigned": _unsigned,
    "garbage": _garbage,
    "expired": _expired,
    "swapped": _swapped,
    "odd-machine": _odd,
}


class InvalidBlock(Lie):
    """Proposes blocks that break a rule, and votes for them.

    Args:
        kinds: names from `SPOILS`, one of which is chosen for each block; by default all.
    """

    def __init__(self, *kinds: str) -> None:
        self._kinds = kinds or tuple(SPOILS)
        self._spoiled: dict[bytes, Block | None] = {}

    def instead(self, liar: Liar, peer: str, said: Said) -> Sequence[Said]:
        proposal = proposal_of(said)
        if proposal is not None and proposal.block is not None:
            block = self._spoil(liar, proposal.block)
            if block is None:
                return (said,)
            assert isinstance(said, PrePrepare | NewView)
            return (
                reproposed(liar, said, liar.voice.propose(proposal.height, proposal.view, block)),
            )
        if isinstance(said, Prepare | Commit):
            spoiled = self._spoiled.get(said.digest)
            if spoiled is not None:
                sign = liar.voice.prepare if isinstance(said, Prepare) else liar.voice.commit
                return (sign(said.height, said.view, spoiled.header.hash()),)
        return (said,)

    def _spoil(self, liar: Liar, block: Block) -> Block | None:
        digest = block.header.hash()
        if digest not in self._spoiled:
            kind = liar.random.choice(self._kinds)
            self._spoiled[digest] = SPOILS[kind](liar, block)
        return self._spoiled[digest]
