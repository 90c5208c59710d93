"""The scenes of the demo, in order. Each does what people of a hospital would do over the API."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

import msgspec

from ledger.chain.genesis import read_genesis
from ledger.chain.pointer import SALT_SIZE, commitment, record_digest
from ledger.client.builder import call
from ledger.client.http import NodeRefused, NodeUnreachable
from ledger.client.verify import check_receipt, trust_in
from ledger.demo.narration import Narrator
from ledger.demo.stage import Decision, Held, Stage, Unexpected
from ledger.fhir.consent import Computable, Directory, import_consent
from ledger.node.clock import now_ms
from ledger.node.setup.config import InstitutionSection
from ledger.node.setup.founding import node_home
from ledger.node.setup.people import Person

DAY = 86_400_000
RECOGNISED = ("laboratory", "imaging", "ecg")
HOSPITALS = ("city-hospital", "county-hospital")


@dataclass(slots=True)
class Tally:
    """What happened, counted by who saw it happen; the audit counts once more by itself."""

    records_anchored: int = 0
    consents_active: int = 0
    consents_refused: int = 0
    permits: int = 0
    denies: int = 0
    break_glass: int = 0
    released: int = 0
    hash_mismatches_found: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """A patient, a record of hers, its holder, and a hospital that wants to see it."""

    patient: Person
    held: Held
    holder: InstitutionSection
    reader: InstitutionSection
    doctor: Person


@dataclass(slots=True)
class Story:
    """Plays the scenes on a stage and tells them."""

    stage: Stage
    tell: Narrator
    tally: Tally = field(default_factory=Tally)
    _records: dict[tuple[str, str], list[Held]] = field(default_factory=dict)
    _last: tuple[Case, Decision] | None = None

    # --- casting -------------------------------------------------------------------------------

    def _holders(self) -> list[InstitutionSection]:
        return [
            member for member in self.stage.config.institutions if member.records and member.nodes
        ]

    def _hospitals(self) -> list[InstitutionSection]:
        return [
            member
            for member in self.stage.config.institutions
            if member.kind in HOSPITALS and self._doctors(member)
        ]

    def _doctors(self, member: InstitutionSection) -> tuple[Person, ...]:
        people = self.stage.people
        return people.with_role("physician", member.id) + people.with_role(
            "emergency-physician", member.id
        )

    def _held(self, patient: Person, holder: InstitutionSection) -> list[Held]:
        key = (patient.id, holder.id)
        if key not in self._records:
            self._records[key] = self.stage.held_of(patient, holder.id)
        return self._records[key]

    def _case(
        self,
        number: int,
        fits: Callable[[Held], bool] = lambda _held: True,
        *,
        readers: Sequence[InstitutionSection] | None = None,
        holder_has: str = "",
    ) -> Case:
        """The ``number``-th patient, counted round, who has a fitting record somewhere."""
        patients = [
            person
            for person in self.stage.people.with_role("patient")
            if person.fhir.startswith("Patient/")
        ]
        turn = number % len(patients)
        for patient in patients[turn:] + patients[:turn]:
            for holder in self._holders():
                if self.stage.nodes_of(holder.id)[0] not in self.stage.fleet.running:
                    continue
                if holder_has and not self.stage.people.with_role(holder_has, holder.id):
                    continue
                found = [held for held in self._held(patient, holder) if fits(held)]
                others = [
                    member
                    for member in (readers or self._hospitals())
                    if member.id != holder.id and self._doctors(member)
                ]
                if found and others:
                    reader = others[number % len(others)]
                    return Case(patient, found[0], holder, reader, self._doctors(reader)[0])
        raise Unexpected("no patient of this network has a record that the story needs")

    def _words(self, case: Case) -> dict[str, object]:
        name = self.tell.name
        return {
            "patient": name(case.patient.name, case.patient.name_zh),
            "holder": name(case.holder.name, case.holder.name_zh),
            "reader": name(case.reader.name, case.reader.name_zh),
            "doctor": name(case.doctor.name, case.doctor.name_zh),
        }

    # --- what scenes have in common ------------------------------------------------------------

    def _judged(self, decision: Decision, *, permit: bool) -> None:
        if decision.permitted != permit:
            raise Unexpected(f"{decision.outcome} by {decision.rule}")
        if permit:
            self.tally.permits += 1
            self.tell("permitted", rule=decision.rule)
        else:
            self.tally.denies += 1
            self.tell("denied", rule=decision.rule)

    def _fetched(self, case: Case, decision: Decision) -> bytes:
        content = self.stage.fetch(case.doctor, case.held, decision)
        self.tally.released += 1
        self._last = (case, decision)
        self.tell("fetched", size=len(content))
        return content

    # --- scenes --------------------------------------------------------------------------------

    def anchoring(self, seconds: float = 120) -> None:
        """Wait until every holder's records are anchored."""
        self.tell("anchoring")
        deadline = time.monotonic() + seconds
        waiting = [self.stage.nodes_of(member.id)[0] for member in self._holders()]
        while waiting:
            if time.monotonic() > deadline:
                raise Unexpected(f"{', '.join(waiting)} anchored nothing")
            waiting = [node for node in waiting if not self.stage.has_anchored(node)]
            time.sleep(0.1)
        client = self.stage.client(self.stage.founding.validators[0])
        batches = [
            event["fields"]["size"]
            for height in range(1, int(client.status()["height"]) + 1)
            for transaction in client.block(height)["transactions"]
            for outcome in transaction["outcome"]["calls"]
            for event in outcome["events"]
            if event["name"] == "anchored"
        ]
        self.tally.records_anchored = sum(batches)
        self.tell("anchored", records=sum(batches), batches=len(batches))

    def recognition(self) -> None:
        """A test result made elsewhere is used instead of being repeated."""
        case = self._case(
            1,
            lambda held: (
                held.pointer.kind in RECOGNISED
                and held.pointer.confidentiality == "N"
                and held.pointer.end > 0  # a result without a date is not recognised
            ),
        )
        self.tell("scene_recognition", **self._words(case))
        self.stage.act(
            case.patient,
            call("recognition", "check_in", institution=case.reader.id, subject=case.patient.id),
        )
        decision = self.stage.ask(case.doctor, case.held, purpose="TREAT")
        self._judged(decision, permit=True)
        self._fetched(case, decision)
        self.stage.act(case.doctor, call("recognition", "recognise", request=decision.id))
        self.tell("recognised")

    def referral(self) -> None:
        """A patient is referred, and the record that goes along can be seen there."""
        case = self._case(
            2, lambda held: held.pointer.confidentiality == "N", holder_has="physician"
        )
        self.tell("scene_referral", **self._words(case))
        sender = self.stage.people.with_role("physician", case.holder.id)[0]
        identity = secrets.token_hex(8)
        told = call(
            "referral",
            "create",
            id=identity,
            subject=case.patient.id,
            source=case.holder.id,
            target=case.reader.id,
            records=[case.held.pointer.name().hex()],
            until=now_ms() + 30 * DAY,
        )
        self.stage.act(sender, told, with_=[case.patient])
        self.stage.act(case.doctor, call("referral", "accept", id=identity))
        decision = self.stage.ask(case.doctor, case.held, purpose="TREAT")
        self._judged(decision, permit=True)
        self._fetched(case, decision)

    def consent_and_withdrawal(self) -> None:
        """A consent is used; taken back, it permits nothing any more."""
        case = self._case(3, lambda held: held.pointer.kind not in RECOGNISED)
        self.tell("scene_consent", **self._words(case))
        identity = secrets.token_hex(8)
        scope = {
            "purposes": ["TREAT"],
            "institutions": [case.reader.id],
            "holders": [case.holder.id],
            "confidentiality": case.held.pointer.confidentiality,
            "end": now_ms() + 30 * DAY,
        }
        told = call("consent", "grant", id=identity, subject=case.patient.id, scope=scope)
        self.stage.act(case.patient, told)
        self.tally.consents_active += 1
        decision = self.stage.ask(case.doctor, case.held, purpose="TREAT")
        self._judged(decision, permit=True)
        self._fetched(case, decision)
        self.tell("scene_withdrawal", **self._words(case))
        self.stage.act(case.patient, call("consent", "withdraw", id=identity))
        self.tally.consents_active -= 1
        self._judged(self.stage.ask(case.doctor, case.held, purpose="TREAT"), permit=False)

    def break_glass(self) -> None:
        """In an emergency a physician does not wait for a consent, and answers for it later."""
        emergency = self.stage.people.with_role("emergency-physician")
        readers = [
            member
            for member in self._hospitals()
            if not emergency or member.id in {person.institution for person in emergency}
        ]
        case = self._case(4, readers=readers)
        if emergency:
            doctor = next(person for person in emergency if person.institution == case.reader.id)
            case = Case(case.patient, case.held, case.holder, case.reader, doctor)
        self.tell("scene_glass", **self._words(case))
        note = commitment(secrets.token_bytes(SALT_SIZE), "found unconscious, drug history needed")
        decision = self.stage.break_glass(case.doctor, case.held, reason="unconscious", note=note)
        self.tally.break_glass += 1
        self._judged(decision, permit=True)
        self._fetched(case, decision)
        self.tell("told", event="glass_broken")
        auditors = self.stage.people.with_role("auditor")
        if auditors:
            finding = commitment(secrets.token_bytes(SALT_SIZE), "the emergency was real")
            told = call(
                "emergency",
                "review",
                emergency=decision.id,
                institution=auditors[0].institution,
                upheld=True,
                note=finding,
            )
            self.stage.act(auditors[0], told)
            self.tell("reviewed")

    def stranger(self) -> None:
        """Without a reason that the chain knows, nothing leaves, not even that it exists."""
        case = self._case(5)
        self.tell("scene_stranger", **self._words(case))
        decision = self.stage.ask(case.doctor, case.held, purpose="TREAT")
        self._judged(decision, permit=False)
        try:
            self.stage.fetch(case.doctor, case.held, decision)
        except NodeRefused as refusal:
            if refusal.status != 403:
                raise
            self.tell("nothing_left")
        else:
            raise Unexpected("a record left without a permit")

    def official_consents(self) -> None:
        """The HL7 consents: what is clear becomes rules, what is not is refused."""
        patient = self.stage.people.by_reference("Patient/f001")
        if patient is None:
            return
        self.tell("scene_consents", patient=self.tell.name(patient.name, patient.name_zh))
        directory = Directory(
            institutions={
                member.fhir: member.id
                for member in self.stage.config.institutions
                if member.fhir is not None
            },
            persons={person.fhir: person.id for person in self.stage.people if person.fhir},
        )
        examples = files("ledger") / "data" / "hl7-r4-examples" / "burgers"
        names = sorted(item.name for item in examples.iterdir() if item.name.startswith("Consent-"))
        for name in names:
            raw = (examples / name).read_bytes()
            resource = msgspec.json.decode(raw, type=dict[str, object])
            imported = import_consent(resource, directory)
            if isinstance(imported, Computable):
                told = call(
                    "consent",
                    "adopt",
                    id=secrets.token_hex(8),
                    subject=imported.subject,
                    rules=[dict(rule) for rule in imported.rules],
                    source=record_digest(secrets.token_bytes(SALT_SIZE), raw),
                )
                self.stage.act(patient, told)
                self.tally.consents_active += 1
                self.tell("consent_rules", id=resource["id"], rules=len(imported.rules))
            else:
                self.tally.consents_refused += 1
                problem = imported.problems[0]
                self.tell(
                    "consent_refused",
                    id=resource["id"],
                    element=problem.path,
                    reason=problem.reason,
                )

    def tampering(self) -> None:
        """A changed copy is recognised by its hash, and a changed original is never served."""
        if self._last is None:
            raise Unexpected("no record has been fetched")
        case, decision = self._last
        self.tell("scene_tampered")
        vault = (
            node_home(self.stage.founding.home, self.stage.nodes_of(case.holder.id)[0])
            / "vault"
            / "records"
        )
        content = self.stage.obtain(case.doctor, case.held, decision)
        original = next(path for path in vault.rglob("*.json") if path.read_bytes() == content)
        original.write_bytes(content[:-2] + b" " + content[-2:])
        try:
            self.stage.obtain(case.doctor, case.held, decision)
        except NodeRefused as refusal:
            if refusal.status != 403:
                raise
            self.tally.hash_mismatches_found += 1
            self.tell("withheld")
        else:
            raise Unexpected("an altered record was served")
        finally:
            original.write_bytes(content)

    def offline_receipt(self) -> None:
        """Anybody with the genesis file can check a receipt alone."""
        if self._last is None:
            raise Unexpected("no record has been fetched")
        _case, decision = self._last
        genesis = read_genesis(self.stage.founding.home / "genesis.json")
        check_receipt(decision.receipt, trust_in(genesis))
        self.tell("receipt")

    # --- a validator goes and comes back -------------------------------------------------------

    def kill_proposer(self) -> str:
        """Pull the plug of the validator whose turn it is to propose; its node id."""
        node = str(self.stage.client(self.stage.founding.validators[0]).status()["proposer"])
        self.tell("killed", node=node)
        self.stage.fleet.kill(node)
        return node

    def revive(self, node: str) -> None:
        """Start it again."""
        self.tell("back", node=node)
        self.stage.fleet.start([node])
        self.stage.fleet.wait_ready([node])

    def agreement(self, seconds: float = 60) -> tuple[int, str, bool]:
        """Height, state root, and whether every node has the same block at that height."""
        nodes = list(self.stage.fleet.homes)
        height = max(int(self.stage.client(node).status()["height"]) for node in nodes)
        deadline = time.monotonic() + seconds
        blocks: dict[str, tuple[str, str]] = {}
        while len(blocks) < len(self.stage.fleet.homes) and time.monotonic() < deadline:
            for node in self.stage.fleet.homes:
                try:
                    block = self.stage.client(node).block(height)
                except (NodeRefused, NodeUnreachable):
                    time.sleep(0.1)
                    continue
                blocks[node] = (block["header"]["hash"], block["header"]["state_root"])
        agree = len(blocks) == len(self.stage.fleet.homes) and len(set(blocks.values())) == 1
        if agree:
            self.tell("agree", nodes=len(blocks), height=height)
        return height, next(iter(blocks.values()))[1], agree

    def view_changes(self, height: int) -> int:
        """How many views were left without a decision, by the certificates of all blocks."""
        client = self.stage.client(self.stage.founding.validators[0])
        return sum(
            int(client.block(number)["certificate"]["view"]) for number in range(1, height + 1)
        )
