"""From ids to pseudonyms, by answers that the caller checks against the chain.

What is hashed never leaves this process: it is blinded, others multiply, the proofs are held
against the verification shares on the chain, and the blinding is taken off again. Whoever runs this
sees the id; nobody else does, and nothing here keeps it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from ledger.chain import ceremonies
from ledger.chain.ceremonies import Epoch
from ledger.chain.codec import Malformed
from ledger.chain.evaluation import MAX_ELEMENTS
from ledger.client.requests import Request
from ledger.crypto.oprf import group, threshold, voprf
from ledger.crypto.oprf.group import Entropy
from ledger.crypto.oprf.proof import PROOF_SIZE
from ledger.crypto.oprf.voprf import Blinded, Evaluation

#: What stands before an input, so that none of one kind is ever one of another.
ID_TAG: Final = b"health-ledger/national-id\x00"
GENERATION_TAG: Final = b"health-ledger/generation\x00"
STUDY_TAG: Final = b"health-ledger/study\x00"
#: So many bytes of the output make a pseudonym: 2^64 people before two are likely to share one.
PSEUDONYM_BYTES: Final = 16
_HEX = "0123456789abcdef"


class NotAnswered(Exception):
    """No pseudonyms came of it: too few answers, or false ones. The text names the holders."""


def pseudonym(output: bytes, prefix: str = "p") -> str:
    """What a person is called for the 64 bytes that the function gives: ``p-``, or ``s-`` in a
    study, and 32 hex digits."""
    return f"{prefix}-{output[:PSEUDONYM_BYTES].hex()}"


def is_pseudonym(text: str, prefix: str = "p") -> bool:
    """Whether a text has the form of a pseudonym."""
    return (
        len(text) == 2 + 2 * PSEUDONYM_BYTES
        and text.startswith(prefix + "-")
        and all(digit in _HEX for digit in text[2:])
    )


class _Answer(msgspec.Struct, frozen=True):
    index: int
    node: str
    elements: list[str]
    proof: str


class Answers(msgspec.Struct, frozen=True):
    """What a node gives for blinded elements. ``left``: how many more may be asked about today."""

    domain: str
    epoch: int
    answers: Annotated[list[_Answer], msgspec.Meta(max_length=100)]
    refusals: dict[str, str] = {}
    cheats: list[str] = []
    left: int = 0

    def evaluations(self) -> dict[int, Evaluation]:
        """The answers by index; raises `Malformed` for what is not hex."""
        try:
            return {
                answer.index: Evaluation(
                    tuple(bytes.fromhex(point) for point in answer.elements),
                    bytes.fromhex(answer.proof),
                )
                for answer in self.answers
            }
        except ValueError:
            raise Malformed("an answer that is not hex") from None


_reader = msgspec.json.Decoder(Answers)


def _read(body: bytes) -> Answers:
    try:
        return _reader.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Malformed(f"not answers of holders: {error}") from None


def evaluate(domain: str, elements: Sequence[bytes]) -> Request[Answers]:
    """The request that has a node ask holders about blinded elements."""
    body = msgspec.json.encode({"domain": domain, "elements": [e.hex() for e in elements]})
    return Request(
        "POST", "/v1/pseudonyms/evaluate", _read, body=body, media="application/json",
        patience=60.0,
    )  # fmt: skip


def begin(domain: str) -> Request[int]:
    """The request that begins the ceremony for a key; the answer is its number."""

    def read(body: bytes) -> int:
        try:
            return msgspec.json.decode(body, type=dict[str, int])["ceremony"]
        except (msgspec.DecodeError, KeyError, RecursionError, UnicodeError) as error:
            raise Malformed(f"not the number of a ceremony: {error}") from None

    body = msgspec.json.encode({"domain": domain})
    return Request(
        "POST", "/v1/pseudonyms/ceremonies", read, body=body, media="application/json",
        patience=60.0,
    )  # fmt: skip


def overview() -> Request[dict[str, object]]:
    """The request for the keys that there are, as the node says."""

    def read(body: bytes) -> dict[str, object]:
        try:
            return msgspec.json.decode(body, type=dict[str, object])
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            raise Malformed(f"not an overview of keys: {error}") from None

    return Request("GET", "/v1/pseudonyms", read)


@dataclass(frozen=True, slots=True)
class Link:
    """Proof that pseudonyms of one generation and of the next are of the same people.

    ``old`` and ``new``: in the same order. ``answers``: what holders of the new key answered to the
    old pseudonyms themselves, unblinded, so that anybody can check it.
    """

    epoch: int
    old: tuple[str, ...]
    new: tuple[str, ...]
    answers: Mapping[int, Evaluation]


class Deriver:
    """Turns ids into pseudonyms.

    Args:
        epoch: how the key of a domain is held now, as the chain proves it; None where there is no
            such key.
        ask: has holders answer; see `evaluate`.
        entropy: random bytes for the blinding.
    """

    def __init__(
        self,
        epoch: Callable[[str], Epoch | None],
        ask: Callable[[str, Sequence[bytes]], Answers],
        entropy: Entropy = secrets.token_bytes,
    ) -> None:
        self._epoch = epoch
        self._ask = ask
        self._entropy = entropy
        self._known: dict[str, Epoch] = {}
        #: How many more elements may be asked about today, as far as is known.
        self.left: int | None = None

    def patients(self, numbers: Sequence[str], generation: int) -> list[str]:
        """The pseudonyms of normalised national ids, in their order.

        Raises:
            NotAnswered: the holders did not answer, or one of the generations has no key.
        """
        found = self._outputs(
            ceremonies.patients(1), [ID_TAG + number.encode("ascii") for number in numbers]
        )
        names = [pseudonym(output) for output in found]
        for later in range(2, generation + 1):
            names = self._carried(names, later)
        return names

    def _carried(self, names: Sequence[str], generation: int) -> list[str]:
        texts = [GENERATION_TAG + name.encode("ascii") for name in names]
        return [pseudonym(out) for out in self._outputs(ceremonies.patients(generation), texts)]

    def of_study(self, names: Sequence[str], study: str) -> list[str]:
        """What patients are called in a study, by their pseudonyms; raises as `patients` does."""
        texts = [STUDY_TAG + name.encode("ascii") for name in names]
        return [pseudonym(out, "s") for out in self._outputs(ceremonies.study(study), texts)]

    def link(self, names: Sequence[str], generation: int) -> Link:
        """Pseudonyms of the generation before carried over, with the proof; at most 256."""
        domain = ceremonies.patients(generation)
        one = group.of_int(1)
        questions = [
            voprf.blind(GENERATION_TAG + name.encode("ascii"), chosen=one) for name in names
        ]
        epoch, answers = self._answered(domain, questions)
        outputs = _finished(epoch, questions, answers)
        new = tuple(pseudonym(output) for output in outputs)
        return Link(epoch.number, tuple(names), new, answers)

    def _outputs(self, domain: str, texts: Sequence[bytes]) -> list[bytes]:
        found: list[bytes] = []
        for start in range(0, len(texts), MAX_ELEMENTS):
            questions = [
                voprf.blind(text, entropy=self._entropy)
                for text in texts[start : start + MAX_ELEMENTS]
            ]
            epoch, answers = self._answered(domain, questions)
            found += _finished(epoch, questions, answers)
        return found

    def _answered(
        self, domain: str, questions: Sequence[Blinded]
    ) -> tuple[Epoch, dict[int, Evaluation]]:
        answers = self._ask(domain, [question.element for question in questions])
        if answers.domain != domain:
            raise NotAnswered("the node answered for another key")
        epoch = self._known.get(domain)
        if epoch is None or epoch.number != answers.epoch:
            epoch = self._epoch(domain)
            if epoch is None or epoch.number != answers.epoch:
                raise NotAnswered(f"the chain has no epoch {answers.epoch} of {domain}")
            self._known[domain] = epoch
        self.left = answers.left
        return epoch, answers.evaluations()


def _finished(
    epoch: Epoch, questions: Sequence[Blinded], answers: Mapping[int, Evaluation]
) -> list[bytes]:
    asked = [question.element for question in questions]
    try:
        combined = threshold.combine(epoch.holders, asked, answers)
    except threshold.TooFew as error:
        liars = ", ".join(epoch.nodes.get(index, str(index)) for index in error.cheats)
        raise NotAnswered(f"{error}" + (f"; false: {liars}" if liars else "")) from None
    return threshold.finish(questions, combined)


def check_link(link: Link, epoch: Epoch) -> None:
    """Check that old and new pseudonyms of a link belong together.

    Args:
        epoch: of the new key, as the chain has it.

    Raises:
        NotAnswered: it proves something else, or nothing.
    """
    if link.epoch != epoch.number or len(link.old) != len(link.new):
        raise NotAnswered("a link of another epoch, or not in pairs")
    if not 0 < len(link.old) <= MAX_ELEMENTS or not all(map(is_pseudonym, link.old)):
        raise NotAnswered("a link is of 1 to 256 pseudonyms")
    one = group.of_int(1)
    questions = [
        voprf.blind(GENERATION_TAG + name.encode("ascii"), chosen=one) for name in link.old
    ]
    outputs = _finished(epoch, questions, link.answers)
    if tuple(pseudonym(output) for output in outputs) != link.new:
        raise NotAnswered("the new pseudonyms are not those of the old ones")


class _LinkLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    epoch: int
    old: Annotated[list[str], msgspec.Meta(max_length=MAX_ELEMENTS)]
    new: Annotated[list[str], msgspec.Meta(max_length=MAX_ELEMENTS)]
    answers: Annotated[list[_Answer], msgspec.Meta(max_length=100)]


def write_link(link: Link) -> bytes:
    """One line of a file of links."""
    answers = [
        _Answer(index, "", [point.hex() for point in answer.elements], answer.proof.hex())
        for index, answer in sorted(link.answers.items())
    ]
    return msgspec.json.encode(_LinkLine(link.epoch, list(link.old), list(link.new), answers))


def read_link(line: bytes) -> Link:
    """Read a line of a file of links; raises `Malformed`."""
    try:
        found = msgspec.json.decode(line, type=_LinkLine)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Malformed(f"not a link: {error}") from None
    given = Answers("", found.epoch, found.answers).evaluations()
    if any(len(answer.proof) != PROOF_SIZE for answer in given.values()):
        raise Malformed("a proof of another length")
    return Link(found.epoch, tuple(found.old), tuple(found.new), given)
