"""Keys and certificates after the founding: renewed, replaced, and made for a node that joins.

Nothing here needs another node or the network. What the chain has to know, a new signing key or a
new CA, comes back as the arguments of the transaction that says it.
"""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ledger.chain.codec import Malformed
from ledger.chain.genesis import read_genesis
from ledger.crypto.keyfile import load_key, save_key
from ledger.crypto.keys import SigningKey, key_id
from ledger.node.net.admission import PeerIdentity
from ledger.node.net.pki import NODE_DAYS, TlsKey, new_authority
from ledger.node.setup.home import NodeHome
from ledger.node.setup.tomlfile import write_toml


class ReplacementRefused(Exception):
    """Something stands where the new key or home would go, or does not fit."""


@dataclass(frozen=True, slots=True)
class Sealing:
    """How new key files are protected: by a passphrase, or, for tests and demos, not at all."""

    passphrase: str | None

    @property
    def insecure(self) -> bool:
        return self.passphrase is None

    def ask(self) -> str:
        """The passphrase, for key files that are sealed already."""
        return self.passphrase or ""


def renew_tls(
    home: NodeHome,
    authority: Path,
    sealing: Sealing,
    *,
    now: datetime.datetime,
    days: int = NODE_DAYS,
    hosts: Iterable[str] = (),
) -> datetime.datetime:
    """Give a node a new TLS key and certificate; a running node takes them by itself.

    Args:
        authority: the directory with the institution's ``ca.key`` and ``ca.crt``.
        hosts: names for the certificate; by default the address that the node listens on.

    Returns:
        Until when the certificate is valid.

    Raises:
        KeyFileError: the CA's key cannot be read.
        OSError: the home cannot be written.
    """
    issuer = _authority(authority, sealing)
    identity = PeerIdentity(home.institution, home.node)
    names = tuple(hosts) or (home.settings.peer.host,)
    issued = issuer.issue(identity, names, now=now, days=days)
    # Written beside the old ones and moved: a running node never meets half a file.
    files = home.path / "tls.key", home.path / "tls.crt"
    fresh = home.path / "tls.key.new", home.path / "tls.crt.new"
    issued.save(*fresh, passphrase=sealing.passphrase, insecure=sealing.insecure)
    for new, old in zip(fresh, files, strict=True):
        new.replace(old)
    (home.path / "ca.crt").write_text(issuer.pem, encoding="ascii")
    return issued.certificate.not_valid_after_utc


def next_signing_key(home: NodeHome, sealing: Sealing) -> str:
    """Make the signing key that is to take over, as ``node.next.key``; its public half in hex.

    Raises:
        ReplacementRefused: one is waiting already.
    """
    if home.next_key.exists():
        waiting = key_id(load_key(home.next_key, sealing.ask).public)
        raise ReplacementRefused(f"{home.next_key} is there already, with the public key {waiting}")
    key = SigningKey.generate()
    save_key(home.next_key, key, passphrase=sealing.passphrase, insecure=sealing.insecure)
    return key_id(key.public)


def make_authority(institution: str, out: Path, sealing: Sealing, *, now: datetime.datetime) -> str:
    """Make a CA for an institution in a new directory; its name on the chain.

    Beside ``ca.key`` and ``ca.crt`` stands ``add.json``, the arguments of ``authorities.add``.

    Raises:
        ReplacementRefused: the directory is there and not empty.
    """
    _empty(out)
    authority = new_authority(institution, now=now)
    authority.save(
        out / "ca.key", out / "ca.crt", passphrase=sealing.passphrase, insecure=sealing.insecure
    )
    _write(out / "add.json", {"institution": institution, "certificate": authority.pem})
    return authority_name(authority.pem)


def authority_name(pem: str) -> str:
    """What the chain calls a CA: the SHA-256 of its PEM text in hex."""
    return sha256(pem.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node that joins listens, and where the others do (node id → ``host:port``)."""

    host: str
    peer_port: int
    api_port: int
    peers: Mapping[str, str]


def make_home(
    identity: PeerIdentity,
    out: Path,
    genesis: Path,
    authority: Path,
    place: Place,
    sealing: Sealing,
    *,
    now: datetime.datetime,
) -> str:
    """Make the home of an observer that is to join; its public signing key in hex.

    ``add-node.json`` in it has the payload of the proposal that admits it.

    Raises:
        ReplacementRefused: the directory is not empty, or the genesis cannot be read.
        KeyFileError: the CA's key cannot be read.
    """
    try:
        read_genesis(genesis)
    except (OSError, Malformed) as error:
        raise ReplacementRefused(f"{genesis}: {error}") from None
    issuer = _authority(authority, sealing)
    _empty(out)
    (out / "data").mkdir(mode=0o700)
    (out / "vault" / "records").mkdir(mode=0o700, parents=True)
    key = SigningKey.generate()
    save_key(out / "node.key", key, passphrase=sealing.passphrase, insecure=sealing.insecure)
    issuer.issue(identity, [place.host], now=now).save(
        out / "tls.key", out / "tls.crt", passphrase=sealing.passphrase, insecure=sealing.insecure
    )
    (out / "ca.crt").write_text(issuer.pem, encoding="ascii")
    shutil.copyfile(genesis, out / "genesis.json")
    settings: dict[str, Any] = {
        "node": {"id": identity.node, "institution": identity.institution},
        "peer": {"host": place.host, "port": place.peer_port},
        "api": {"host": "127.0.0.1", "port": place.api_port},
        "store": {"url": "sqlite:///data/ledger.db"},
        "vault": {"records": "vault/records"},
        "peers": dict(place.peers),
    }
    (out / "node.toml").write_text(write_toml(settings), encoding="utf-8")
    public = key_id(key.public)
    payload = {
        "id": identity.node, "institution": identity.institution, "role": "observer", "key": public,
    }  # fmt: skip
    _write(out / "add-node.json", payload)
    return public


def _authority(directory: Path, sealing: Sealing) -> TlsKey:
    return TlsKey.load(directory / "ca.key", directory / "ca.crt", sealing.ask)


def _empty(directory: Path) -> None:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ReplacementRefused(f"{directory} is there already and not empty")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
