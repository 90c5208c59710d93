"""What the measurement of contracts compares is the same thing twice, and it measures all."""

import json

import pytest

from ledger.bench import contracts
from ledger.bench.contracts import Crowd, both, consents, growth, on_disk, prepared
from ledger.chain.codec import decode_value, encode
from ledger.contracts.checker import read_contract
from ledger.contracts.sources import library_sources


@pytest.fixture(scope="module")
def chain_and_calls():
    return prepared()


def test_every_contract_that_decides_is_measured(chain_and_calls):
    _, calls = chain_and_calls
    deciding = {
        name
        for name, source in library_sources().items()
        if "decide" in read_contract(source).functions
    }
    assert {contract for contract, method, *_ in calls if method == "decide"} == deciding
    assert ("access", "request") in {(contract, method) for contract, method, *_ in calls}


def test_python_gives_the_values_and_events_of_the_interpreter(chain_and_calls):
    chain, calls = chain_and_calls
    for call in calls:
        interpreted, by_python, _ = both(chain, *call)
        result = interpreted()
        value = decode_value(encode(by_python()), limit=1 << 20)
        assert value == result.value, call[:2]


def test_the_consents_of_the_crowd_are_those_that_the_contract_writes():
    crowd = Crowd()
    crowd.chain.patient().permits("n0000007", purposes=["TREAT"], institutions=["county"])
    made = dict(consents(7, crowd._template))
    (consent,) = [value for key, value in made.items() if key.startswith(b"consent/consents/")]
    written = crowd.chain.entry("consent/consents/n0000007")
    assert decode_value(consent, limit=1 << 20).keys() == written.keys()
    (force,) = [value for key, value in made.items() if key.startswith(b"consent/subjects/")]
    assert decode_value(force, limit=1 << 20)[0]["rules"]


def test_decisions_on_every_state_cost_the_same_gas_and_read_the_same(monkeypatch):
    monkeypatch.setattr(contracts, "measure", lambda work: 1.0)
    grown = [*growth([1, 50]), on_disk(50)]
    assert [size.state for size in grown] == ["memory", "memory", "SQLite"]
    assert len({size.gas for size in grown}) == 1
    assert {size.asked for size in grown} == {4}


def test_a_decision_reads_as_many_entries_whatever_the_number_of_consents(monkeypatch):
    monkeypatch.setattr(contracts, "measure", lambda work: 1.0)
    counts = []
    for patients in (1, 200):
        crowd = Crowd()
        state = dict(crowd.chain.state) | dict(crowd.entries(0, patients))
        transactions, anchors = crowd.requests(patients)
        state |= dict(anchors)
        read = []
        crowd.decide(lambda key, state=state, read=read: read.append(key) or state.get(key), [
            transactions[0]
        ])  # fmt: skip
        counts.append(len(read))
    assert counts[0] == counts[1]


def test_the_report_is_one_object_for_programs(monkeypatch, capsys):
    monkeypatch.setattr(contracts, "measure", lambda work: 2.0)
    assert contracts.main(sizes=[1, 2], disk=False, as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["spread_in_memory"] == 2.0  # one request against two
    assert found["contracts"][0]["per_second"] == 500_000
    assert [size["consents"] for size in found["decisions"]] == [1, 2, 100]
