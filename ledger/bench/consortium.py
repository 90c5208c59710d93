"""The consortium that is measured: n hospitals with one validator each, and many patients."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from ledger.chain import merkle
from ledger.chain.pointer import SALT_SIZE, Pointer, commitment, record_digest
from ledger.client.builder import Account, build, call
from ledger.node.clock import now_ms
from ledger.node.fleet import free_ports
from ledger.node.setup.config import NetworkConfig
from ledger.node.setup.founding import Founding, found_network, node_home
from ledger.node.setup.home import load_home
from ledger.node.setup.people import load_people

PATIENTS = 5_000
PHYSICIANS = 16
POINTERS = 1_000
WINDOW = 10_000


def configuration(nodes: int, patients: int = PATIENTS) -> NetworkConfig:
    """Hospitals ``h0``, ``h1`` … with validators, physicians at each, patients at the first."""
    base = free_ports(2 * nodes)
    institutions = [
        {
            "id": f"h{number}",
            "name": f"Hospital {number}",
            "name_zh": f"第{number}医院",
            "kind": "county-hospital",
            "county": "Bench",
            "nodes": [{"id": f"n{number}", "role": "validator"}],
        }
        for number in range(nodes)
    ]
    physicians = [
        {
            "key": f"physician-{number}",
            "institution": f"h{number % nodes}",
            "roles": ["physician"],
            "name": f"Physician {number}",
            "name_zh": f"医生{number}",
        }
        for number in range(PHYSICIANS)
    ]
    treated = [
        {
            "key": f"patient-{number}",
            "institution": "h0",
            "roles": ["patient"],
            "name": f"Patient {number}",
            "name_zh": f"患者{number}",
        }
        for number in range(patients)
    ]
    contracts: list[dict[str, Any]] = [
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
    ]
    return NetworkConfig.model_validate(
        {
            "network": {
                "name": "bench",
                "title": "Bench",
                "title_zh": "基准",
                "peer_port": base,
                "api_port": base + nodes,
            },
            "institutions": institutions,
            "people": physicians + treated,
            "contracts": contracts,
        }
    )


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who signs, and the institution acted for."""

    id: str
    institution: str
    account: Account


@dataclass(frozen=True, slots=True)
class Visit:
    """A patient's consent and a physician's request, both signed, for the record at a place."""

    consent: bytes
    request: bytes
    place: int
    physician: Actor


class Workload:
    """Signed transactions of the kinds that hospitals send, made before the clock starts."""

    def __init__(self, founding: Founding) -> None:
        self.chain = founding.chain_id
        people = load_people(founding.home)

        def actors(role: str) -> list[Actor]:
            return [
                Actor(
                    person.id,
                    person.institution,
                    Account(people.signing_key(person, lambda: "")),
                )
                for person in people.with_role(role)
            ]

        self.patients = actors("patient")
        self.physicians = actors("physician")
        node = founding.validators[0]
        home = load_home(node_home(founding.home, node))
        self._officer = Account(home.signing_key(lambda: ""))
        self.holder = home.institution
        self._pointers = [self._pointer(place) for place in range(POINTERS)]
        self._names = [pointer.name() for pointer in self._pointers]
        self._root = merkle.root_of_hashes(self._names)
        self._proofs: list[dict[str, Any]] = [
            {
                "root": self._root,
                "index": place,
                "size": POINTERS,
                "path": list(merkle.inclusion_path(self._names, place)),
            }
            for place in range(POINTERS)
        ]
        self._patient = cycle(range(len(self.patients)))
        self._physician = cycle(self.physicians)

    def _pointer(self, place: int) -> Pointer:
        salt = secrets.token_bytes(SALT_SIZE)
        return Pointer(
            holder=self.holder,
            subject=self.patients[place % len(self.patients)].id,
            kind="laboratory",
            digest=record_digest(salt, place.to_bytes(4, "big")),
            size=1_000,
            media="application/fhir+json",
            start=1_700_000_000_000,
            end=1_700_000_000_000,
            confidentiality="N",
            type=commitment(salt, "718-7"),
            labels=commitment(salt, ""),
            replaces=b"",
        )

    def anchoring(self, height: int, window: int = WINDOW) -> bytes:
        """The transaction that anchors the batch to which all access requests point."""
        told = call(
            "records", "anchor_many", holder=self.holder, root=self._root, size=len(self._pointers)
        )
        return build(self.chain, height, window, [told], [self._officer]).raw

    def consent(self, height: int) -> bytes:
        """One patient permits one hospital to treat with her records."""
        patient = self.patients[next(self._patient)]
        told = call(
            "consent",
            "grant",
            id=secrets.token_hex(8),
            subject=patient.id,
            scope={
                "purposes": ["TREAT"],
                "institutions": [next(self._physician).institution],
                "end": now_ms() + 86_400_000,
            },
        )
        return build(self.chain, height, WINDOW, [told], [patient.account]).raw

    def visit(self, height: int, place: int, window: int) -> Visit:
        """One visit of a patient: permission for a hospital, and its physician's request.

        Args:
            place: of the record among the anchored ones; it is one of the patient's.
            window: for how many heights the transactions are valid.
        """
        patient = self.patients[place % len(self.patients)]
        physician = next(self._physician)
        scope = {"purposes": ["TREAT"], "institutions": [physician.institution]}
        told = call("consent", "grant", id=secrets.token_hex(8), subject=patient.id, scope=scope)
        asked = self._request(physician, place)
        return Visit(
            build(self.chain, height, window, [told], [patient.account]).raw,
            build(self.chain, height, window, [asked], [physician.account]).raw,
            place,
            physician,
        )

    def handed_over(self, height: int, visit: Visit, decision: str, window: int) -> list[bytes]:
        """What the holder and the physician write down after a record was released."""
        digest = self._pointers[visit.place].digest
        released = call("access", "release", request=decision, digest=digest)
        received = call("access", "receipt", request=decision, digest=digest, matches=True)
        return [
            build(self.chain, height, window, [released], [self._officer]).raw,
            build(self.chain, height, window, [received], [visit.physician.account]).raw,
        ]

    def access(self, height: int) -> bytes:
        """One physician asks for one record, with its Merkle proof."""
        physician = next(self._physician)
        place = next(self._patient) % len(self._pointers)
        return build(
            self.chain, height, WINDOW, [self._request(physician, place)], [physician.account]
        ).raw

    def _request(self, physician: Actor, place: int) -> Any:
        return call(
            "access",
            "request",
            pointer=self._pointers[place].value(),
            proof=self._proofs[place],
            purpose="TREAT",
            institution=physician.institution,
            reply_key=physician.account.public[1:],
        )

    def single(self, height: int, count: int) -> list[bytes]:
        """Individually signed transactions, consents and access requests in turn."""
        makers: list[Callable[[int], bytes]] = [self.consent, self.access]
        return [makers[number % 2](height) for number in range(count)]

    def bundled(self, height: int, count: int, calls: int = 100) -> list[bytes]:
        """Envelopes of one hospital's physician with ``calls`` access requests each."""
        envelopes = []
        for _ in range(count):
            physician = next(self._physician)
            asked = [
                self._request(physician, next(self._patient) % len(self._pointers))
                for _ in range(calls)
            ]
            envelopes.append(build(self.chain, height, WINDOW, asked, [physician.account]).raw)
        return envelopes

    def anchors(
        self, height: int, count: int, size: int = 1_000, window: int = WINDOW
    ) -> list[bytes]:
        """Roots over ``size`` records each; the leaves are hashed here, as a hospital would."""
        envelopes = []
        for _ in range(count):
            leaves = [secrets.token_bytes(32) for _ in range(size)]
            root = merkle.root_of_hashes([merkle.leaf_hash(leaf) for leaf in leaves])
            told = call("records", "anchor_many", holder=self.holder, root=root, size=size)
            envelopes.append(build(self.chain, height, window, [told], [self._officer]).raw)
        return envelopes


def found(nodes: int, out: Path, *, patients: int = PATIENTS, **parameters: int) -> Founding:
    """A fresh network home in ``out`` with keys in clear, for this measurement only.

    Args:
        patients: how many have keys.
        parameters: consensus parameters that are not to have their default.
    """
    config = configuration(nodes, patients).model_copy(update={"parameters": parameters})
    return found_network(config, out, passphrase=None, insecure=True, now_ms=now_ms())
