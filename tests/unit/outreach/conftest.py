from tests.support.chain_fixtures import consent, consortium, patient, pseudonym, service

__all__ = ["consent", "consortium", "patient", "pseudonym", "service"]
