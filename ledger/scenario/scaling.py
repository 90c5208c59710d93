"""A consortium made small enough to be played on one machine.

All members, all people and all contracts stay on the chain. Only some of the nodes are kept; the
other institutions are members without one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ledger.node.setup.config import NetworkConfig, load_config

#: How many of the nodes that vote are played.
VALIDATORS: Final = 4


def load_small(path: Path, *, followers: int = 0) -> NetworkConfig:
    """Read a configuration, with few of its nodes; raises `InvalidFile`."""
    return with_few_nodes(load_config(path), followers=followers)


def with_few_nodes(
    config: NetworkConfig, *, validators: int = VALIDATORS, followers: int = 0
) -> NetworkConfig:
    """The same consortium with the first so many validators and followers of the file."""
    left = {"validator": validators, "observer": followers}
    institutions = []
    for member in config.institutions:
        kept = []
        for node in member.nodes:
            if left[node.role]:
                left[node.role] -= 1
                kept.append(node)
        institutions.append(member.model_copy(update={"nodes": kept}))
    return config.model_copy(update={"institutions": institutions})
