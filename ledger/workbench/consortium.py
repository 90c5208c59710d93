"""A small consortium in memory: the library's contracts, run by the real machine.

The tests of the library and those of every author act on it. Times are milliseconds of block time.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from typing import Any

from ledger.chain.codec import decode_value, encode
from ledger.chain.genesis import Genesis, GenesisContract
from ledger.chain.limits import MAX_STATE_VALUE_BYTES
from ledger.chain.pointer import Pointer, commitment, record_digest
from ledger.chain.result import CallResult
from ledger.chain.transaction import Body, Call, sign_transaction
from ledger.contracts.checker import read_contract
from ledger.contracts.machine import BlockContext, Machine
from ledger.contracts.problems import InvalidContract
from ledger.contracts.sources import library_sources
from ledger.crypto.keys import SigningKey

HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_780_000_000_000  # 2026-05-28

PATIENT = "p-" + "1" * 32
NEIGHBOUR = "p-" + "2" * 32
CHILD, MOTHER, FATHER = ("p-" + digit * 32 for digit in "345")
ELDER, SON = ("p-" + digit * 32 for digit in "67")
INMATE = "p-" + "c" * 32

INSTITUTIONS = {
    "city": "city-hospital",
    "county": "county-hospital",
    "township": "township-centre",
    "board": "commission",
    "fund": "insurer",
    "cdc": "cdc",
    "mch": "maternal-child",
    "uni": "university",
    "overseas": "university",
    "school": "school",
    "firm": "employer",
    "aid": "charity",
    "police": "police",
    "lock": "custody",
    "maker": "vendor",
    "home": "care-home",
}
#: name → institution and roles. The name is the id, but for patients, who have pseudonyms.
PEOPLE = {
    "he": ("city", ["physician"]),
    "nurse": ("city", ["nurse"]),
    "clerk": ("city", ["registrar"]),
    "chief": ("city", ["governor"]),
    "gao": ("county", ["physician", "emergency-physician"]),
    "county-clerk": ("county", ["registrar"]),
    "county-chief": ("county", ["governor"]),
    "wang": ("township", ["physician"]),
    "township-clerk": ("township", ["registrar"]),
    "township-chief": ("township", ["governor"]),
    "auditor": ("board", ["auditor"]),
    "board-chief": ("board", ["governor"]),
    "payer": ("fund", ["insurer"]),
    PATIENT: ("city", ["patient"]),
    NEIGHBOUR: ("county", ["patient"]),
    CHILD: ("city", ["patient"]),
    MOTHER: ("city", ["patient"]),
    FATHER: ("county", ["patient"]),
    ELDER: ("township", ["patient"]),
    SON: ("township", ["patient"]),
    "carer": ("home", ["care-worker"]),
    "home-clerk": ("home", ["registrar"]),
    "officer": ("cdc", ["public-health-officer"]),
    "mch-officer": ("mch", ["public-health-officer"]),
    "ethics": ("city", ["ethics-officer"]),
    "scholar": ("uni", ["researcher"]),
    "fellow": ("overseas", ["researcher"]),
    "teacher": ("school", ["liaison"]),
    "firm-liaison": ("firm", ["liaison"]),
    "donor": ("aid", ["liaison"]),
    "sergeant": ("police", ["liaison"]),
    "lock-doctor": ("lock", ["physician"]),
    "lock-clerk": ("lock", ["registrar"]),
    "guard": ("lock", ["liaison"]),
    "lock-1": ("lock", ["records-officer"]),
    "board-clerk": ("board", ["registrar"]),
    "fund-clerk": ("fund", ["registrar"]),
    INMATE: ("lock", ["patient"]),
    "engineer": ("maker", ["vendor-engineer"]),
    "maker-chief": ("maker", ["governor"]),
    "qc": ("city", ["supervisor"]),
    "county-qc": ("county", ["supervisor"]),
    "su": ("city", ["physician"]),
    "fan": ("township", ["family-doctor"]),
    "min": ("township", ["village-doctor"]),
    "xiao": ("township", ["nurse"]),
    "qian": ("board", ["auditor", "physician"]),
}
NODES = {"city-1": "city", "county-1": "county", "township-1": "township", "board-1": "board"}
REPLY_KEY = bytes(range(32))
NOTE = sha256(b"what the physician wrote").digest()


def key_of(name: str) -> SigningKey:
    """The same key for the same name in every run."""
    return SigningKey(sha256(f"key of {name}".encode()).digest())


class World:
    """Height, time and state of a chain, and the people who act on it."""

    machine = Machine()

    def __init__(
        self,
        contracts: Mapping[str, str] | None = None,
        arguments: Mapping[str, Mapping[str, Any]] | None = None,
        machine: Machine | None = None,
    ) -> None:
        """A consortium with the library's contracts and more.

        Args:
            contracts: sources by name. One of the library's names replaces that contract; those
                that have a ``decide`` are asked by ``access`` about every purpose.
            arguments: of the ``init`` of contracts, instead of those below.
            machine: one of your own, such as one that notes which lines run.

        Raises:
            GenesisFailed: a source is no contract, or its ``init`` fails.
        """
        if machine is not None:
            self.machine = machine
        self.height = 0
        self.time = START
        self.chain, beginning = _beginning(
            tuple((contracts or {}).items()), encode(dict(arguments or {})), self.machine
        )
        self.state = dict(beginning)

    def _adopt(self, writes: Mapping[bytes, bytes | None]) -> None:
        for key, value in writes.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value

    def later(self, milliseconds: int) -> World:
        """Let block time pass."""
        self.time += milliseconds
        return self

    def call(self, signers: str, contract: str, method: str, **arguments: Any) -> CallResult:
        """One block with one call; ``signers`` are names with commas between, caller first."""
        self.height += 1
        keys = [key_of(name) for name in signers.split(",")]
        body = Body(
            self.chain, self.height.to_bytes(8, "big"), 0, self.height, False,
            (Call(contract, method, arguments),), tuple(key.public for key in keys),
        )  # fmt: skip
        execution = self.machine.execute(
            self.state.get,
            self.context,
            [sign_transaction(body, *keys)],
            2_000_000,
        )
        self._adopt(execution.writes)
        return execution.results[0].calls[0]

    def does(self, signers: str, contract: str, method: str, **arguments: Any) -> Any:
        """A call that must succeed; returns its value."""
        result = self.call(signers, contract, method, **arguments)
        assert result.ok, result.error
        return result.value

    def refuses(self, signers: str, contract: str, method: str, **arguments: Any) -> str:
        """A call that must fail; returns the code of its error and proves that nothing changed."""
        before = dict(self.state)
        result = self.call(signers, contract, method, **arguments)
        assert not result.ok, result.value
        assert self.state == before
        return result.error.split(":")[0]

    @property
    def context(self) -> BlockContext:
        """The block that is executed now."""
        return BlockContext(self.chain, self.height, self.time)

    def asks(self, contract: str, method: str, **arguments: Any) -> Any:
        """The answer to a query."""
        result = self.machine.query(
            self.state.get,
            self.context,
            contract,
            method,
            arguments,
        )
        assert result.ok, result.error
        return result.value

    def entry(self, key: str) -> Any:
        """A state entry, or None."""
        raw = self.state.get(key.encode())
        return None if raw is None else decode_value(raw, limit=MAX_STATE_VALUE_BYTES)

    # --- What most tests need -----------------------------------------------------------------

    def anchored(self, **changes: Any) -> dict[str, Any]:
        """Anchor one record alone and return its pointer."""
        found = pointer(**changes)
        self.does(f"{found['holder']}-1", "records", "anchor", pointer=found)
        return found

    def requests(
        self, who: str, record: dict[str, Any], purpose: str = "TREAT", institution: str = "",
        proof: dict[str, Any] | None = None, **more: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """The decision on a request; the institution defaults to the requester's first. ``more``
        are further arguments of `access.request`, such as ``labels`` and ``case``."""
        decision: dict[str, Any] = self.does(
            who, "access", "request", pointer=record, proof=proof or {}, purpose=purpose,
            institution=institution or self.home(who), reply_key=REPLY_KEY, **more,
        )  # fmt: skip
        return decision

    def breaks_glass(self, who: str, record: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """The decision on a break-glass request."""
        arguments = {
            "pointer": record, "proof": {}, "institution": self.home(who), "reply_key": REPLY_KEY,
            "reason": "unconscious", "note": NOTE,
        }  # fmt: skip
        decision: dict[str, Any] = self.does(
            who, "access", "break_glass", **{**arguments, **changes}
        )
        return decision

    @staticmethod
    def home(who: str) -> str:
        institution, roles = PEOPLE[who]
        return "" if roles == ["patient"] else institution


def pointer(**changes: Any) -> dict[str, Any]:
    """A pointer to a normal laboratory result of the patient, held by the city hospital."""
    content = str(sorted(changes.items())).encode()
    return Pointer(
        **{
            "holder": "city",
            "subject": PATIENT,
            "kind": "laboratory",
            "digest": record_digest(b"salt" * 4, content),
            "size": len(content),
            "media": "application/fhir+json",
            "start": START - 30 * DAY,
            "end": START - 29 * DAY,
            "confidentiality": "N",
            "type": commitment(b"t" * 16, "http://loinc.org|718-7"),
            "labels": commitment(b"l" * 16, ""),
            "replaces": b"",
            **changes,
        }
    ).value()


def name_of(record: dict[str, Any]) -> bytes:
    return Pointer(**record).name()


@cache
def _beginning(
    added: tuple[tuple[str, str], ...], changed: bytes, machine: Machine
) -> tuple[bytes, dict[bytes, bytes]]:
    """The chain id and the state after the genesis, the same for every world of these contracts."""
    arguments: Any = decode_value(changed, limit=len(changed))
    genesis = consortium_genesis(dict(added), arguments)
    writes = machine.genesis(genesis).writes
    return genesis.chain_id(), {key: value for key, value in writes.items() if value is not None}


def consortium_genesis(
    contracts: Mapping[str, str], arguments: Mapping[str, Mapping[str, Any]]
) -> Genesis:
    """What a `World` with these contracts and arguments begins with."""
    given = {name: dict(values) for name, values in arguments.items()}
    return Genesis(1, "test", START, tuple(_contracts(dict(contracts), given)))


def _contracts(added: dict[str, str], changed: dict[str, dict[str, Any]]) -> list[GenesisContract]:
    people = [
        {
            "id": name,
            "institution": institution,
            "roles": roles,
            "keys": [key_of(name).public.hex()],
        }
        for name, (institution, roles) in PEOPLE.items()
    ]
    staffed = {place for place, roles in PEOPLE.values() if "registrar" in roles}
    # Somebody has to enter the people that a test asks for.
    people += [
        {
            "id": f"{name}-registrar",
            "institution": name,
            "roles": ["registrar"],
            "keys": [key_of(f"{name}-registrar").public.hex()],
        }
        for name in INSTITUTIONS
        if name not in staffed
    ]
    arguments: dict[str, dict[str, Any]] = {
        "governance": {
            "institutions": [
                {
                    "id": name, "name": f"{name} hospital", "name_zh": "", "kind": kind,
                    "county": "Yan'an",
                }
                for name, kind in INSTITUTIONS.items()
            ],
            "nodes": [
                {
                    "id": node, "institution": institution, "role": "validator",
                    "key": key_of(node).public.hex(),
                }
                for node, institution in NODES.items()
            ],
        },
        "parameters": {"values": {"view_timeout": 2000}},
        "registry": {"people": people},
        "research": {"abroad": ["overseas"]},
        "authorities": {"certificates": {name: f"CA of {name}" for name in INSTITUTIONS}},
        "access": {
            "policies": [
                "consent",
                "guardianship PATRQT",
                "delegation PATRQT",
                "own_access PATRQT HOPERAT",
                "sensitive",
                "referral",
                "recognition",
                "emergency TREAT",
                "consultation TREAT",
                "reading TREAT",
                "family_doctor TREAT HOPERAT",
                "chronic TREAT HOPERAT",
                "followup TREAT",
                "public_health PUBHLTH",
                "research HRESCH",
                "cross_sector school nursery police civil-affairs employer charity "
                "other-department",
                "insurance insurer",
                "supervision HOPERAT commission",
                "custody",
                "processor HOPERAT vendor",
                "staff_work HOPERAT",
            ],
            "permit_hours": 24,
        },
    }  # fmt: skip
    library = library_sources()
    arguments["access"]["policies"] += [
        name for name, source in added.items() if name not in library and _decides(source)
    ]
    arguments.update(changed)
    return [
        GenesisContract(name, source, arguments.get(name, {}))
        for name, source in {**library, **added}.items()
    ]


def _decides(source: str) -> bool:
    """Whether a contract answers requests; one that is not valid is named by the genesis."""
    try:
        decide = read_contract(source).functions.get("decide")
    except InvalidContract:
        return False
    return decide is not None and decide.kind == "query"
