"""Whether the arguments of a call bind to the parameters of what it calls."""

from __future__ import annotations

import ast

from ledger.contracts.annotations import REQUIRED
from ledger.contracts.facts import Findings, FunctionFacts, is_public_name
from ledger.contracts.grammar import Signature


def signature_of(function: FunctionFacts) -> Signature:
    """What a function of the contract takes."""
    names = tuple(parameter.name for parameter in function.parameters)
    required = sum(parameter.default is REQUIRED for parameter in function.parameters)
    return Signature(names, required, frozenset(names))


def fit(findings: Findings, node: ast.Call, name: str, signature: Signature) -> None:
    """Check that the arguments of a call bind to the parameters, as Python would."""
    parameters = signature.parameters
    if len(node.args) > len(parameters) and not signature.many:
        findings.add(node, "E037", f"{name} takes at most {len(parameters)} arguments")
        return
    given = set(parameters[: len(node.args)])
    for keyword in node.keywords:
        word = keyword.arg or ""
        if word in given and word in signature.keywords:
            findings.add(node, "E037", f"{name} gets {word} twice")
        elif word not in signature.keywords and not signature.fields:
            findings.add(node, "E037", f"{name} has no parameter {word} to name")
        elif signature.fields and not is_public_name(word):
            findings.add(node, "E033", f"the name {word} is not for contracts")
        if word in signature.keywords or not signature.fields:
            given.add(word)
    words = [keyword.arg for keyword in node.keywords]
    if len(set(words)) != len(words):
        findings.add(node, "E037", f"{name} gets an argument twice")
    missing = [name for name in parameters[: signature.required] if name not in given]
    if missing:
        findings.add(node, "E037", f"{name} needs {', '.join(missing)}")
