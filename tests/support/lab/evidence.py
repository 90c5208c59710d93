"""Reading every node: what it serves, what it stores, what it proves."""

from __future__ import annotations

from ledger.client.verify import check_receipt
from tests.support.lab.checker import Block, Chain
from tests.support.lab.history import History
from tests.support.lab.hosts import Hosts


def served_chains(hosts: Hosts) -> dict[str, Chain]:
    """Every node's headers as its API gives them; transactions only as the headers bind them."""
    return {
        hosts.node(host): [
            Block(header["height"], header["hash"], header["parent"], ())
            for header in hosts.headers(host)
        ]
        for host in hosts.all
    }


def stored_chains(hosts: Hosts) -> dict[str, Chain]:
    """Every node's chain as its store has it."""
    return {hosts.node(host): hosts.stored_chain(host) for host in hosts.all}


def receipts_are_good(hosts: Hosts, history: History) -> int:
    """Get a receipt for every acknowledged write, each from another node; how many there were.

    Raises:
        InvalidReceipt: one proves nothing to a holder of the genesis file.
        AssertionError: one proves something else than the client was told.
    """
    acknowledged = history.acknowledged()
    for number, each in enumerate(acknowledged):
        client = hosts.client(1 + number % len(hosts.all))
        receipt = client.receipt(bytes.fromhex(each.transaction))
        check_receipt(receipt, hosts.trust)
        assert receipt.header.height == each.height, each
    return len(acknowledged)
