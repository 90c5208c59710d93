"""SMART scopes: what is one, what it permits, and what lies under a ceiling."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.api.signin.scopes import (
    LETTER,
    InvalidScope,
    Scope,
    allows,
    granting,
    narrow,
    parse_scope,
    resource_scopes,
)

LETTERS = "cruds"
TYPES = ["Consent", "DocumentReference", "AuditEvent", "*"]

scopes = st.builds(
    Scope,
    level=st.sampled_from(["patient", "user", "system"]),
    type=st.sampled_from(TYPES),
    may=st.sets(st.sampled_from(LETTERS), min_size=1).map(
        lambda chosen: "".join(letter for letter in LETTERS if letter in chosen)
    ),
    only=st.sets(st.sampled_from(["category=laboratory", "type=a|b", "status=final"])).map(
        lambda chosen: tuple(sorted(chosen))
    ),
)
many = st.lists(scopes, max_size=4)


def permits(scope: Scope, level: str, kind: str, letter: str, matching: frozenset[str]) -> bool:
    """The meaning of a scope, said once more: may this be done to a resource that matches these
    search parameters?"""
    return (
        scope.level == level
        and scope.type in ("*", kind)
        and letter in scope.may
        and set(scope.only) <= matching
    )


cases = st.tuples(
    st.sampled_from(["patient", "user", "system"]),
    st.sampled_from(TYPES[:-1]),
    st.sampled_from(LETTERS),
    st.frozensets(st.sampled_from(["category=laboratory", "type=a|b", "status=final"])),
)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("system/Consent.cruds", Scope("system", "Consent", "cruds")),
        ("user/*.rs", Scope("user", "*", "rs")),
        ("patient/AuditEvent.s", Scope("patient", "AuditEvent", "s")),
        ("patient/Observation.read", Scope("patient", "Observation", "rs")),
        ("patient/Observation.write", Scope("patient", "Observation", "cud")),
        ("user/*.*", Scope("user", "*", "cruds")),
        (
            "patient/Observation.rs?status=final&category=http://x|laboratory",
            Scope("patient", "Observation", "rs", ("category=http://x|laboratory", "status=final")),
        ),
    ],
)
def test_a_resource_scope_is_read(text: str, meant: Scope) -> None:
    assert parse_scope(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "", "system/Consent", "system/Consent.", "system/Consent.sr", "system/Consent.rr",
        "system/Consent.x", "system/consent.r", "admin/Consent.r", "system/Consent.r ",
        "system//Consent.r", "system/Consent.r?", "system/Consent.r?a", "system/Consent.r?=b",
        "system/Consent.r?a=b&", "system/Consent.r?a=b c", "system/Consent.r\n", "system/*.r*",
        "system/Consent.r?a=b=c", 'system/Consent.r?a="', "system/Consent.ｒ", "SYSTEM/Consent.r",
        "system/C" + "o" * 64 + ".r", "system/Consent.dus", "system/Consent.readwrite",
    ],
)  # fmt: skip
def test_what_is_no_resource_scope_is_refused(text: str) -> None:
    with pytest.raises(InvalidScope):
        parse_scope(text)


def test_letters_out_of_order_are_refused_in_every_order_but_one() -> None:
    def good(letters: str) -> bool:
        try:
            parse_scope(f"system/Consent.{letters}")
        except InvalidScope:
            return False
        return True

    import itertools

    for size in range(1, 6):
        for letters in map("".join, itertools.permutations(LETTERS, size)):
            assert good(letters) == ("".join(sorted(letters, key=LETTERS.index)) == letters)


@given(scopes)
def test_what_is_written_is_read_back(scope: Scope) -> None:
    assert parse_scope(str(scope)) == scope


def test_other_scopes_of_a_request_are_left_out_and_broken_ones_refused() -> None:
    found = resource_scopes("openid fhirUser launch/patient offline_access user/Consent.rs")
    assert found == (Scope("user", "Consent", "rs"),)
    assert resource_scopes("") == ()
    for text in ("openid user/Consent.sr", " ".join(["openid"] * 65), "x" * 4097):
        with pytest.raises(InvalidScope):
            resource_scopes(text)


@given(many, many, cases)
def test_what_is_granted_is_what_was_asked_and_may_be_given(asked, ceiling, case) -> None:
    granted = [parse_scope(text) for text in narrow(asked, ceiling)]
    both = any(permits(one, *case) for one in asked) and any(permits(one, *case) for one in ceiling)
    assert any(permits(one, *case) for one in granted) == both


@given(many, many)
def test_narrowing_again_or_the_other_way_round_changes_nothing(asked, ceiling) -> None:
    granted = narrow(asked, ceiling)
    assert narrow(ceiling, asked) == granted
    assert narrow(map(parse_scope, granted), ceiling) == granted
    assert narrow(asked, asked) == narrow(map(parse_scope, narrow(asked, asked)), asked)


@given(scopes, scopes, cases)
def test_a_scope_that_covers_another_permits_all_of_it(wide, narrow_one, case) -> None:
    if wide.covers(narrow_one) and permits(narrow_one, *case):
        assert permits(wide, *case)


@given(many, cases, st.sampled_from(sorted(LETTER)))
def test_the_fence_lets_through_what_a_scope_without_parameters_permits(
    granted, case, interaction
) -> None:
    level, kind, *_ = case
    texts = [str(scope) for scope in granted]
    letter = LETTER[interaction]
    assert allows(texts, level, kind, interaction) == any(
        permits(scope, level, kind, letter, frozenset()) for scope in granted
    )
    narrowed = granting(texts, level, kind, interaction)
    assert any(set(scope.only) <= case[3] for scope in narrowed) == any(
        permits(scope, level, kind, letter, case[3]) for scope in granted
    )


@given(st.from_regex(r"(user|system)/(Consent|\*)\.[crudsx*]{0,3}(\?[ab=&]{0,5})?", fullmatch=True))
def test_any_text_is_a_scope_that_is_written_the_same_or_grants_nothing(text: str) -> None:
    try:
        scope = parse_scope(text)
    except InvalidScope:
        assert not allows([text], "system", "Consent", "read")
    else:
        assert re.fullmatch(r"[!-~]+", text)
        assert parse_scope(str(scope)) == scope


def test_no_scope_grants_nothing() -> None:
    for interaction in LETTER:
        assert not allows([], "user", "Consent", interaction)
    assert not allows(["openid", "user/Consent"], "user", "Consent", "read")
