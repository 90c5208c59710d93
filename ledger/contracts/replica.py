"""One copy of a chain: a store, the state tree over it, and the rules that extend it.

A replica is what a node, the simulator and the auditor have in common. It is not safe for several
threads: whoever owns it calls it from one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ledger.chain.block import Block, Certificate, Header, ValidatorSet, verify_certificate
from ledger.chain.constitution import Parameters, parameters_at, validators_at
from ledger.chain.genesis import Genesis
from ledger.chain.snapshot import Anchor
from ledger.chain.statetree import StateTree
from ledger.chain.store import Store
from ledger.contracts import blocks
from ledger.contracts.blocks import Executed, Tip
from ledger.contracts.machine import Machine

#: Entries of one generation of the value cache; two generations are kept.
_CACHE_ENTRIES = 40_000


class _ValueCache:
    """State values in memory, in two generations: the older one is dropped whole when the younger
    is full, which costs nothing per read and keeps what is read often.

    They are those after the block at ``height``, also while the store holds one more that the
    replica does not know to be stored.
    """

    def __init__(self, store: Store, height: int, entries: int = _CACHE_ENTRIES) -> None:
        self._store = store
        self._height = height
        self._entries = entries
        self._young: dict[bytes, bytes | None] = {}
        self._old: dict[bytes, bytes | None] = {}

    def read(self, key: bytes) -> bytes | None:
        if key in self._young:
            return self._young[key]
        value = self._old[key] if key in self._old else self._store.value(key, self._height)
        self._put(key, value)
        return value

    def begin(self, height: int) -> None:
        """The store holds another state now."""
        self._height = height
        self._young, self._old = {}, {}

    def write(self, writes: dict[bytes, bytes | None], height: int) -> None:
        """A block was stored at this height."""
        self._height = height
        for key, value in writes.items():
            self._put(key, value)

    def _put(self, key: bytes, value: bytes | None) -> None:
        if len(self._young) >= self._entries:
            self._old, self._young = self._young, {}
        self._young[key] = value


@dataclass(frozen=True, slots=True)
class Position:
    """The newest block, and who decides about the next one by which parameters."""

    head: Header
    validators: ValidatorSet
    parameters: Parameters


def _after(head: Header, read: Callable[[bytes], bytes | None]) -> Position:
    height = head.height + 1
    return Position(head, validators_at(read, height), parameters_at(read, height))


class Replica:
    """The chain as one member holds it, always at a block boundary.

    ``position`` changes as a whole, so that other threads may look at it.
    """

    def __init__(self, store: Store, machine: Machine | None = None) -> None:
        """Open the chain that the store holds; raises `ValueError` for a store without one."""
        genesis = store.genesis()
        head = store.head()
        if genesis is None or head is None:
            raise ValueError("the store holds no chain")
        self.store = store
        self.genesis = genesis
        self.machine = machine or Machine()
        self._cache = _ValueCache(store, head.height)
        self.read = self._cache.read
        self._tree = StateTree(store)
        self._log = store.log()
        self.position = _after(head, self.read)

    @classmethod
    def found(cls, store: Store, genesis: Genesis, machine: Machine | None = None) -> Replica:
        """Run the genesis in an empty store and open the chain that it starts."""
        machine = machine or Machine()
        execution = machine.genesis(genesis)
        tree = StateTree(store)
        update = tree.update(execution.writes, 0)
        header = blocks.genesis_header(
            genesis.chain_id(), genesis.created, update.root, execution.writes.get
        )
        store.initialise(genesis, header, execution.writes, update.tiles)
        return cls(store, machine)

    @classmethod
    def open(cls, store: Store, genesis: Genesis) -> Replica:
        """The chain of a genesis, founded now if the store is empty.

        Raises:
            ValueError: the store holds another chain.
        """
        stored = store.genesis()
        if stored is None:
            return cls.found(store, genesis)
        if stored.chain_id() != genesis.chain_id():
            raise ValueError("the store holds another chain than genesis.json")
        return cls(store)

    def begin_at(self, anchor: Anchor) -> None:
        """Go on from a snapshot instead of from the present head.

        Raises:
            Incomplete: pieces are missing.
            StoreUnusable, StoreFull, StoreBusy: nothing was stored; the replica is where it was.
            StoreAway: the same, but it may have been stored: to be called again.
        """
        self.store.begin_at(anchor)
        self._cache.begin(anchor.header.height)
        self._tree = StateTree(self.store)
        self._log = self.store.log()
        self.position = _after(anchor.header, self.read)

    @property
    def head(self) -> Header:
        """The newest block's header."""
        return self.position.head

    @property
    def validators(self) -> ValidatorSet:
        """Who decides about the next block."""
        return self.position.validators

    @property
    def parameters(self) -> Parameters:
        """The parameters of the next block."""
        return self.position.parameters

    def tip(self) -> Tip:
        """Where the next block goes."""
        return Tip(
            header=self.head,
            log_root=self._log.root(),
            read=self.read,
            tree=self._tree,
            known=self.store.seen,
            validators=self.validators,
            parameters=self.parameters,
        )

    def commit(self, executed: Executed, certificate: Certificate) -> None:
        """Store a block that was executed on the present tip, in one database transaction.

        Raises:
            StoreUnusable, StoreFull, StoreBusy: nothing was stored; the replica is where it was.
            StoreAway: the same, but it may have been stored: to be called again with this block.
        """
        header, writes = executed.block.header, executed.writes
        # Everything that reads comes before the commit: what follows it cannot fail.
        following = _after(header, lambda key: writes[key] if key in writes else self.read(key))
        self.store.commit(
            executed.block,
            certificate,
            executed.encoded_results,
            writes,
            executed.update.tiles,
            [transaction.id for transaction in executed.transactions],
        )
        self._tree.adopt(executed.update)
        self._cache.write(writes, header.height)
        self._log.append(header.hash())
        self.position = following

    def extend(self, block: Block, certificate: Certificate) -> Executed:
        """Check a certified block from somebody else, execute it and store it.

        Raises:
            InvalidCertificate: nobody vouches for the block.
            BlockFault: a quorum vouches for a block that breaks the rules, or this node computes
                something else than they did.
        """
        verify_certificate(block.header, certificate, self.validators)
        executed = blocks.check(self.tip(), self.machine, block)
        self.commit(executed, certificate)
        return executed
