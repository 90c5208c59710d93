"""The consortium that is simulated: founded once for each size, copied for each run.

Keys, certificates and genesis follow from the size alone, by fixed randomness, so that a seed means
the same on every machine.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from ledger.chain.genesis import read_genesis
from ledger.chain.store import Store
from ledger.client.builder import Account
from ledger.contracts.replica import Replica
from ledger.crypto.keys import SigningKey
from ledger.node.net.pki import TlsKey
from ledger.node.setup.config import NetworkConfig
from ledger.node.setup.founding import found_network, node_home
from ledger.node.setup.home import NodeHome, load_home
from ledger.node.setup.people import load_people

#: 2026-01-01 00:00 UTC: when the simulated consortium is founded and every simulation begins.
EPOCH = 1_767_225_600_000
PATIENTS = 12


@dataclass(frozen=True, slots=True)
class Patient:
    """Somebody who signs transactions. ``subject``: the pseudonym on the chain."""

    subject: str
    account: Account


@dataclass(frozen=True, slots=True)
class Seat:
    """What one node starts from: its home with the founded store in it, and its keys."""

    home: NodeHome
    key: SigningKey
    tls: TlsKey


@dataclass(frozen=True, slots=True)
class Consortium:
    """A founded network. ``founded``: a store with the genesis; ``authorities``: by institution."""

    path: Path
    founded: Path
    chain: bytes
    seats: dict[str, Seat]
    validators: tuple[str, ...]
    followers: tuple[str, ...]
    patients: tuple[Patient, ...]
    governors: tuple[Account, ...]
    authorities: dict[str, TlsKey]


def validator_names(count: int) -> list[str]:
    """A, B … Z, AA, AB …"""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return [
        letters[number] if number < 26 else letters[number // 26 - 1] + letters[number % 26]
        for number in range(count)
    ]


@lru_cache(maxsize=8)
def consortium(
    validators: int, followers: int, parameters: tuple[tuple[str, int], ...] = ()
) -> Consortium:
    """The consortium of that size, in a directory that stays until the process ends."""
    config = _configuration(validators, followers, dict(parameters))
    scratch = tempfile.TemporaryDirectory(prefix="ledger-sim-", dir=memory_directory())
    _SCRATCH.append(scratch)
    return found(config, Path(scratch.name) / "network", f"{validators}/{followers}")


def found(config: NetworkConfig, path: Path, seed: str) -> Consortium:
    """Found a network for simulation in a directory that is not there yet.

    Args:
        config: with the nodes that will be simulated, and no more.
        seed: of its keys.
    """
    founding = found_network(
        config,
        path,
        passphrase=None,
        insecure=True,
        now_ms=EPOCH,
        entropy=Random(seed).randbytes,
    )
    seats = {node: _seat(path, node) for node in (*founding.validators, *founding.observers)}
    _found_stores(path, seats)
    people = load_people(path)

    def account(person: Any) -> Account:
        return Account(people.signing_key(person, _no_passphrase))

    return Consortium(
        path=path,
        founded=path / "founded.db",
        chain=founding.chain_id,
        seats=seats,
        validators=founding.validators,
        followers=founding.observers,
        patients=tuple(
            Patient(person.id, account(person)) for person in people.with_role("patient")
        ),
        governors=tuple(account(person) for person in people.with_role("governor")),
        authorities={
            institution: TlsKey.load(
                path / "ca" / institution / "ca.key",
                path / "ca" / institution / "ca.crt",
                _no_passphrase,
            )
            for institution in founding.institutions
        },
    )


_SCRATCH: list[tempfile.TemporaryDirectory[str]] = []


def memory_directory() -> str | None:
    """Where files live in memory, if this machine has such a place."""
    place = Path("/dev/shm")  # noqa: S108
    return str(place) if place.is_dir() else None


def _no_passphrase() -> str:
    raise AssertionError("keys of a simulation are not sealed")


def _seat(path: Path, node: str) -> Seat:
    home = load_home(node_home(path, node))
    return Seat(home, home.signing_key(_no_passphrase), home.tls_key(_no_passphrase))


def _found_stores(path: Path, seats: dict[str, Seat]) -> None:
    """Run the genesis once, and give every node a copy of what came out."""
    first = path / "founded.db"
    store = Store.open(str(first), create=True)
    Replica.found(store, read_genesis(path / "genesis.json"))
    store.close()
    for seat in seats.values():
        shutil.copy(first, seat.home.path / "data" / "ledger.db")


def _configuration(validators: int, followers: int, parameters: dict[str, int]) -> NetworkConfig:
    """Hospitals with one validator each, health centres with one follower each."""
    voting = validator_names(validators)
    following = [f"f{number + 1}" for number in range(followers)]
    data = {
        "network": {
            "name": "simulated",
            "title": "Simulated consortium",
            "title_zh": "模拟联盟链",
            "peer_port": 10_000,
            "api_port": 30_000,
        },
        "parameters": parameters,
        "institutions": [
            _institution(f"hospital-{node.lower()}", node.lower(), "county-hospital", "validator")
            for node in voting
        ]
        + [
            _institution(f"centre-{node}", node, "township-centre", "observer")
            for node in following
        ],
        "people": [
            _person(f"governor-{node.lower()}", f"hospital-{node.lower()}", "governor", "registrar")
            for node in voting
        ]
        + [
            _person(
                f"patient-{number}",
                f"hospital-{voting[number % validators].lower()}",
                "patient",
            )
            for number in range(PATIENTS)
        ],
        "contracts": [
            {"name": "records"},
            {"name": "consent"},
            {"name": "referral"},
            {"name": "recognition"},
            {"name": "emergency"},
            {
                "name": "access",
                "arguments": {
                    "policies": ["consent", "referral", "recognition"],
                    "permit_hours": 24,
                },
            },
        ],
    }
    checked = NetworkConfig.model_validate(data)
    # Validators are A, B, C … in stories and traces; a configuration file has small letters only.
    institutions = [
        member.model_copy(
            update={
                "nodes": [
                    node.model_copy(update={"id": node.id.upper()})
                    if node.role == "validator"
                    else node
                    for node in member.nodes
                ]
            }
        )
        for member in checked.institutions
    ]
    return checked.model_copy(update={"institutions": institutions})


def _institution(name: str, node: str, kind: str, role: str) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "name_zh": name,
        "kind": kind,
        "county": "Simulated",
        "nodes": [{"id": node, "role": role}],
    }


def _person(key: str, institution: str, *roles: str) -> dict[str, Any]:
    return {
        "key": key,
        "institution": institution,
        "roles": list(roles),
        "name": key,
        "name_zh": key,
    }
