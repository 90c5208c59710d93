"""The shapes of requests and answers about the chain, for OpenAPI.

These models describe; the routes read and write with msgspec, which is strict and cheap. A test
holds every answer of the routes against the schema made from here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="32 bytes as hex")]
Hex = Annotated[str, Field(pattern=r"^([0-9a-f]{2})*$")]
Base64 = Annotated[str, Field(json_schema_extra={"format": "byte"})]
Milliseconds = Annotated[int, Field(description="milliseconds since 1970-01-01 UTC")]
Height = Annotated[int, Field(ge=0, description="height of a block; 0 is the genesis block")]
ChainValue = Annotated[
    Any,
    Field(
        description='A contract value. Bytes are {"$bytes": base64}; a map whose only key begins '
        'with $ is {"$map": {...}}; integers have up to 64 bits.'
    ),
]


class Model(BaseModel):
    """Base: no members but those named."""

    model_config = ConfigDict(extra="forbid")


class ProblemDetails(BaseModel):
    """RFC 9457 problem details; some kinds carry further members."""

    model_config = ConfigDict(extra="allow", title="Problem")

    type: Annotated[str, Field(description="urn:health-ledger:problem:CODE, never changes")]
    title: str
    status: int
    detail: str
    instance: Annotated[str, Field(description="the path, or the number of this occurrence")]
    code: Annotated[str, Field(description="the last part of the type")]


class SubmitRequest(Model):
    """Signed transactions, as base64 of their canonical envelopes."""

    transactions: Annotated[list[Base64], Field(min_length=1, max_length=1000)]


class EventModel(Model):
    """Something that a contract announced."""

    contract: str
    name: str
    fields: ChainValue


# FastAPI drops nulls from the document, and with them from examples: these have none.
EXAMPLE_HASH = "5c" * 32
_EXAMPLE_OUTCOME: dict[str, Any] = {
    "height": 42,
    "index": 0,
    "ok": True,
    "calls": [{"ok": True, "error": "", "value": "c-1", "gas": 5120, "events": []}],
}


class CallOutcome(Model):
    """``error``: empty, or ``code: explanation``."""

    ok: bool
    error: str
    value: ChainValue
    gas: Annotated[int, Field(ge=0)]
    events: list[EventModel]


class Outcome(Model):
    """What came out of a final transaction; ``ok``: whether every call took effect."""

    height: Height
    index: Annotated[int, Field(ge=0, description="place in the block")]
    ok: bool
    calls: list[CallOutcome]


class SubmissionModel(Model):
    """One submitted transaction; ``outcome`` is there when it became final while you waited."""

    id: Hash | None
    accepted: bool
    code: Annotated[str, Field(description="accepted, known, final, or why it was refused")]
    detail: str
    outcome: Outcome | None


class Submissions(Model):
    """One answer for each submitted transaction, in order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "transactions": [
                        {
                            "id": EXAMPLE_HASH,
                            "accepted": True,
                            "code": "accepted",
                            "detail": "",
                            "outcome": _EXAMPLE_OUTCOME,
                        }
                    ]
                }
            ]
        }
    )

    transactions: list[SubmissionModel]


class CallModel(Model):
    """One method of one contract with its named arguments."""

    contract: str
    method: str
    arguments: ChainValue


class TransactionModel(Model):
    """A final transaction; the signer that comes first is the caller."""

    id: Hash
    size: Annotated[int, Field(description="bytes of the envelope")]
    nonce: Hex
    valid_from: Height
    valid_until: Height
    atomic: bool
    signers: list[Hex]
    calls: list[CallModel]
    outcome: Outcome


class ReceiptFile(Model):
    """A receipt: everything needed to verify the transaction and its result offline."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "format": "health-ledger-receipt-1",
                    "transaction": EXAMPLE_HASH,
                    "receipt": "mJwBxCDVo3HRk+N+MSdq",
                }
            ]
        }
    )

    format: Literal["health-ledger-receipt-1"]
    transaction: Hash
    receipt: Annotated[Base64, Field(description="canonical bytes; see docs/protocol.md")]


class HeaderModel(Model):
    """A block's header and its hash."""

    version: int
    chain: Hash
    height: Height
    view: int
    parent: Hash
    proposer: str
    time: Milliseconds
    transactions_root: Hash
    identities: Hash
    results_root: Hash
    state_root: Hash
    log_root: Hash
    validators: Hash
    hash: Hash


class CommitSignatureModel(Model):
    """One validator's signature."""

    node: str
    signature: Hex


class CertificateModel(Model):
    """The commit signatures of a quorum over the header's hash."""

    height: Height
    view: int
    block: Hash
    signatures: list[CommitSignatureModel]


class BlockModel(Model):
    """A block and one page of its transactions; ``size`` is how many it has in all."""

    header: HeaderModel
    certificate: CertificateModel | None
    size: int
    offset: int
    transactions: list[TransactionModel]


class BlockSummary(HeaderModel):
    """A header in a list."""

    empty: Annotated[bool, Field(description="whether the block has no transactions")]


class BlockList(Model):
    """Headers in ascending order; ``next`` is the height to go on from, null at the end."""

    blocks: list[BlockSummary]
    head: Height
    next: Height | None


class StateProofFile(Model):
    """What proves a state entry, or its absence, to somebody with the genesis file."""

    format: Literal["health-ledger-state-1"]
    key: str
    statement: Annotated[Base64, Field(description="canonical bytes; see docs/protocol.md")]


class StateEntry(Model):
    """One entry of the state. An absent entry is an answer, not an error: it can be proven."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "key": "registry/people/n-yaf",
                    "height": 120,
                    "present": True,
                    "value": {"id": "n-yaf", "status": "active", "since": 0},
                    "proof": {
                        "format": "health-ledger-state-1",
                        "key": "registry/people/n-yaf",
                        "statement": "lsQVcmVnaXN0cnkvcGVvcGxlL24teWFm",
                    },
                },
            ]
        }
    )

    key: str
    height: Height
    present: bool
    value: ChainValue
    proof: StateProofFile | None


class QueryRequest(Model):
    """Named arguments, written by the rule for contract values. ``height``: the state after that
    block; ``version``: that version of the contract instead of the one in force."""

    arguments: dict[str, Any] = {}
    height: int | None = None
    version: int | None = None


class QueryAnswer(Model):
    """What a query method returned, on the state after ``height``."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"value": {"id": "n-yaf", "status": "active"}, "gas": 740, "height": 120}]
        }
    )

    value: ChainValue
    gas: int
    height: Height


class StreamedEvent(Model):
    """The data of one server-sent event; its ``id`` is the cursor."""

    cursor: Annotated[str, Field(description="height.transaction.event")]
    height: Height
    time: Milliseconds
    transaction: Hash
    call: int
    contract: str
    name: str
    fields: ChainValue


KeyDomain = Annotated[
    str,
    Field(
        pattern=r"^(patients|study)\.[A-Za-z0-9._-]{1,64}$",
        description="`patients.GENERATION`, or `study.ID`",
        examples=["patients.1"],
    ),
]
GroupElement = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{64}$",
        description="canonical encoding of an element of ristretto255",
        examples=["863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945"],
    ),
]


class EvaluateRequest(Model):
    """Elements that the caller has blinded."""

    domain: KeyDomain
    elements: Annotated[list[GroupElement], Field(min_length=1, max_length=256)]


class PartialEvaluation(Model):
    """The answer of one holder: elements times its share, and the proof of it (128 hex digits)."""

    index: int
    node: str
    elements: list[GroupElement]
    proof: str


class Evaluations(Model):
    """As many answers as it takes. ``refusals``: who gave none, and why; ``cheats``: whose answers
    were false; ``left``: how many more elements may be asked about today."""

    domain: KeyDomain
    epoch: int
    answers: list[PartialEvaluation]
    refusals: dict[str, str]
    cheats: list[str]
    left: int


class PseudonymKey(Model):
    """A key. ``quota``: evaluations that this institution may have of each holder in a day."""

    domain: KeyDomain
    epoch: int
    public: GroupElement
    threshold: int
    holders: list[str]
    since: Milliseconds
    quota: int


class CeremonyUnderWay(Model):
    """A ceremony and its stage."""

    number: int
    domain: KeyDomain
    stage: str


class PseudonymKeys(Model):
    """The keys of pseudonyms. ``generation``: that of the key of patients which is due."""

    generation: int
    keys: list[PseudonymKey]
    ceremonies: list[CeremonyUnderWay]


class BeginCeremonyRequest(Model):
    """The domain whose key is to be made or shared anew."""

    domain: KeyDomain


class CeremonyBegun(Model):
    """The number of the ceremony."""

    ceremony: int
