"""A scenario is read line by line; what is not understood is refused with its line and a hint."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.scenario.language import (
    Anchors,
    AsksFor,
    Denies,
    Does,
    Enrols,
    ExpectsAnswer,
    ExpectsEvent,
    Gives,
    Has,
    Later,
    Permits,
    Refuses,
)
from ledger.scenario.parser import InvalidScenario, load_scenario, read_act, read_scenario
from ledger.scenario.values import (
    DEEPEST,
    Listed,
    Mapped,
    Moment,
    Person,
    Reader,
    Reference,
    Unreadable,
    tokens,
)

HEAD = """title    A reading
title_zh 远程诊断
source   004
shows    an ECG is read
trap     nobody else reads it
"""
DAY = 86_400_000


def test_a_scenario_has_a_head_and_steps_amid_prose() -> None:
    scenario = read_scenario(
        f"# Who wrote this.\n\n{HEAD}\n# The village takes\n# an ECG.\n"
        "record ecg-1 of li at village kind=ecg  # at noon\n\nlater 2 days\n# The end.\n",
        "reading",
    )
    assert (scenario.name, scenario.title, scenario.title_zh) == (
        "reading",
        "A reading",
        "远程诊断",
    )
    assert (scenario.source, scenario.trap) == (("004",), "nobody else reads it")
    first, second = scenario.steps
    assert first.prose == ("The village takes", "an ECG.")
    assert first.act == Anchors("ecg-1", "li", "village", "ecg")
    assert (second.line, second.act, second.prose) == (13, Later(2 * DAY), ())
    assert scenario.epilogue == ("The end.",)


@pytest.mark.parametrize(
    ("line", "act"),
    [
        ("later 20 minutes", Later(1_200_000)),
        ("later 1.5 hours", Later(5_400_000)),
        (
            "record r of li at hall kind=note level=V labels=SUD+HIV taken=-3days by=clerk",
            Anchors("r", "li", "hall", "note", "V", ("HIV", "SUD"), 3 * DAY, "clerk"),
        ),
        (
            "dr-wang at hall does reading.order id=r1 subject=@li until=+3days as order",
            Does(
                ("dr-wang",),
                "reading",
                "order",
                (
                    ("institution", "hall"),
                    ("id", "r1"),
                    ("subject", Person("li")),
                    ("until", Moment(3 * DAY)),
                ),
                "order",
            ),
        ),
        (
            'clerk with nurse does a.b f=form("a paper") n=-3 t=true x=nothing refuses too_late',
            Does(
                ("clerk", "nurse"),
                "a",
                "b",
                (
                    ("f", Reference("form", ("a paper",))),
                    ("n", -3),
                    ("t", True),
                    ("x", None),
                ),
                "",
                Refuses("too_late"),
            ),
        ),
        ("a does b.c -> 3days", Does(("a",), "b", "c", (), "", Gives(3 * DAY))),
        ("a does b.c x=1 has y=2", Does(("a",), "b", "c", (("x", 1),), "", Has((("y", 2),)))),
        (
            "wang at hall asks for r for TREAT as q -> permit reading:ordered",
            AsksFor("wang", "hall", "r", "TREAT", Permits("reading:ordered"), result="q"),
        ),
        (
            "wang at hall asks for r for TREAT in case c1 showing labels -> permit a:b "
            "duties NORDSCLCD AOD until +1day",
            AsksFor(
                "wang",
                "hall",
                "r",
                "TREAT",
                Permits("a:b", ("AOD", "NORDSCLCD"), Moment(DAY)),
                case="c1",
                shows_labels=True,
            ),
        ),
        (
            "li asks for r for PATRQT -> deny a:b",
            AsksFor("li", "", "r", "PATRQT", Denies("a:b")),
        ),
        (
            "li asks for r for PATRQT refuses revoked",
            AsksFor("li", "", "r", "PATRQT", Refuses("revoked")),
        ),
        (
            "wang at ship breaks the glass for r because unconscious as g -> permit a:b",
            AsksFor(
                "wang", "ship", "r", "BTG", Permits("a:b"), emergency="unconscious", result="g"
            ),
        ),
        (
            "clerk at hall enrols baby as patient without key",
            Enrols(("clerk",), "baby", "hall", ("patient",), False),
        ),
        (
            "clerk at hall enrols lin as physician nurse refuses role_missing",
            Enrols(
                ("clerk",), "lin", "hall", ("physician", "nurse"), True, Refuses("role_missing")
            ),
        ),
        (
            "clerk at isle affiliates wang as physician",
            Does(
                ("clerk",),
                "registry",
                "affiliate",
                (
                    ("id", Person("wang")),
                    ("institution", "isle"),
                    ("roles", Listed(("physician",))),
                ),
            ),
        ),
        (
            "li permits purposes=[TREAT] as c1",
            Does(
                ("li",),
                "consent",
                "grant",
                (
                    ("id", "c1"),
                    ("subject", Person("li")),
                    ("scope", Mapped((("purposes", Listed(("TREAT",))),))),
                ),
            ),
        ),
        (
            'clerk with nurse denies purposes=[COC] as c2 for li on form "x"',
            Does(
                ("clerk", "nurse"),
                "consent",
                "deny",
                (
                    ("id", "c2"),
                    ("subject", Person("li")),
                    ("scope", Mapped((("purposes", Listed(("COC",))),))),
                    ("form", Reference("form", ("x",))),
                ),
            ),
        ),
        ("li withdraws c1", Does(("li",), "consent", "withdraw", (("id", "c1"),))),
        (
            "expect event access.decided outcome=permit",
            ExpectsEvent("access", "decided", (("outcome", "permit"),)),
        ),
        ("expect no event a.b", ExpectsEvent("a", "b", (), told=False)),
        ("expect a.b id=x -> nothing", ExpectsAnswer("a", "b", (("id", "x"),), Gives(None))),
        ("expect a.b has x=1", ExpectsAnswer("a", "b", (), Has((("x", 1),)))),
    ],
)
def test_a_line_says(line: str, act: object) -> None:
    assert read_act(line) == act


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("later", "expected how long at the end of the line"),
        ("later 3 moons", "'moons' is not a unit of time"),
        ("later 0 days", "time does not stand still"),
        ("later -3 days", "'-3' is not a number"),
        ("record r of li at hall", "what kind of record"),
        ("record r of li at hall kind=ecg level=X", "level 'X' is not one of N, R, V"),
        ("record r of li at hall kind=ecg taken=+3days", "before now"),
        ("record r of li at hall kind=ecg lable=PSY", "no 'lable'; did you mean labels?"),
        ("li does consent", "'consent': expected what is done as contract.method"),
        ("li doess a.b", "nobody can 'doess'; did you mean does?"),
        ("li jumps", "nobody can 'jumps'; one of does, asks"),
        ("li does a.b x=1 x=2", "'x' is given twice"),
        ("li does a.b x=1 y", "did not expect 'y' here"),
        ("li does a.b x=[1 2]", "expected ',' or ']' before '2'"),
        ("li does a.b x={a: 1, a: 2}", "'a' is given twice"),
        ("li does a.b x=spell(y)", "spell(…) is not one of record"),
        ("li does a.b x=@", "@ is followed by the label of a person"),
        ('li does a.b x="open', "cannot read"),
        ("li at hall does a.b institution=hall", "the institution is given twice"),
        ("li asks for r for TREAT", "expected '->' at the end of the line"),
        ("li asks for r for TREAT -> allow a:b", "expected 'permit' before 'allow'"),
        ("li asks for r for TREAT -> permit ab", "'ab' is not a rule such as"),
        ("li with wu asks for r for TREAT -> deny a:b", "one person asks for a record"),
        ("li at hall permits purposes=[TREAT] as c", "for no institution"),
        ("clerk enrols baby as patient", "somebody at INSTITUTION enrols"),
        ("clerk at hall enrols baby as", "expected at least one role"),
        ("expect no a.b", "expected 'event' after 'expect no'"),
        ("expect a.b has", "has what?"),
        ("li does a.b x=" + "[" * 20 + "]" * 20, "brackets too deep"),
    ],
)
def test_a_line_that_says_nothing_is_refused_with_a_hint(line: str, what: str) -> None:
    with pytest.raises(InvalidScenario) as caught:
        read_scenario(f"{HEAD}\nlater 1 day\n{line}\n", "bad")
    assert caught.value.line == 8
    assert str(caught.value).startswith("bad, line 8: ")
    assert what in str(caught.value)


@pytest.mark.parametrize("field", ["title", "title_zh", "source", "shows", "trap"])
def test_no_line_of_the_head_may_be_missing_empty_or_twice(field: str) -> None:
    lines = HEAD.splitlines()
    (place,) = [n for n, line in enumerate(lines) if line.split()[0] == field]
    rest = [line for line in lines if line != lines[place]]
    with pytest.raises(InvalidScenario, match=rf"line 5: before the first step: {field}$"):
        read_scenario("\n".join([*rest, "later 1 day"]))
    with pytest.raises(InvalidScenario, match=f"line 1: {field} of what"):
        read_scenario("\n".join([field, *rest]))
    with pytest.raises(InvalidScenario, match=f"line 6: {field} is given twice"):
        read_scenario("\n".join([*lines, lines[place]]))


def test_a_scenario_without_steps_is_none() -> None:
    with pytest.raises(InvalidScenario, match="no step in it"):
        read_scenario(HEAD)


def test_a_file_that_is_too_large_or_no_text_is_refused(tmp_path) -> None:
    path = tmp_path / "x.scenario"
    path.write_bytes(HEAD.encode() + b"\xff")
    with pytest.raises(InvalidScenario, match="line 6: not UTF-8"):
        load_scenario(path)
    path.write_bytes(b"#" * 300_000)
    with pytest.raises(InvalidScenario, match="larger than"):
        load_scenario(path)
    path.write_text(HEAD + "# " + "x" * 3_000)
    with pytest.raises(InvalidScenario, match="line 6: longer"):
        load_scenario(path)


WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
VALUES = st.recursive(
    TEXTS | st.integers(-(10**6), 10**6) | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: Listed(tuple(items)))
        | st.dictionaries(WORDS, inner, max_size=3).map(lambda items: Mapped(tuple(items.items())))
    ),
    max_leaves=DEEPEST,
)


def written(value: object) -> str:
    if isinstance(value, Listed):
        return f"[{', '.join(map(written, value.items))}]"
    if isinstance(value, Mapped):
        return "{" + ", ".join(f"{name}: {written(item)}" for name, item in value.items) + "}"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@given(VALUES)
def test_every_value_is_read_as_it_was_written(value: object) -> None:
    reader = Reader(tokens(f"x={written(value)}"))
    assert reader.arguments() == (("x", value),)
    reader.end()


@given(st.text(max_size=60))
def test_no_line_makes_anything_but_a_step_or_an_explanation(line: str) -> None:
    with suppress(Unreadable):
        assert read_act(line)
