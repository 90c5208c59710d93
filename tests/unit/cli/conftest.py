from tests.support.chain_fixtures import (
    consent,
    consortium,
    node_url,
    patient,
    pseudonym,
    service,
)

__all__ = ["consent", "consortium", "node_url", "patient", "pseudonym", "service"]
