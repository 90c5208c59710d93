"""Founding a network: from a configuration to genesis, node homes, keys and certificates.

The network home::

    genesis.json              the agreement; its hash is the chain's id
    network.toml              the configuration with everything filled in
    people.json               who the founding people are: names, ids, public keys
    keys/people/<id>.key      their keys
    ca/<institution>/         ca.key, ca.crt
    nodes/<node>/             one node home each, complete in itself:
        node.toml genesis.json node.key tls.key tls.crt ca.crt data/ vault/records/
"""

from __future__ import annotations

import datetime
import ipaddress
import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.chain.genesis import Genesis, GenesisContract, check_genesis, encode_genesis
from ledger.contracts.machine import GenesisFailed, Machine
from ledger.contracts.sources import library_source
from ledger.crypto.keyfile import save_key, write_private
from ledger.crypto.keys import SigningKey, key_id
from ledger.node.net.admission import PeerIdentity
from ledger.node.net.pki import Entropy, TlsKey, new_authority
from ledger.node.setup.config import NetworkConfig, NodePlace
from ledger.node.setup.people import People, Person
from ledger.node.setup.tomlfile import write_toml

#: Called with how many steps are done, how many there are, and what comes next.
Progress = Callable[[int, int, str], None]


class FoundingRefused(Exception):
    """The place for the network home is taken or cannot be written, or the chain cannot start."""


@dataclass(frozen=True, slots=True)
class Founding:
    """What was founded. ``chain_id``: 32 bytes. ``urls``: node id → base URL of its API."""

    home: Path
    network: str
    chain_id: bytes
    institutions: tuple[str, ...]
    validators: tuple[str, ...]
    observers: tuple[str, ...]
    people: int
    contracts: tuple[str, ...]
    urls: dict[str, str]


def node_home(network_home: Path, node: str) -> Path:
    """The directory of a node's home inside a network home."""
    return network_home / "nodes" / node


def found_network(
    config: NetworkConfig,
    out: Path,
    *,
    passphrase: str | None,
    insecure: bool = False,
    now_ms: int,
    progress: Progress = lambda _done, _all, _what: None,
    entropy: Entropy = secrets.token_bytes,
) -> Founding:
    """Write a network home: all of it, or nothing.

    Args:
        config: as checked by `ledger.node.setup.config.load_config`.
        out: the directory to make; it may exist if it is empty.
        passphrase: seals every private key; None only together with ``insecure``.
        insecure: keys in plain text, for a demo.
        now_ms: milliseconds since 1970 UTC: the genesis time and the start of the certificates.
        progress: told about each step; sealing a key takes a tenth of a second.
        entropy: so many random bytes; the simulator founds the same network from the same seed.

    Raises:
        FoundingRefused: ``out`` is not empty or cannot be written, or a contract does not start
            with the arguments that the configuration gives it.
        ValueError: neither or both of ``passphrase`` and ``insecure``.
    """
    if (passphrase is not None) == insecure:
        raise ValueError("keys are either sealed by a passphrase or explicitly insecure")
    out = out.absolute()
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise FoundingRefused(f"{out} is there already and not empty; choose another place")
        out.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            foundry = _Foundry(config, building, passphrase, insecure, now_ms, progress, entropy)
            genesis = foundry.build()
            building.replace(out)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
    except OSError as error:
        raise FoundingRefused(f"{out}: cannot write: {error.strerror or error}") from error
    places = config.nodes()
    return Founding(
        home=out,
        network=config.network.name,
        chain_id=genesis.chain_id(),
        institutions=tuple(member.id for member in config.institutions),
        validators=tuple(place.id for place in places if place.role == "validator"),
        observers=tuple(place.id for place in places if place.role == "observer"),
        people=len(config.people),
        contracts=tuple(contract.name for contract in genesis.contracts),
        urls={place.id: f"http://{_bracketed(place.host)}:{place.api_port}" for place in places},
    )


class _Foundry:
    """One founding in progress, in a directory that nobody else knows yet."""

    def __init__(
        self,
        config: NetworkConfig,
        directory: Path,
        passphrase: str | None,
        insecure: bool,
        now_ms: int,
        progress: Progress,
        entropy: Entropy,
    ) -> None:
        self._config = config
        self._directory = directory
        self._passphrase = passphrase
        self._insecure = insecure
        self._now_ms = now_ms
        self._now = datetime.datetime.fromtimestamp(now_ms // 1000, datetime.UTC)
        self._progress = progress
        self._entropy = entropy
        self._places = config.nodes()
        self._steps = len(config.institutions) + len(config.people) + len(self._places)
        self._done = 0

    def build(self) -> Genesis:
        """Make everything in memory, see whether the chain would start, then write it down."""
        entropy = self._entropy
        authorities = {
            member.id: new_authority(member.id, now=self._now, entropy=entropy)
            for member in self._config.institutions
        }
        personal = [SigningKey.generate(entropy=entropy) for _ in self._config.people]
        people = self._people(personal)
        keys = {place.id: SigningKey.generate(entropy=entropy) for place in self._places}
        genesis = self._genesis(authorities, people, keys)
        try:
            Machine().genesis(genesis)
        except GenesisFailed as error:
            raise FoundingRefused(f"the contracts of this network do not start: {error}") from None

        for institution, authority in authorities.items():
            self._write_authority(institution, authority)
        self._write_people(people, personal)
        text = encode_genesis(genesis)
        for place in self._places:
            home = self._write_node(place, keys[place.id], authorities[place.institution])
            (home / "genesis.json").write_bytes(text)
        (self._directory / "genesis.json").write_bytes(text)
        resolved = write_toml(_resolved(self._config))
        write_private(self._directory / "network.toml", resolved.encode())
        self._progress(self._steps, self._steps, "done")
        return genesis

    def _step(self, what: str) -> None:
        self._progress(self._done, self._steps, what)
        self._done += 1

    def _people(self, keys: list[SigningKey]) -> People:
        return People(
            self._directory,
            tuple(
                Person(
                    key=section.key,
                    id=("p-" if "patient" in section.roles else "s-") + self._entropy(16).hex(),
                    institution=section.institution,
                    roles=tuple(section.roles),
                    name=section.name,
                    name_zh=section.name_zh,
                    public=key_id(key.public),
                    fhir=section.fhir or "",
                )
                for section, key in zip(self._config.people, keys, strict=True)
            ),
        )

    def _write_authority(self, institution: str, authority: TlsKey) -> None:
        self._step(f"certificate authority of {institution}")
        directory = _made(self._directory / "ca" / institution)
        authority.save(
            directory / "ca.key",
            directory / "ca.crt",
            passphrase=self._passphrase,
            insecure=self._insecure,
        )

    def _write_people(self, people: People, keys: list[SigningKey]) -> None:
        _made(self._directory / "keys" / "people")
        for person, key in zip(people, keys, strict=True):
            self._step(f"key of {person.key}")
            self._save(people.key_path(person), key)
        people.save()

    def _write_node(self, place: NodePlace, key: SigningKey, authority: TlsKey) -> Path:
        self._step(f"home of {place.id}")
        home = _made(node_home(self._directory, place.id))
        _made(home / "data")
        _made(home / "vault" / "records")
        self._save(home / "node.key", key)
        identity = PeerIdentity(place.institution, place.id)
        authority.issue(identity, _names(place.host), now=self._now, entropy=self._entropy).save(
            home / "tls.key",
            home / "tls.crt",
            passphrase=self._passphrase,
            insecure=self._insecure,
        )
        (home / "ca.crt").write_text(authority.pem, encoding="ascii")
        settings = _node_settings(place, self._places)
        (home / "node.toml").write_text(write_toml(settings), encoding="utf-8")
        return home

    def _save(self, path: Path, key: SigningKey) -> None:
        save_key(path, key, passphrase=self._passphrase, insecure=self._insecure)

    def _genesis(
        self, authorities: dict[str, TlsKey], people: People, keys: dict[str, SigningKey]
    ) -> Genesis:
        nodes = [
            {
                "id": place.id,
                "institution": place.institution,
                "key": key_id(keys[place.id].public),
                "role": place.role,
            }
            for place in self._places
        ]
        governance = {
            "institutions": [
                {
                    "id": member.id,
                    "name": member.name,
                    "name_zh": member.name_zh,
                    "kind": member.kind,
                    "county": member.county,
                }
                for member in self._config.institutions
            ],
            "nodes": nodes,
        }
        # In the order of their random ids: the configuration's order would tell who is who.
        persons = sorted(people, key=lambda person: person.id)
        registry = {
            "people": [
                {
                    "id": person.id,
                    "institution": person.institution,
                    "roles": list(person.roles),
                    "keys": [person.public],
                }
                for person in persons
            ]
            + [
                {
                    "id": node["id"],
                    "institution": node["institution"],
                    "roles": ["node", "records-officer"],
                    "keys": [node["key"]],
                }
                for node in nodes
            ]
        }
        arguments: list[tuple[str, dict[str, Any]]] = [
            ("governance", governance),
            ("charter", {}),
            ("policy", {}),
            ("parameters", {"values": self._config.chain_parameters()}),
            ("registry", registry),
            (
                "authorities",
                {"certificates": {name: key.pem for name, key in authorities.items()}},
            ),
            ("evidence", {}),
            ("directory", {}),
            ("enquiry", {}),
            ("enrolment", {}),
            ("disclosures", {}),
            ("erasure", {}),
            ("corrections", {}),
            ("identity", {}),
            ("pseudonyms", {}),
            ("journals", {}),
            *((section.name, section.arguments) for section in self._config.contracts),
        ]
        return check_genesis(
            Genesis(
                format=1,
                network=self._config.network.name,
                created=self._now_ms,
                contracts=tuple(
                    GenesisContract(name, library_source(name), given) for name, given in arguments
                ),
            )
        )


def _made(directory: Path) -> Path:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _names(host: str) -> list[str]:
    """The names of a node's certificate: its host, and localhost beside a loopback address."""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    return [host, "localhost"] if loopback else [host]


def _node_settings(place: NodePlace, places: tuple[NodePlace, ...]) -> dict[str, Any]:
    return {
        "node": {"id": place.id, "institution": place.institution},
        "peer": {"host": place.host, "port": place.peer_port},
        "api": {"host": place.host, "port": place.api_port},
        "store": {"url": "sqlite:///data/ledger.db"},
        "vault": {"records": "vault/records"},
        "peers": {
            other.id: f"{_bracketed(other.host)}:{other.peer_port}"
            for other in places
            if other.id != place.id
        },
    }


def _resolved(config: NetworkConfig) -> dict[str, Any]:
    """The configuration with all parameters and every node's address written out."""
    data = config.model_dump(exclude_none=True)
    data["parameters"] = config.chain_parameters()
    places = {place.id: place for place in config.nodes()}
    for institution in data["institutions"]:
        for node in institution["nodes"]:
            place = places[node["id"]]
            node.update(host=place.host, peer_port=place.peer_port, api_port=place.api_port)
    return data
