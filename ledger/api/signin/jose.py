"""Reading signed tokens (JWS compact, RFC 7515; JWT, RFC 7519) more strictly than a library does.

RFC 8725 says what goes wrong with them: the algorithm that the token itself chooses, keys that the
token brings along, JSON that two parsers read differently. Here a token is taken apart once, the
key is chosen from keys that are known already, and the key says which algorithm is possible.
`joserfc` checks the signature.
"""

from __future__ import annotations

import binascii
import json
import re
import warnings
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from ledger.api.signin.refusal import Refused, Why

# RFC 9864 gives EdDSA a new name; providers use the old one for years to come.
warnings.filterwarnings("ignore", "EdDSA is deprecated", SecurityWarning)

MAX_TOKEN: Final = 16 * 1024
MAX_NAME: Final = 256
MAX_KEYS: Final = 64
MAX_DEPTH: Final = 16
LEAST_RSA_BITS: Final = 2048
MOST_RSA_BITS: Final = 8192
#: How far the clocks of issuer and node may be apart, in seconds.
LEEWAY: Final = 60

#: Which algorithms a key can be used with, by kty and crv (RFC 7518 §3.1, RFC 8037, RFC 9864).
_FITTING: Final[dict[tuple[str, str], frozenset[str]]] = {
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("RSA", ""): frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA", "Ed25519"}),
}
#: The members of a public key; whatever else a key set has, private parts included, is left out.
_MEMBERS: Final = {"EC": ("crv", "x", "y"), "RSA": ("n", "e"), "OKP": ("crv", "x")}
_KINDS: Final[dict[str, Any]] = {"EC": ECKey, "RSA": RSAKey, "OKP": OKPKey}
#: Header parameters by which a token would choose the key that it is verified with, or change how
#: it is read (RFC 7515 §4.1, RFC 7797).
_FORBIDDEN: Final = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"})
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt", "application/jwt"})
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was taken apart and not verified: nothing in it is known to be true."""

    text: str
    algorithm: str
    kid: str | None
    header: dict[str, Any]
    claims: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key of a key set. ``algorithms``: those that fit it."""

    kid: str | None
    algorithms: frozenset[str]
    key: Key


def strict_object(raw: bytes) -> dict[str, Any]:
    """A JSON object with no member twice, no number that JSON does not know, and text that is text.

    Raises:
        ValueError: it is something else.
    """

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            raise ValueError("a member is there twice")
        return found

    def no_constant(name: str) -> Any:
        raise ValueError(f"{name} is no number of JSON")

    try:
        value = json.loads(raw.decode(), object_pairs_hook=pairs, parse_constant=no_constant)
        json.dumps(value, ensure_ascii=False).encode()  # half a character escaped is no text
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")
    if _depth(value) > MAX_DEPTH:
        raise ValueError("nested too deeply")
    return value


def _depth(value: Any) -> int:
    deepest, todo = 0, [(value, 1)]
    while todo:
        each, depth = todo.pop()
        deepest = max(deepest, depth)
        if isinstance(each, dict):
            todo.extend((inner, depth + 1) for inner in each.values())
        elif isinstance(each, list):
            todo.extend((inner, depth + 1) for inner in each)
    return deepest


def _decoded(segment: str) -> bytes:
    if not _SEGMENT.fullmatch(segment):
        raise ValueError("not base64url")
    raw = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    if urlsafe_b64encode(raw).rstrip(b"=").decode() != segment:
        raise ValueError("not the one base64url text of its bytes")
    return raw


def read(text: str, *, tolerated: Collection[str] = ()) -> Token:
    """Take a compact JWS apart.

    Args:
        text: the token.
        tolerated: header parameters that are otherwise refused, and that the caller looks at.

    Raises:
        Refused: it is none that we would ever accept, whoever signed it.
    """
    if len(text) > MAX_TOKEN or not text.isascii() or text.count(".") != 2:
        raise Refused(Why.MALFORMED)
    try:
        first, second, third = text.split(".")
        header, claims = strict_object(_decoded(first)), strict_object(_decoded(second))
        _decoded(third)
    except (ValueError, binascii.Error):
        raise Refused(Why.MALFORMED) from None
    kind, kid, algorithm = header.get("typ"), header.get("kid"), header.get("alg")
    if _FORBIDDEN.difference(tolerated) & header.keys():
        raise Refused(Why.MALFORMED)
    if kind is not None and (not isinstance(kind, str) or kind.lower() not in _TYPES):
        raise Refused(Why.MALFORMED)
    if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= MAX_NAME):
        raise Refused(Why.MALFORMED)
    if not isinstance(algorithm, str) or not any(algorithm in fit for fit in _FITTING.values()):
        raise Refused(Why.ALGORITHM)
    return Token(text, algorithm, kid, header, claims)


def key_set(raw: bytes) -> tuple[PublicKey, ...]:
    """The usable public signing keys of a JWK set (RFC 7517); others are left out.

    Raises:
        ValueError: it is no key set, or has too many keys.
    """
    entries = strict_object(raw).get("keys")
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise ValueError(f"not a set of at most {MAX_KEYS} keys")
    keys = [key for entry in entries if (key := _public_key(entry)) is not None]
    names = [key.kid for key in keys if key.kid is not None]
    if len(set(names)) != len(names):
        raise ValueError("two keys of one name")
    return tuple(keys)


def _public_key(entry: Any) -> PublicKey | None:
    if not isinstance(entry, dict):
        return None
    kind, kid, use = entry.get("kty"), entry.get("kid"), entry.get("use", "sig")
    usable = entry.get("key_ops", ["verify"])
    if kind not in _MEMBERS or use != "sig":
        return None
    if not isinstance(usable, list) or "verify" not in usable:
        return None
    if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= MAX_NAME):
        return None
    members = {name: entry.get(name) for name in _MEMBERS[kind]}
    if not all(isinstance(value, str) for value in members.values()):
        return None
    algorithms = _FITTING.get((kind, str(members.get("crv", ""))), frozenset())
    if "alg" in entry:
        algorithms &= {entry["alg"]} if isinstance(entry["alg"], str) else frozenset()
    if not algorithms:
        return None
    try:
        if kind == "RSA":
            modulus = int.from_bytes(_decoded(str(members["n"])), "big")
            if not LEAST_RSA_BITS <= modulus.bit_length() <= MOST_RSA_BITS:
                return None
        key = _KINDS[kind].import_key({"kty": kind, **members})
    except (JoseError, ValueError, TypeError, binascii.Error):
        return None
    return PublicKey(kid, algorithms, key)


def chosen(token: Token, keys: Sequence[PublicKey]) -> PublicKey | None:
    """The one key that a token can have been signed with; None where there is none, or several."""
    fitting = [
        key
        for key in keys
        if token.algorithm in key.algorithms and (token.kid is None or key.kid == token.kid)
    ]
    return fitting[0] if len(fitting) == 1 else None


def verify(token: Token, key: PublicKey, allowed: Collection[str]) -> None:
    """Check a token's signature.

    Raises:
        Refused: the algorithm is not allowed or does not fit the key, or it is not signed by it.
    """
    if token.algorithm not in allowed or token.algorithm not in key.algorithms:
        raise Refused(Why.ALGORITHM)
    registry = JWSRegistry(algorithms=[token.algorithm], strict_check_header=False)
    registry.max_header_length = MAX_TOKEN
    try:
        jws.deserialize_compact(token.text, key.key, [token.algorithm], registry)
    except (JoseError, ValueError, TypeError):
        raise Refused(Why.SIGNATURE) from None


def text_claim(claims: dict[str, Any], name: str, longest: int = MAX_NAME) -> str:
    """A claim that is printable text; raises `Refused`."""
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise Refused(Why.CLAIM)
    return value


def _instant(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e11:
        raise Refused(Why.CLAIM)
    return float(value)


def check_times(claims: dict[str, Any], now: float, longest: float, *, needs_iat: bool) -> float:
    """Check ``exp``, ``nbf`` and ``iat`` (RFC 7519 §4.1).

    Args:
        claims: of a verified token.
        now: seconds since 1970-01-01 UTC.
        longest: seconds that a token may be valid for; counted from ``iat``, else from now.
        needs_iat: whether it has to say when it was made.

    Returns:
        When it ends.

    Raises:
        Refused: it is not valid now, or for too long.
    """
    end, start, made = (_instant(claims, name) for name in ("exp", "nbf", "iat"))
    if end is None or (made is None and needs_iat):
        raise Refused(Why.CLAIM)
    if end <= now - LEEWAY:
        raise Refused(Why.EXPIRED)
    if max(start or 0, made or 0) > now + LEEWAY:
        raise Refused(Why.NOT_YET)
    if end - (now if made is None else made) > longest + LEEWAY:
        raise Refused(Why.TOO_LONG)
    return end


def check_audience(claims: dict[str, Any], audience: str) -> None:
    """Check that a token was made for this audience (RFC 7519 §4.1.3); raises `Refused`."""
    given = claims.get("aud")
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused(Why.AUDIENCE)
    if audience not in names:
        raise Refused(Why.AUDIENCE)
