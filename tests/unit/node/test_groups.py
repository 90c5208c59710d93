"""One table of a configuration stands for many institutions or people, each checked alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.node.setup.config import NetworkConfig, parse_config
from ledger.node.setup.groups import LARGEST, BadGroup, spread
from ledger.node.setup.tomlfile import InvalidFile

DEV = (Path(__file__).parents[3] / "network-configs" / "dev.toml").read_text(encoding="utf-8")
CENTRES = """
[[institutions]]
id = "centre-{n}"
count = 87
name = "Community centre {n}"
name_zh = "第{n}社区健康服务中心"
kind = "community-centre"
county = "Nanshan"

[[people]]
key = "clerk-{n}"
count = 87
institution = "centre-{n}"
roles = ["registrar"]
name = "Clerk {n}"
name_zh = "经办人{n}"
"""


def with_group(text: str = CENTRES) -> NetworkConfig:
    return parse_config(DEV + text, "x.toml")


def faults(text: str) -> list[str]:
    with pytest.raises(InvalidFile) as caught:
        with_group(text)
    return [str(fault) for fault in caught.value.faults]


def test_a_group_is_as_many_institutions_with_as_many_people_of_their_own() -> None:
    before, config = parse_config(DEV), with_group()
    centres = [one for one in config.institutions if one.kind == "community-centre"]
    assert [one.id for one in centres] == [f"centre-{n}" for n in range(1, 88)]
    assert centres[86].name_zh == "第87社区健康服务中心"
    assert len(config.institutions) == len(before.institutions) + 87
    clerks = [person for person in config.people if person.key.startswith("clerk-")]
    assert [(one.key, one.institution) for one in clerks] == [
        (f"clerk-{n}", f"centre-{n}") for n in range(1, 88)
    ]


def test_a_group_can_have_nodes_which_get_ports_of_their_own() -> None:
    config = with_group(
        CENTRES.split("[[people]]")[0].replace("count = 87", "count = 3")
        + '[[institutions.nodes]]\nid = "centre-{n}-a"\nrole = "observer"\n'
    )
    places = [place for place in config.nodes() if place.institution.startswith("centre-")]
    assert [place.id for place in places] == ["centre-1-a", "centre-2-a", "centre-3-a"]
    assert len({place.peer_port for place in places}) == 3


def test_what_is_wrong_with_all_of_a_group_is_said_once_with_its_line() -> None:
    text = CENTRES.replace('kind = "community-centre"', 'kind = "community-center"')
    (fault,) = faults(text)
    line = (DEV + text).split('kind = "community-center"')[0].count("\n") + 1
    assert fault.startswith(f"x.toml:{line}: institutions[4].kind: 'community-center' is not one")


@pytest.mark.parametrize("count", ["1", "0", "-3", "3001", "true", '"many"', "2.5"])
def test_a_count_is_a_number_from_two_on(count: str) -> None:
    (fault,) = faults(CENTRES.replace("count = 87", f"count = {count}", 1))
    assert "institutions[4].count" in fault
    assert f"is not a number from 2 to {LARGEST:,}" in fault


def test_the_members_of_a_group_must_not_all_be_called_the_same() -> None:
    (fault,) = faults(CENTRES.replace('id = "centre-{n}"', 'id = "centre"'))
    assert "institutions[4].id: needs {n}" in fault
    (fault,) = faults(CENTRES.replace('key = "clerk-{n}"', 'key = "clerk"'))
    assert "key: needs {n}" in fault


def test_a_number_without_a_group_is_no_id() -> None:
    (fault,) = [one for one in faults(CENTRES.replace("count = 87", "", 1)) if "].id" in one]
    assert "'centre-{n}'" in fault


@given(st.integers(2, LARGEST))
def test_each_member_leads_back_to_its_table(size: int) -> None:
    data = {"people": [{"key": "a"}, {"key": "b-{n}", "count": size}, {"key": "c"}]}
    result, origins = spread(data)
    assert [one["key"] for one in result["people"]] == [
        "a", *(f"b-{n}" for n in range(1, size + 1)), "c",
    ]  # fmt: skip
    assert [origins["people", place] for place in range(size + 2)] == [
        ("people", 0), *[("people", 1)] * size, ("people", 2),
    ]  # fmt: skip


def test_a_count_without_a_table_is_no_group() -> None:
    assert spread({"people": "nobody"}) == ({"people": "nobody"}, {})
    with pytest.raises(BadGroup):
        spread({"people": [{"key": "a-{n}", "count": None}]})
