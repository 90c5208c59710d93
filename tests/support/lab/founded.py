"""The network home of a consortium with one hospital on each host of a lab.

Beside governance and registry its chain has `CONTRACT`, to which the clients of the tests write.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ledger.chain.genesis import GenesisContract, encode_genesis, read_genesis
from ledger.node.setup.config import NetworkConfig, parse_config
from ledger.node.setup.founding import found_network, node_home
from tests.support.lab.lab import API_PORT, PEER_PORT, Lab

CONTRACT = '''"""Registers that tell what they held before, and tokens that are counted."""

from ledger.contracts.prelude import Map, export, init

registers = Map("registers")
tokens = Map("tokens")


@init
def found() -> None:
    """Nothing to prepare."""


@export
def write(name: str, value: str) -> str:
    before = registers.get(name, "")
    registers[name] = value
    return before


@export
def add(token: str) -> int:
    tokens[token] = tokens.get(token, 0) + 1
    return tokens[token]
'''

_NETWORK = """
[network]
name = "lab"
title = "Consortium on real hosts"
title_zh = "真实主机上的联盟"
"""
_MEMBER = """
[[institutions]]
id = "hospital-{n}"
name = "Hospital {n}"
name_zh = "医院{n}"
kind = "county-hospital"
county = "County {n}"

[[institutions.nodes]]
id = "node-{n}"
role = "validator"
host = "{address}"
peer_port = {peer}
api_port = {api}

[[people]]
key = "governor-{n}"
institution = "hospital-{n}"
roles = ["governor"]
name = "Governor {n}"
name_zh = "代表{n}"
"""


def configuration(hosts: Sequence[int], parameters: dict[str, int]) -> NetworkConfig:
    """One hospital with one validator on each host."""
    members = "".join(
        _MEMBER.format(n=n, address=Lab.address(n), peer=PEER_PORT, api=API_PORT) for n in hosts
    )
    chosen = "\n".join(f"{name} = {value}" for name, value in parameters.items())
    return parse_config(f"{_NETWORK}\n[parameters]\n{chosen}\n{members}")


def found(out: Path, hosts: Sequence[int], parameters: dict[str, int]) -> Path:
    """Found the network; its home, with nodes called ``node-N``.

    Args:
        out: the directory to make.
        hosts: their numbers.
        parameters: of the chain.
    """
    founding = found_network(
        configuration(hosts, parameters),
        out,
        passphrase=None,
        insecure=True,
        now_ms=time.time_ns() // 1_000_000,
    )
    homes = [node_home(founding.home, node) for node in founding.validators]
    _add_contract([founding.home, *homes])
    for host, home in zip(hosts, homes, strict=True):
        _api_for_the_host_alone(host, home / "node.toml")
    return founding.home


def _add_contract(homes: Sequence[Path]) -> None:
    genesis = read_genesis(homes[0] / "genesis.json")
    more = GenesisContract("register", CONTRACT, {})
    text = encode_genesis(msgspec.structs.replace(genesis, contracts=(*genesis.contracts, more)))
    for home in homes:
        (home / "genesis.json").write_bytes(text)


def _api_for_the_host_alone(host: int, settings: Path) -> None:
    """Without a token an API listens on loopback only; there each host's clients are."""
    head, api, rest = settings.read_text().partition("[api]\n")
    settings.write_text(head + api + rest.replace(Lab.address(host), "127.0.0.1", 1))
