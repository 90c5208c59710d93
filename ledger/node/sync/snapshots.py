"""Taking a snapshot from peers: several at once, several requests with each, whoever gives out.

A piece is checked by itself, so it does not matter who sends which. A peer that sends a false one
is named and asked for nothing any more; one that is silent or gone is replaced by others, which
are asked for what it still owed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from ledger.chain import supplier
from ledger.chain.codec import Malformed
from ledger.chain.compression import decompress
from ledger.chain.database.errors import StoreAway, StoreBusy, StoreFull
from ledger.chain.handover import Trust
from ledger.chain.snapshot import (
    MAX_CHUNK_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_TRAIL_BYTES,
    Anchor,
    Introduction,
    InvalidSnapshot,
)
from ledger.chain.staging import Incomplete
from ledger.chain.store import Store
from ledger.node.net.frames import Chunk, Frame, GetChunk, GetManifest, GetTrail, Manifest, Trail
from ledger.node.sync.peers import Peers
from ledger.node.sync.plan import Lie, Plan, Request

_log = structlog.get_logger(__name__)

#: Requests that one peer may have to answer at a time: at first, and at most. A line of 1 Mbit/s
#: and 200 ms each way holds 50 KB: four large pieces fill it, or thirty small ones. A peer need not
#: take more than `ledger.node.sync.provider.MAX_WAITING`.
FIRST_WINDOW: Final = 4.0
LARGEST_WINDOW: Final = 30.0
#: The window shrinks where an answer takes longer than this, in seconds, and grows where it does
#: not: more in flight would only wait, and make others wait.
TARGET_SECONDS: Final = 3.0
#: How long to wait where there is no room for the pieces, in seconds.
PAUSE_SECONDS: Final = 5.0
#: A snapshot that the chain has left so many thresholds behind is given up for a newer one; what
#: has arrived serves that as well.
_ROUNDS: Final = 3

#: What peers answer with.
Answer = Manifest | Chunk | Trail


def request_of(answer: Answer) -> object:
    """What tells to which request an answer belongs."""
    match answer:
        case Chunk(height, path):
            return ("chunk", height, path)
        case Trail(top):
            return ("trail", top)
        case Manifest(_height, known):
            return ("manifest", known)


def _key(request: Request | GetManifest) -> object:
    match request:
        case GetChunk(height, path):
            return ("chunk", height, path)
        case GetTrail(top):
            return ("trail", top)
        case GetManifest(_height, known):
            return ("manifest", known)


@dataclass(slots=True)
class _Source:
    """A peer that pieces are fetched from. ``asked``: what it owes, and since when."""

    node: str
    window: float = FIRST_WINDOW
    heard: float = 0.0
    asked: dict[object, tuple[Request, float]] = field(default_factory=dict)


class SnapshotSync:
    """Fetches one snapshot at a time.

    Args:
        trust: what the genesis says.
        store: the node's own; pieces are staged in it.
        peers: who is there, and who may be believed.
        send: puts a frame on the way to a peer; False when the peer is not connected.
        adopt: makes a snapshot whose pieces are all staged the node's chain; raises `Incomplete`.
        gap: how many blocks a finished snapshot may lie behind the chain.
    """

    def __init__(
        self,
        trust: Trust,
        store: Store,
        peers: Peers,
        send: Callable[[str, Frame], bool],
        adopt: Callable[[Anchor], Awaitable[None]],
        *,
        gap: int,
    ) -> None:
        self._trust = trust
        self._store = store
        self._peers = peers
        self._send = send
        self._adopt = adopt
        self._gap = gap
        self._arrivals: asyncio.Queue[tuple[str, Answer | None]] = asyncio.Queue()
        self._sources: dict[str, _Source] = {}
        self._plan: Plan | None = None
        self._introducing = ""

    @property
    def progress(self) -> str:
        """What is being fetched, in words; empty when nothing is."""
        plan = self._plan
        if plan is None:
            return ""
        return (
            f"taking a snapshot of block {plan.anchor.header.height}: {plan.pieces} pieces, "
            f"{plan.bytes // 1024} KiB"
        )

    def arrived(self, node: str, answer: Answer) -> None:
        """An answer came in; one that was not asked for is dropped."""
        source = self._sources.get(node)
        owed = source is not None and request_of(answer) in source.asked
        if owed or (node == self._introducing and isinstance(answer, Manifest)):
            self._arrivals.put_nowait((node, answer))

    def lost(self, node: str) -> None:
        """A peer is no longer connected."""
        if node in self._sources or node == self._introducing:
            self._arrivals.put_nowait((node, None))

    async def run(self, beyond: int = 0) -> bool:
        """Take the newest snapshot that is to be had; False where there is none.

        Args:
            beyond: one of a block up to this height is not taken.
        """
        beyond = max(beyond, self._store.height())
        try:
            for rounds in range(_ROUNDS, 0, -1):
                anchor = await self._introduce(beyond)
                if anchor is None:
                    return False
                if not await self._fetch(anchor):
                    return False
                if rounds > 1 and self._peers.target - anchor.header.height > self._gap:
                    continue
                try:
                    await self._adopt(anchor)
                except Incomplete as fault:
                    _log.error("snapshot_incomplete", error=str(fault))
                    await asyncio.to_thread(self._store.staging().clear)
                    continue
                return True
            return False
        except (StoreFull, StoreBusy, StoreAway) as error:
            # What is staged stays, and the next attempt goes on from it.
            _log.error("snapshot_interrupted", error=str(error))
            await asyncio.sleep(PAUSE_SECONDS)
            return False
        finally:
            self._plan = None
            self._sources.clear()

    # --- the manifest --------------------------------------------------------------------------

    async def _introduce(self, beyond: int) -> Anchor | None:
        """A verified manifest of the newest snapshot that a peer gives."""
        asked: set[str] = set()
        while True:
            candidates = sorted(
                (claim, node)
                for claim, node in self._peers.believed()
                if claim > beyond and node not in asked
            )
            if not candidates:
                return None
            claim, node = candidates[-1]
            asked.add(node)
            try:
                anchor = await self._manifest(node, claim, beyond)
            except InvalidSnapshot as fault:
                self._peers.lied(node, fault.rule, str(fault))
                continue
            if anchor is not None:
                return anchor

    async def _manifest(self, node: str, claim: int, beyond: int) -> Anchor | None:
        """The manifest of a peer's newest snapshot, page by page; None where it gives none."""
        introduction: Introduction | None = None
        known = 0
        while True:
            height = 0 if introduction is None else introduction.height
            page = await self._page(node, GetManifest(height, known))
            if page is None:
                return None
            if not page.content:
                self._peers.shun(node, "gives no snapshot")
                return None
            if introduction is None:
                if page.height <= beyond or page.height + self._gap < claim:
                    self._peers.shun(node, f"claims block {claim}, gives block {page.height}")
                    return None
                introduction = Introduction(self._trust, page.height)
            try:
                raw = decompress(page.content, MAX_MANIFEST_BYTES)
            except Malformed as fault:
                raise InvalidSnapshot("malformed", str(fault)) from None
            anchor = await asyncio.to_thread(introduction.take, raw)
            if anchor is not None:
                return anchor
            known = introduction.known

    async def _page(self, node: str, request: GetManifest) -> Manifest | None:
        """One page from a peer; None where it is gone or silent."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        self._drain()
        self._introducing = node
        try:
            if not self._send(node, request):
                self._peers.gone(node)
                return None
            while True:
                async with asyncio.timeout_at(begun + self._peers.patience(node)):
                    who, answer = await self._arrivals.get()
                if who != node:
                    continue
                if answer is None:
                    return None
                if isinstance(answer, Manifest) and answer.known == request.known:
                    self._peers.answered(node, loop.time() - begun)
                    return answer
        except TimeoutError:
            self._peers.silent(node)
            return None
        finally:
            self._introducing = ""

    def _drain(self) -> None:
        while not self._arrivals.empty():
            self._arrivals.get_nowait()

    # --- the pieces ----------------------------------------------------------------------------

    async def _fetch(self, anchor: Anchor) -> bool:
        """Stage every piece of a snapshot; False where no peer has it any more."""
        header = anchor.header
        _log.info("snapshot_begun", height=header.height, block=header.hash().hex())
        self._drain()
        self._sources.clear()
        without: set[str] = set()
        plan = self._plan = await asyncio.to_thread(
            Plan, anchor, self._store.staging(), self._own_state()
        )
        while True:
            await self._ask(plan, without)
            if plan.done:  # perhaps with what was here already, and nothing asked of anybody
                break
            if not any(source.asked for source in self._sources.values()):
                return False
            await self._receive(plan, without)
        _log.info("snapshot_fetched", height=header.height, pieces=plan.pieces, bytes=plan.bytes)
        return True

    def _own_state(self) -> Callable[[bytes, bytes], bytes | None]:
        """Gives chunks that are in the node's old state already."""
        store, height = self._store, self._store.height()

        def own(path: bytes, expected: bytes) -> bytes | None:
            if supplier.subtree_hash(store, height, path) != expected:
                return None
            return supplier.own_chunk(store, height, path)

        return own

    def _choose(self, height: int, without: set[str]) -> None:
        """Take every peer for a source that should have the snapshot."""
        for claim, node in self._peers.believed():
            if claim >= height and node not in without and node not in self._sources:
                self._sources[node] = _Source(node)

    async def _ask(self, plan: Plan, without: set[str]) -> None:
        """Give each source as much to do as it can take, in turns."""
        loop = asyncio.get_running_loop()
        self._choose(plan.anchor.header.height, without)
        hungry = list(self._sources.values())
        while hungry:
            for source in list(hungry):
                if len(source.asked) >= int(source.window):
                    hungry.remove(source)
                    continue
                request = await asyncio.to_thread(plan.next)
                if request is None:
                    return
                if not self._send(source.node, request):
                    plan.give_back(request)
                    self._peers.gone(source.node)
                    self._drop(source, plan)
                    hungry.remove(source)
                    continue
                now = loop.time()
                if not source.asked:
                    source.heard = now
                source.asked[_key(request)] = (request, now)

    async def _receive(self, plan: Plan, without: set[str]) -> None:
        """Take the next answer, or give up a source that is silent."""
        loop = asyncio.get_running_loop()
        deadlines = [
            (source.heard + self._peers.patience(source.node), source)
            for source in self._sources.values()
            if source.asked
        ]
        due, silent = min(deadlines, key=lambda item: item[0])
        try:
            async with asyncio.timeout_at(due):
                node, answer = await self._arrivals.get()
        except TimeoutError:
            self._peers.silent(silent.node)
            self._drop(silent, plan)
            return
        source = self._sources.get(node)
        if source is None:
            return
        if answer is None or isinstance(answer, Manifest):
            self._drop(source, plan)
            return
        request, since = source.asked.pop(request_of(answer), (None, 0.0))
        if request is None:
            return
        now = loop.time()
        source.heard = now
        self._peers.answered(node, now - since)
        _resize(source, now - since)
        if not answer.content:
            plan.give_back(request)
            without.add(node)
            self._drop(source, plan)
            return
        await self._take(plan, source, request, answer)

    async def _take(
        self, plan: Plan, source: _Source, request: Request, answer: Chunk | Trail
    ) -> None:
        limit = MAX_CHUNK_BYTES if isinstance(request, GetChunk) else MAX_TRAIL_BYTES
        try:
            raw = decompress(answer.content, limit)
            await asyncio.to_thread(plan.take, request, source.node, raw)
        except Malformed as fault:
            plan.give_back(request)
            self._accuse(plan, source.node, "malformed", str(fault))
        except Lie as lie:
            self._accuse(plan, lie.sender, lie.fault.rule, str(lie.fault))

    def _accuse(self, plan: Plan, node: str, rule: str, explanation: str) -> None:
        self._peers.lied(node, rule, explanation)
        liar = self._sources.get(node)
        if liar is not None:
            self._drop(liar, plan)

    def _drop(self, source: _Source, plan: Plan) -> None:
        """Ask others for what a source still owes."""
        self._sources.pop(source.node, None)
        for request, _since in source.asked.values():
            plan.give_back(request)
        source.asked.clear()


def _resize(source: _Source, seconds: float) -> None:
    """Follow how long an answer took."""
    if seconds > TARGET_SECONDS:
        source.window = max(1.0, source.window * 0.7)
    else:
        source.window = min(LARGEST_WINDOW, source.window + 1 / source.window)
