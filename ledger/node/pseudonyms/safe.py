"""What a node keeps secret of the keys of pseudonyms: its shares, and what ceremonies need.

Each secret is a file of its own in the home, sealed (XChaCha20-Poly1305) under one random key,
which is itself sealed under every signing key that the node holds; so shares survive a change of
the signing key, and are as well guarded as that key is. A file is bound to its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from nacl import bindings
from nacl.exceptions import CryptoError

from ledger.crypto.hashing import Domain
from ledger.crypto.keyfile import write_private
from ledger.crypto.keys import SigningKey

_WRAP: Final = Domain("share-wrap")
_WRAPS: Final = "wraps.json"
_NAME: Final = re.compile(r"[a-z]+-(?:[A-Za-z0-9._-]{1,140}-)?[0-9]{1,15}")
_NONCE: Final = bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
_KEY_BYTES: Final = 32
#: No secret of ours is larger: a polynomial of a hundred coefficients, and little else.
MAX_BYTES: Final = 64 * 1024


class SafeUnusable(Exception):
    """Secrets that cannot be read or written; the text names the file and nothing that is in it."""


def _seal(key: bytes, name: str, secret: bytes, nonce: bytes) -> bytes:
    box = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(secret, name.encode(), nonce, key)
    return nonce + bytes(box)


def _open(key: bytes, name: str, sealed: bytes) -> bytes:
    return bytes(
        bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed[_NONCE:], name.encode(), sealed[:_NONCE], key
        )
    )


class Safe:
    """The secrets in one directory. Not for two processes at once, which the home's lock prevents.

    Args:
        directory: made at the first secret.
        keys: the signing keys that the node holds now.
        entropy: random bytes, for keys and nonces.
    """

    def __init__(
        self,
        directory: Path,
        keys: Callable[[], Sequence[SigningKey]],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._directory = directory
        self._entropy = entropy
        self._keys = keys

    def put(self, name: str, secret: bytes) -> None:
        """Keep a secret under a name, in the place of one that is there.

        Raises:
            SafeUnusable: it could not be written.
        """
        path = self._path(name)
        key = self._storage_key(make=True)
        assert key is not None
        try:
            write_private(path, _seal(key, name, secret, self._entropy(_NONCE)))
        except OSError as error:
            raise SafeUnusable(f"{path}: {error.strerror}") from None

    def get(self, name: str) -> bytes | None:
        """The secret of a name, None where there is none.

        Raises:
            SafeUnusable: it is there and cannot be opened.
        """
        path = self._path(name)
        try:
            sealed = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SafeUnusable(f"{path}: {error.strerror}") from None
        key = self._storage_key(make=False)
        try:
            if key is None or len(sealed) > MAX_BYTES:
                raise CryptoError
            return _open(key, name, sealed)
        except (CryptoError, ValueError, TypeError):
            raise SafeUnusable(f"{path}: does not open with the keys of this node") from None

    def drop(self, name: str) -> None:
        """Forget a secret; no error where there is none."""
        self._path(name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """The names of all secrets."""
        return sorted(path.stem for path in self._directory.glob("*.box"))

    def rewrap(self) -> None:
        """Let every signing key that the node holds now open the secrets, if there are any."""
        if (self._directory / _WRAPS).exists():
            self._storage_key(make=False)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError("not the name of a secret")
        return self._directory / f"{name}.box"

    def _storage_key(self, *, make: bool) -> bytes | None:
        path = self._directory / _WRAPS
        held = {key.public.hex(): _WRAP(key.seed) for key in self._keys()}
        try:
            wraps = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            if not make:
                return None
            wraps = {}
        except (OSError, msgspec.DecodeError) as error:
            raise SafeUnusable(f"{path}: {error}") from None
        found = self._entropy(_KEY_BYTES) if not wraps else self._unwrapped(wraps, held)
        if found is None:
            raise SafeUnusable(f"{path}: none of the keys of this node opens it")
        if set(held) - set(wraps):
            wraps |= {
                public: _seal(key, _WRAPS, found, self._entropy(_NONCE)).hex()
                for public, key in held.items()
                if public not in wraps
            }
            try:
                self._directory.mkdir(mode=0o700, exist_ok=True)
                write_private(path, msgspec.json.format(msgspec.json.encode(wraps)))
            except OSError as error:
                raise SafeUnusable(f"{path}: {error.strerror}") from None
        return found

    @staticmethod
    def _unwrapped(wraps: dict[str, str], held: dict[str, bytes]) -> bytes | None:
        for public, key in held.items():
            try:
                found = _open(key, _WRAPS, bytes.fromhex(wraps[public]))
            except (KeyError, CryptoError, ValueError, TypeError):
                continue
            if len(found) == _KEY_BYTES:
                return found
        return None
