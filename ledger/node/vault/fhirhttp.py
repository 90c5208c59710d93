"""Asking a FHIR R4 server over HTTP: searches page by page, bounded in everything.

The server is the hospital's own, and still an input from outside: its answers are bounded and
parsed strictly, a page leads to another one of the same server alone, redirects are not followed,
and no URL inside a resource is ever asked for.
"""

from __future__ import annotations

import email.utils
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from ledger.chain import limits
from ledger.node.vault.connector import FHIR_JSON

_log = structlog.get_logger(__name__)

#: Bytes of one page.
MAX_PAGE_BYTES: Final = 64 * limits.MIB
#: Pages of one search: more is a server that leads in a circle.
MAX_PAGES: Final = 1_000_000
ATTEMPTS: Final = 6
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 300.0
_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class SourceFailed(OSError):
    """The server does not answer as a FHIR server does. The pass is broken off and done again."""


class _Busy(Exception):
    """Worth another attempt, after ``wait`` seconds if the server says so."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Entry(msgspec.Struct):
    """One entry of a page; ``resource`` has the bytes as the server wrote them."""

    resource: msgspec.Raw = msgspec.Raw()


class Link(msgspec.Struct):
    """Where another page is."""

    relation: str
    url: str


class Page(msgspec.Struct):
    """A Bundle of type searchset, as far as it is read."""

    resource_type: str = msgspec.field(name="resourceType")
    entry: list[Entry] = []
    link: list[Link] = []


class _Secret(msgspec.Struct, forbid_unknown_fields=True):
    bearer: str = ""
    username: str = ""
    password: str = ""


def credentials(path: Path) -> dict[str, str] | httpx.BasicAuth:
    """Read a file ``{"bearer": "…"}`` or ``{"username": "…", "password": "…"}``; its owner's alone.

    Raises:
        SourceFailed: it cannot be read, others can read it, or it says something else.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise SourceFailed(f"{path}: others can read it; chmod 600")
        secret = msgspec.json.decode(path.read_bytes(), type=_Secret)
    except (OSError, msgspec.DecodeError) as error:
        if isinstance(error, SourceFailed):
            raise
        raise SourceFailed(f"{path}: {error}") from None
    if secret.bearer and not secret.username:
        if not secret.bearer.isascii() or not secret.bearer.isprintable():
            raise SourceFailed(f"{path}: not a bearer token")
        return {"Authorization": f"Bearer {secret.bearer}"}
    if secret.username and not secret.bearer:
        return httpx.BasicAuth(secret.username, secret.password)
    raise SourceFailed(f"{path}: either bearer, or username and password")


class FhirHttp:
    """A FHIR server.

    Args:
        base: its base URL, without a slash at the end.
        auth: file with credentials, read anew for every pass; None sends none.
        tls: which certificates count; the operating system's where it is None.
        transport: another httpx transport, for tests.
        sleep: waits so many seconds between attempts.
    """

    def __init__(
        self,
        base: str,
        *,
        auth: Path | None = None,
        tls: ssl.SSLContext | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._base = httpx.URL(base.rstrip("/"))
        if self._base.scheme not in ("http", "https") or not self._base.host or self._base.userinfo:
            raise SourceFailed("the base URL of a FHIR server is http or https with a host alone")
        self._auth = auth
        self._sleep = sleep
        self._http = httpx.Client(
            verify=tls or True,
            transport=transport,
            follow_redirects=False,
            timeout=httpx.Timeout(10.0, read=60.0),
            headers={"Accept": FHIR_JSON, "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        self._http.close()

    def search(self, kind: str, params: Mapping[str, str]) -> Iterator[Page]:
        """The pages of a search for resources of a type; raises `SourceFailed`."""
        url = self._base.copy_with(path=f"{self._base.path.rstrip('/')}/{kind}")
        after: httpx.URL | None = url.copy_merge_params(dict(params))
        known = set[str]()
        for _ in range(MAX_PAGES):
            if after is None:
                return
            known.add(str(after))
            page = self._page(after)
            yield page
            after = self._next(page)
            if after is not None and str(after) in known:
                raise SourceFailed("a page of a search leads to one that was read before")
        raise SourceFailed("a search without end")

    def _next(self, page: Page) -> httpx.URL | None:
        for link in page.link:
            if link.relation == "next":
                try:
                    url = self._base.join(link.url)
                except httpx.InvalidURL:
                    raise SourceFailed("the next page has no URL that can be read") from None
                if not self._is_own(url):
                    raise SourceFailed("the next page is on another server")
                return url
        return None

    def _is_own(self, url: httpx.URL) -> bool:
        own = self._base
        same = (url.scheme, url.host, url.port) == (own.scheme, own.host, own.port)
        prefix = own.path.rstrip("/")
        # Some servers page through `BASE?_getpages=…`, others through `BASE/Type?…`.
        below = url.path == prefix or url.path.startswith(prefix + "/") or url.path == prefix + "/"
        steps = url.path.split("/")
        return same and not url.userinfo and below and not {".", ".."} & set(steps)

    def _page(self, url: httpx.URL) -> Page:
        raw = self._get(url)
        try:
            page = msgspec.json.decode(raw, type=Page)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            raise SourceFailed("an answer that is no Bundle in JSON") from None
        if page.resource_type != "Bundle":
            raise SourceFailed(f"a {page.resource_type[:40]!r} in place of a Bundle")
        return page

    def _get(self, url: httpx.URL) -> bytes:
        """The body of a good answer, tried again as long as that may help."""
        retrying = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=_wait,
            sleep=self._sleep,
            retry=retry_if_exception_type(_Busy),
            before_sleep=lambda state: _log.warning(
                "source_busy", attempt=state.attempt_number, why=str(_failure(state))
            ),
            reraise=True,
        )
        try:
            return retrying(self._once, url)
        except _Busy as error:
            raise SourceFailed(str(error)) from None

    def _once(self, url: httpx.URL) -> bytes:
        given: dict[str, Any] = {}
        if self._auth is not None:
            secret = credentials(self._auth)
            given = {"headers": secret} if isinstance(secret, dict) else {"auth": secret}
        body = bytearray()
        try:
            with self._http.stream("GET", url, **given) as response:
                status = response.status_code
                if status in _AGAIN:
                    raise _Busy(f"status {status}", _retry_after(response.headers))
                if status != 200:
                    raise SourceFailed(f"status {status}")
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise SourceFailed("a compressed answer that was not asked for")
                for piece in response.iter_raw():
                    body += piece
                    if len(body) > MAX_PAGE_BYTES:
                        raise SourceFailed(f"a page of more than {MAX_PAGE_BYTES} bytes")
        except httpx.TransportError as error:
            raise _Busy(type(error).__name__) from None
        return bytes(body)


_backoff = wait_random_exponential(multiplier=FIRST_PAUSE_SECONDS, max=LONGEST_PAUSE_SECONDS)


def _wait(state: RetryCallState) -> float:
    """What the server asks for, within reason, or longer each time, with chance in it."""
    failure = _failure(state)
    pause = _backoff(state)
    asked = failure.wait if isinstance(failure, _Busy) else None
    return pause if asked is None else min(asked, LONGEST_PAUSE_SECONDS) + pause * 0.1


def _failure(state: RetryCallState) -> BaseException | None:
    return None if state.outcome is None else state.outcome.exception()


def _retry_after(headers: httpx.Headers) -> float | None:
    """RFC 9110 section 10.2.3: seconds, or a date."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal() and len(text) < 8:
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
