"""The signing keys of a node: the present one, and the next one before a change of keys.

The chain says which of them is used for what; this node can only hold them or not.
"""

from __future__ import annotations

from collections.abc import Callable

from ledger.chain.constitution import Read, node_keys
from ledger.crypto.keys import SigningKey


class Keyring:
    """Keys by their public halves.

    Args:
        node: this node's id.
        key: the one that it starts with.
        read: reads a state entry of the newest block.
        height: of the newest block.
    """

    def __init__(self, node: str, key: SigningKey, read: Read, height: Callable[[], int]) -> None:
        self._node = node
        self._first = key
        self._keys = {key.public: key}
        self._read = read
        self._height = height

    def add(self, key: SigningKey) -> None:
        """Hold one more key."""
        self._keys[key.public] = key

    @property
    def held(self) -> list[SigningKey]:
        """All keys that are here."""
        return list(self._keys.values())

    def find(self, public: bytes) -> SigningKey | None:
        """The key with that wire public key, if it is here."""
        return self._keys.get(public)

    def newest(self) -> SigningKey:
        """The newest key of this node on the chain that is here, else the one it started with.

        It may sign transactions already, and goes on when the one before it has ended.
        """
        listed = [key for key, _since in node_keys(self._read, self._node)]
        held = [key for public in listed if (key := self.find(public)) is not None]
        return held[-1] if held else self._first

    def in_force(self) -> bytes | None:
        """The public key that signs votes at the next height; None for a node not on the chain."""
        keys = node_keys(self._read, self._node)
        begun = [key for key, since in keys if since <= self._height() + 1]
        return begun[-1] if begun else None
