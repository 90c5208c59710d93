"""A network configuration is accepted whole or refused with file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.chain.constitution import PARAMETER_BOUNDS, Parameters
from ledger.node.setup.config import NetworkConfig, load_config, parse_config
from ledger.node.setup.tomlfile import Fault, InvalidFile

CONFIGS = Path(__file__).parents[3] / "network-configs"
DEV = (CONFIGS / "dev.toml").read_text(encoding="utf-8")

#: The place of ``access`` in the list: after the contracts that it asks.
ACCESS = [contract.name for contract in parse_config(DEV).contracts].index("access")


def faults(text: str) -> list[str]:
    with pytest.raises(InvalidFile) as caught:
        parse_config(text, "x.toml")
    return [str(fault) for fault in caught.value.faults]


def replaced(old: str, new: str, count: int = 1) -> str:
    assert old in DEV
    return DEV.replace(old, new, count)


def line_of(text: str, words: str) -> int:
    return text[: text.index(words)].count("\n") + 1


@pytest.mark.parametrize("name", ["dev.toml", "yanan.toml"])
def test_the_shipped_configurations_are_valid(name: str) -> None:
    config = load_config(CONFIGS / name)
    assert sum(node.role == "validator" for node in config.nodes()) == 4


def test_yanan_is_one_city_and_three_county_hospitals_and_their_followers() -> None:
    config = load_config(CONFIGS / "yanan.toml")
    kinds = {member.id: member.kind for member in config.institutions}
    roles = sorted((node.role, kinds[node.institution]) for node in config.nodes())
    assert roles == sorted(
        [("validator", "city-hospital")]
        + [("validator", "county-hospital")] * 3
        + [("observer", "township-centre")] * 3
        + [("observer", "commission")]
    )
    contracts = [contract.name for contract in config.contracts]
    assert contracts[0] == "records"
    assert contracts[-1] == "access"
    assert {"consent", "referral", "recognition", "emergency"} < set(contracts)


def test_nodes_without_ports_count_up_from_the_base_ports() -> None:
    config = parse_config(
        replaced('id = "west-1"', 'id = "west-1"\nhost = "w.example"\napi_port = 443')
    )
    assert [(node.host, node.peer_port, node.api_port) for node in config.nodes()] == [
        ("127.0.0.1", 7300, 8300),
        ("127.0.0.1", 7301, 8301),
        ("w.example", 7302, 443),
        ("127.0.0.1", 7303, 8303),
    ]
    moved = config.moved(peer_port=9000, api_port=9100).nodes()
    assert [node.peer_port for node in moved] == [9000, 9001, 9002, 9003]


def test_parameters_left_out_are_written_out_with_their_defaults() -> None:
    values = parse_config(replaced("view_timeout = 2000", "view_timeout = 1234")).chain_parameters()
    assert set(values) == set(PARAMETER_BOUNDS)
    assert values["view_timeout"] == 1234
    assert values["block_bytes"] == Parameters().block_bytes


def test_an_unknown_kind_is_refused_with_file_line_and_field() -> None:
    text = replaced(
        'kind = "county-hospital"\ncounty = "Zichang"', 'kind = "hospital"\ncounty = "Z"'
    )
    line = line_of(text, 'kind = "hospital"')
    (fault,) = faults(text)
    assert fault.startswith(
        f"x.toml:{line}: institutions[2].kind: 'hospital' is not one of 'provincial-"
    )


def test_a_missing_field_is_reported_at_its_table() -> None:
    text = replaced('name = "South Hospital"\n', "")
    line = line_of(text, 'id = "south"') - 1
    assert faults(text) == [f"x.toml:{line}: institutions[1].name: is missing"]


def test_an_unknown_field_is_refused_with_a_suggestion() -> None:
    text = replaced("peer_port = 7300", "peer_prot = 7300")
    line = line_of(text, "peer_prot")
    assert faults(text) == [
        f"x.toml:{line}: network.peer_prot: is not a known field; did you mean peer_port?"
    ]


def test_all_faults_are_reported_at_once_in_the_order_of_the_file() -> None:
    text = replaced('county = "Baota"', "county = 3").replace('role = "validator"', 'role = "x"', 1)
    found = faults(text + "\n[extra]\n")
    assert [fault.split(": ")[1] for fault in found] == [
        "institutions[0].county", "institutions[0].nodes[0].role", "extra",
    ]  # fmt: skip


@pytest.mark.parametrize("validators", [0, 1, 3])
def test_fewer_than_four_validators_are_refused(validators: int) -> None:
    text = DEV.replace('role = "validator"', 'role = "observer"', 4 - validators)
    (fault,) = faults(text)
    assert f"{validators} of the nodes are validators; at least 4 are needed" in fault


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ('name = "South Hospital"', 'name = "East Hospital"', "institutions[1].name", "used twice"),
        ('name_zh = "南医院"', 'name_zh = "东医院"', "institutions[1].name_zh", "used twice"),
        ('id = "south-1"', 'id = "east-1"', "institutions[1].nodes[0].id", "used twice"),
        ('id = "south-1"', 'id = "east"', "institutions[1].nodes[0].id", "id of an institution"),
        ('id = "south-1"', 'id = "s-1"', "institutions[1].nodes[0].id", "mark people"),
        ('id = "south-1"', 'id = "South 1"', "institutions[1].nodes[0].id", "small letters"),
        ('id = "south-1"', 'id = "a/../b"', "institutions[1].nodes[0].id", "small letters"),
        (
            'id = "south-1"',
            'id = "south-1"\npeer_port = 7300',
            "institutions[1].nodes[0].peer_port",
            "the address '127.0.0.1:7300' is used twice",
        ),
        (
            'id = "south-1"',
            'id = "south-1"\nhost = "bad host"',
            "institutions[1].nodes[0].host",
            "IP address or a DNS name",
        ),
        ("peer_port = 7300", "peer_port = 8301", "institutions[1].nodes[0].api_port", "used twice"),
        ("peer_port = 7300", "peer_port = 65534", "institutions[2].nodes[0].peer_port", "65536"),
        ("peer_port = 7300", "peer_port = 0", "network.peer_port", "greater than or equal to 1"),
        ("peer_port = 7300", 'peer_port = "7300"', "network.peer_port", "valid integer"),
        ("view_timeout = 2000", "view_timeout = 5", "parameters.view_timeout", "between 100"),
        ("view_timeout = 2000", "view_timout = 2000", "parameters.view_timout", "is not one of"),
        ("view_timeout = 2000", "view_timeout_cap = 1000", "parameters.view_timeout_cap", "above"),
        ('records = ["artis"]', 'records = ["burgers"]', "institutions[1].records[0]", "twice"),
        ('fhir = "Patient/f201"', 'fhir = "Patient/f001"', "people[7].fhir", "used twice"),
        ('fhir = "Patient/f201"', 'fhir = "f201"', "people[7].fhir", "FHIR reference"),
        ('key = "west-governor"', 'key = "east-governor"', "people[4].key", "used twice"),
        ('institution = "west"', 'institution = "wset"', "people[4].institution", "'wset'"),
        ('roles = ["patient"]', 'roles = ["patient", "nurse"]', "people[6].roles", "no other role"),
        ('roles = ["patient"]', 'roles = ["doctor"]', "people[6].roles[0]", "'doctor' is not one"),
        ('roles = ["patient"]', 'roles = ["node"]', "people[6].roles[0]", "'node' is not one"),
        ('roles = ["patient"]', "roles = []", "people[6].roles", "at least one role"),
        ('roles = ["patient"]', 'roles = ["auditor"]', "people[6].roles[0]", "only a commission"),
        ('roles = ["patient"]', 'roles = ["nurse", "nurse"]', "people[6].roles[1]", "used twice"),
        ('name = "records"', 'name = "recrods"', "contracts[0].name", "is not one of access"),
        ('name = "records"', 'name = "registry"', "contracts[0].name", "always there"),
        ('name = "records"', 'name = "access"', f"contracts[{ACCESS}].name", "used twice"),
        (
            "permit_hours = 24", "permit_hours = 2.5",
            f"contracts[{ACCESS}].arguments.permit_hours", "float",
        ),
        ('languages = ["en", "zh"]', 'languages = ["en", "en"]', "network.languages[1]", "twice"),
        ('languages = ["en", "zh"]', 'languages = ["fr"]', "network.languages[0]", "'fr' is not"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(old: str, new: str, field: str, message: str) -> None:
    found = faults(replaced(old, new))
    assert any(f": {field}: " in fault and message in fault for fault in found), found


def test_a_validator_institution_without_a_governor_is_refused() -> None:
    (fault,) = faults(DEV.replace('roles = ["governor", "registrar"]', 'roles = ["registrar"]', 1))
    assert (
        "institutions[0].id: 'east' runs a validator but none of its people is a governor" in fault
    )


def test_a_file_that_is_not_there_or_not_text_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="cannot read: No such file"):
        load_config(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_bytes(b"[network]\nname = '\xff'\n")
    with pytest.raises(InvalidFile, match=r"broken\.toml:2: not UTF-8 text"):
        load_config(broken)
    broken.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(InvalidFile, match="larger than"):
        load_config(broken)


LINES = DEV.splitlines(keepends=True)


@settings(max_examples=100)
@given(
    st.lists(st.integers(0, len(LINES) - 1), min_size=1, max_size=3),
    st.sampled_from(
        ["", "x = 1\n", "[[people]]\n", 'id = ""\n', "roles = [[]]\n", "name = {a = 1}\n"]
    ),
)
def test_a_damaged_file_gives_a_configuration_or_faults_and_nothing_else(
    places: list[int], line: str
) -> None:
    text = "".join(line if place in places else old for place, old in enumerate(LINES))
    found: tuple[Fault, ...] = ()
    try:
        assert isinstance(parse_config(text, "x.toml"), NetworkConfig)
    except InvalidFile as error:
        found = error.faults
    assert all(1 <= fault.line <= text.count("\n") + 1 for fault in found)
