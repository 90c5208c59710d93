"""The TypeScript client: built strictly, up to date, and of one mind with the Python client."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from ledger.chain.codec import encode
from ledger.chain.genesis import read_genesis
from ledger.chain.handover import InvalidProof, Trust
from ledger.chain.receipt import load_receipt, verify_receipt
from ledger.chain.statement import load_statement, verify_statement
from ledger.client.verify import read_trust_file, trust_file, trust_in
from ledger.client.webhooks import InvalidDelivery, verify_delivery
from ledger.crypto import suites
from tests.support import client_vectors
from tests.support.typescript import ROOT, built, tool

REPOSITORY = Path(__file__).parents[3]
CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome")
                 if (path := shutil.which(name))), None)  # fmt: skip


@pytest.fixture(scope="module")
def vectors():
    return json.loads(client_vectors.FILE.read_text(encoding="utf-8"))


def test_the_vectors_are_what_the_ledger_makes():
    # python -m tests.support.client_vectors makes them anew.
    assert client_vectors.text() == client_vectors.FILE.read_text(encoding="utf-8")


def test_the_python_client_judges_the_vectors_alike(vectors):
    trust = read_trust_file(json.dumps(vectors["trust"]).encode())
    assert trust_file(trust) == vectors["trust"]
    for file, identity in zip(vectors["receipts"], vectors["transactions"], strict=True):
        receipt = load_receipt(json.dumps(file).encode())
        verified = verify_receipt(receipt, trust.chain, trust.validators)
        assert verified.transaction.id.hex() == identity
    for entry in vectors["statements"]:
        proven = verify_statement(load_statement(json.dumps(entry["file"]).encode()), trust)
        assert (proven.present, proven.header.height) == (entry["present"], entry["height"])
        assert entry["raw"] in (None, encode(proven.value).hex())
        with pytest.raises(InvalidProof):
            verify_statement(
                load_statement(json.dumps(entry["file"]).encode()),
                Trust(bytes(32), trust.validators),
            )
    for case in [*vectors["ed25519"], *vectors["passkey"]]:
        parts = (bytes.fromhex(case[part]) for part in ("key", "message", "signature"))
        assert suites.verify(*parts) is case["good"]


def test_the_python_client_takes_the_delivery_for_too_old(vectors):
    case = vectors["webhook"]
    with pytest.raises(InvalidDelivery):
        verify_delivery(
            case["url"], case["headers"], case["body"].encode(), bytes.fromhex(case["key"])
        )


def test_the_types_are_those_of_the_interface(tmp_path):
    # python scripts/openapi.py clients/typescript/openapi.json, then npm run generate there.
    sys.path.insert(0, str(REPOSITORY / "scripts"))
    import openapi

    sys.path.pop(0)
    (tmp_path / "openapi.json").write_text(
        json.dumps(openapi.document(), indent=1, sort_keys=True, ensure_ascii=False)
    )
    made = tmp_path / "schema.ts"
    tool("openapi-typescript", str(tmp_path / "openapi.json"), "-o", str(made))
    assert made.read_text() == (ROOT / "src" / "schema.ts").read_text(), "npm run generate"


def test_it_compiles_strictly_and_judges_the_vectors_alike(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("VECTORS", str(client_vectors.FILE))
    place = built(tmp_path_factory)
    output = tool("node", "--test", str(place / "test" / "vectors.test.js"))
    assert "# fail 0" in output
    assert "# pass 17" in output


def test_it_submits_reads_and_follows_at_a_node(
    tmp_path_factory, node_url, service, patient, pseudonym, consortium
):
    trust = trust_in(read_genesis(consortium.home / "genesis.json"))
    place = built(tmp_path_factory)
    given = {
        "url": node_url,
        "trust": trust_file(trust),
        "seed": patient.key.seed.hex(),
        "subject": pseudonym,
        "height": service.head().height,
    }
    told = json.loads(tool("node", str(place / "test" / "live.js"), given=json.dumps(given)))
    assert told["signer"] == patient.id
    assert told["outcomes"] == [True, True]
    assert (told["present"], told["absent"]) == (True, False)
    assert told["heard"] == [
        f"declared ts-{number} {told['transactions'][number - 1]}" for number in (1, 2)
    ]
    assert told["refusal"] == "404 unknown-transaction"
    assert told["chain"] == service.chain.hex()


def bundle(tmp_path: Path) -> Path:
    """The client as one script for browsers, with nothing of Node.js in it."""
    out = tmp_path / "client.js"
    tool(
        "esbuild", "src/index.ts", "--bundle", "--platform=browser", "--format=iife",
        "--global-name=ledger", "--target=es2022", f"--outfile={out}", "--log-level=error",
    )  # fmt: skip
    return out


def test_it_makes_one_script_for_browsers(tmp_path):
    script = bundle(tmp_path)
    assert 10_000 < script.stat().st_size < 400_000
    tool(
        "node", "-e",
        "const fs=require('fs');const vm=require('vm');"
        "const c={TextEncoder,TextDecoder,atob,btoa,Headers,crypto,URL,Request,setTimeout};"
        "vm.runInNewContext(fs.readFileSync(process.argv[1],'utf8')+';globalThis.l=ledger',c);"
        "if(typeof c.l.verifyReceipt!=='function')process.exit(1)",
        str(script),
    )  # fmt: skip


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_browser_proves_a_receipt(tmp_path, vectors):
    from playwright.sync_api import sync_playwright

    script = bundle(tmp_path)
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()
        page.add_script_tag(path=script)
        found = page.evaluate(
            "([trust, files]) => files.map((file) => ledger.toHex("
            "ledger.verifyReceipt(file, ledger.readTrust(trust)).transaction.id))",
            [vectors["trust"], vectors["receipts"]],
        )
        browser.close()
    assert found == vectors["transactions"]
