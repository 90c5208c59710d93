"""A network is founded whole or not at all, and gives away nothing it should not."""

from __future__ import annotations

import datetime
import json
import random
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ledger.chain.constitution import PARAMETER_BOUNDS, validators_at
from ledger.chain.genesis import Genesis, read_genesis
from ledger.contracts.machine import Machine
from ledger.crypto import keyfile
from ledger.crypto.keyfile import WrongPassphrase
from ledger.node.net.admission import PeerIdentity, peer_identity, read_authority
from ledger.node.net.pki import TlsKey
from ledger.node.setup import founding
from ledger.node.setup.config import NetworkConfig, load_config, parse_config
from ledger.node.setup.founding import Founding, FoundingRefused, found_network, node_home
from ledger.node.setup.home import HomeInUse, InvalidHome, claim_home, load_home
from ledger.node.setup.people import load_people
from ledger.node.setup.tomlfile import InvalidFile

CONFIGS = Path(__file__).parents[3] / "network-configs"
NOW = 1_790_000_000_000


def insecure() -> str:
    raise AssertionError("an insecure network needs no passphrase")


@pytest.fixture(scope="module")
def yanan() -> NetworkConfig:
    return load_config(CONFIGS / "yanan.toml")


@pytest.fixture(scope="module")
def dev() -> NetworkConfig:
    return load_config(CONFIGS / "dev.toml")


@pytest.fixture(scope="module")
def network(yanan: NetworkConfig, tmp_path_factory: pytest.TempPathFactory) -> Founding:
    out = tmp_path_factory.mktemp("networks") / "below" / "yanan"
    return found_network(yanan, out, passphrase=None, insecure=True, now_ms=NOW)


def test_a_founding_says_what_was_founded(network: Founding) -> None:
    assert network.network == "yanan"
    assert network.validators == ("city-1", "ansai-1", "zichang-1", "huangling-1")
    assert network.observers == ("huaziping-1", "yangjiayuanze-1", "diantou-1", "commission-1")
    assert network.urls["city-1"] == "http://127.0.0.1:8100"
    assert network.chain_id == read_genesis(network.home / "genesis.json").chain_id()


def arguments_of(genesis: Genesis, name: str) -> dict[str, Any]:
    return next(contract.arguments for contract in genesis.contracts if contract.name == name)


def test_the_genesis_holds_members_nodes_and_every_parameter(network: Founding) -> None:
    genesis = read_genesis(network.home / "genesis.json")
    assert genesis.created == NOW
    assert [contract.name for contract in genesis.contracts] == list(network.contracts)
    assert network.contracts[:3] == ("governance", "charter", "policy")
    arguments = genesis.contracts[0].arguments
    assert set(arguments_of(genesis, "parameters")["values"]) == set(PARAMETER_BOUNDS)
    assert {member["id"] for member in arguments["institutions"]} == set(network.institutions)
    certificates = arguments_of(genesis, "authorities")["certificates"]
    assert set(certificates) == set(network.institutions)
    for institution, pem in certificates.items():
        read_authority(institution, pem)
    for node in arguments["nodes"]:
        home = load_home(node_home(network.home, node["id"]))
        assert home.signing_key(insecure).public.hex() == node["key"]


def test_every_node_is_a_registered_records_officer(network: Founding) -> None:
    genesis = read_genesis(network.home / "genesis.json")
    nodes = {node["id"]: node["key"] for node in genesis.contracts[0].arguments["nodes"]}
    registered = {
        person["id"]: person["keys"]
        for person in arguments_of(genesis, "registry")["people"]
        if person["roles"] == ["node", "records-officer"]
    }
    assert registered == {node: [key] for node, key in nodes.items()}


def test_people_have_random_ids_and_their_names_stay_off_the_chain(network: Founding) -> None:
    text = (network.home / "genesis.json").read_text(encoding="utf-8")
    people = load_people(network.home)
    assert len(people) == network.people
    for person in people:
        assert person.id.startswith("p-" if "patient" in person.roles else "s-")
        assert person.id in text
        for private in (person.key, person.name, person.name_zh, person.fhir):
            assert not private or private not in text


def test_the_order_on_the_chain_does_not_tell_who_is_who(network: Founding) -> None:
    genesis = read_genesis(network.home / "genesis.json")
    listed = [
        person["id"]
        for person in arguments_of(genesis, "registry")["people"]
        if person["roles"] != ["node", "records-officer"]
    ]
    assert listed == sorted(person.id for person in load_people(network.home))


def test_people_are_found_by_label_role_and_example(network: Founding) -> None:
    people = load_people(network.home)
    pieter = people["patient-pieter"]
    assert people.by_reference("Patient/f001") == pieter
    assert people.by_reference("Patient/nobody") is None
    assert [person.key for person in people.with_role("auditor")] == ["commission-auditor"]
    assert [person.key for person in people.with_role("physician", "ansai-hospital")] == [
        "ansai-physician-1", "ansai-physician-2",
    ]  # fmt: skip
    assert people.signing_key(pieter, insecure).public.hex() == pieter.public
    with pytest.raises(KeyError):
        people["nobody"]


def test_a_node_home_is_complete_in_itself(network: Founding, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    node_home(network.home, "diantou-1").rename(moved)
    try:
        home = load_home(moved)
        assert (home.node, home.institution) == ("diantou-1", "diantou")
        assert home.genesis().chain_id() == network.chain_id
        assert home.store_url == f"sqlite:///{moved}/data/ledger.db"
        assert home.records == moved / "vault" / "records"
        assert home.api_url == network.urls["diantou-1"]
        assert set(home.settings.peers) == {*network.validators, *network.observers} - {"diantou-1"}
        assert home.settings.peers["city-1"] == "127.0.0.1:7100"
        key = home.tls_key(insecure)
        assert peer_identity(key.certificate) == PeerIdentity("diantou", "diantou-1")
        assert (moved / "data").is_dir()
        assert home.records.is_dir()
    finally:
        moved.rename(node_home(network.home, "diantou-1"))


def test_the_ca_can_issue_a_new_certificate_later(network: Founding) -> None:
    directory = network.home / "ca" / "yanan-city"
    authority = TlsKey.load(directory / "ca.key", directory / "ca.crt", insecure)
    later = datetime.datetime.fromtimestamp(NOW / 1000 + 86_400 * 700, datetime.UTC)
    renewed = authority.issue(PeerIdentity("yanan-city", "city-1"), ["127.0.0.1"], now=later)
    renewed.certificate.verify_directly_issued_by(authority.certificate)


def test_nobody_else_can_read_what_is_secret(network: Founding) -> None:
    assert stat.S_IMODE(network.home.stat().st_mode) == 0o700
    secret = [
        *network.home.rglob("*.key"),
        network.home / "people.json",
        network.home / "network.toml",
    ]
    assert len(secret) == network.people + 8 + 2 * 8 + 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_the_resolved_configuration_founds_the_same_network(
    network: Founding, yanan: NetworkConfig
) -> None:
    resolved = load_config(network.home / "network.toml")
    assert resolved.nodes() == yanan.nodes()
    assert resolved.chain_parameters() == resolved.parameters == yanan.chain_parameters()
    assert resolved.people == yanan.people
    assert resolved.contracts == yanan.contracts


def test_sealed_keys_open_with_the_passphrase_only(
    dev: NetworkConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyfile, "PASSES", 1)
    monkeypatch.setattr(keyfile, "MEMORY_BYTES", 8192)
    found = found_network(dev, tmp_path / "net", passphrase="words", now_ms=NOW)
    home = load_home(node_home(found.home, "east-1"))
    home.signing_key(lambda: "words")
    home.tls_key(lambda: "words")
    for path in found.home.rglob("*.key"):
        assert "insecure" not in json.loads(path.read_text())
    with pytest.raises(WrongPassphrase):
        home.signing_key(lambda: "other")
    with pytest.raises(WrongPassphrase):
        home.tls_key(lambda: "other")


def test_two_foundings_are_two_chains(dev: NetworkConfig, tmp_path: Path) -> None:
    ids = {
        found_network(dev, tmp_path / name, passphrase=None, insecure=True, now_ms=NOW).chain_id
        for name in ("a", "b")
    }
    assert len(ids) == 2


def test_progress_is_told_from_the_first_step_to_the_last(
    dev: NetworkConfig, tmp_path: Path
) -> None:
    told: list[tuple[int, int, str]] = []
    found_network(
        dev,
        tmp_path / "net",
        passphrase=None,
        insecure=True,
        now_ms=NOW,
        progress=lambda *step: told.append(step),
    )
    steps = 4 + 8 + 4
    assert [(done, total) for done, total, _ in told] == [(n, steps) for n in range(steps + 1)]


def test_a_place_that_is_taken_is_refused_and_left_alone(
    dev: NetworkConfig, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "letter").write_text("mine")
    file = tmp_path / "file"
    file.write_text("mine")
    for out in (taken, file):
        with pytest.raises(FoundingRefused, match="not empty; choose another place"):
            found_network(dev, out, passphrase=None, insecure=True, now_ms=NOW)
    with pytest.raises(FoundingRefused, match="cannot write"):
        found_network(dev, file / "below", passphrase=None, insecure=True, now_ms=NOW)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "letter", "taken"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert found_network(dev, empty, passphrase=None, insecure=True, now_ms=NOW).home == empty


def test_a_founding_that_fails_leaves_nothing_behind(
    dev: NetworkConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(founding, "encode_genesis", full)
    with pytest.raises(FoundingRefused, match="No space left on device"):
        found_network(dev, tmp_path / "net", passphrase=None, insecure=True, now_ms=NOW)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("permit_hours = 24", "permit_hours = 0", "bad_hours: a permit lasts"),
        ("permit_hours = 24", "permit_days = 1", "bad_arguments: found needs permit_hours"),
    ],
)
def test_a_chain_that_could_not_start_is_not_founded(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = (CONFIGS / "dev.toml").read_text(encoding="utf-8").replace(old, new)
    config = parse_config(text)
    with pytest.raises(FoundingRefused, match=f"do not start: .*{message}"):
        found_network(config, tmp_path / "net", passphrase=None, insecure=True, now_ms=NOW)
    assert list(tmp_path.iterdir()) == []


def test_the_shipped_networks_start_with_the_validators_of_their_configuration(
    network: Founding, dev: NetworkConfig, tmp_path: Path
) -> None:
    small = found_network(dev, tmp_path / "dev", passphrase=None, insecure=True, now_ms=NOW)
    for founded in (network, small):
        writes = Machine().genesis(read_genesis(founded.home / "genesis.json")).writes
        members = validators_at(writes.get, 1).members
        assert tuple(member.node for member in members) == founded.validators


def test_plain_keys_need_an_explicit_word(dev: NetworkConfig, tmp_path: Path) -> None:
    for passphrase, plain in ((None, False), ("words", True)):
        with pytest.raises(ValueError, match="explicitly insecure"):
            found_network(dev, tmp_path / "net", passphrase=passphrase, insecure=plain, now_ms=NOW)
    assert list(tmp_path.iterdir()) == []


# --- Opening what was founded ---------------------------------------------------------------------


@pytest.fixture
def home_path(dev: NetworkConfig, tmp_path: Path) -> Path:
    found = found_network(dev, tmp_path / "net", passphrase=None, insecure=True, now_ms=NOW)
    return node_home(found.home, "east-1")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id = "east-1"', "", r"node\.toml:1: node\.id: is missing"),
        ("port = 7300", "port = 0", r"node\.toml:7: peer\.port: 0: "),
        ("port = 8300", "port = 7300", r"node\.toml:11: api\.port: peers and API"),
        ("[peers]", '[peers]\neast-1 = "127.0.0.1:1"', r"peers\.east-1: the node itself"),
        ("127.0.0.1:7301", "127.0.0.1", r"peers\.south-1: .*must be host:port"),
        ("127.0.0.1:7301", "127.0.0.1:70000", r"peers\.south-1: .*between 1 and 65535"),
        ("sqlite:///data/ledger.db", "nothing", r"store\.url: .*database URL"),
        ("[store]", "[shop]", r"store: is missing"),
    ],
)
def test_a_wrong_node_toml_is_refused_with_line_and_field(
    home_path: Path, old: str, new: str, message: str
) -> None:
    path = home_path / "node.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InvalidFile, match=message):
        load_home(home_path)


def test_a_home_without_its_files_is_refused(home_path: Path) -> None:
    home = load_home(home_path)
    (home_path / "genesis.json").write_bytes(b'{"format": "\xff"}')
    with pytest.raises(InvalidHome, match="not a genesis file"):
        home.genesis()
    (home_path / "genesis.json").unlink()
    with pytest.raises(InvalidHome, match="cannot read"):
        home.genesis()
    (home_path / "node.toml").unlink()
    with pytest.raises(InvalidFile, match="cannot read"):
        load_home(home_path)


def test_a_store_elsewhere_keeps_its_address(home_path: Path) -> None:
    path = home_path / "node.toml"
    text = path.read_text()
    url = "postgresql://ledger:pass@db.example/ledger"
    path.write_text(text.replace("sqlite:///data/ledger.db", url))
    assert load_home(home_path).store_url == url.replace("://", "+psycopg://")
    path.write_text(text.replace("sqlite:///data/ledger.db", "sqlite:////srv/ledger.db"))
    assert load_home(home_path).store_url == "sqlite:////srv/ledger.db"


HOLD = """
import sys
from pathlib import Path
from ledger.node.setup.home import claim_home
with claim_home(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_on_a_home_is_refused_until_the_first_is_killed(home_path: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert first.stdin is not None
    assert first.stdout is not None
    with first.stdin, first.stdout:
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(HomeInUse, match="another process"), claim_home(load_home(home_path)):
            pass
        first.kill()
        first.wait()
    with claim_home(home_path):
        pass


def test_a_home_that_is_not_there_cannot_be_claimed(tmp_path: Path) -> None:
    with pytest.raises(InvalidHome, match="cannot lock"), claim_home(tmp_path / "none"):
        pass


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(format="x"), "this software reads"),
        (lambda data: data["people"].append(data["people"][0]), "same key"),
        (lambda data: data["people"][0].update(id="../../x"), "32 hex digits"),
        (lambda data: data["people"][0].update(more=1), "not a people file"),
        (lambda data: data.pop("people"), "not a people file"),
    ],
)
def test_a_wrong_people_file_is_refused(home_path: Path, change: object, message: str) -> None:
    network_home = home_path.parents[1]
    path = network_home / "people.json"
    data = json.loads(path.read_text())
    assert callable(change)
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(InvalidFile, match=message):
        load_people(network_home)
    path.unlink()
    with pytest.raises(InvalidFile, match="cannot read"):
        load_people(network_home)


def test_the_same_random_bytes_found_the_same_network(dev: NetworkConfig, tmp_path: Path) -> None:
    def found(place: str, seed: int) -> dict[str, bytes]:
        home = tmp_path / place
        found_network(
            dev,
            home,
            passphrase=None,
            insecure=True,
            now_ms=NOW,
            entropy=random.Random(seed).randbytes,
        )
        return {
            str(path.relative_to(home)): path.read_bytes()
            for path in home.rglob("*")
            if path.is_file()
        }

    assert found("one", 1) == found("two", 1)
    assert found("three", 2)["genesis.json"] != found("one-again", 1)["genesis.json"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ledger:hidden@db.example:port/ledger",
        "mysql://ledger:hidden@db.example/ledger",
        "hidden@db.example",
        "sqlite://",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(home_path: Path, url: str) -> None:
    path = home_path / "node.toml"
    path.write_text(path.read_text().replace("sqlite:///data/ledger.db", url))
    with pytest.raises(InvalidFile) as caught:
        load_home(home_path)
    assert "store.url: " in str(caught.value)
    assert "hidden" not in str(caught.value)
