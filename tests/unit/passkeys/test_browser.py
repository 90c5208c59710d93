"""The page of patients in a real browser: what she reads is what she signs, and what is final."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.sync_api import CDPSession, Page, Route, expect

from ledger.api.app import create_app
from ledger.api.passkeys.opening import open_desk
from ledger.api.preparing import keys_of
from ledger.api.server import serving
from ledger.chain.codec import decode, encode
from ledger.chain.transaction import Body, Call, decode_transaction, verify_signatures
from ledger.crypto import hashing
from ledger.node.fleet import free_ports
from ledger.node.setup.passkeys import PasskeysSection
from ledger.node.setup.signin import SignInSection
from tests.support.browser import browsing, plug_in
from tests.support.signin import Clock, make_signin
from tests.unit.passkeys.conftest import NEWCOMER, SEEN, As

pytestmark = pytest.mark.slow


@dataclass
class Served:
    """A node that patients reach at ``url``, and its registrar at ``desk``."""

    url: str
    desk: str
    loop: asyncio.AbstractEventLoop

    def code(self) -> str:
        given = {"subject": NEWCOMER, "document": "resident-card", "evidence": SEEN}
        answer = httpx.post(f"{self.desk}/v1/desk/enrolments", json=given, timeout=30)
        code: str = answer.json()["code"]
        return code


@pytest.fixture
def node(service, registrar, tmp_path) -> Iterator[Served]:
    port = free_ports(1)
    url = f"http://localhost:{port}"
    clock = Clock()
    clock.passed = service.head().time / 1000 - clock.now()
    signin = make_signin(service, tmp_path, settings=SignInSection(url=url), clock=clock)
    passkeys = open_desk(
        PasskeysSection(), tmp_path / "signin", signin, now=clock.now, clock=clock.monotonic
    )
    app = create_app(service, signin=signin, passkeys=passkeys)
    loop = asyncio.new_event_loop()
    started = threading.Event()
    stop = asyncio.Event()
    desks: list[str] = []

    async def serve() -> None:
        # What stands in front of the clinic's network knows who calls.
        async with (
            serving(app, "127.0.0.1", port),
            serving(As(app, registrar), "127.0.0.1", 0) as desk,
        ):
            desks.append(desk)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(20)
    yield Served(url, desks[0], loop)
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)
    loop.close()
    signin.close()


@pytest.fixture
def browser() -> Iterator[tuple[Page, CDPSession]]:
    with browsing() as found:
        yield found


def status(page: Page) -> Any:
    return expect(page.locator("#status"))


def consents(node: Served, service: Any) -> list[dict[str, Any]]:
    asked = service.query("consent", "active", {"subject": NEWCOMER})
    return asyncio.run_coroutine_threadsafe(asked, node.loop).result(20).value


def test_a_patient_registers_consents_and_takes_it_back_and_nobody_lies_to_her(
    node: Served, browser: tuple[Page, CDPSession], service: Any
) -> None:
    """One story, for a browser takes a second to start and a chain another."""
    page, devices = browser
    page.goto(f"{node.url}/patient#subject={NEWCOMER}&code={node.code()}")
    assert page.url.endswith("/patient")  # the code is not left in the address

    page.get_by_role("button", name="Register").click()
    status(page).to_have_text("This device is registered. You can sign in now.")
    page.get_by_role("button", name="Sign in with passkey").click()
    status(page).to_have_text("You are signed in.")

    page.reload()
    expect(page.locator("#consents")).to_be_visible()  # still signed in

    # She consents, and it is final.
    page.get_by_label("South Hospital").check()
    page.get_by_role("button", name="Check before signing").click()
    expect(page.locator("#sentences li")).to_have_text(
        "You permit south to see ordinary records (every kind) for treatment, "
        "until you take it back."
    )
    expect(page.locator("#review-whom")).to_have_text("For yourself.")
    expect(page.locator("#review-names")).to_have_text("south is South Hospital.")
    page.get_by_role("button", name="Sign with passkey").click()
    status(page).to_contain_text("Done: final in block")
    (given,) = consents(node, service)
    assert given["rules"][0]["institutions"] == ["south"]
    block = service.block(service.head().height)
    transaction = decode_transaction(block.transactions[0])
    assert transaction.body.signers[0][0] == 2
    assert verify_signatures(transaction)

    # A node that prepares something else than she wants is seen through: she reads the bytes.
    def for_everybody(route: Route) -> None:
        honest = route.fetch()
        answer = honest.json()
        body = decode(base64.b64decode(answer["body"]), Body, limit=10_000)
        call = body.calls[0]
        scope = dict(call.arguments["scope"])
        del scope["institutions"]
        wider = Call(call.contract, call.method, {**call.arguments, "scope": scope})
        raw = encode(
            Body(body.chain, body.nonce, body.valid_from, body.valid_until, body.atomic, (wider,),
                 body.signers)
        )  # fmt: skip
        answer["body"] = base64.b64encode(raw).decode()
        answer["id"] = hashing.TRANSACTION(raw).hex()
        route.fulfill(response=honest, body=json.dumps(answer))

    page.route("**/v1/prepare", for_everybody)
    page.get_by_role("button", name="Check before signing").click()
    expect(page.locator("#sentences li")).to_contain_text("every institution of the consortium")
    page.get_by_role("button", name="Do not sign").click()
    status(page).to_have_text("Nothing was signed.")
    page.unroute("**/v1/prepare")

    # One that lets her sign other bytes than it shows is refused by the page.
    def another_id(route: Route) -> None:
        honest = route.fetch()
        route.fulfill(response=honest, body=json.dumps({**honest.json(), "id": "00" * 32}))

    page.route("**/v1/prepare", another_id)
    page.get_by_role("button", name="Check before signing").click()
    expect(page.locator("#trouble")).to_contain_text("something else than it said")
    page.unroute("**/v1/prepare")

    # A signature over another challenge is refused by the chain's rules.
    page.evaluate(
        """() => {
            const real = navigator.credentials.get.bind(navigator.credentials);
            navigator.credentials.get = (options) => {
                options.publicKey.challenge = new Uint8Array(32);
                return real(options);
            };
            window.restore = () => { navigator.credentials.get = real; };
        }"""
    )
    page.get_by_role("button", name="Check before signing").click()
    page.get_by_role("button", name="Sign with passkey").click()
    expect(page.locator("#trouble")).to_contain_text("bad_signature")
    assert len(consents(node, service)) == 1
    page.evaluate("window.restore()")

    # In Chinese, and taking it back.
    page.get_by_role("button", name="中文").click()
    expect(page.locator("#consents-title")).to_have_text("您已作出的声明")
    page.get_by_role("button", name="撤回").click()
    expect(page.locator("#sentences li")).to_contain_text(f"您撤回授权 {given['consent']}")
    page.get_by_role("button", name="使用通行密钥签署").click()
    expect(page.locator("#status")).to_contain_text("已完成")
    assert consents(node, service) == []
    expect(page.locator("#none")).to_be_visible()

    # A second device, which both sign for; then she signs out, and in again.
    plug_in(devices, "usb")
    page.get_by_role("button", name="添加另一台设备的通行密钥").click()
    expect(page.locator("#sentences li")).to_contain_text("您添加一台设备")
    page.get_by_role("button", name="使用通行密钥签署").click()
    expect(page.locator("#status")).to_contain_text("已完成")
    assert len(keys_of(service, NEWCOMER)) == 2
    page.get_by_role("button", name="退出").click()
    expect(page.locator("#door")).to_be_visible()
    page.get_by_role("button", name="使用通行密钥登录").click()
    expect(page.locator("#status")).to_have_text("您已登录。")
