"""The people who run the node: what each may look at, and nothing of what the node's users may.

An operator has a long random token; the file ``signin/operators.json`` of the home has its SHA-256
hash. Random tokens of 256 bits need no slow hash: there is nothing to guess. Roles: ``monitor`` (is
it well), ``records`` (the chain and the vault's work), ``security`` (sign-ins, sessions).
"""

from __future__ import annotations

import hmac
import re
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

import msgspec

from ledger.api.principal import Kind, Principal
from ledger.api.signin.refusal import Refused, Why
from ledger.crypto.keyfile import write_private

FORMAT: Final = "health-ledger-operators-1"
PREFIX: Final = "hlo."
MAX_FILE_BYTES: Final = 1024 * 1024
ROLES: Final = ("monitor", "records", "security")
#: The operator behind the one token of ``node run --token``.
API_OPERATOR: Final = "api"

Role = Literal["monitor", "records", "security"]

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


class OperatorsUnusable(Exception):
    """The file of operators cannot be used; the text names it."""


class Operator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``hashes``: of the tokens that are good, hex; two while one is being replaced."""

    name: str
    roles: tuple[Role, ...]
    hashes: tuple[str, ...]


class _OperatorsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    operators: tuple[Operator, ...]


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


class Operators:
    """Reads and changes the file. A change of the file is noticed at the next question.

    Args:
        path: the file; it need not exist.
        token: the token of the node's one API credential, if it has one.
    """

    def __init__(self, path: Path, token: str | None = None) -> None:
        self._path = path
        self._token = None if token is None else _digest(token)
        self._stamp: tuple[int, int, int] | None = None
        self._known: dict[str, Operator] = {}

    @property
    def any(self) -> bool:
        """Whether there is anybody who could sign in; raises `OperatorsUnusable`."""
        return self._token is not None or bool(self.listed())

    def principal(self, token: str) -> Principal | None:
        """Whose token this is; None where it is not made like an operator's.

        Raises:
            Refused: it looks like one, and is nobody's.
        """
        digest = _digest(token)
        if self._token is not None and hmac.compare_digest(digest, self._token):
            return _principal(API_OPERATOR, ("monitor", "records"), digest)
        if not token.startswith(PREFIX):
            return None
        name = token[len(PREFIX) :].partition(".")[0]
        try:
            operator = self.listed().get(name)
        except OperatorsUnusable:
            raise Refused(Why.UNREACHABLE) from None
        if operator is None:
            raise Refused(Why.UNKNOWN_TOKEN)
        if not any(hmac.compare_digest(digest, known) for known in operator.hashes):
            raise Refused(Why.UNKNOWN_TOKEN, name)
        return _principal(name, operator.roles, digest)

    def listed(self) -> dict[str, Operator]:
        """Everybody in the file; raises `OperatorsUnusable`."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._known = None, {}
            return self._known
        except OSError as error:
            raise OperatorsUnusable(f"{self._path}: cannot read: {error.strerror}") from None
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp != self._stamp:
            self._known = self._load()
            self._stamp = stamp
        return self._known

    def _load(self) -> dict[str, Operator]:
        try:
            with self._path.open("rb") as stream:
                content = msgspec.json.decode(stream.read(MAX_FILE_BYTES), type=_OperatorsFile)
        except OSError as error:
            raise OperatorsUnusable(f"{self._path}: cannot read: {error.strerror}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise OperatorsUnusable(f"{self._path}: not a file of operators: {error}") from None
        found = {operator.name: operator for operator in content.operators}
        good = all(_NAME.fullmatch(name) and name != API_OPERATOR for name in found)
        if content.format != FORMAT or not good or len(found) != len(content.operators):
            raise OperatorsUnusable(f"{self._path}: another format, or a bad or repeated name")
        return found

    def renew(self, name: str, roles: tuple[Role, ...] = (), *, keep_old: bool = False) -> str:
        """Give an operator a new token, and make the operator if there is none of that name.

        Args:
            name: small letters, digits and hyphens.
            roles: the roles from now on; none leaves those of before.
            keep_old: the token of before is good until the next change.

        Returns:
            The token, which is written nowhere.

        Raises:
            ValueError: a bad name, or a new operator without roles.
            OperatorsUnusable: the file cannot be read.
            OSError: it cannot be written.
        """
        if not _NAME.fullmatch(name) or name == API_OPERATOR:
            raise ValueError("a name has small letters, digits and hyphens, and is not 'api'")
        before = self.listed().get(name)
        given = roles or (before.roles if before else ())
        if not given or not set(given) <= set(ROLES):
            raise ValueError(f"an operator has roles of {', '.join(ROLES)}")
        token = f"{PREFIX}{name}.{secrets.token_urlsafe(32)}"
        old = before.hashes[:1] if before and keep_old else ()
        self._write({**self._known, name: Operator(name, given, (_digest(token), *old))})
        return token

    def dismiss(self, name: str) -> None:
        """Take an operator away; raises `LookupError`, `OperatorsUnusable`, `OSError`."""
        kept = dict(self.listed())
        del kept[name]
        self._write(kept)

    def _write(self, operators: dict[str, Operator]) -> None:
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        content = _OperatorsFile(FORMAT, tuple(operators.values()))
        text = msgspec.json.format(msgspec.json.encode(content), indent=2)
        write_private(self._path, text + b"\n")


def _principal(name: str, roles: tuple[Role, ...], digest: str) -> Principal:
    session = sha256(digest.encode()).hexdigest()[:16]
    return Principal(Kind.OPERATOR, name, "", roles, (), session, "token")
