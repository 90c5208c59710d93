import httpx
import pytest

from ledger.api.app import create_app
from tests.support.chain_fixtures import consent, consortium, patient, pseudonym, service
from tests.support.openapi import CheckedTransport

__all__ = ["consent", "consortium", "patient", "pseudonym", "service"]


@pytest.fixture
def app(service):
    return create_app(service)


@pytest.fixture
async def api(app):
    """A client for which every answer is held against the OpenAPI document."""
    transport = CheckedTransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
