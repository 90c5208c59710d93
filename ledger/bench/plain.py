"""Contracts run by CPython itself, as a measure for the interpreter.

The same source, compiled by CPython, on the same state. There is no gas, no limit, no rollback and
no copy of what contracts hand to each other, and a hostile contract could do anything: this is for
measuring, and never part of a node.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from ledger.chain import merkle, pointer
from ledger.contracts import prelude
from ledger.contracts.grammar import VERDICTS
from ledger.contracts.machine import BlockContext
from ledger.contracts.meter import Meter
from ledger.contracts.values import pack, unpack
from ledger.crypto import suites

_ENOUGH = Meter(1 << 62)
_LIMIT = 1 << 20


class Refused(Exception):
    """What ``require`` and ``fail`` raise."""


class _Entries:
    """A ``Map`` over the state that all contracts share."""

    def __init__(self, world: PlainWorld, contract: str, name: str) -> None:
        self._world = world
        self._prefix = f"{contract}/{name}/"

    def _key(self, key: Any) -> bytes:
        text = "/".join(map(str, key)) if type(key) is tuple else str(key)
        return (self._prefix + text).encode()

    def __getitem__(self, key: Any) -> Any:
        raw = self._world.read(self._key(key))
        if raw is None:
            raise Refused("missing_key")
        return unpack(raw)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._world.written[self._key(key)] = pack(_ENOUGH, value, _LIMIT)

    def __delitem__(self, key: Any) -> None:
        self._world.written[self._key(key)] = None

    def __contains__(self, key: Any) -> bool:
        return self._world.read(self._key(key)) is not None

    def get(self, key: Any, default: Any = None) -> Any:
        raw = self._world.read(self._key(key))
        return default if raw is None else unpack(raw)


class _Entry:
    """A ``Value`` over the state that all contracts share."""

    def __init__(self, world: PlainWorld, contract: str, name: str) -> None:
        self._world = world
        self._key = f"{contract}/{name}".encode()

    def get(self, default: Any = None) -> Any:
        raw = self._world.read(self._key)
        return default if raw is None else unpack(raw)

    def set(self, value: Any) -> None:
        self._world.written[self._key] = pack(_ENOUGH, value, _LIMIT)


class PlainWorld:
    """Contracts as CPython's own functions. ``written`` is what they wrote, over ``state``."""

    def __init__(
        self,
        sources: Mapping[str, str],
        state: Mapping[bytes, bytes],
        context: BlockContext,
        signers: list[str],
        transaction: str,
    ) -> None:
        self.state = state
        self.written: dict[bytes, bytes | None] = {}
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self._context = context
        self._signers = signers
        self._transaction = transaction
        self._calling = ["", ""]
        self._contracts = {name: self._load(name, source) for name, source in sources.items()}

    def read(self, key: bytes) -> bytes | None:
        written = self.written
        return written[key] if key in written else self.state.get(key)

    def call(self, contract: str, method: str, /, **arguments: Any) -> Any:
        """Run a method; what it wrote stays in ``written``."""
        self._calling.append(contract)
        try:
            return self._contracts[contract][method](**arguments)
        finally:
            self._calling.pop()

    def _load(self, name: str, source: str) -> dict[str, Any]:
        tree = ast.parse(source)
        # The names are bound here; the module would bind those that do nothing outside the ledger.
        tree.body = [node for node in tree.body if not isinstance(node, ast.ImportFrom)]
        namespace: dict[str, Any] = {
            word: getattr(prelude, word) for word in dir(prelude) if not word.startswith("_")
        }
        namespace.update(self._names(name))
        exec(compile(tree, f"<{name}>", "exec"), namespace)  # noqa: S102 - sources of the library
        return namespace

    def _names(self, name: str) -> dict[str, Any]:
        context = self._context

        def emit(event: str, /, **fields: Any) -> None:
            self.events.append((name, event, fields))

        def require(condition: object, code: str, message: str = "") -> None:
            if not condition:
                raise Refused(code)

        def fail(code: str, message: str = "") -> None:
            raise Refused(code)

        return {
            "Map": lambda state: _Entries(self, name, state),
            "Value": lambda state: _Entry(self, name, state),
            "signers": lambda: self._signers,
            "caller": lambda: self._calling[-2],
            "height": lambda: context.height,
            "now": lambda: context.time,
            "transaction": lambda: self._transaction,
            "call_index": lambda: 0,
            "chain": lambda: context.chain,
            "require": require,
            "fail": fail,
            "emit": emit,
            "call": self.call,
            "digest": lambda data: sha256(data).digest(),
            "encode": lambda value: pack(_ENOUGH, value, _LIMIT),
            "from_hex": bytes.fromhex,
            "merkle_root": lambda leaf, index, size, path: merkle.root_from_inclusion(
                merkle.leaf_hash(leaf), index, size, path
            ),
            "verify_signature": lambda key, message, signature: suites.verify(
                bytes.fromhex(key), message, signature
            ),
            "commitment": pointer.commitment,
            "paused": lambda _contract: "",
            **{verb: _verdict(name, effect) for verb, effect in VERDICTS.items()},
        }


def _verdict(contract: str, effect: str) -> Callable[..., dict[str, Any]]:
    def verdict(
        rule: str, /, *, until: int = 0, duties: list[str] | None = None, **facts: Any
    ) -> dict[str, Any]:
        return {
            "effect": effect,
            "rule": rule,
            "contract": contract,
            "version": 1,
            "line": sys._getframe(1).f_lineno,
            "until": until,
            "duties": duties or [],
            "facts": facts,
        }

    return verdict
