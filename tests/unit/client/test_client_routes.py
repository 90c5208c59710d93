"""The client has a request for every route of the interface, and none for anything else."""

import importlib
import inspect
import json
import pkgutil
import re
import sys
from pathlib import Path

import jsonschema
import pytest

import ledger.client
from ledger.chain.pointer import Pointer
from ledger.client import (
    blocks,
    desk,
    erasures,
    lists,
    patients,
    pseudonyms,
    records,
    requests,
    subscriptions,
)
from ledger.client.following import FILTERS, stream_params
from ledger.client.ledger import EVENTS
from ledger.client.requests import Request
from ledger.crypto.sealing import SealingKey
from tests.support.openapi import path_pattern

ROOT = Path(__file__).parents[3]
HASH = bytes(32)
SUBJECT = "p-" + "a" * 32
CASE = "ab" * 32 + "-0"
ENTRY = "cd" * 16
#: Makes a request out of whatever it is given; every other function makes one of its own.
GENERIC = {"ledger.client.requests.sealed"}


@pytest.fixture(scope="module")
def document():
    sys.path.insert(0, str(ROOT / "scripts"))
    import openapi

    return openapi.document()


@pytest.fixture(scope="module")
def samples(consortium):
    """A request of every function that makes one, by the function's name."""
    account = consortium.anybody("patient")
    reply = SealingKey.generate()
    about = patients.Permit(["TREAT"], ["south"])
    record = Pointer(
        holder="city", subject=SUBJECT, kind="laboratory", digest=HASH, size=1, media="text/plain",
        start=0, end=0, confidentiality="N", type=HASH, labels=HASH, replaces=b"",
    )  # fmt: skip
    receipt = None  # none of these requests looks into it
    made = {
        requests.submit: [requests.submit([b"raw"], 1)],
        requests.receipt: [requests.receipt(HASH, 1)],
        requests.state: [requests.state("consent", "consents/c-1", 1, True)],
        requests.query: [requests.query("consent", "active", {"subject": SUBJECT}, 1, 1)],
        requests.status: [requests.status()],
        requests.block: [requests.block(1)],
        requests.blocks: [requests.blocks(1, 10)],
        blocks.page: [blocks.page(None), blocks.page(1, 1, 1)],
        blocks.transaction: [blocks.transaction(HASH, 1)],
        lists.listing: [
            lists.listing("disclosures", "c", subject=SUBJECT, since=1),
            lists.listing("emergencies", institution="city", until=1),
            lists.listing("findings", kind="late", institution="city"),
            lists.listing("consents", subject=SUBJECT),
            lists.listing("cases", holder="city"),
        ],
        lists.proven_disclosures: [lists.proven_disclosures(SUBJECT)],
        subscriptions.webhooks: [subscriptions.webhooks()],
        subscriptions.subscribe: [
            subscriptions.subscribe("https://x.example/", {"name": ["granted"]}, "1.0.0")
        ],
        subscriptions.webhook: [subscriptions.webhook(ENTRY)],
        subscriptions.unsubscribe: [subscriptions.unsubscribe(ENTRY)],
        subscriptions.resume: [subscriptions.resume(ENTRY, "1.0.0")],
        subscriptions.dead_letters: [subscriptions.dead_letters(ENTRY)],
        subscriptions.notifications: [subscriptions.notifications("1.0.0")],
        subscriptions.mark_read: [subscriptions.mark_read(["1.0.0"])],
        patients.overview: [patients.overview(SUBJECT)],
        patients.prepare: [
            patients.prepare(HASH, 1, account.public, act, SUBJECT)
            for act in (
                about,
                patients.Forbid(kinds=["imaging"], until=1),
                patients.Withdraw("c-1"),
                patients.StopRecovery(),
                patients.Erase(HASH.hex()),
                patients.Keep(CASE),
                patients.Dispute(HASH.hex(), "outdated", HASH.hex()),
                patients.Settle(CASE),
            )
        ],
        desk.enrol: [desk.enrol(SUBJECT, "passport", HASH)],
        desk.recover: [desk.recover(SUBJECT, "passport", HASH, HASH)],
        desk.declare: [desk.declare(SUBJECT, about, HASH)],
        desk.waiting: [desk.waiting()],
        desk.witness: [desk.witness(ENTRY)],
        desk.drop: [desk.drop(ENTRY)],
        erasures.answer_erasure: [erasures.answer_erasure(CASE, "order", 1, HASH)],
        erasures.destroy: [erasures.destroy(CASE)],
        erasures.answer_dispute: [erasures.answer_dispute(CASE, False, HASH)],
        pseudonyms.evaluate: [pseudonyms.evaluate("patients.1", [HASH])],
        pseudonyms.begin: [pseudonyms.begin("patients.1")],
        pseudonyms.overview: [pseudonyms.overview()],
        records.release: [records.release(account, HASH, "d", receipt, reply, record)],
        records.pointers: [records.pointers(account, HASH, "city", SUBJECT)],
        records.enquired: [records.enquired(account, HASH, "city", SUBJECT, "e", receipt, reply)],
    }
    return {f"{function.__module__}.{function.__name__}": found for function, found in made.items()}


def all_of(samples):
    events = Request(
        "GET", EVENTS, bytes, dict(stream_params("1.0.0", {n: ["x"] for n in FILTERS}))
    )
    return [request for found in samples.values() for request in found] + [events]


def operation_of(document, request):
    found = [
        (path, operations[request.method.lower()])
        for path, operations in document["paths"].items()
        if path_pattern(path).fullmatch(request.path) and request.method.lower() in operations
    ]
    # A fixed path goes before one with a parameter.
    return min(found, key=lambda each: each[0].count("{"))


def test_every_route_has_a_request(document, samples):
    reached = set()
    for request in all_of(samples):
        path, _ = operation_of(document, request)
        reached.add((request.method, path))
    there = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert len(there) > 30
    assert there == reached


def test_every_function_that_makes_a_request_is_among_the_samples(samples):
    found = set()
    for module in pkgutil.iter_modules(ledger.client.__path__, "ledger.client."):
        for name, function in vars(importlib.import_module(module.name)).items():
            if inspect.isfunction(function) and function.__module__ == module.name:
                returns = str(inspect.get_annotations(function).get("return", ""))
                if re.match(r"Request\[", returns) and not name.startswith("_"):
                    found.add(f"{module.name}.{name}")
    assert found - GENERIC == set(samples)


def test_requests_are_what_the_document_describes(document, samples):
    bodies = 0
    for request in all_of(samples):
        path, operation = operation_of(document, request)
        known = {
            item["name"]: item for item in operation.get("parameters", ()) if item["in"] == "query"
        }
        assert set(request.params) <= set(known), path
        assert {name for name, item in known.items() if item["required"]} <= set(request.params)
        good = {int(status) for status in operation["responses"] if status.startswith("2")}
        assert set(request.statuses) == good, path
        assert bool(request.body) == bool(request.media), path
        if request.body:
            content = operation["requestBody"]["content"][request.media]
            if request.media == "application/json":
                schema = {**content["schema"], "components": document["components"]}
                jsonschema.validate(
                    json.loads(request.body), schema, jsonschema.Draft202012Validator
                )
                bodies += 1
        else:
            assert not operation.get("requestBody", {}).get("required"), path
    assert bodies > 15
