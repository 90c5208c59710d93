"""Whatever is sent to the routes of patients and desks is answered, and never with a crash."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.passkeys.conftest import NEWCOMER, SEEN

OPEN = (
    "/auth/passkey/verify", "/auth/passkey/registration/options",
    "/auth/passkey/registration/verify", "/auth/passkey/registration/confirm",
)  # fmt: skip
STAFF = ("/v1/desk/enrolments", "/v1/desk/recoveries", "/v1/desk/declarations")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
BASE64 = st.text("ABCabc019_-=+/%é", max_size=60)
MEMBERS = (
    "clientDataJSON", "authenticatorData", "signature", "userHandle", "attestationObject",
)  # fmt: skip
PARTS = st.fixed_dictionaries({}, optional=dict.fromkeys(MEMBERS, BASE64 | JSON))
CREDENTIAL = st.fixed_dictionaries(
    {"id": BASE64, "rawId": BASE64, "type": st.just("public-key"), "response": PARTS}
)
BODY = st.fixed_dictionaries(
    {},
    optional={
        "nonce": st.just("A" * 43) | JSON,
        "credential": CREDENTIAL | JSON,
        "subject": st.just(NEWCOMER) | st.just("p-" + "b" * 32) | JSON,
        "code": st.just("AAAAA-AAAAA") | JSON,
        "id": st.just("00" * 32) | JSON,
        "document": st.just("passport") | JSON,
        "evidence": st.just(SEEN) | JSON,
        "form": st.just(SEEN) | JSON,
        "act": st.just({"act": "withdraw", "consent": "c"})
        | st.fixed_dictionaries({"act": st.sampled_from(["permit", "forbid", "x"])})
        | JSON,
        "key": st.just("01" * 33) | JSON,
    },
)


@pytest.mark.parametrize("path", OPEN)
async def test_strangers(page, clock, path: str) -> None:
    await hostile(page.api, clock, path)


@pytest.mark.parametrize("path", STAFF)
async def test_staff(counter, registrar, clock, path: str) -> None:
    counter._as.principal = registrar
    await hostile(counter._api, clock, path)


async def hostile(api: Any, clock: Any, path: str) -> None:
    loop = asyncio.get_running_loop()

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.nested_given])
    @given(BODY | JSON)
    def one(body: Any) -> None:
        clock.advance(3_600)  # nobody is asked to wait

        async def send() -> int:
            answer = await api.post(
                path, content=json.dumps(body), headers={"Content-Type": "application/json"}
            )
            return answer.status_code

        # The transport holds every answer against the OpenAPI document.
        status = asyncio.run_coroutine_threadsafe(send(), loop).result(30)
        assert status < 500 or status == 503

    await asyncio.to_thread(one)
