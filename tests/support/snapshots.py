"""Fetching a snapshot from one store into another without anything between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ledger.chain import supplier
from ledger.chain.handover import Trust
from ledger.chain.snapshot import Anchor, Introduction, children, read_chunk, read_trail
from ledger.chain.staging import Staging, chunk_item, trace_item
from ledger.chain.store import Store

#: What comes out of a store, changed on its way: kind and bytes.
Tamper = Callable[[str, bytes], bytes]


class Trusted(Protocol):
    """Something of which somebody knows the genesis."""

    @property
    def trust(self) -> Trust: ...


@dataclass(frozen=True, slots=True)
class Known:
    """The genesis of a chain, and nothing else of it."""

    trust: Trust


class Founded(Protocol):
    """A chain of which somebody knows how it began."""

    @property
    def trust(self) -> Trust: ...

    def found(self, path: Path) -> Store:
        """A store that holds its genesis and nothing else."""


def honest(_kind: str, raw: bytes) -> bytes:
    return raw


def introduce(chain: Trusted, store: Store, height: int, tamper: Tamper = honest) -> Anchor:
    """The verified manifest of a snapshot that ``store`` gives of a chain."""
    introduction = Introduction(chain.trust, height)
    while True:
        raw = supplier.manifest(store, height, introduction.known)
        assert raw is not None, f"no snapshot of block {height}"
        anchor = introduction.take(tamper("manifest", raw))
        if anchor is not None:
            return anchor


def fetch_state(
    source: Store, staging: Staging, anchor: Anchor, tamper: Tamper = honest, limit: int = 10**9
) -> int:
    """Fetch what is missing of the state; returns how many chunks were asked for."""
    header = anchor.header
    wanted = [(b"", header.state_root)]
    asked = 0
    while wanted:
        path, expected = wanted.pop()
        chunk = staging.chunk(path, expected)
        if chunk is None:
            if asked == limit:
                break
            asked += 1
            raw = supplier.chunk(source, header.height, path)
            assert raw is not None, f"no chunk at {path.hex()}"
            raw = tamper("chunk", raw)
            chunk = read_chunk(raw, path, expected)
            staging.put([chunk_item(path, expected, raw)])
        wanted += children(path, chunk.slots)
    return asked


def fetch_trail(
    source: Store, staging: Staging, anchor: Anchor, tamper: Tamper = honest, count: int = 3
) -> None:
    """Fetch the whole trail, ``count`` heights at a time."""
    height, expected = anchor.header.height, anchor.header.hash()
    while height >= anchor.oldest:
        raw = supplier.trail(source, height, min(count, height - anchor.oldest + 1))
        assert raw is not None, f"no trail at {height}"
        traces = read_trail(tamper("trail", raw), height, anchor.header.chain)
        assert traces[-1].header.hash() == expected
        staging.put([trace_item(trace) for trace in traces])
        height, expected = traces[0].header.height - 1, traces[0].header.parent


def join(chain: Founded, source: Store, path: Path | str, height: int) -> Store:
    """A new store that begins with a snapshot of a chain."""
    store = chain.found(path)
    anchor = introduce(chain, source, height)
    fetch_state(source, store.staging(), anchor)
    fetch_trail(source, store.staging(), anchor)
    store.begin_at(anchor)
    return store
