"""Damage that reaches below the first check: trees are changed as trees, not only as bytes.

The formats are nested msgpack (or JSON) in which byte strings often hold msgpack again. Flipping a
bit mostly makes something that is not canonical and is refused at once; changing a leaf and writing
the whole anew gets to the rules behind the decoder.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, Final

import msgspec

Mutate = Callable[[bytes, random.Random], bytes]

_INTEGERS: Final = (0, 1, -1, 2, 127, 128, 255, 256, 2**31 - 1, 2**31, 2**53, 2**63 - 1, -(2**63))
_TEXTS: Final = ("", "a", "n1", "n0/../n1", "é", "\x00", "A" * 65, "01" + "0" * 64)
_BYTES: Final = (b"", b"\x00", bytes(32), bytes(33), bytes(64), b"\xff" * 32, b"\x01" * 33)
_DEEPEST: Final = 12


def any_mutation(raw: bytes, source: random.Random) -> bytes:
    """One to three changes, as a tree where the bytes are one."""
    for _ in range(source.choice((1, 1, 2, 3))):
        raw = _changed_tree(raw, source) if source.random() < 0.65 else changed_bytes(raw, source)
    return raw


def changed_bytes(raw: bytes, source: random.Random) -> bytes:
    """Bytes with one flip, cut, insertion, repetition or number put over them."""
    data = bytearray(raw)
    place = source.randrange(len(data) + 1)
    match source.randrange(6):
        case 0 if data:
            data[place % len(data)] ^= 1 << source.randrange(8)
        case 1:
            del data[place : place + source.randint(1, 8)]
        case 2:
            data[place:place] = source.randbytes(source.randint(1, 8))
        case 3:
            data[place:place] = data[place : place + source.randint(1, 64)]
        case 4:
            width = source.choice((1, 2, 4, 8))
            number = source.choice(_INTEGERS) % (1 << 8 * width)
            data[place : place + width] = number.to_bytes(width, "big")
        case _:
            del data[place:]
    return bytes(data)


def _changed_tree(raw: bytes, source: random.Random) -> bytes:
    for read, write in _CODECS:
        try:
            tree = read(raw)
        except (ValueError, msgspec.DecodeError, RecursionError):
            continue
        if isinstance(tree, list | dict):
            try:
                return write(_changed(tree, source, _DEEPEST))
            except (ValueError, TypeError, OverflowError, UnicodeError):
                break
    return changed_bytes(raw, source)


def _read_json(raw: bytes) -> Any:
    if raw[:1] not in (b"{", b"["):
        raise ValueError("not JSON")
    return json.loads(raw)


_CODECS: Final[tuple[tuple[Callable[[bytes], Any], Callable[[Any], bytes]], ...]] = (
    (_read_json, lambda tree: json.dumps(tree, ensure_ascii=False).encode("utf-8")),
    (msgspec.msgpack.decode, msgspec.msgpack.Encoder(order="deterministic").encode),
)


def _changed(node: Any, source: random.Random, depth: int) -> Any:
    """The tree with one place changed; most often a leaf."""
    if depth and isinstance(node, list) and node and source.random() < 0.85:
        place = source.randrange(len(node))
        return [
            _changed(item, source, depth - 1) if at == place else item
            for at, item in enumerate(node)
        ]
    if depth and isinstance(node, dict) and node and source.random() < 0.85:
        chosen = source.choice(list(node))
        return {
            key: _changed(value, source, depth - 1) if key == chosen else value
            for key, value in node.items()
        }
    if isinstance(node, bytes) and len(node) > 8 and source.random() < 0.6:
        return _changed_tree(node, source)
    return _replaced(node, source)


def _replaced(node: Any, source: random.Random) -> Any:
    match node:
        case list() if node and source.random() < 0.8:
            items = list(node)
            place = source.randrange(len(items))
            match source.randrange(4):
                case 0:
                    del items[place]
                case 1:
                    items.insert(place, items[source.randrange(len(items))])
                case 2:
                    source.shuffle(items)
                case _:
                    items += items * source.choice((1, 7, 63))
            return items
        case dict() if node and source.random() < 0.8:
            entries = list(node.items())
            if source.random() < 0.5:
                entries.pop(source.randrange(len(entries)))
            else:
                entries.append((source.choice(_TEXTS), source.choice(entries)[1]))
            return dict(entries)
        case bool():
            return not node
        case int() if source.random() < 0.7:
            return source.choice((node + 1, node - 1, -node, node * 2, *_INTEGERS))
        case str() if source.random() < 0.7:
            return source.choice((node[:-1], node + node, node.upper(), *_TEXTS))
        case bytes() if source.random() < 0.7:
            return source.choice((node[:-1], node + b"\x00", changed_bytes(node, source), *_BYTES))
    return source.choice((None, True, [], {}, 1.5, *_INTEGERS, *_TEXTS, *_BYTES))
