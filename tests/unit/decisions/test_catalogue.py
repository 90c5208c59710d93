"""Every rule of the library is said in both languages, and so is every code that patients meet."""

import ast
import re
import string
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from ledger.contracts.grammar import VERDICTS
from ledger.contracts.sources import LIBRARY, library_source
from ledger.decisions import words
from ledger.decisions.catalogue import clauses, fields_of, reason, said
from ledger.decisions.times import exact_time, looks_like_time, said_time

SPEAKING = [
    name for name in LIBRARY if re.search(rf"\b({'|'.join(VERDICTS)})\(", library_source(name))
]


def verdicts(contract: str) -> list[tuple[ast.expr, set[str]]]:
    """The rule and the named facts of every verdict in a contract of the library."""
    return [
        (node.args[0], {keyword.arg or "" for keyword in node.keywords})
        for node in ast.walk(ast.parse(library_source(contract)))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in VERDICTS
    ]


def names_of(rule: ast.expr, contract: str) -> list[str]:
    """What a rule can be called; for one that is put together, the beginning with ``*``."""
    if isinstance(rule, ast.Constant):
        return [rule.value]
    if isinstance(rule, ast.IfExp):
        return [*names_of(rule.body, contract), *names_of(rule.orelse, contract)]
    if isinstance(rule, ast.JoinedStr) and isinstance(rule.values[0], ast.Constant):
        return [f"{rule.values[0].value}*"]
    # Looked up in the state or handed over: one of the texts of the contract.
    found = [
        node.value
        for node in ast.walk(ast.parse(library_source(contract)))
        if isinstance(node, ast.Constant) and node.value in clauses(contract)
    ]
    assert found, f"{contract}: nobody can tell what {ast.unparse(rule)} is"
    return found


@pytest.mark.parametrize("contract", SPEAKING)
def test_every_rule_of_the_library_is_said_in_english_and_chinese(contract: str) -> None:
    known = clauses(contract)
    for rule, _ in verdicts(contract):
        for name in names_of(rule, contract):
            fitting = [each for each in known if each == name or each.startswith(name[:-1])]
            assert name in known or (name.endswith("*") and fitting), f"{contract}.toml: {name}"


@pytest.mark.parametrize("contract", SPEAKING)
def test_a_clause_mentions_facts_that_its_rule_states_and_is_in_its_language(contract: str) -> None:
    stated: dict[str, list[set[str]]] = {}
    for rule, facts in verdicts(contract):
        for name in names_of(rule, contract):
            stated.setdefault(name, []).append(facts - {"duties"})
    for rule, clause in clauses(contract).items():
        known = stated.get(rule) or [
            facts for name, all_ in stated.items()
            if name.endswith("*") and rule.startswith(name[:-1]) for facts in all_
        ]  # fmt: skip
        assert known, f"{contract}.toml: no rule is called {rule}"
        for facts in known:
            assert fields_of(clause["en"]) | fields_of(clause["zh"]) <= facts, (contract, rule)
        assert fields_of(clause["en"]) == fields_of(clause["zh"]), (contract, rule)
        assert re.search("[\u4e00-\u9fff]", clause["zh"]), (contract, rule)
        assert not re.search("[\u4e00-\u9fff]", clause["en"]), (contract, rule)
        assert clause["en"][-1] not in string.punctuation.replace(")", "").replace("}", "")
        assert clause["zh"][-1] not in "。，；"


def test_there_is_no_file_without_a_contract() -> None:
    files = [Path(str(file)) for file in resources.files("ledger.decisions.sentences").iterdir()]
    assert {file.stem for file in files if file.suffix == ".toml"} == set(SPEAKING)
    for file in files:
        if file.suffix == ".toml":
            assert tomllib.loads(file.read_text("utf-8"))


def constant(contract: str, name: str) -> list[str]:
    for node in ast.parse(library_source(contract)).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return list(ast.literal_eval(node.value))
    raise KeyError(name)


def duties_of_the_library() -> set[str]:
    """Every v3-ActCode that stands in a constant with DUTIES in its name, or at a verdict."""
    found: set[str] = set()
    for contract in LIBRARY:
        for node in ast.walk(ast.parse(library_source(contract))):
            named = isinstance(node, ast.Assign) and "DUTIES" in ast.unparse(node.targets[0])
            if named or (isinstance(node, ast.keyword) and node.arg == "duties"):
                found |= {
                    inner.value
                    for inner in ast.walk(node.value)
                    if isinstance(inner, ast.Constant)
                    and isinstance(inner.value, str)
                    and re.fullmatch("[A-Z]{3,}", inner.value)
                }
    return found - set(constant("access", "SUITED"))


@pytest.mark.parametrize(
    ("table", "codes"),
    [
        (words.PURPOSES, constant("access", "BRANCH")),
        (words.ROLES, constant("registry", "ROLES")),
        (words.CLASSES, constant("records", "CLASSES")),
        (words.DUTIES, sorted(duties_of_the_library() - {"N", "R", "V"})),
    ],
    ids=["purposes", "roles", "classes", "duties"],
)
def test_every_code_that_patients_meet_has_words(
    table: dict[str, words.Pair], codes: list[str]
) -> None:
    assert [code for code in codes if code not in table] == []
    for english, chinese in table.values():
        assert english
        assert re.search("[\u4e00-\u9fff]|^Meta", chinese)


def test_a_code_without_words_is_said_as_it_is() -> None:
    assert words.say(words.DUTIES, "NEWCODE", "zh") == "NEWCODE"


def test_a_rule_of_an_unknown_contract_has_a_general_clause() -> None:
    answer = {"contract": "mine", "rule": "my-rule", "facts": {}}
    assert reason(answer, "permit", "en") == "the rule my-rule of the contract mine permits it"
    assert reason(answer, "deny", "zh") == "合约 mine 的规则 my-rule 不准许"


def test_a_clause_whose_facts_are_missing_is_not_used() -> None:
    answer = {"contract": "consent", "rule": "patient-permits", "facts": {"given": 2}}
    assert reason(answer, "permit", "en").startswith("the rule patient-permits")


def test_a_contracts_name_leads_to_no_other_file() -> None:
    assert clauses("../words") == {}
    assert clauses("") == {}


def test_facts_are_said_as_people_say_them() -> None:
    assert said(True, "zh") == "是"
    assert said(False, "en") == "no"
    assert said(["a", "b", "c"], "en") == "a, b and c"
    assert said([], "en") == "-"
    assert said(b"\x01", "en") == "01"
    assert said({"a": 1, "b": [2]}, "en") == "a 1, b 2"
    assert said(1_780_000_000_000, "en") == "29 May 2026, 04:26"
    assert said(1_780_000_000_000, "zh") == "2026年5月29日04:26"


def test_only_numbers_that_can_be_block_times_are_times() -> None:
    assert not looks_like_time(123_456)
    assert not looks_like_time(True)
    assert looks_like_time(1_780_000_000_000)
    assert exact_time(1_780_000_000_007) == "2026-05-28 20:26:40.007 UTC"
    assert said_time(0, "zh") == "1970年1月1日08:00"
