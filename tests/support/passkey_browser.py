"""A patient's telephone: a browser with cookies and a passkey, against a node that really runs."""

from __future__ import annotations

import base64
from typing import Any

import httpx

from ledger.crypto import hashing
from tests.support.authenticator import Authenticator

FHIR_JSON = "application/fhir+json"


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


class Telephone:
    """One patient's, at one node. ``node``: the address at which her clinic's page is."""

    def __init__(self, node: str, who: str) -> None:
        self.who = who
        self._node = node
        self._key = Authenticator(who, origin=node)
        self._csrf = ""
        self._http = httpx.Client(base_url=node, trust_env=False, timeout=60)

    def close(self) -> None:
        self._http.close()

    def _send(
        self, method: str, path: str, body: Any, status: int, kind: str = "application/json"
    ) -> Any:
        headers = {"Origin": self._node, "X-CSRF-Token": self._csrf, "Content-Type": kind}
        answer = self._http.request(method, path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    def _post(self, path: str, body: Any) -> Any:
        return self._send("POST", path, body, 200)

    def get(self, path: str, **params: Any) -> Any:
        answer = self._http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def register(self, code: str) -> None:
        """Make a passkey, with the code that the clinic has given her."""
        given = {"subject": self.who, "code": code}
        begun = self._post("/auth/passkey/registration/options", given)
        made = self._key.attestation(_decoded(begun["nonce"]))
        prepared = self._post(
            "/auth/passkey/registration/verify",
            {**given, "nonce": begun["nonce"], "credential": made},
        )
        challenge = hashing.TRANSACTION(base64.b64decode(prepared["body"]))
        signed = self._key.answer(challenge, self.who)
        self._post(
            "/auth/passkey/registration/confirm", {"id": prepared["id"], "credential": signed}
        )

    def sign_in(self) -> None:
        begun = self._post("/auth/passkey/options", {})
        credential = self._key.answer(hashing.SIGN_IN(_decoded(begun["nonce"])), self.who)
        answer = {"nonce": begun["nonce"], "credential": credential}
        self._csrf = self._post("/auth/passkey/verify", answer)["csrf"]

    def consent(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Declare a FHIR consent and sign it with the passkey; the consent as it is then."""
        return self._signed(self._send("POST", "/fhir/Consent", resource, 202, FHIR_JSON))

    def withdraw(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Take a consent back in the same way."""
        path = f"/fhir/Consent/{resource['id']}"
        changed = {**resource, "status": "inactive"}
        return self._signed(self._send("PUT", path, changed, 202, FHIR_JSON))

    def _signed(self, proposed: dict[str, Any]) -> dict[str, Any]:
        parts = {
            part["url"]: part
            for extension in proposed["extension"]
            for part in extension.get("extension", ())
        }
        body = base64.b64decode(parts["body"]["valueBase64Binary"])
        signature = base64.b64encode(self._key.sign(hashing.TRANSACTION(body))).decode()
        given = {"name": "signature", "valueBase64Binary": signature}
        parameters = {"resourceType": "Parameters", "parameter": [given]}
        path = f"/fhir/Consent/{proposed['id']}/$sign"
        found: dict[str, Any] = self._send("POST", path, parameters, 200, FHIR_JSON)
        return found
