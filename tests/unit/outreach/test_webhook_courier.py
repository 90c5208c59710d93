"""One attempt over a real connection with TLS."""

import asyncio
import datetime
import ssl
from contextlib import asynccontextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ledger.client.webhooks import verify_delivery
from ledger.crypto.keys import SigningKey
from ledger.node.clock import now_ms
from ledger.node.webhooks import courier as couriers
from ledger.node.webhooks.address import AllowList
from ledger.node.webhooks.book import Book, Filters
from ledger.node.webhooks.courier import Courier, Fate
from ledger.node.webhooks.office import WebhookOffice


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Certificate and key for ``localhost``, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@asynccontextmanager
async def receiving(certificate, answer: bytes | None):
    """A server with one answer to every request, or none; yields its port and the requests."""
    requests: list[bytes] = []

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        requests.append(head + await reader.readexactly(length))
        if answer is not None:
            writer.write(answer)
            await writer.drain()
            writer.close()
        else:
            await asyncio.sleep(60)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], requests
    finally:
        server.close()


@asynccontextmanager
async def courier_to(port, certificate, private=("127.0.0.0/8", "::1/128")):
    made = Courier(AllowList([f"https://localhost:{port}/hook"], private), str(certificate))
    try:
        yield made
    finally:
        await made.close()


NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


async def test_a_message_is_posted_to_a_checked_address_under_the_receivers_name(certificate):
    async with (
        receiving(certificate, NO_CONTENT) as (port, requests),
        courier_to(port, certificate) as courier,
    ):
        outcome = await courier.post(f"https://localhost:{port}/hook", {"x-a": "b"}, b"{}")
    assert outcome.fate is Fate.TAKEN
    assert requests[0].startswith(b"POST /hook HTTP/1.1\r\n")
    assert f"host: localhost:{port}\r\n".encode() in requests[0].lower()
    assert b"x-a: b\r\n" in requests[0].lower()


async def test_a_name_that_leads_inside_is_not_connected_to(certificate):
    async with (
        receiving(certificate, NO_CONTENT) as (port, requests),
        courier_to(port, certificate, private=()) as courier,
    ):
        outcome = await courier.post(f"https://localhost:{port}/hook", {}, b"{}")
    assert (outcome.fate, requests) == (Fate.LATER, [])
    assert "not public" in outcome.why


async def test_an_address_that_is_no_longer_listed_is_not_called(certificate):
    async with (
        receiving(certificate, NO_CONTENT) as (port, requests),
        courier_to(port, certificate) as courier,
    ):
        outcome = await courier.post(f"https://localhost:{port}/other", {}, b"{}")
    assert (outcome.fate, requests) == (Fate.LATER, [])


async def test_a_redirect_is_not_followed(certificate):
    answer = b"HTTP/1.1 307 x\r\nLocation: https://localhost/x\r\nContent-Length: 0\r\n\r\n"
    async with (
        receiving(certificate, answer) as (port, requests),
        courier_to(port, certificate) as courier,
    ):
        outcome = await courier.post(f"https://localhost:{port}/hook", {}, b"{}")
    assert (outcome.fate, outcome.why, len(requests)) == (Fate.LATER, "answered 307", 1)


async def test_an_answer_without_end_is_not_read_to_it(certificate):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 200_000
    async with (
        receiving(certificate, answer) as (port, _),
        courier_to(port, certificate) as courier,
    ):
        outcome = await courier.post(f"https://localhost:{port}/hook", {}, b"{}")
    assert outcome.fate is Fate.TAKEN


async def test_a_receiver_that_does_not_answer_is_left(certificate, monkeypatch):
    monkeypatch.setattr(couriers, "ATTEMPT_S", 0.3)
    async with (
        receiving(certificate, None) as (port, _),
        courier_to(port, certificate) as courier,
    ):
        outcome = await courier.post(f"https://localhost:{port}/hook", {}, b"{}")
    assert outcome.fate is Fate.LATER


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(certificate):
    async with receiving(certificate, NO_CONTENT) as (port, requests):
        courier = Courier(AllowList([f"https://localhost:{port}/"], ["127.0.0.0/8", "::1/128"]))
        outcome = await courier.post(f"https://localhost:{port}/", {}, b"{}")
        await courier.close()
    assert (outcome.fate, requests) == (Fate.LATER, [])


async def test_an_event_arrives_signed_and_is_believed_by_its_receiver(
    certificate, service, consent
):
    key = SigningKey.generate()
    async with receiving(certificate, NO_CONTENT) as (port, requests):
        url = f"https://localhost:{port}/hook"
        allowed = AllowList([url], ["127.0.0.0/8", "::1/128"])
        courier = Courier(allowed, str(certificate))
        office = WebhookOffice(
            service.chain, service.feed, Book(":memory:"), allowed, courier, lambda: key,
            clock=now_ms, give_up_s=60,
        )  # fmt: skip
        running = asyncio.create_task(office.run())
        await asyncio.sleep(0)
        made = office.subscribe(
            url, Filters(name=("declared",)), None, owner="o", institution="", bound=""
        )
        await service.submit([consent("c-1").raw])
        await service.commit()
        async with asyncio.timeout(10):
            while not requests:
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await courier.close()
        office.close()
    head, _, body = requests[0].partition(b"\r\n\r\n")
    lines = [line.partition(": ") for line in head.decode().split("\r\n")[1:]]
    headers = {name: value for name, _, value in lines}
    delivery = verify_delivery(url, headers, body, key.public, subscription=made.id)
    assert delivery.id == f"{service.chain[:8].hex()}.1.0.0"
    assert delivery.content["fields"]["consent"] == "c-1"
