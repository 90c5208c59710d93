from tests.support.chain_fixtures import consortium

__all__ = ["consortium"]
