"""What the demo plays on: a founded network, its node processes, its people and their records."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import httpx
import msgspec

from ledger.chain.pointer import Pointer
from ledger.chain.receipt import Receipt
from ledger.chain.tokens import LabelKey
from ledger.chain.transaction import Call
from ledger.client import records
from ledger.client.builder import Account, build, call
from ledger.client.http import Client
from ledger.client.requests import CallOutcome
from ledger.crypto.sealing import SealingKey
from ledger.node.clock import now_ms
from ledger.node.fleet import Fleet
from ledger.node.setup.config import InstitutionSection, NetworkConfig
from ledger.node.setup.founding import Founding, Progress, found_network, node_home
from ledger.node.setup.people import People, Person, load_people
from ledger.node.vault.patients import LABEL_KEYS_FILE, SUBJECTS_FILE

#: Heights for which a transaction of the demo stays valid.
WINDOW = 1_000
#: How long the demo waits for one transaction, in seconds.
PATIENCE = 60.0


class Unexpected(RuntimeError):
    """The consortium did something else than the story says."""


@dataclass(frozen=True, slots=True)
class Held:
    """One record as its holder points to it."""

    pointer: Pointer
    proof: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to an access request, and what fetching the record takes."""

    id: str
    outcome: str
    rule: str
    path: list[dict[str, Any]]
    receipt: Receipt
    reply: SealingKey
    transaction: str

    @property
    def permitted(self) -> bool:
        return self.outcome == "permit"


class Stage:
    """A running consortium with everybody who acts in it.

    Args:
        founding: a network home with keys in clear.
        config: what it was founded from.
        fleet: its nodes, started.
    """

    def __init__(self, founding: Founding, config: NetworkConfig, fleet: Fleet) -> None:
        self.founding = founding
        self.config = config
        self.fleet = fleet
        self.chain = founding.chain_id
        self.people: People = load_people(founding.home)
        self._clients: dict[str, Client] = {}
        self._nodes = {
            institution.id: [node.id for node in institution.nodes]
            for institution in config.institutions
        }

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    # --- who and where -------------------------------------------------------------------------

    def institution(self, name: str) -> InstitutionSection:
        """A member by its id."""
        return next(member for member in self.config.institutions if member.id == name)

    def nodes_of(self, institution: str) -> Sequence[str]:
        """The nodes that an institution runs."""
        return self._nodes[institution]

    def client(self, node: str) -> Client:
        """The API of one node."""
        if node not in self._clients:
            self._clients[node] = Client(self.founding.urls[node])
        return self._clients[node]

    def at(self, institution: str) -> Client:
        """The API that people of an institution use: its own running node, or a neighbour's."""
        running = self.fleet.running
        for node in (*self._nodes[institution], *self.founding.validators):
            if node in running:
                return self.client(node)
        raise Unexpected("no node is running")

    def account(self, person: Person) -> Account:
        """The key of a founding person."""
        return Account(self.people.signing_key(person, lambda: ""))

    # --- acting --------------------------------------------------------------------------------

    def act(self, person: Person, *calls: Call, with_: Sequence[Person] = ()) -> list[CallOutcome]:
        """Send calls signed by a person, wait until they are final, and give what came out.

        Raises:
            Unexpected: a call was refused.
        """
        _identity, outcomes = self._send(person, calls, with_)
        for told, outcome in zip(calls, outcomes, strict=True):
            if not outcome.ok:
                raise Unexpected(f"{told.contract}.{told.method}: {outcome.error}")
        return outcomes

    def _send(
        self, person: Person, calls: Sequence[Call], with_: Sequence[Person]
    ) -> tuple[str, list[CallOutcome]]:
        client = self.at(person.institution)
        height = int(client.status()["height"])
        signers = [self.account(signer) for signer in (person, *with_)]
        transaction = build(self.chain, height, WINDOW, calls, signers)
        (submitted,) = client.submit(transaction.raw, wait=PATIENCE)
        if submitted.outcome is None:
            raise Unexpected(f"not final: {submitted.code} {submitted.detail}")
        return transaction.id.hex(), submitted.outcome.calls

    def ask(
        self, person: Person, held: Held, *, purpose: str, institution: str | None = None
    ) -> Decision:
        """Ask for a record in the ordinary way."""
        return self._decide(
            person,
            "request",
            held,
            purpose=purpose,
            institution=person.institution if institution is None else institution,
        )

    def break_glass(self, person: Person, held: Held, *, reason: str, note: bytes) -> Decision:
        """Ask for a record in an emergency."""
        return self._decide(
            person,
            "break_glass",
            held,
            institution=person.institution,
            reason=reason,
            note=note,
        )

    def _decide(self, person: Person, method: str, held: Held, **arguments: Any) -> Decision:
        reply = SealingKey.generate()
        told = call(
            "access",
            method,
            pointer=held.pointer.value(),
            proof=held.proof,
            reply_key=reply.public,
            **arguments,
        )
        identity, (outcome,) = self._send(person, [told], ())
        if not outcome.ok:
            raise Unexpected(f"access.{method}: {outcome.error}")
        value = outcome.value
        receipt = self.at(person.institution).receipt(bytes.fromhex(identity), wait=PATIENCE)
        return Decision(
            id=value["id"],
            outcome=value["outcome"],
            rule=value["rule"],
            path=value["path"],
            receipt=receipt,
            reply=reply,
            transaction=identity,
        )

    def has_anchored(self, node: str) -> bool:
        """Whether a node has looked through all its records and anchored them."""
        text = httpx.get(f"{self.founding.urls[node]}/metrics", trust_env=False).text
        found = re.search(r"^ledger_anchoring_time_seconds (\S+)$", text, re.MULTILINE)
        return found is not None and float(found[1]) > 0

    # --- records -------------------------------------------------------------------------------

    def held_of(self, patient: Person, holder: str) -> list[Held]:
        """The anchored records of a patient at a holder, asked for by the patient."""
        found: list[Held] = []
        account = self.account(patient)
        while True:
            page, total = self.client(self._nodes[holder][0]).send(
                records.pointers(account, self.chain, holder, patient.id, len(found))
            )
            found.extend(Held(shown.pointer, shown.proof) for shown in page)
            if not page or len(found) >= total:
                return found

    def obtain(self, person: Person, held: Held, decision: Decision) -> bytes:
        """Get a permitted record from its holder; raises as `fetch` does."""
        return self.client(self._nodes[held.pointer.holder][0]).send(
            records.release(
                self.account(person),
                self.chain,
                decision.id,
                decision.receipt,
                decision.reply,
                held.pointer,
            )
        )

    def fetch(self, person: Person, held: Held, decision: Decision) -> bytes:
        """Get a permitted record from its holder, and write down on the chain that it arrived.

        Raises:
            NodeRefused: the holder does not hand it out.
            Mismatch: what arrived is not what the pointer promised.
        """
        content = self.obtain(person, held, decision)
        self.act(
            person,
            call(
                "access",
                "receipt",
                request=decision.id,
                digest=held.pointer.digest,
                matches=True,
            ),
        )
        return content


def set_up(config: NetworkConfig, home: Path, progress: Progress) -> Founding:
    """Found the network in ``home`` and put the example records into the hospitals' vaults."""
    founding = found_network(
        config, home, passphrase=None, insecure=True, now_ms=now_ms(), progress=progress
    )
    subjects = {
        person.fhir: person.id
        for person in load_people(founding.home)
        if person.fhir.startswith("Patient/")
    }
    # One key a patient for all holders, or a consent by label would reach one of them only.
    label_keys = {pseudonym: LabelKey.generate().secret.hex() for pseudonym in subjects.values()}
    with as_file(files("ledger") / "data" / "hl7-r4-examples") as examples:
        for institution in config.institutions:
            if institution.records and institution.nodes:
                vault = node_home(founding.home, institution.nodes[0].id) / "vault"
                datasets = [examples / name for name in institution.records]
                _fill(vault, datasets, {SUBJECTS_FILE: subjects, LABEL_KEYS_FILE: label_keys})
    return founding


def _fill(vault: Path, datasets: Sequence[Path], secrets: Mapping[str, Mapping[str, str]]) -> None:
    for dataset in datasets:
        if not dataset.is_dir():
            raise Unexpected(f"there is no example data set {dataset.name}")
        shutil.copytree(dataset, vault / "records", dirs_exist_ok=True)
    for name, content in secrets.items():
        path = vault / name
        path.write_bytes(msgspec.json.encode(dict(content)))
        path.chmod(0o600)
