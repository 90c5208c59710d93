"""A real OpenID provider in a process of its own, and a person who signs in at it."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from tests.support.javascript import program

#: The provider's client that is the node, and one of a hospital's portal that presents its tokens.
NODE_CLIENT, NODE_SECRET = "health-ledger", "a secret of+the node%"
PORTAL = "portal"
MOST_STEPS = 12


class Provider:
    """One running provider; ``redirect``: the address that its clients are sent back to."""

    def __init__(self, issuer: str, redirect: str) -> None:
        self.issuer = issuer
        self.redirect = redirect

    def sign_in(self, location: str, login: str) -> str:
        """Sign in as a person with a browser of her own; where she is sent back to."""
        with httpx.Client(trust_env=False, timeout=10) as browser:
            answer = browser.get(location)
            for _ in range(MOST_STEPS):
                if answer.is_redirect:
                    location = urljoin(str(answer.url), answer.headers["location"])
                    if location.startswith(self.redirect):
                        return location
                    answer = browser.get(location)
                    continue
                prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
                action = re.search(r'action="([^"]+)"', answer.text)
                assert prompt is not None, answer.text
                assert action is not None, answer.text
                form = {"prompt": prompt[1], "login": login, "password": "anything"}
                answer = browser.post(urljoin(str(answer.url), action[1]), data=form)
        raise AssertionError("the provider sends the browser around in circles")

    def token(self, login: str, client: str = PORTAL) -> str:
        """An ID token of a person for the portal."""
        verifier = secrets.token_urlsafe(32)
        digest = sha256(verifier.encode()).digest()
        asked = {
            "response_type": "code", "client_id": client, "redirect_uri": self.redirect,
            "scope": "openid", "state": "x", "code_challenge_method": "S256",
            "code_challenge": urlsafe_b64encode(digest).rstrip(b"=").decode(),
        }  # fmt: skip
        back = self.sign_in(f"{self.issuer}/auth?{httpx.QueryParams(asked)}", login)
        form = {
            "grant_type": "authorization_code", "client_id": client, "code_verifier": verifier,
            "redirect_uri": self.redirect, "code": parse_qs(urlsplit(back).query)["code"][0],
        }  # fmt: skip
        answer = httpx.post(f"{self.issuer}/token", data=form, trust_env=False)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id_token"])


@contextlib.contextmanager
def real_provider(port: int, redirect: str) -> Iterator[Provider]:
    """A provider on a port of this machine, with fresh keys; skips the test where none can run."""
    command = [*program("identity-provider.mjs", "oidc-provider"), str(port), redirect]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the provider did not start"
        yield Provider(json.loads(line)["issuer"], redirect)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=10)
        assert process.stdout is not None
        process.stdout.close()
