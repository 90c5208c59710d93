"""Private keys on disk.

A key file is JSON: the algorithm, the public key, and the secret, either sealed under a passphrase
(Argon2id of RFC 9106, then XChaCha20-Poly1305 with algorithm and public key as associated data) or,
only where the owner asked for it, in plain hex beside ``"insecure": true``. Signing keys and TLS
keys use the same file, so one key derivation guards them all.
"""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec
from nacl import bindings, pwhash
from nacl.exceptions import CryptoError

from ledger.crypto import suites
from ledger.crypto.keys import SigningKey

FORMAT: Final = "health-ledger-key-1"
PASSPHRASE_VARIABLE: Final = "HEALTH_LEDGER_PASSPHRASE"  # noqa: S105  (a name, not a secret)
PASSPHRASE_FILE_VARIABLE: Final = "HEALTH_LEDGER_PASSPHRASE_FILE"  # noqa: S105

MAX_FILE_BYTES: Final = 16 * 1024
MAX_PASSPHRASE_BYTES: Final = 1024

# RFC 9106 §4, second recommended choice: 64 MiB, three passes. The bounds are for files that we
# read: a forged one must not keep the machine busy for minutes.
PASSES: Final = 3
MEMORY_BYTES: Final = 64 * 1024 * 1024
MAX_PASSES: Final = 16
MAX_MEMORY_BYTES: Final = 256 * 1024 * 1024


class KeyFileError(Exception):
    """A key file that cannot be used; the text names the file."""


class WrongPassphrase(KeyFileError):
    """The passphrase does not open the file, or the file was changed."""


class NoPassphrase(KeyFileError):
    """A passphrase is needed and there is none."""


class InsecureKeyWarning(UserWarning):
    """A key file that others than its owner can read."""


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kdf: str
    passes: int
    memory: int
    salt: str
    cipher: str
    nonce: str
    box: str


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    format: str
    algorithm: str
    public: str
    insecure: bool = False
    secret: str | None = None
    sealed: _Sealed | None = None


class PassphraseSource:
    """Where the passphrase of this run comes from; asked at most once, and only when needed.

    In this order: the variable HEALTH_LEDGER_PASSPHRASE, the first line of the file that
    HEALTH_LEDGER_PASSPHRASE_FILE names, and ``ask``, which a terminal program gives.
    """

    def __init__(
        self,
        ask: Callable[[], str] | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._ask = ask
        self._environment = environment
        self._found: str | None = None

    def __call__(self) -> str:
        """The passphrase; raises `NoPassphrase` when there is none, or an empty one."""
        if self._found is None:
            self._found = self._look()
        return self._found

    def _look(self) -> str:
        passphrase = self._environment.get(PASSPHRASE_VARIABLE)
        where = PASSPHRASE_VARIABLE
        if passphrase is None and (file := self._environment.get(PASSPHRASE_FILE_VARIABLE)):
            passphrase, where = _first_line(Path(file)), file
        if passphrase is None and self._ask is not None:
            passphrase, where = self._ask(), "the passphrase given"
        if passphrase is None:
            raise NoPassphrase(
                f"the keys are sealed: set {PASSPHRASE_VARIABLE} or {PASSPHRASE_FILE_VARIABLE}"
            )
        if not passphrase or len(passphrase.encode()) > MAX_PASSPHRASE_BYTES:
            raise NoPassphrase(f"{where}: empty or longer than {MAX_PASSPHRASE_BYTES} bytes")
        return passphrase


def _first_line(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.readline(MAX_PASSPHRASE_BYTES + 2).rstrip(b"\r\n").decode()
    except (OSError, UnicodeDecodeError) as error:
        raise NoPassphrase(f"cannot read the passphrase file {path}: {error}") from None


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read: whole or not at all, and on the disk afterwards.

    Raises:
        OSError: nothing was written.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), stat.S_IRUSR | stat.S_IWUSR)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def save_secret(
    path: Path,
    algorithm: str,
    public: bytes,
    secret: bytes,
    *,
    passphrase: str | None,
    insecure: bool = False,
) -> None:
    """Write one key file with mode 0600.

    Args:
        path: where; an existing file is replaced.
        algorithm: the name of what the key is for, at most 64 characters.
        public: the public key in the algorithm's own form.
        secret: what is to stay secret.
        passphrase: seals the secret; None only together with ``insecure``.
        insecure: write the secret as it is. Never both.

    Raises:
        ValueError: neither or both of ``passphrase`` and ``insecure``.
        OSError: the file could not be written.
    """
    if (passphrase is not None) == insecure:
        raise ValueError("a key file is either sealed by a passphrase or explicitly insecure")
    if passphrase is None:
        content = _KeyFile(FORMAT, algorithm, public.hex(), insecure=True, secret=secret.hex())
    else:
        salt = secrets.token_bytes(pwhash.argon2id.SALTBYTES)
        nonce = secrets.token_bytes(bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES)
        box = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
            secret,
            _associated(algorithm, public.hex()),
            nonce,
            _derive(passphrase, salt, PASSES, MEMORY_BYTES),
        )
        sealed = _Sealed(
            kdf="argon2id",
            passes=PASSES,
            memory=MEMORY_BYTES,
            salt=salt.hex(),
            cipher="xchacha20-poly1305",
            nonce=nonce.hex(),
            box=box.hex(),
        )
        content = _KeyFile(FORMAT, algorithm, public.hex(), sealed=sealed)
    write_private(path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


def load_secret(path: Path, algorithm: str, passphrase: Callable[[], str]) -> tuple[bytes, bytes]:
    """Read a key file.

    Args:
        path: the file.
        algorithm: what the key must be for.
        passphrase: called only when the file is sealed; a `PassphraseSource` or a function.

    Returns:
        The public key and the secret.

    Raises:
        WrongPassphrase: the passphrase does not open it.
        KeyFileError: it is not there, not readable, or not a key file for ``algorithm``.
    """
    content = _read(path)
    if content.algorithm != algorithm:
        raise KeyFileError(f"{path}: a key for {content.algorithm!r} where {algorithm!r} is needed")
    try:
        public = bytes.fromhex(content.public)
        if content.insecure:
            return public, bytes.fromhex(content.secret or "")
        assert content.sealed is not None
        salt, nonce, box = (
            bytes.fromhex(text)
            for text in (content.sealed.salt, content.sealed.nonce, content.sealed.box)
        )
    except ValueError:
        raise KeyFileError(f"{path}: a value is not hex text") from None
    if (
        len(salt) != pwhash.argon2id.SALTBYTES
        or len(nonce) != bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
        or not pwhash.argon2id.OPSLIMIT_MIN <= content.sealed.passes <= MAX_PASSES
        or not pwhash.argon2id.MEMLIMIT_MIN <= content.sealed.memory <= MAX_MEMORY_BYTES
    ):
        raise KeyFileError(f"{path}: sealing parameters out of bounds")
    try:
        key = _derive(passphrase(), salt, content.sealed.passes, content.sealed.memory)
    except CryptoError:
        raise KeyFileError(f"{path}: not enough memory to derive the key") from None
    try:
        secret = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            box, _associated(content.algorithm, content.public), nonce, key
        )
    except (CryptoError, ValueError):
        raise WrongPassphrase(f"{path}: the passphrase does not open this key file") from None
    return public, secret


def save_key(
    path: Path, key: SigningKey, *, passphrase: str | None, insecure: bool = False
) -> None:
    """Write a signing key as `save_secret` does."""
    algorithm = suites.suite_of(key.public).name
    save_secret(path, algorithm, key.public, key.seed, passphrase=passphrase, insecure=insecure)


def load_key(path: Path, passphrase: Callable[[], str]) -> SigningKey:
    """Read a signing key as `load_secret` does; its public key must be the one in the file."""
    suite_number = suites.DEFAULT_SUITE
    name = suites.by_number(suite_number).name
    public, seed = load_secret(path, name, passphrase)
    try:
        key = SigningKey(seed, suite_number)
    except suites.UnusableKey as error:
        raise KeyFileError(f"{path}: {error}") from None
    if key.public != public:
        raise KeyFileError(f"{path}: the public key in the file is not that of its secret")
    return key


def public_key_of(path: Path) -> bytes:
    """The public key that a file names, without opening it; raises `KeyFileError`."""
    try:
        return bytes.fromhex(_read(path).public)
    except ValueError:
        raise KeyFileError(f"{path}: a value is not hex text") from None


def _read(path: Path) -> _KeyFile:
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            raw = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot read: {error.strerror}") from None
    try:
        if len(raw) > MAX_FILE_BYTES:
            raise KeyFileError(f"{path}: too large for a key file")
        content = msgspec.json.decode(raw, type=_KeyFile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise KeyFileError(f"{path}: not a key file: {error}") from None
    if content.format != FORMAT:
        raise KeyFileError(f"{path}: format {content.format!r}; this software reads {FORMAT!r}")
    if content.insecure != (content.secret is not None) or content.insecure == (
        content.sealed is not None
    ):
        raise KeyFileError(f"{path}: must be either sealed, or insecure with a plain secret")
    sealed = content.sealed
    if sealed and (sealed.kdf, sealed.cipher) != ("argon2id", "xchacha20-poly1305"):
        raise KeyFileError(f"{path}: sealed with {sealed.kdf} and {sealed.cipher}, unknown here")
    if content.insecure and mode & (stat.S_IRWXG | stat.S_IRWXO):
        warnings.warn(
            f"{path}: an insecure key file that others can read; chmod 600 it",
            InsecureKeyWarning,
            stacklevel=4,
        )
    return content


def _derive(passphrase: str, salt: bytes, passes: int, memory: int) -> bytes:
    return pwhash.argon2id.kdf(32, passphrase.encode(), salt, opslimit=passes, memlimit=memory)


def _associated(algorithm: str, public: str) -> bytes:
    return f"{FORMAT}\x00{algorithm}\x00{public}".encode()
