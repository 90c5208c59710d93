"""Why a rule decided as it did, in a clause for patients: one file of TOML for each contract.

A file is called like its contract and has a table for each rule, with ``en`` and ``zh``::

    [patient-permits]
    en = "you consented to it ({consent})"
    zh = "您已授权（{consent}）"

The clause follows "because", or stands after a colon in Chinese. A word in braces is a fact of the
rule's answer. Who writes a contract that is not of the library gets a general clause instead.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

from ledger.decisions.times import looks_like_time, said_time
from ledger.decisions.words import CLASSES, PURPOSES, REASONS, Language, listed, say

_FIELD: Final = re.compile(r"\{([a-z_]+)\}")
#: Facts that are codes, by their names.
_TABLES: Final = {"reason": REASONS, "purpose": PURPOSES, "kind": CLASSES}
_GENERAL: Final = {
    ("permit", "en"): "the rule {rule} of the contract {contract} permits it",
    ("permit", "zh"): "合约 {contract} 的规则 {rule} 准许",
    ("deny", "en"): "the rule {rule} of the contract {contract} does not permit it",
    ("deny", "zh"): "合约 {contract} 的规则 {rule} 不准许",
}


@cache
def clauses(contract: str) -> Mapping[str, Mapping[str, str]]:
    """The clauses of a contract by rule; none where there is no file.

    Raises:
        ValueError: the file is not what it should be.
    """
    file = resources.files("ledger.decisions") / "sentences" / f"{contract}.toml"
    if not contract.replace("_", "").isalnum() or not file.is_file():
        return {}
    found: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))
    for rule, clause in found.items():
        if not isinstance(clause, dict) or clause.keys() != {"en", "zh"}:
            raise ValueError(f"{contract}.toml: {rule} has en and zh and nothing else")
    return found


def fields_of(clause: str) -> set[str]:
    """The facts that a clause mentions."""
    return set(_FIELD.findall(clause))


def reason(answer: Mapping[str, Any], outcome: str, language: Language) -> str:
    """Why an answer is as it is: its clause, or a general one.

    Args:
        answer: what one rule said, with its facts.
        outcome: permit or deny, of the decision.
        language: en or zh.
    """
    known = clauses(answer["contract"]).get(answer["rule"])
    facts = {"until": answer.get("until", 0), **answer["facts"]}
    if known is None or not fields_of(known[language]) <= facts.keys():
        return _GENERAL[outcome, language].format(rule=answer["rule"], contract=answer["contract"])
    return _FIELD.sub(lambda found: _fact(found[1], facts[found[1]], language), known[language])


def _fact(name: str, value: Any, language: Language) -> str:
    table = _TABLES.get(name)
    return said(value, language) if table is None else say(table, str(value), language)


def said(value: Any, language: Language) -> str:
    """A fact as people say it; large numbers are block times."""
    if looks_like_time(value):
        return said_time(value, language)
    if isinstance(value, bool):
        return ("yes" if value else "no") if language == "en" else ("是" if value else "否")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return listed([said(item, language) for item in value], language) if value else "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} {said(item, language)}" for name, item in value.items())
    return str(value)
