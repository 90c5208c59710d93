"""Keeping a tally between two runs, so that the next one reads the new blocks only."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.audit.indicators.tally import Item, Tally

FORMAT = 1


class NotKept(ValueError):
    """A file that is not what an earlier run kept."""


@dataclass(slots=True)
class Kept:
    """How far a tally has come: id of the chain in hex, the first height that was read, and height,
    hash in hex and time of the last one. Before any was read, the height is the one before."""

    chain: str
    start: int = 1
    height: int = 0
    head: str = ""
    time: int = 0
    tally: Tally = field(default_factory=Tally)


def save(kept: Kept, path: Path) -> None:
    """Write a tally; an earlier file is replaced as a whole. Raises `OSError`."""
    tally = kept.tally
    value = {
        "format": FORMAT,
        "chain": kept.chain,
        "start": kept.start,
        "height": kept.height,
        "head": kept.head,
        "time": kept.time,
        "counts": [[*key, number] for key, number in tally.counts.items()],
        "times": [[*key, number] for key, number in tally.times.items()],
        "shares": [[*key, number] for key, number in tally.shares.items()],
        "items": [[*key, item.institution, item.states] for key, item in tally.items.items()],
    }
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    beside.replace(path)


def load(path: Path) -> Kept:
    """Read what `save` wrote; raises `NotKept` or `OSError`."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        if value["format"] != FORMAT:
            raise NotKept(f"{path}: format {value['format']}, this is {FORMAT}")
        tally = Tally(
            counts=_counter(value["counts"]),
            times=_counter(value["times"]),
            shares=_counter(value["shares"]),
            items={
                (family, identity): Item(
                    institution, [(since, state, until) for since, state, until in states]
                )
                for family, identity, institution, states in value["items"]
            },
        )
        return Kept(
            str(value["chain"]), int(value["start"]), int(value["height"]), str(value["head"]),
            int(value["time"]), tally,
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, NotKept):
            raise
        raise NotKept(f"{path}: not a file that an earlier run kept: {error}") from None


def _counter(rows: list[list[Any]]) -> Counter[Any]:
    return Counter({tuple(key): number for *key, number in rows})
