"""Reading tokens back: which label or code a rule means, for those who hold the patient's key.

A token cannot be turned back; it can be compared with those of the labels and codes that there are.
What is not among them stays closed, also for the holder of the key, and is shown as masked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ledger.chain.tokens import LabelKey
from ledger.fhir import codes, elements, kinds
from ledger.fhir.labels import ACT_CODE_SYSTEM, SENSITIVITY

_ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def masked() -> elements.Element:
    """A Coding of which only this is said, that it is kept from the caller."""
    return {"extension": [{"url": _ABSENT, "valueCode": "masked"}]}


class LabelNames:
    """What the tokens of one patient mean.

    Args:
        key: the patient's label key; None knows no token.
        known: (system, code) pairs that may be meant, beside resource types and the codes by which
            records are classed.
    """

    def __init__(self, key: LabelKey | None, known: Iterable[tuple[str, str]] = ()) -> None:
        self._labels: dict[bytes, str] = {}
        self._codes: dict[bytes, tuple[str, str]] = {}
        if key is not None:
            self._labels = {key.label(code): code for code in SENSITIVITY}
            pairs = {(codes.RESOURCE_TYPE_SYSTEM, name) for name in kinds.RESOURCE_TYPES}
            self._codes = {key.code(*pair): pair for pair in {*pairs, *kinds.CODES, *known}}

    def label(self, token: bytes) -> elements.Element:
        """The Coding of a sensitivity, or a masked one."""
        code = self._labels.get(token)
        return elements.coding(ACT_CODE_SYSTEM, code) if code else masked()

    def code(self, token: bytes) -> tuple[str, str] | None:
        """System and code, or nothing for a token that stays closed."""
        return self._codes.get(token)

    def codings(self, tokens: Iterable[bytes]) -> tuple[list[Any], list[Any]]:
        """The tokens of a rule's codes as resource types (Coding) and other codes (concepts).

        One that stays closed is a concept without a code.
        """
        types: list[Any] = []
        others: list[Any] = []
        for token in tokens:
            pair = self.code(token)
            if pair is None:
                others.append(elements.concept(masked()))
            elif pair[0] == codes.RESOURCE_TYPE_SYSTEM:
                types.append(elements.coding(*pair))
            else:
                others.append(elements.concept(elements.coding(*pair)))
        return types, others
