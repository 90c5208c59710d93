"""Contracts share no modules, so each can be read alone: what they repeat is the same in all."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import get_args

import pytest

from ledger.chain.pointer import CONFIDENTIALITY, RECORD_CLASSES
from ledger.contracts.sources import library_sources
from ledger.node.setup.config import InstitutionKind, PersonRole

TREES = {name: ast.parse(source) for name, source in library_sources().items()}
#: Contracts whose parameters are numbers with bounds, for all or for one county, repeat these.
OF_PARAMETERS = ("amend", "checked", "merged", "terms_at", "terms_of")
#: Roles that the chain gives and no configuration can.
BY_VOTE_ONLY = {"node"}


def functions(name: str) -> Iterator[tuple[str, str]]:
    """The contracts that have a function of that name, and what it does, without its docstring."""
    for contract, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                body = node.body[1:] if ast.get_docstring(node) else node.body
                yield contract, "\n".join(map(ast.unparse, [node.args, *body]))


def constants(name: str) -> dict[str, object]:
    """The contracts that have a constant of that name, and its value."""
    return {
        contract: ast.literal_eval(node.value)
        for contract, tree in TREES.items()
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == name
    }


@pytest.mark.parametrize("name", OF_PARAMETERS)
def test_parameters_by_county_mean_the_same_in_every_contract(name: str) -> None:
    with_counties = {
        contract
        for contract, tree in TREES.items()
        if any(
            isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "local" for n in tree.body
        )
    }
    assert with_counties >= {"emergency", "erasure", "corrections", "referral"}
    texts = [text for contract, text in functions(name) if contract in with_counties]
    assert len(texts) > 2
    assert len(set(texts)) == 1


@pytest.mark.parametrize(
    "name",
    [
        "MAX_ID",
        "ID_LETTERS",
        "HASH_BYTES",
        "HEX_NAME",
        "HEX_DIGITS",
        "TOKEN_BYTES",
        "MINUTE",
        "HOUR",
    ],
)
def test_a_constant_has_one_value(name: str) -> None:
    found = constants(name)
    assert len(found) > 2
    assert len({repr(value) for value in found.values()}) == 1, found


@pytest.mark.parametrize(("contract", "classes"), constants("CLASSES").items())
def test_the_classes_of_a_contract_are_those_of_pointers_or_some_of_them(
    contract: str, classes: list[str]
) -> None:
    assert classes == [one for one in RECORD_CLASSES if one in classes], contract
    if contract != "chronic":  # a programme never covers claims, nor what is of no class
        assert len(classes) == len(RECORD_CLASSES)


@pytest.mark.parametrize(("contract", "rank"), constants("RANK").items())
def test_levels_stand_in_the_order_of_pointers(contract: str, rank: dict[str, int]) -> None:
    expected = {level: place for place, level in enumerate(CONFIDENTIALITY, 1)}
    assert rank == {level: expected[level] for level in rank}, contract


def test_kinds_and_roles_are_the_same_on_the_chain_and_in_configurations() -> None:
    kinds, roles = constants("KINDS"), constants("ROLES")
    assert kinds["governance"] == kinds["access"] == list(get_args(InstitutionKind))
    assert roles["registry"] == roles["consent"]
    assert set(roles["registry"]) - BY_VOTE_ONLY == set(get_args(PersonRole))
